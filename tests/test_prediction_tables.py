"""Predictions of other systems, in tables of any kind."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from reasondistill.contracts.records import Example, Prediction, read_predictions
from reasondistill.data.prediction_tables import read_any_predictions
from reasondistill.errors import DataError
from reasondistill.evaluation.pairing import join
from reasondistill.tasks.task import NLI

ROWS = [
    {"id": "a", "label": "bug", "explanation": "It crashes."},
    {"id": "b", "label": None, "explanation": ""},
]


def test_the_same_predictions_out_of_every_kind_of_file(tmp_path: Path) -> None:
    lines = tmp_path / "p.jsonl"
    lines.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    expected = list(read_predictions(lines))
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_csv(tmp_path / "p.tsv.gz", index=False, sep="\t")
    frame.to_parquet(tmp_path / "p.parquet")
    frame.to_json(tmp_path / "p.json")
    frame.rename(columns={"label": "prediction", "explanation": "Why"}).to_csv(tmp_path / "renamed.csv", index=False)
    for name in ("p.jsonl", "p.csv", "p.tsv.gz", "p.parquet", "p.json", "renamed.csv"):
        assert list(read_any_predictions(tmp_path / name)) == expected, name


def test_numbers_are_ids_and_labels(tmp_path: Path) -> None:
    pd.DataFrame({"id": [7], "label": [1], "rationale": ["so"]}).to_parquet(tmp_path / "p.parquet")
    assert list(read_any_predictions(tmp_path / "p.parquet")) == [Prediction(id="7", label="1", explanation="so")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\na,bug\n", "expected the columns id, label and explanation of predictions, found text, label"),
        ("id,label\na,bug\na,bug\n", r"p\.csv:3: expected ids that occur once, found the id 'a', which line 2 has too"),
    ],
)
def test_tables_of_something_else_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(read_any_predictions(tmp_path / "p.csv"))


def test_labels_that_differ_in_case_and_spaces_are_the_datas() -> None:
    example = Example(id="a", fields={"premise": "A dog.", "hypothesis": "An animal."}, label="entailment")
    given = Prediction(
        id="a", label=" Entailment", probabilities={"ENTAILMENT": 0.9, "neutral": 0.1, "Contradiction ": 0.0}
    )
    (row,) = join([given], [example], NLI)
    assert row.prediction.label == "entailment"
    assert row.prediction.probabilities == {"entailment": 0.9, "neutral": 0.1, "contradiction": 0.0}
    with pytest.raises(DataError, match="Spell them as the data does"):
        join([given.model_copy(update={"label": "entails", "probabilities": {}})], [example], NLI)
