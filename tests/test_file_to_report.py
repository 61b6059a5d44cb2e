"""Each form that a table can have goes from file to report in one command, or, in memory, in three calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import reasondistill as rd
from packers import PACKERS
from reasondistill.contracts.results import Results
from test_door import QUICK, tickets
from test_forms import WRITERS

Command = Callable[..., tuple[int, str, str]]
Rows = Sequence[dict[str, str]]
MORE = [*QUICK, "--no-faithfulness", "--set", "evaluation.bertscore=false", "--name", "form"]
LABELS = "label_accuracy"
TEXTS = "exact_match"
_USUAL = frozenset({"t.csv", "t.xlsx", "label_studio.json"})
"""Forms that are tried with every change; the others share their code after the reader, and are slow together."""


def _lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _label_studio(rows: Rows) -> bytes:
    def result(name: str, kind: str, value: dict[str, list[str]]) -> dict[str, Any]:
        return {"from_name": name, "to_name": "text", "type": kind, "value": value}

    tasks = [
        {
            "id": number,
            "data": {"text": row["text"]},
            "predictions": [],
            "annotations": [
                {
                    "id": number,
                    "completed_by": 1,
                    "was_cancelled": False,
                    "result": [
                        result("kind", "choices", {"choices": [row["category"]]}),
                        result("why", "textarea", {"text": [row["why"] or "It says so."]}),
                    ],
                }
            ],
        }
        for number, row in enumerate(rows)
    ]
    return json.dumps(tasks).encode()


def _argilla(rows: Rows) -> bytes:
    def answer(value: str) -> list[dict[str, str]]:
        return [{"value": value, "user_id": "u", "status": "submitted"}]

    records = [
        {
            "id": f"r{number}",
            "fields": {"text": row["text"]},
            "metadata": {},
            "suggestions": {},
            "responses": {"label": answer(row["category"]), "why": answer(row["why"] or "It says so.")},
            "vectors": {},
            "status": "completed",
        }
        for number, row in enumerate(rows)
    ]
    return json.dumps(records).encode()


def _doccano(rows: Rows) -> bytes:
    return _lines(
        [{"id": n, "data": row["text"], "label": [row["category"]], "Comments": []} for n, row in enumerate(rows)]
    )


def _prodigy(rows: Rows) -> bytes:
    options = [{"id": name, "text": name} for name in ("billing", "bug", "feature")]
    known = {"_input_hash": 1, "_task_hash": 2, "_timestamp": 3, "answer": "accept", "options": options}
    return _lines(
        [known | {"text": r["text"], "accept": [r["category"]], "user_input": r["why"] or "So it is."} for r in rows]
    )


def _distilabel(rows: Rows) -> bytes:
    more = {"distilabel_metadata": {"x": "y"}, "model_name": "m"}
    return _lines([{"text": row["text"], "labels": row["category"], **more} for row in rows])


def _sharegpt(rows: Rows) -> bytes:
    said = [
        [{"from": "human", "value": row["text"]}, {"from": "gpt", "value": row["why"] or "It says so."}] for row in rows
    ]
    return json.dumps([{"id": f"c{n}", "conversations": turns} for n, turns in enumerate(said)]).encode()


def _alpaca(rows: Rows) -> bytes:
    return json.dumps(
        [{"instruction": "Why?", "input": r["text"], "output": r["why"] or "It says so."} for r in rows]
    ).encode()


def _table(name: str) -> Callable[[Rows], bytes]:
    """Writes the columns text, label and why as the name's suffixes say."""
    _, suffix, *packed = name.split(".")
    return lambda rows: PACKERS[f".{packed[0]}" if packed else ""](
        WRITERS[f".{suffix}"]([{"text": r["text"], "label": r["category"], "why": r["why"]} for r in rows])
    )


_TABLES = [*(f"t{suffix}" for suffix in WRITERS), *(f"t.csv{suffix}" for suffix in PACKERS if suffix)]
FILES: dict[str, tuple[Callable[[Rows], bytes], str]] = {
    **{name: (_table(name), LABELS) for name in _TABLES},
    "label_studio.json": (_label_studio, LABELS),
    "argilla.json": (_argilla, LABELS),
    "doccano.jsonl": (_doccano, LABELS),
    "prodigy.jsonl": (_prodigy, LABELS),
    "distilabel.jsonl": (_distilabel, LABELS),
    "sharegpt.json": (_sharegpt, TEXTS),
    "alpaca.json": (_alpaca, TEXTS),
}


@pytest.mark.parametrize(
    "name", [name if name in _USUAL else pytest.param(name, marks=pytest.mark.slow) for name in FILES]
)
def test_a_file_goes_to_a_report_in_one_command(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    monkeypatch.chdir(tmp_path)
    write, metric = FILES[name]
    Path(name).write_bytes(write(tickets(90)))
    status, _, err = run("distil", name, *MORE)
    assert status == 0, err
    _require_report(Path("experiments/runs/form"), metric)


def _frame(rows: Rows) -> Any:
    return pytest.importorskip("pandas").DataFrame(rows)


def _polars(rows: Rows) -> Any:
    return pytest.importorskip("polars").DataFrame(rows)


def _dataset(rows: Rows) -> Any:
    return pytest.importorskip("datasets").Dataset.from_list([*rows])


def _datasets(rows: Rows) -> Any:
    parts = {"train": rows[:60], "validation": rows[60:75], "test": rows[75:]}
    return pytest.importorskip("datasets").DatasetDict({name: _dataset(part) for name, part in parts.items()})


def _saved(rows: Rows) -> Any:
    _datasets(rows).save_to_disk("saved")
    return "saved"


@pytest.mark.parametrize(
    "form",
    [_frame, *(pytest.param(form, marks=pytest.mark.slow) for form in (list, _polars, _dataset, _datasets, _saved))],
)
def test_rows_in_memory_go_to_a_report_in_three_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Callable[[Rows], Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = {"kind": "scratch", "d_model": 16, "d_ff": 16, "d_kv": 8, "num_heads": 2, "vocab_size": 400}
    training = {"max_steps": 4, "report_to": "none"}
    learned = rd.train(form(tickets(90)), student=tiny, training=training, name="form")
    rd.evaluate(learned, bertscore=False)
    rd.report(learned)
    _require_report(Path("experiments/runs/form"), LABELS)


def _require_report(run: Path, metric: str) -> None:
    (scored,) = run.glob("results/*/results.json")
    results = Results.load(scored)
    assert 0 <= results.metrics[metric].value <= 1
    assert results.dataset.n > 0
    assert scored.parent.name in (run / "report.html").read_text(encoding="utf-8")
