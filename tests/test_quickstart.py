"""The main job on built-in data, whole: it learns, and it learns nothing from shuffled labels."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest
from typer.testing import CliRunner

import reasondistill as rd
from reasondistill.cli import app
from reasondistill.contracts.results import Results
from reasondistill.quickstart import quickstart_config


@pytest.mark.slow
def test_the_quickstart_learns_and_says_what_is_there_when_run_again(tmp_path: Path) -> None:
    runner = CliRunner()
    first = runner.invoke(app, ["quickstart", "--out", str(tmp_path)], catch_exceptions=False)
    assert first.exit_code == 0, first.output
    metrics = Results.load(tmp_path / "scenes" / "results" / "test" / "results.json").metrics
    assert metrics["label_accuracy"].value >= 0.95
    assert metrics["rougeL"].value >= 0.80
    page = (tmp_path / "scenes" / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    weights = tmp_path / "scenes" / "student" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = runner.invoke(app, ["quickstart", "--out", str(tmp_path)], catch_exceptions=False)
    assert again.exit_code == 0
    assert "there already" in again.output
    assert weights.stat().st_mtime_ns == before


@pytest.mark.slow
def test_shuffled_labels_end_near_chance(tmp_path: Path) -> None:
    """After a quarter of the quickstart's steps, when labels that are not shuffled are learned (see the control)."""
    accuracies = {}
    for shuffled in (True, False):
        config = quickstart_config(tmp_path, shuffle_labels=shuffled)
        steps = dict.fromkeys(("max_steps", "eval_steps", "save_steps"), 300)
        run = rd.train(config.model_copy(update={"training": config.training | steps, "order": "label_only"}))
        test = rd.load_dataset("scenes:9000", split="test").first(600)
        labels = [prediction.label for prediction in rd.Student.load(run).predict(test)]
        accuracies[shuffled] = mean(a == example.label for a, example in zip(labels, test, strict=True))
    assert 0.25 < accuracies[True] < 0.42
    assert accuracies[False] > 0.6
