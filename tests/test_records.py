"""Records: what they accept, what they say about the rest, and that they survive a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasondistill.contracts.records import (
    Example,
    Explanation,
    Prediction,
    Votes,
    as_row,
    parse_record,
    read_examples,
    read_predictions,
    write_records,
)
from reasondistill.errors import DataError

in_scratch = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["None", "nan", "a\nb", "a\r\nb", "\u2028", "\ufeff", '"', "\\ud800", "\0", "a\x0bb", "{premise}", "👩‍🍳"]
)
EXPLANATIONS = st.builds(
    Explanation,
    text=TEXT,
    source=TEXT,
    label=st.none() | TEXT,
    votes=st.none() | st.builds(lambda of, share: Votes(acceptable=share % (of + 1), of=of), *[st.integers(1, 9)] * 2),
)
EXAMPLES = st.builds(
    Example,
    id=TEXT.filter(bool),
    fields=st.dictionaries(TEXT, TEXT, max_size=3),
    label=st.none() | TEXT,
    choices=st.none() | st.lists(TEXT, max_size=3).map(tuple),
    explanations=st.lists(EXPLANATIONS, max_size=3).map(tuple),
    group=st.none() | TEXT,
    highlights=st.none() | st.lists(st.dictionaries(TEXT, st.lists(st.integers(0, 99)), max_size=2)).map(tuple),
    split=st.none() | TEXT,
)
PREDICTIONS = st.builds(
    Prediction,
    id=TEXT.filter(bool),
    label=st.none() | TEXT,
    explanation=TEXT,
    probabilities=st.dictionaries(TEXT, st.floats(0, 1), max_size=3),
    raw_output=st.none() | TEXT,
    parsed_label=st.none() | TEXT,
    truncated=st.booleans(),
)


@in_scratch
@given(st.lists(EXAMPLES, min_size=1, max_size=4, unique_by=lambda record: record.id))
def test_examples_round_trip(tmp_path: Path, examples: list[Example]) -> None:
    write_records(tmp_path / "e.jsonl", examples)
    assert list(read_examples(tmp_path / "e.jsonl")) == examples


@in_scratch
@given(st.lists(PREDICTIONS, min_size=1, max_size=4, unique_by=lambda record: record.id))
def test_predictions_round_trip(tmp_path: Path, predictions: list[Prediction]) -> None:
    write_records(tmp_path / "p.jsonl", predictions)
    assert list(read_predictions(tmp_path / "p.jsonl")) == predictions


def test_references_argue_for_the_examples_own_label() -> None:
    texts = {"own": "neutral", "unmarked": None, "other": "entailment", "none": ""}
    example = Example(
        id="1",
        fields={},
        label="neutral",
        explanations=tuple(Explanation(text=text, source="s", label=label) for text, label in texts.items()),
    )
    assert [e.text for e in example.references] == ["own", "unmarked"]


def test_rows_leave_out_what_is_not_said() -> None:
    assert as_row(Example(id="1", fields={"a": "b"})) == {"id": "1", "fields": {"a": "b"}, "explanations": []}
    assert as_row(Prediction(id="1", label=None))["label"] is None


def test_another_systems_predictions_keep_their_extra_keys(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"id": "1", "label": "x", "explanation": "y", "model": "theirs"}\n')
    (prediction,) = read_predictions(tmp_path / "p.jsonl")
    assert prediction.probabilities == {}
    assert as_row(prediction)["model"] == "theirs"


def test_a_doubled_id_names_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "1", "label": "x"}\n\n{"id": "1", "label": "y"}\n')
    with pytest.raises(DataError) as caught:
        list(read_predictions(path))
    assert str(caught.value).startswith(f"{path}:3: ")
    assert f"{path}:1 has too" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "row", "named"),
    [
        (Prediction, {"label": "x"}, ["id: Field required"]),
        (Prediction, {"id": "", "label": "x"}, ["id: "]),
        (Prediction, {"id": True, "label": "x"}, ["id: "]),
        (Prediction, {"id": 1.5, "label": "x"}, ["id: "]),
        (Prediction, {"id": "1"}, ["label: Field required"]),
        (Prediction, {"id": "1", "label": "x", "probabilities": {"x": 1.5}}, ["probabilities.x"]),
        (Prediction, {"id": "1", "label": "x", "probabilities": {"x": float("nan")}}, ["probabilities.x"]),
        (Prediction, {"id": "1", "label": "x", "explanation": None}, ["explanation"]),
        (Example, {"id": "1", "fields": {"a": 1}, "lable": "x"}, ["fields.a", "lable"]),
        (Example, {"id": "1", "fields": {"a": "\ud800"}}, ["fields.a: holds half of a surrogate pair"]),
        (Example, {"id": "1", "fields": {}, "explanations": [{"text": "x"}]}, ["explanations.0.source"]),
        (
            Example,
            {
                "id": "1",
                "fields": {},
                "explanations": [{"text": "x", "source": "y", "votes": {"acceptable": 4, "of": 3}}],
            },
            ["acceptable (4) is more than of (3)"],
        ),
    ],
)
def test_rows_that_do_not_fit_say_why(
    kind: type[Example] | type[Prediction], row: dict[str, Any], named: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        parse_record(kind, row, "f:9")
    assert str(caught.value).startswith(f"f:9: expected {kind.__name__} with the keys id")
    for part in named:
        assert part in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.floats() | TEXT, lambda s: st.lists(s) | st.dictionaries(TEXT, s)))
def test_any_json_is_a_record_or_a_data_error(value: Any) -> None:
    rows = [
        {"id": "1", key: value, "fields": {}} for key in ("label", "explanations", "highlights", "choices", "fields")
    ]
    kinds: tuple[type[Example] | type[Prediction], ...] = (Example, Prediction)
    for kind in kinds:
        for row in rows:
            try:
                record = parse_record(kind, row, "f:1")
            except DataError:
                continue
            assert json.dumps(as_row(record))
