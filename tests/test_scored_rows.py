"""per_example.jsonl: written and read back, and what is refused in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from make import mistake, write_jsonl
from reasondistill.contracts.scored_rows import ScoredRow, read_scored_rows, write_scored_rows


def test_a_new_score_is_a_new_key(tmp_path: Path) -> None:
    rows = [ScoredRow.model_validate({"id": "a", "copy": False, "mine": 0.5, "correct": True, "error": "none"})]
    rows += [ScoredRow(id="b").with_scores({"mine": None, "length": 3})]
    write_scored_rows(tmp_path / "rows.jsonl", rows)
    assert read_scored_rows(tmp_path / "rows.jsonl") == rows
    assert [row.score("mine") for row in rows] == [0.5, None]
    assert [row.score("correct") for row in rows] == [True, None]
    assert [row.score("absent") for row in rows] == [None, None]
    assert [row.scores for row in rows] == [{"copy": False, "mine": 0.5}, {"length": 3}]


def test_only_what_was_set_is_written(tmp_path: Path) -> None:
    row = {"id": "a", "group": None, "explanation": "Because.", "copy": False, "error": None, "slices": ["short"]}
    path = write_jsonl(tmp_path / "rows.jsonl", row)
    before = path.read_text(encoding="utf-8")
    write_scored_rows(path, read_scored_rows(path))
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "high", [0.5], {"value": 1}])
def test_what_is_no_score_is_refused(tmp_path: Path, value: object) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", {"id": "a", "mine": 1}, {"id": "b", "mine": value})
    mistake(lambda: read_scored_rows(path), f"{path}:2", "mine: ", "no score")


def test_a_doubled_id_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", {"id": "a"}, {"id": "b"}, {"id": "a"})
    mistake(lambda: read_scored_rows(path), f"{path}:3", f"{path}:1")


def test_confidence_is_the_probability_of_the_given_label() -> None:
    assert ScoredRow(id="a", label="x", probabilities={"x": 0.75, "y": 0.25}).confidence == 0.75
    assert ScoredRow(id="a", label="z", probabilities={"x": 0.75, "y": 0.25}).confidence is None
    assert ScoredRow(id="a", label="x").confidence is None
