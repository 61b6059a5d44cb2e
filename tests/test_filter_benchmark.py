"""The benchmark of filters gives a row for each filter that has something to say, and figures that can be checked."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from make import write_jsonl

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "filters.py"


def test_a_filter_that_agrees_with_people_has_an_auc_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": str(k),
            "premise": f"A dog of kind {k} runs.",
            "hypothesis": "The dog sleeps.",
            "label": "contradiction",
            "annotators": 3,
            "explanations": [
                {"text": f"The dog of kind {k} runs and cannot sleep.", "acceptable_votes": 3},
                {"text": "Laughter comes from babies because", "acceptable_votes": 0},
            ],
        }
        for k in range(20)
    ]
    data, out = write_jsonl(tmp_path / "voted.jsonl", *rows), tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["filters.py", str(data), "--people", str(data), "--json", str(out)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    by_name = {row["name"]: row for row in json.loads(out.read_text(encoding="utf-8"))}
    assert by_name["cut"]["auc"][0] == by_name["off_topic (off)"]["auc"][0] == 1.0
    assert (by_name["cut"]["kept"], by_name["cut"]["precision"][0]) == (0.5, 1.0)
    assert by_name["cut"]["people"] == {"voted.jsonl": 0.5}
    assert "40 explanations, 0.500 of them acceptable" in capsys.readouterr().out
