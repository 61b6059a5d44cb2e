"""Broken rows and configurations by the thousand: each ends in a result or in a sentence, never in a traceback.

Quick by default; the test marked ``slow`` sets ``FUZZ`` to make more than ten thousand.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasondistill.config import JudgeConfig, TrainConfig, load_config
from reasondistill.data import describe, load
from reasondistill.errors import UserError
from reasondistill.tasks.task import Task, get_task

ROWS = 25
TIMES = int(os.environ.get("FUZZ", "1"))
fuzz = settings(
    max_examples=8 * TIMES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

HEADERS = {
    "e-snli": ["pairID", "gold_label", "Sentence1", "Sentence2", "Explanation_1", "Sentence1_marked_1",
               "Sentence2_marked_1", "Sentence1_Highlighted_1", "Sentence2_Highlighted_1"],
    "comve": ["Correct Statement", "Incorrect Statement", "Right Reason1", "Confusing Reason1"],
    "own": ["premise", "hypothesis", "label", "explanation_1", "explanation_2", "id", "group", "split"],
}  # fmt: skip
WORDS = st.sampled_from(
    ["entailment", "neutral", "-", "", " ", "NA", "nan", "None", "a", "1.jpg#0r1e", "*A* man", "{}", "1,2", "train",
     '"', 'say "x"', "a,b", "a\tb", "\r", "\n", "\0", "\ufeff", "\u2028", "é", "𝔸",
     "{choices}", "explanation: x", "9" * 400]
)  # fmt: skip
TEXTS = st.one_of(WORDS, st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.just("\ud800")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def sentence(do: Callable[[], object]) -> str:
    """What a user is told; empty where all went well. Anything but a UserError is a traceback, and fails the test."""
    try:
        do()
    except UserError as error:
        return str(error) or "(an empty sentence)"
    return ""


def result_or_sentence(path: Path) -> None:
    """What `data show` does with a file."""
    said = sentence(lambda: describe(load(path)))
    assert not said or str(path) in said


@fuzz
@given(
    st.sampled_from(sorted(HEADERS)),
    st.lists(st.lists(TEXTS, min_size=9, max_size=9), min_size=1, max_size=ROWS),
    st.sampled_from([".csv", ".tsv"]),
    st.booleans(),
    st.data(),
)
def test_tables(
    tmp_path: Path, form: str, rows: list[list[str]], suffix: str, quoted: bool, data: st.DataObject
) -> None:
    header = list(HEADERS[form])
    if data.draw(st.integers(0, 4)) == 0:
        header[data.draw(st.integers(0, len(header) - 1))] = data.draw(TEXTS)
    delimiter = "," if suffix == ".csv" else "\t"
    if quoted:
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=delimiter).writerows([header, *(row[: len(header)] for row in rows)])
        text = buffer.getvalue()
    else:  # cells that break the table
        text = "\n".join(delimiter.join(row) for row in [header, *(row[: len(header)] for row in rows)])
    path = tmp_path / f"fuzzed{suffix}"
    path.write_bytes(text.encode())
    result_or_sentence(path)


@fuzz
@given(st.binary(max_size=400), st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".parquet"]))
def test_bytes(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"fuzzed{suffix}"
    path.write_bytes(content)
    result_or_sentence(path)


SHAPES: list[dict[str, Any]] = [
    {"premise": "a", "hypothesis": "b", "label": "neutral", "explanations": ["c"]},
    {"id": "1", "fields": {"premise": "a", "hypothesis": "b"}, "label": "neutral",
     "explanations": [{"text": "c", "source": "d", "votes": {"acceptable": 1, "of": 2}}]},
    {"id": "1", "answerKey": "A",
     "question": {"stem": "q", "choices": [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}]}},
    {"id": "1", "instruction": "do", "input": "", "output": "done"},
    {"id": "1", "instruction": "do", "instances": [{"input": "", "output": "done"}]},
]  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A row of a known shape in which something, somewhere, is something else."""
    row: Any = json.loads(json.dumps(draw(st.sampled_from(SHAPES))))
    place, key = row, draw(st.sampled_from(sorted(row)))
    while isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
        place = place[key]
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    if isinstance(place, dict) and draw(st.integers(0, 3)) == 0:
        del place[key]
    else:
        place[key] = draw(JSON)
    if draw(st.integers(0, 5)) == 0:
        row[draw(TEXTS)] = draw(JSON)
    return dict(row)


