"""`load_dataset`: the same examples out of a file, a DataFrame, a Dataset and rows in memory."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.contracts.records import Example
from reasondistill.data import load_dataset, notices
from reasondistill.data.layout import Choice, look
from reasondistill.data.loaded import Loaded
from reasondistill.data.readers.any_table import open_table
from reasondistill.errors import DataError
from reasondistill.tasks.task import NLI

ROWS: list[dict[str, Any]] = [
    {"text": "My card was charged twice.", "category": "billing", "why": "It speaks of a charge."},
    {"text": "The app closes at once.", "category": "bug", "why": "It describes a crash."},
    {"text": "Please add a dark theme.", "category": "feature", "why": ""},
    {"text": "My invoice has another name.", "category": "billing", "why": "It is about an invoice."},
]


def content(loaded: Loaded) -> list[tuple[Any, ...]]:
    return [(e.fields, e.label, [r.text for r in e.references], e.group, e.split) for e in loaded]


def test_a_frame_rows_and_a_file_give_the_same_examples(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "tickets.csv", index=False)
    of_file, of_frame, of_rows = load_dataset(tmp_path / "tickets.csv"), load_dataset(frame), load_dataset(ROWS)
    assert content(of_frame) == content(of_rows) == content(of_file)
    assert of_frame.task is not None
    assert of_frame.task.labels == ("billing", "bug", "feature")
    assert of_frame.set_aside == {"empty explanation": 1}
    assert [e.id for e in of_rows] == ["data:1", "data:2", "data:3", "data:4"]


def test_rows_that_cannot_be_answered_are_named_by_their_lines(tmp_path: Path) -> None:
    blank = [("", "b"), ("a", "b"), (" ", "b"), ("a", ""), *[("", "b")] * 3]
    table = tmp_path / "pairs.csv"
    pd.DataFrame(blank, columns=["premise", "hypothesis"]).to_csv(table, index=False)
    loaded = load_dataset(table, task=NLI)
    assert loaded.unanswered(NLI) == (
        "5 rows with an empty premise (pairs.csv:2, pairs.csv:4, pairs.csv:6, …), "
        "1 row with an empty hypothesis (pairs.csv:5)"
    )
    assert load_dataset([{"premise": "a", "hypothesis": "b"}], task=NLI).unanswered(NLI) == ""


def test_named_levels_of_an_index_are_columns() -> None:
    frame = pd.DataFrame([{"text": f"Ticket {k}.", "label": "ab"[k % 2], "why": f"Why {k}."} for k in range(12)])
    grouped = load_dataset(frame.set_index(pd.Index([f"c{k % 3}" for k in range(12)], name="group")))
    assert [e.group for e in grouped][:4] == ["c0", "c1", "c2", "c0"]
    split = load_dataset(pd.concat({"train": frame[:8], "test": frame[8:]}, names=["split"]))
    assert split.splits == {"train": 8, "test": 4}
    of_ids = load_dataset(frame.set_index(pd.Index(range(100, 112), name="id")))
    assert [e.id for e in of_ids][:2] == ["100", "101"]
    assert [e.id for e in load_dataset(frame.set_index(pd.Index(range(100, 112))))][:1] == ["data:1"]
    assert [e.fields["text"] for e in load_dataset(frame.set_index("text"))][:1] == ["Ticket 0."]


def test_polars_and_arrow_backed_frames_too() -> None:
    polars = pytest.importorskip("polars")
    assert content(load_dataset(polars.DataFrame(ROWS))) == content(load_dataset(ROWS))


def test_a_dataset_and_a_dataset_dict() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"premise": datasets.Value("string"), "hypothesis": datasets.Value("string"),
         "label": datasets.ClassLabel(names=["entailment", "neutral", "contradiction"])}
    )  # fmt: skip
    columns = {"premise": ["a b", "c d", "e f"], "hypothesis": ["g", "h", "i"], "label": [0, -1, 2]}
    dataset = datasets.Dataset.from_dict(columns, features=features)
    assert [e.label for e in load_dataset(dataset, task=NLI)] == ["entailment", None, "contradiction"]
    both = load_dataset(datasets.DatasetDict({"train": dataset, "test": dataset.select([0])}), task="nli")
    assert both.splits == {"train": 3, "test": 1}
    assert len(both["test"]) == 1


def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    assert content(load_dataset(tmp_path / "saved")) == content(load_dataset(ROWS))


def test_examples_keep_what_they_have() -> None:
    examples = [Example(id="x", fields={"premise": "a", "hypothesis": "b"}, label="neutral", split="test", group="g")]
    loaded = load_dataset(examples)
    assert [*loaded] == examples
    assert loaded.task is NLI
    assert load_dataset(loaded, split="test").splits == {"test": 1}


def test_columns_are_named_as_on_the_command_line() -> None:
    rows = [{"a": "one two three", "b": "x", "c": "so", "k": f"k{n}", "g": "s"} for n in range(3)]
    loaded = load_dataset(rows, text="a", label="b", explanation="c", id="k", group="g")
    assert [(e.id, e.group, e.label) for e in loaded] == [("k0", "s", "x"), ("k1", "s", "x"), ("k2", "s", "x")]
    assert all(not e.explanations for e in load_dataset(rows, text="a", label="b", explanation=""))
    two = load_dataset(rows, text=["a", "c"], label="b")
    assert two.task is not None
    assert two.task.fields == ("a", "c")
    mapped = load_dataset(rows, task="nli", text=["a", "c"], label="")
    assert next(iter(mapped)).fields == {"premise": "one two three", "hypothesis": "so"}


def test_missing_cells_of_a_frame_are_no_labels() -> None:
    frame = pd.DataFrame(
        {
            "text": ["a b c", "d e f", "g h i", "j k l"],
            "label": [1.0, np.nan, 0.0, 1.0],
            "why": ["so", None, pd.NA, "x"],
        }
    )
    loaded = load_dataset(frame)
    assert [e.label for e in loaded] == ["1", None, "0", "1"]
    assert [len(e.explanations) for e in loaded] == [1, 0, 0, 1]


def test_a_loaded_set_has_splits_a_length_and_a_frame() -> None:
    loaded = load_dataset("scenes:200")
    assert len(loaded) == 200 == sum(loaded.splits.values())
    assert len(loaded["test"]) == loaded.splits["test"]
    assert [*loaded.to_pandas().columns] == ["id", "premise", "hypothesis", "label", "explanation", "split"]
    with pytest.raises(DataError, match="one of the splits train, validation, test"):
        loaded["dev"]


@pytest.mark.parametrize("source", [3, None, [1, 2], object()])
def test_what_is_no_data_set_is_refused(source: Any) -> None:
    with pytest.raises(DataError, match="a DataFrame"):
        load_dataset(source)


def test_an_unknown_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="nothing at this path"):
        load_dataset(tmp_path / "absent.csv")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="hub"):
        load_dataset("nobody/nothing")


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="'text' twice"):
        load_dataset(pd.DataFrame([["a", "b"]], columns=["text", "text"]))


WORDS = st.text(st.sampled_from("ab ,;\"\n\t'ü"), max_size=12).map(str.strip)


@settings(max_examples=40)
@given(st.lists(st.tuples(WORDS, st.sampled_from(["yes", "no"]), WORDS), min_size=1, max_size=6))
def test_any_table_gives_the_same_as_its_csv(rows: list[tuple[str, str, str]]) -> None:
    table = [{"text": f"some words {a}", "label": b, "explanation": c} for a, b, c in rows]
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "t.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label", "explanation"])
            writer.writeheader()
            writer.writerows(table)
        of_file = load_dataset(Path(folder) / "t.csv", text="text", label="label", explanation="explanation")
    assert content(of_file) == content(load_dataset(table, text="text", label="label", explanation="explanation"))


# --- labels and splits that are not what they seem ---


def labelled(*labels: object) -> list[dict[str, Any]]:
    return [{"text": f"It is number {k}.", "label": label, "why": f"Why {k}."} for k, label in enumerate(labels)]


def test_a_label_that_may_stand_for_none_is_said_with_what_keeps_it(caplog: pytest.LogCaptureFixture) -> None:
    notices._say_once.cache_clear()
    rows = labelled(*[-1, 0, 1] * 10)
    loaded = load_dataset(rows)
    assert (loaded.task.labels if loaded.task else None) == ("0", "1")
    assert "data: rows without a label: label -1, which stands for none (10)" in caplog.text
    assert "if -1 is a label, give it a name, with the others: --label-values=-1=NAME" in caplog.text
    kept = load_dataset(rows, label_values={"-1": "bad", "0": "fair", "1": "good"})
    assert kept.task is not None
    assert kept.task.labels == ("bad", "fair", "good")
    assert [e.label for e in kept][:3] == ["bad", "fair", "good"]
    caplog.clear()
    load_dataset(labelled(*[0, 1, 2] * 40, -1))
    assert "label -1, which stands for none (1)" in caplog.text
    assert "if -1 is a label" not in caplog.text


def test_what_values_mean_is_held_against_those_that_occur(tmp_path: Path) -> None:
    rows = labelled(*[0, 1, 2] * 10)
    with pytest.raises(DataError, match=r"a name for each number in 'label'.*none for 2.*--label-values 2=LABEL"):
        load_dataset(rows, label_values={0: "bug", 1: "bill"})
    named = load_dataset(rows, label_values=["bug", "bill", "feat"])
    assert [e.label for e in named][:3] == ["bug", "bill", "feat"]
    with pytest.raises(DataError, match=r"a mapping of values to labels.*'bug'"):
        load_dataset(rows, label_values="bug")
    assert load_dataset(rows, label_values={0: "bug", 1: "bill", 2: "feat", -1: ""}).task == named.task
    file = tmp_path / "words.csv"
    pd.DataFrame(labelled(*["bug", "bill"] * 10)).to_csv(file, index=False)
    choice = Choice(label="label", label_values={"bugg": "defect", "bill": "invoice"})
    [line] = [line for line in look(file, open_table(file).rows, choice).lines() if line[1] == "label"]
    assert line[2].endswith("read 'bill' as invoice; nowhere: 'bugg'")


def test_a_whole_number_is_one_label_however_a_file_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    pd.DataFrame(labelled(*["1.0", "1", "2.0"] * 10)).to_csv(file, index=False)
    loaded = load_dataset(file)
    assert loaded.task is not None
    assert loaded.task.labels == ("1", "2")
    assert [e.label for e in loaded][:3] == ["1", "1", "2"]


def test_splits_of_some_rows_are_refused_wherever_a_part_is_taken() -> None:
    rows = [row | {"split": ["train", "test", ""][k % 3]} for k, row in enumerate(labelled(*"ab" * 15))]
    loaded = load_dataset(rows)
    for take in (lambda: loaded.splits, lambda: loaded["train"], lambda: loaded.part("test")):
        with pytest.raises(DataError, match=r"a split in every row, or in none, found 10 of 30 rows without one"):
            take()
    with pytest.raises(DataError, match=r"one of the splits .*slice\(0, 3"):
        load_dataset(labelled(*"ab" * 15))[0:3]  # type: ignore[index]


def test_lazy_frames_are_read() -> None:
    polars = pytest.importorskip("polars")
    assert content(load_dataset(polars.DataFrame(ROWS).lazy())) == content(load_dataset(ROWS))
