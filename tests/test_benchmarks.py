"""The benchmark of the text metrics runs, and its numbers are the same; how fast it was is nobody's business here."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from reasondistill.contracts.records import Example, Explanation
from reasondistill.metrics.bertscore import why_left_out

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "text_metrics.py"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    if reason := why_left_out(None):
        pytest.skip(reason)
    monkeypatch.setenv("REASONDISTILL_CACHE", "put back at the end")  # the benchmark names a folder of its own
    return runpy.run_path(str(SCRIPT))


def test_on_scenes(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "found.json"
    assert benchmark["main"](["--rows", "5", "--repeats", "2", "--threads", "2", "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["rows"] == 5
    assert found["exactly_equal"] == {"rouge": True, "bleu_chrf": True}
    assert found["cache_bytes"]["bertscore-vectors"] > 0
    assert [len(found["seconds"][way]["clock"]["bertscore"]) for way in ("naive", "cold", "warm")] == [1, 2, 2]
    assert "times faster" in capsys.readouterr().out


def test_other_numbers_end_with_status_1(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from reasondistill.metrics import bertscore

    true = bertscore.f1
    monkeypatch.setattr(bertscore, "f1", lambda candidate, reference: true(candidate, reference) - 2e-5)
    assert benchmark["main"](["--rows", "2", "--repeats", "1", "--threads", "2"]) == 1


def test_predictions_and_data_of_ones_own(benchmark: Any, tmp_path: Path) -> None:
    header = "pairID,gold_label,Sentence1,Sentence2,Explanation_1,Explanation_2,Explanation_3"
    rows = [f"{k}.jpg#0,neutral,A dog runs.,A cat sleeps.,Why {k}?,Because {k}.,It is {k}." for k in range(3)]
    data = tmp_path / "dev.csv"
    data.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    own, generated = tmp_path / "own.jsonl", tmp_path / "generated.jsonl"
    own.write_text("".join(json.dumps({"id": f"{k}.jpg#0", "explanation": f"So {k}."}) + "\n" for k in range(3)))
    generated.write_text(json.dumps({"pairID": "1.jpg#0", "explanations": {"neutral": "Maybe."}}) + "\n")
    assert benchmark["from_files"](data, own, 2, 2) == [
        ("So 0.", ["Why 0?", "Because 0."]),
        ("So 1.", ["Why 1?", "Because 1."]),
    ]
    assert benchmark["from_files"](data, generated, 9, 3) == [("Maybe.", ["Why 1?", "Because 1.", "It is 1."])]


def test_nile_becomes_predictions_of_the_gold_label(tmp_path: Path) -> None:
    convert = runpy.run_path(str(SCRIPT.parent / "nile_as_predictions.py"))["gold_explanations"]
    said = [
        {"pairID": "1", "explanations": {"neutral": "Maybe.", "entailment": "So."}},
        {"pairID": "2", "explanations": {"neutral": "Perhaps."}},
    ]
    nile = tmp_path / "nile.jsonl"
    nile.write_text("".join(json.dumps(row) + "\n" for row in said), encoding="utf-8")
    fields = {"premise": "A dog runs.", "hypothesis": "It sleeps."}
    asked = [("1", "entailment"), ("2", "contradiction"), ("3", "neutral")]
    examples = [Example(id=i, fields=fields, label=label) for i, label in asked]
    assert [(p.id, p.label, p.explanation) for p in convert(nile, examples)] == [("1", "entailment", "So.")]


def test_questions_in_another_language_take_the_query_of_the_english_one(tmp_path: Path) -> None:
    translated = runpy.run_path(str(SCRIPT.parent / "geoquery_in.py"))["translated"]
    multilingual = tmp_path / "multilingual.xml"
    multilingual.write_text(
        "<examples><example id='4'><nl lang='en'>\nHow big is Utah ?\n</nl>"
        "<nl lang='de'>wie gross ist utah</nl></example>"
        "<example id='5'><nl lang='en'>Another one ?</nl><nl lang='de'>noch eine</nl></example></examples>",
        encoding="utf-8",
    )
    example = Example(
        id="q", fields={"question": "how big is utah"}, label="SELECT 1", split="test", group="g",
        explanations=[Explanation(text="1", source="reading")],
    )  # fmt: skip
    assert list(translated([example], multilingual, "de")) == [
        ("4", "test", "g", "wie gross ist utah", "SELECT 1", "1")
    ]
    assert list(translated([example], multilingual, "el")) == []
