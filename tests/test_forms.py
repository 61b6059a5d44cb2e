"""The same examples out of every form that a table can have, and what labels may look like in them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopback_hub import loopback_hub
from packers import PACKERS, in_zip
from reasondistill.config import Source
from reasondistill.data import load_dataset
from reasondistill.data.loaded import Loaded
from reasondistill.data.readers.any_table import open_table
from reasondistill.data.sources import load, load_source
from reasondistill.errors import DataError, UserError
from reasondistill.tasks.task import NLI, Task

Rows = list[dict[str, Any]]
COLUMNS = ["text", "label", "why"]
NAMED: dict[str, Any] = {"text": "text", "label": "label", "explanation": "why"}


def in_csv(rows: Rows, separator: str = ",") -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, delimiter=separator, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def in_lines(rows: Rows) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def in_parquet(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def in_workbook(rows: Rows, **sheets: Rows) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    pages = {"Sheet": rows, **sheets}
    for name, page_rows in pages.items():
        page = book.active if name == "Sheet" else book.create_sheet(name)
        page.append([*page_rows[0]])
        for row in page_rows:
            page.append([*row.values()])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    ".csv": in_csv,
    ".tsv": lambda rows: in_csv(rows, "\t"),
    ".jsonl": in_lines,
    ".ndjson": in_lines,
    ".json": lambda rows: json.dumps(rows).encode(),
    ".parquet": in_parquet,
    ".xlsx": in_workbook,
}


def content(loaded: Loaded) -> list[tuple[Any, ...]]:
    return [(e.fields, e.label, [r.text for r in e.references]) for e in loaded]


# A workbook holds no control characters, and a cell in CSV no carriage return of its own outside quotes.
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("packed", PACKERS)
@given(st.lists(st.tuples(WORDS, st.sampled_from(["yes", "no"]), WORDS), min_size=1, max_size=5))
def test_any_table_reads_back_from_every_form(suffix: str, packed: str, rows: list[tuple[str, str, str]]) -> None:
    table: Rows = [{"text": f"some words {a}", "label": b, "why": f"as {c}"} for a, b, c in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{suffix}{packed}"
        path.write_bytes(PACKERS[packed](WRITERS[suffix](table)))
        loaded = load_dataset(path, **NAMED)
        assert content(loaded) == content(load_dataset(table, **NAMED))
        assert loaded.name == "t"
        assert all(e.id.startswith(f"{path.name}:") for e in loaded)


def test_a_zip_of_several_files_and_a_name_that_tells_nothing_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("a.csv", "text,label\na,b\n")
        archive.writestr("b.csv", "text,label\na,b\n")
    with pytest.raises(DataError, match=r"t\.csv\.zip.*2: a\.csv, b\.csv"):
        load_dataset(tmp_path / "t.csv.zip", **NAMED)
    (tmp_path / "archive.zip").write_bytes(in_zip(b"text,label\na,b\n"))
    with pytest.raises(DataError, match=r"Rename it after what is in it, as archive\.csv\.zip"):
        load_dataset(tmp_path / "archive.zip", **NAMED)


def test_json_lines_in_a_file_called_json_and_the_other_way_round(tmp_path: Path) -> None:
    rows: Rows = [{"text": f"some words {n}", "label": "yes", "why": "so"} for n in range(3)]
    (tmp_path / "a.json").write_bytes(in_lines(rows))
    (tmp_path / "a.ndjson").write_bytes(json.dumps(rows).encode())
    for name in ("a.json", "a.ndjson"):
        loaded = load_dataset(tmp_path / name, **NAMED)
        assert content(loaded) == content(load_dataset(rows, **NAMED))
        assert len(loaded.notes) == 1


# --- workbooks ---


def test_sheets_of_a_workbook(tmp_path: Path) -> None:
    path = tmp_path / "tickets.xlsx"
    march: Rows = [{"text": "two words more", "label": "late", "why": "so"}]
    path.write_bytes(in_workbook([{"text": "one two three", "label": "new", "why": None}], March=march))
    first = load_dataset(path, **NAMED)
    assert content(first) == [({"text": "one two three"}, "new", [])]
    assert first.notes == ("the sheet 'Sheet'; others are March: tickets.xlsx#March",)
    assert [e.id for e in first] == ["tickets.xlsx:2"]
    assert content(load_dataset(f"{path}#March", **NAMED)) == [({"text": "two words more"}, "late", ["so"])]
    with pytest.raises(DataError, match="one of the sheets Sheet, March"):
        load_dataset(f"{path}#April", **NAMED)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", "a"], [1, 2]], "'a' more than once"),
        ([["a", None, "c"], [1, 2, 3]], "a column without a name"),
        ([["a", "b"], [1, 2, 3]], r"t.xlsx:2: expected 2 columns.*a cell to the right"),
        ([], "an empty sheet"),
    ],
)
def test_what_is_wrong_in_a_workbook_is_named(tmp_path: Path, rows: list[list[Any]], message: str) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / "t.xlsx")


def test_numbers_dates_and_truth_values_of_a_workbook(tmp_path: Path) -> None:
    rows: Rows = [{"text": f"a b c {n}", "label": n % 2 == 0, "day": pd.Timestamp(2026, 1, n + 1)} for n in range(4)]
    (tmp_path / "t.xlsx").write_bytes(in_workbook(rows))
    loaded = load_dataset(tmp_path / "t.xlsx", text=["text", "day"], label="label")
    assert [(e.fields["day"], e.label) for e in loaded][:2] == [
        ("2026-01-01 00:00:00", "true"),
        ("2026-01-02 00:00:00", "false"),
    ]


def test_what_is_no_workbook_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    (tmp_path / "t.xlsx").write_bytes(b"text,label\na,b\n")
    with pytest.raises(DataError, match="expected an Excel workbook"):
        load_dataset(tmp_path / "t.xlsx")


# --- nested keys ---


def test_nested_keys_by_dots(tmp_path: Path) -> None:
    rows: Rows = [
        {"data": {"text": "one two three", "more": {"topic": "bug"}}, "meta": None},
        {"data": {"text": "four five six", "more": {"topic": "bill"}}, "meta": {"why": ["As it says.", "And so."]}},
    ]
    (tmp_path / "t.jsonl").write_bytes(in_lines(rows))
    (tmp_path / "t.parquet").write_bytes(in_parquet(rows))
    named: dict[str, Any] = {"text": "data.text", "label": "data.more.topic", "explanation": "meta.why"}
    expected = [
        ({"data_text": "one two three"}, "bug", []),
        ({"data_text": "four five six"}, "bill", ["As it says.", "And so."]),
    ]
    for source in (rows, tmp_path / "t.jsonl", tmp_path / "t.parquet"):
        assert content(load_dataset(source, **named)) == expected
    later = [{"data": None, "meta": None}, *rows]
    (tmp_path / "later.parquet").write_bytes(in_parquet(later))
    for source in (later, tmp_path / "later.parquet"):
        loaded = load_dataset(source, **named)
        assert content(loaded) == expected
        assert loaded.set_aside["empty data_text"] == 1
    told = load_dataset(rows)
    assert told.task is not None
    assert told.task.fields == ("data_text",)
    assert told.task.labels == ("bill", "bug")


# --- labels ---

NUMBERED: Rows = [
    {"premise": "A", "hypothesis": "x", "label": 0},
    {"premise": "B", "hypothesis": "y", "label": 1},
    {"premise": "C", "hypothesis": "z", "label": 2.0},
    {"premise": "D", "hypothesis": "z", "label": -1},
    {"premise": "E", "hypothesis": "z", "label": None},
]
MEANT = {0: "entailment", 1: "neutral", 2: "contradiction"}
LABELS = ["entailment", "neutral", "contradiction", None, None]


def test_numbers_as_labels_with_what_they_mean(tmp_path: Path, command: Callable[..., tuple[int, str]]) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(in_lines(NUMBERED))
    with pytest.raises(DataError) as refused:
        load(path, task=NLI)
    assert "--label-values 0=entailment,…" in refused.value.fix
    for source in (path, NUMBERED, pd.DataFrame(NUMBERED)):
        loaded = load_dataset(source, label_values=MEANT)
        assert loaded.task == NLI
        assert [e.label for e in loaded] == LABELS
        assert loaded.set_aside == {"label -1, which stands for none": 1, "empty label": 1}
    status, text = command(
        "data", "show", path, "--label-values", "0=entailment,1=neutral", "--label-values", "2=contradiction"
    )
    assert status == 0
    assert "label -1, which stands for none (1), empty label (1)" in text
    status, text = command("data", "show", path, "--label-values", "0=entailment,1=neutral")
    assert status == 2
    assert "t.jsonl:3: expected one of the values 0, 1, or of the labels" in text
    assert "--label-values 2=LABEL" in text


def test_label_values_of_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(in_lines(NUMBERED))
    written = (
        f"source: {tmp_path / 't.jsonl'}\ncolumns: {{label_values: {{0: entailment, 1: neutral, 2: contradiction}}}}"
    )
    source = Source.model_validate(yaml.safe_load(written))
    assert [e.label for e in load_source(source, NLI, 0)] == LABELS
    truth = Source.model_validate(yaml.safe_load("source: x\ncolumns: {label_values: {true: 'a', no: 'b'}}"))
    assert truth.columns == {"label_values": {"true": "a", "false": "b"}}


def test_label_values_beside_named_columns(tmp_path: Path, command: Callable[..., tuple[int, str]]) -> None:
    rows: Rows = [{"body": f"one two three {n}", "kind": n % 2, "note": "a b c d"} for n in range(4)]
    path = tmp_path / "t.jsonl"
    path.write_bytes(in_lines(rows))
    loaded = load_dataset(path, text="body", label="kind", label_values={0: "bug", 1: "bill"})
    assert [e.label for e in loaded] == ["bug", "bill", "bug", "bill"]
    assert loaded.task is not None
    assert loaded.task.labels == ("bill", "bug")
    for options in (["--text", "body", "--label", "kind"], ["--columns", "text=body", "--columns", "label=kind"]):
        status, text = command("data", "show", path, *options, "--label-values", "0=bug,1=bill")
        assert status == 0, text
        assert "bill" in text
    status, text = command(
        "data",
        "show",
        path,
        "--columns",
        "label_values=0=bug,1=bill",
        "--columns",
        "text=body",
        "--columns",
        "label=kind",
    )
    assert status == 0, text
    status, text = command("data", "show", path, "--label-values", "0")
    assert status == 2
    assert "--label-values VALUE=LABEL" in text


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1, 0, None, 1], ["1", "0", None, "1"]),
        ([1.0, 0.0, np.nan, 1.0], ["1", "0", None, "1"]),
        ([True, False, True, None], ["true", "false", "true", None]),
        ([["a"], ["b"], [], ["a"]], ["a", "b", None, "a"]),
        (["a", "b", "", "-"], ["a", "b", None, None]),
        (["a", "b", " ", -1], ["a", "b", None, None]),
    ],
)
def test_values_that_are_labels_and_those_that_are_none(values: list[Any], labels: list[str | None]) -> None:
    rows: Rows = [{"text": f"one two three {n}", "label": value, "why": "a b c"} for n, value in enumerate(values)]
    loaded = load_dataset(rows)
    assert [e.label for e in loaded] == labels
    assert sum(loaded.set_aside.values()) == labels.count(None)


def test_a_value_that_means_no_label() -> None:
    rows: Rows = [{"text": f"one two three {n}", "label": n} for n in (0, 1, 9)]
    loaded = load_dataset(rows, label_values={0: "a", 1: "b", 9: ""})
    assert [e.label for e in loaded] == ["a", "b", None]


def test_rows_without_labels_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "t.jsonl").write_bytes(in_lines(NUMBERED))
    load_dataset(tmp_path / "t.jsonl", label_values=MEANT)
    assert "rows without a label: label -1, which stands for none (1), empty label (1)" in caplog.text


def test_a_table_without_any_label_counts_none() -> None:
    rows: Rows = [{"text": f"one two three {n}", "label": "", "why": "a b c"} for n in range(3)]
    task = Task.model_validate({"name": "kinds", "fields": ["text"], "labels": ["a", "b"]})
    assert load_dataset(rows, task=task).set_aside == {}


def test_documented_keys_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[1] / "docs" / "data_formats.md").read_text(encoding="utf-8")

    def block(before: str, kind: str) -> str:
        return page.split(before, 1)[1].split(f"```{kind}\n", 1)[1].split("\n```")[0]

    (tmp_path / "nested.jsonl").write_text(block("become columns with dots", "json"), encoding="utf-8")
    loaded = load_dataset(tmp_path / "nested.jsonl", text="data.text", label="data.topic")
    text = {"data_text": "The app closes when I open the map."}
    assert content(loaded) == [(text, "bug", ["It describes a crash."])]
    (tmp_path / "pairs.jsonl").write_bytes(in_lines(NUMBERED))
    monkeypatch.chdir(tmp_path)
    source = Source.model_validate(yaml.safe_load(block("### Labels", "yaml")))
    assert [e.label for e in load_source(source, NLI, 0)] == LABELS


# --- sets of `datasets` ---


def hub_file(labels: list[int]) -> bytes:
    text = {"dtype": "string", "_type": "Value"}
    names = {"names": [*MEANT.values()], "_type": "ClassLabel"}
    features = {"premise": text, "hypothesis": text, "label": names}
    table = pa.table(
        {"premise": [f"p {n}" for n in range(len(labels))], "hypothesis": ["h"] * len(labels), "label": labels}
    )
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), buffer)
    return buffer.getvalue()


def test_a_hub_id_names_labels_by_their_features(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    files = {
        "data/train-00000-of-00001.parquet": hub_file([0, -1, 2]),
        "data/test-00000-of-00001.parquet": hub_file([1]),
    }
    script = (
        "from reasondistill.data import load_dataset; data = load_dataset('nobody/pairs');"
        "print(data.task.name, data.splits, [(e.id, e.label) for e in data], data.set_aside)"
    )
    with loopback_hub({"nobody/pairs": files}) as environment:
        shown = [
            subprocess.run(
                command,
                env={**os.environ, **environment, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for command in (
                [sys.executable, "-c", script],
                [
                    sys.executable,
                    "-c",
                    "from reasondistill.cli import main; main()",
                    "data",
                    "show",
                    "nobody/pairs",
                    "--split",
                    "test",
                ],
            )
        ]
    labels = [("pairs:1", "entailment"), ("pairs:2", None), ("pairs:3", "contradiction"), ("pairs:4", "neutral")]
    assert shown[0].strip() == f"nli {{'train': 3, 'test': 1}} {labels} {{'empty label': 1}}"
    assert "pairs: 1 examples" in shown[1]


def test_a_downloaded_file_of_the_hub_names_its_labels_too(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(hub_file([0, -1, 2]))
    assert [e.label for e in load_dataset(tmp_path / "train.parquet")] == ["entailment", None, "contradiction"]


def test_saved_folders_on_the_command_line(tmp_path: Path, command: Callable[..., tuple[int, str]]) -> None:
    datasets = pytest.importorskip("datasets")
    rows: Rows = [{"text": f"one two three {n}", "label": "ab"[n % 2], "why": "a b c"} for n in range(6)]
    parts = {"train": datasets.Dataset.from_list(rows[:4]), "test": datasets.Dataset.from_list(rows[4:])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    status, text = command("data", "show", tmp_path / "saved")
    assert status == 0, text
    assert load_dataset(tmp_path / "saved").splits == {"train": 4, "test": 2}
    assert content(load_dataset(datasets.DatasetDict(parts))) == content(load_dataset(tmp_path / "saved"))


def test_frames_and_lists_are_the_same() -> None:
    rows: Rows = [{"text": f"one two three {n}", "label": "ab"[n % 2], "why": ["a b c", "d e f"]} for n in range(4)]
    expected = content(load_dataset(rows))
    assert content(load_dataset(pd.DataFrame(rows))) == expected
    polars = pytest.importorskip("polars")
    assert content(load_dataset(polars.DataFrame(rows))) == expected
    assert content(load_dataset(pd.DataFrame(rows).convert_dtypes())) == expected
    datasets = pytest.importorskip("datasets")
    assert content(load_dataset(datasets.Dataset.from_list(rows))) == expected


@given(st.binary(max_size=80), st.sampled_from([*WRITERS]), st.sampled_from([*PACKERS]))
@settings(max_examples=60, deadline=None)
def test_any_bytes_give_a_data_set_or_a_sentence(raw: bytes, suffix: str, packed: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{suffix}{packed}"
        path.write_bytes(PACKERS[packed](raw) or b"x")
        with contextlib.suppress(UserError):
            load_dataset(path)


ROWS_OF_JSON = [{"text": f"Text {k}", "label": label} for k, label in enumerate(["bug", "bill", "bug"])]


@pytest.mark.parametrize(
    "value",
    [
        {"version": 1, "data": ROWS_OF_JSON},
        {"features": ["text"], "rows": [{"row_idx": k, "row": row} for k, row in enumerate(ROWS_OF_JSON)]},
        {"train": ROWS_OF_JSON[:2], "dev": ROWS_OF_JSON[2:]},
        {name: [row[name] for row in ROWS_OF_JSON] for name in ROWS_OF_JSON[0]},
        {name: {str(k): row[name] for k, row in enumerate(ROWS_OF_JSON)} for name in ROWS_OF_JSON[0]},
        {f"row {k}": row for k, row in enumerate(ROWS_OF_JSON)},
        {"columns": [*ROWS_OF_JSON[0]], "index": [0, 1, 2], "data": [[*row.values()] for row in ROWS_OF_JSON]},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_rows_inside_an_object_of_json(tmp_path: Path, value: dict[str, Any], indent: int | None) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(value, indent=indent), encoding="utf-8")
    table = open_table(path)
    rows = [{name.rpartition(".")[2]: cell for name, cell in row.items()} for _, row in table.rows()]
    assert [{name: row[name] for name in ROWS_OF_JSON[0]} for row in rows] == ROWS_OF_JSON
    if "train" in value:
        assert [row["split"] for row in rows] == ["train", "train", "dev"]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_objects_one_after_another(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_text("\n".join(json.dumps(row, indent=1) for row in ROWS_OF_JSON), encoding="utf-8")
    assert [row for _, row in open_table(path).rows()] == ROWS_OF_JSON


def test_separators_after_a_spreadsheets_last_column(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("text,label,,\na,x,,\n,,,\nb,y,,\n", encoding="utf-8")
    assert [row for _, row in open_table(path).rows()] == [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
    path.write_text("text,label,,\na,x,,\nb,y,,z\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"sheet\.csv:3: .*none for column 4, which holds 'z'"):
        list(open_table(path).rows())


def test_columns_as_lists_and_tables_of_pyarrow(tmp_path: Path) -> None:
    columns = {"text": [f"Text {k}" for k in range(6)], "label": ["bug", "bill"] * 3, "why": ["so", float("nan")] * 3}
    expected = [("Text 0", "bug", ["so"]), ("Text 1", "bill", [])]
    of_pyarrow = pa.table({**columns, "why": ["so", None] * 3})
    sources: list[Any] = [columns, of_pyarrow, pd.DataFrame(columns).to_dict("records")]
    for loaded in map(load_dataset, sources):
        assert [(e.fields["text"], e.label, [x.text for x in e.explanations]) for e in loaded][:2] == expected
    splits = {"train": load_dataset(columns).examples, "test": load_dataset(columns).examples}
    with pytest.raises(DataError, match="ids that occur once"):
        load_dataset(splits)


@pytest.mark.parametrize("raw", [b"\x1f\x8b\x08", b"\x1f\x8b", b"BZh91AY&SY", b"\xfd7zXZ\x00"])
def test_a_packed_workbook_that_is_cut_is_refused(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tickets.xlsx"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"tickets\.xlsx"):
        load_dataset(path)
