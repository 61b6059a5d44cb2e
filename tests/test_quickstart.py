"""The main job on built-in data, whole: it learns, and it learns nothing from shuffled labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasondistill.cli import app
from reasondistill.contracts.results import Results


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
    outcome = CliRunner().invoke(
        app, ["quickstart", "--out", str(tmp_path), "--shuffle-labels"], catch_exceptions=False
    )
    assert outcome.exit_code == 0, outcome.output
    accuracy = Results.load(tmp_path / "scenes_shuffled" / "results" / "test" / "results.json").metrics[
        "label_accuracy"
    ]
    assert 0.25 < accuracy.value < 0.42