@fuzz
@given(st.lists(broken(), min_size=1, max_size=ROWS), st.sampled_from([".jsonl", ".json"]), st.booleans())
def test_objects(tmp_path: Path, rows: list[dict[str, Any]], suffix: str, one_shape: bool) -> None:
    if one_shape:  # a good first row, so that its form is recognised
        rows = [SHAPES[len(rows) % len(SHAPES)], *rows]
    text = json.dumps(rows) if suffix == ".json" else "\n".join(map(json.dumps, rows))
    path = tmp_path / f"fuzzed{suffix}"
    path.write_text(text, encoding="utf-8")
    result_or_sentence(path)


@fuzz
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(HEADERS["own"], TEXTS)), min_size=1, max_size=ROWS), st.data())
def test_parquet(tmp_path: Path, rows: list[dict[str, Any]], data: st.DataObject) -> None:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    odd = st.one_of(
        st.just([1] * len(rows)), st.just([None] * len(rows)), st.just([["x"]] * len(rows)), st.just([0.5] * len(rows))
    )
    if data.draw(st.booleans()):
        columns[data.draw(st.sampled_from(HEADERS["own"]))] = data.draw(odd)
    path = tmp_path / "fuzzed.parquet"
    pq.write_table(pa.table(columns), path)
    result_or_sentence(path)


# --- configurations and tasks ---

CONFIG: dict[str, Any] = {
    "name": "x",
    "seed": 1,
    "task": "nli",
    "order": "label_first",
    "data": {
        "train": [{"source": "scenes", "split": "train", "weight": 1.0}],
        "validation": {"source": "scenes", "columns": {"premise": "a"}},
        "mixing": {"strategy": "balanced"},
    },
    "student": {"kind": "warm_start", "denoising": {"max_steps": 3}},
    "loss": {"alpha": {"start": 0.5, "end": 0.1}},
    "training": {"max_steps": 2, "eval_strategy": "no"},
    "generation": {"num_beams": 1},
}


@st.composite
def broken_config(draw: st.DrawFn) -> dict[str, Any]:
    value: Any = json.loads(json.dumps(CONFIG))
    for _ in range(draw(st.integers(1, 3))):
        place, key = value, draw(st.sampled_from(sorted(value)))
        while isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
            place = place[key]
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        place[key] = draw(JSON)
    return dict(value)


@settings(fuzz, max_examples=60 * TIMES)
@given(broken_config(), st.lists(TEXTS, max_size=2))
def test_configurations(tmp_path: Path, value: dict[str, Any], overrides: list[str]) -> None:
    path = tmp_path / "fuzzed.yaml"
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    assert (
        sentence(lambda: load_config(TrainConfig, path, [f"{text}=1" for text in overrides])) != "(an empty sentence)"
    )


@settings(fuzz, max_examples=20 * TIMES)
@given(
    st.dictionaries(st.sampled_from([*JudgeConfig.model_fields, "x"]), JSON, max_size=6), st.lists(TEXTS, max_size=2)
)
def test_judges(tmp_path: Path, value: dict[str, Any], overrides: list[str]) -> None:
    path = tmp_path / "fuzzed.yaml"
    whole = {"name": "x", "data": {"explained": {"source": "scenes"}, "votes": [{"source": "y"}]}}
    path.write_text(yaml.safe_dump(whole | value), encoding="utf-8")
    assert (
        sentence(lambda: load_config(JudgeConfig, path, [f"{text}=1" for text in overrides])) != "(an empty sentence)"
    )


@settings(fuzz, max_examples=40 * TIMES)
@given(st.dictionaries(st.sampled_from([*Task.model_fields, "x"]), JSON, max_size=6))
def test_tasks(tmp_path: Path, value: dict[str, Any]) -> None:
    path = tmp_path / "fuzzed.yaml"
    path.write_text(yaml.safe_dump({"name": "x", "fields": ["a"]} | value), encoding="utf-8")
    said = sentence(lambda: get_task(str(path)))
    assert not said or str(path) in said


@settings(fuzz, max_examples=40 * TIMES)
@given(st.binary(max_size=200))
def test_bytes_as_configuration(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzzed.yaml"
    path.write_bytes(content)
    assert str(path) in sentence(lambda: load_config(TrainConfig, path))


@pytest.mark.slow
def test_more_than_ten_thousand() -> None:
    """Forty times the quick dose: 1,280 files of up to 25 rows, and 5,600 configurations, tasks and byte strings."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not slow", __file__],
        env=os.environ | {"FUZZ": "40"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
