"""The benchmark of training runs, its recipes are what they say, and its figures follow from what was measured."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from reasondistill.data.scenes import generate
from reasondistill.training.arguments import has_fast_bf16

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
EXAMPLES = generate(40, seed=5)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        torch.manual_seed(0)
        make = importlib.import_module("training_students").make_student
        return str(make("tiny", EXAMPLES, tmp_path_factory.mktemp("student")))


def built(module: Any, name: str, student: str, folder: Path) -> Any:
    training = module("contender_process").settings(max_steps=1)
    plan = module("recipes").Plan(student, 4, 1, 128, 128, training)
    return module("recipes").build(name, plan, EXAMPLES, folder)


def first_batch(contender: Any) -> Any:
    return contender.trainer.data_collator([contender.trainer.train_dataset[i] for i in range(4)])


def loss_of(contender: Any, batch: Any) -> float:
    contender.trainer.model.eval()
    with torch.no_grad():
        return float(contender.trainer.compute_loss(contender.trainer.model, dict(batch)))


def test_all_read_and_write_the_same(module: Any, student: str, tmp_path: Path) -> None:
    contenders = {name: built(module, name, student, tmp_path) for name in ("whole", "step_by_step", "fixed", "plain")}
    batches = {name: first_batch(contender) for name, contender in contenders.items()}
    plain, codec = batches["plain"], contenders["plain"].codec
    example = EXAMPLES[0]
    fields = f"premise: {example.fields['premise']} hypothesis: {example.fields['hypothesis']}"
    targets = [i for i in plain["labels"][0].tolist() if i != -100]
    assert codec.decode(targets) == f"{example.label} explanation: {example.references[0].text}"
    assert targets[-1] == codec.eos_token_id
    assert codec.decode(plain["input_ids"][0].tolist()) == f"explain nli {fields}"

    two = batches["step_by_step"]
    assert codec.decode(two["label"]["input_ids"][0].tolist()) == f"predict: {fields}"
    assert codec.decode(two["explanation"]["input_ids"][0].tolist()) == f"explain: {fields}"
    assert codec.decode([i for i in two["label"]["labels"][0].tolist() if i != -100]) == example.label
    assert (
        codec.decode([i for i in two["explanation"]["labels"][0].tolist() if i != -100]) == example.references[0].text
    )

    assert batches["fixed"]["input_ids"].shape == (4, 512)
    assert batches["fixed"]["labels"].shape == (4, 256)
    assert loss_of(contenders["fixed"], batches["fixed"]) == pytest.approx(
        loss_of(contenders["plain"], plain), rel=1e-5
    )

    ours = batches["whole"]
    assert ours["input_ids"].tolist() == plain["input_ids"].tolist()
    supervised = ours["label_mask"] | ours["explanation_mask"]
    assert ours["target_ids"][supervised].tolist() == plain["labels"][plain["labels"] != -100].tolist()


def test_what_a_model_was_given_is_counted(module: Any, student: str, tmp_path: Path) -> None:
    names = ("ours", "whole", "step_by_step", "fixed", "plain")
    contenders = {name: built(module, name, student, tmp_path) for name in names}
    seen = {name: contender.seen(first_batch(contender)) for name, contender in contenders.items()}
    assert {name: one.examples for name, one in seen.items()} == dict.fromkeys(names, 4)
    assert seen["fixed"].tokens == seen["plain"].tokens == seen["whole"].tokens
    assert seen["step_by_step"].tokens > seen["plain"].tokens


def test_only_bfloat16_is_in_mixed_precision(module: Any, student: str, tmp_path: Path) -> None:
    contenders = {name: built(module, name, student, tmp_path) for name in module("recipes").CONTENDERS}
    assert {name for name, contender in contenders.items() if contender.trainer.args.bf16} == {"bfloat16"}


def test_figures_of_turns(module: Any) -> None:
    speed = module("training_speed")
    turns = [
        {"examples": 8, "tokens": 400, "cells": 500, "processor": p, "clock": 2 * p, "page_faults": 80}
        for p in (2.0, 1.0, 4.0)
    ]
    slower = [{**turn, "processor": 3 * turn["processor"]} for turn in turns]
    measured = {"turns": turns, "flops_per_example": 2e9, "peak_bytes": 7}
    found = speed.figures(measured, peak_flops=1e11, kind="processor")
    assert found["examples_per_second"] == {"median": 4.0, "min": 2.0, "max": 8.0}
    assert found["padding_share"] == pytest.approx(0.2)
    assert found["share_of_peak"] == pytest.approx(0.08)
    assert found["page_faults_per_example"] == 10
    both = {"ours": measured, "plain": {**measured, "turns": slower}}
    assert speed.times_faster(both, "processor") == {"plain": {"median": 3.0, "min": 3.0, "max": 3.0}}
    assert speed.times_faster(both, "clock")["plain"]["median"] == 1.0


def test_it_runs_and_prints_a_table(module: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "found.json"
    asked = ["--quick", "--contenders", "ours,bfloat16,plain", "--repeats", "2", "--steps", "1", "--warm-up", "1"]
    assert module("training_speed").main([*asked, "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["figures"]["processor"].keys() == found["figures"]["clock"].keys() == {"ours", "bfloat16", "plain"}
    assert found["figures"]["clock"]["ours"].keys() == {
        "examples_per_second",
        "tokens_per_second",
        "padding_share",
        "gflop_per_example",
        "share_of_peak",
        "page_faults_per_example",
        "peak_bytes",
    }
    assert all(row["gflop_per_example"] > 0 for row in found["figures"]["clock"].values())
    assert [len(turns) for turns in found["turns"].values()] == [2, 2, 2]
    shares = [found["figures"]["clock"][name]["padding_share"] for name in ("ours", "plain")]
    assert 0 <= shares[0] <= shares[1]  # ours would pack a wider student
    assert found["peak_flops"].keys() == {"bfloat16", "float32"}
    assert found["bfloat16_times_faster"]["clock"].keys() == {"ours", "plain"}
    assert all(peak["median"] > 0 for peak in found["peak_flops"].values())
    assert {"torch", "transformers"} <= found["versions"].keys()
    said = capsys.readouterr().out
    assert "ours: times as fast" in said
    assert "in bfloat16: " in said
    with pytest.raises(SystemExit):
        module("training_speed").main(["--batch", "8", "--explanations", "3"])


@pytest.mark.slow
def test_quality_compares_what_was_learned(module: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "found.json"
    asked = ["--quality", "--quick", "--examples", "12", "--test-rows", "30"]
    assert module("training_speed").main([*asked, "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    others = {"step_by_step", "plain", *(["bfloat16"] if has_fast_bf16() else [])}
    assert found["values"].keys() == {"ours", *others}
    assert found["against_ours"].keys() == others
    # After twelve examples a student may write what ROUGE cannot read.
    assert {"label_accuracy"} <= found["against_ours"]["plain"].keys() <= {"label_accuracy", "rougeL"}
    assert "paired bootstrap" in capsys.readouterr().out
