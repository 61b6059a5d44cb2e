"""Reading data: splits, strict tables, e-SNLI's files, a user's own files, and what is said about bad ones."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasondistill.contracts.records import Example, Explanation, Prediction, Votes, as_row, write_records
from reasondistill.data import assign_splits, describe, load, sources, split_of
from reasondistill.data.readers.csv_files import read_table
from reasondistill.data.readers.esnli import highlighted_words, is_esnli, read_esnli
from reasondistill.errors import DataError
from reasondistill.tasks.task import NLI, Task

PLAIN = (
    "premise,hypothesis,label,explanation\n"
    "A dog runs.,An animal runs.,entailment,A dog is an animal.\n"
    "A dog runs.,A dog sleeps.,contradiction,It cannot run and sleep.\n"
)
CHOICES = Task(
    name="pick",
    fields=("question",),
    labels=None,
    prompt="{question} {choices}",
    label_prompt="{question} {choices}",
    explanation_prompt="{question} {choices}",
)
in_scratch = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def save(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def complaint(source: Path | str, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(source, **options)
    return str(caught.value)


def example(identity: str, **more: Any) -> Example:
    return Example(id=identity, fields={"premise": "A man eats.", "hypothesis": "A man sits."}, **more)


# Splits


def test_split_rule() -> None:
    # int($(printf %s NAME | sha256sum), 16) % 10 of these names is 6, 1, 7, 8 and 9.
    names = ["k", "image1.jpg", "f", "12.jpg", "naïve.jpg"]
    assert [split_of(name) for name in names] == ["train", "train", "validation", "test", "test"]
    names = [f"image{number}.jpg" for number in range(2000)]
    shares = Counter(map(split_of, names))
    assert shares["train"] / 2000 == pytest.approx(0.7, abs=0.04)
    assert shares["validation"] / 2000 == pytest.approx(0.1, abs=0.03)
    assert shares["test"] / 2000 == pytest.approx(0.2, abs=0.04)


def test_assign_splits_keeps_what_is_there_and_ties_groups() -> None:
    rows = [example("1", group="g"), example("2", group="g"), example("3", split="test"), example("4")]
    first, second, third, fourth = assign_splits(rows)
    assert first.split == second.split == split_of("g")
    assert third.split == "test"
    assert fourth.split == split_of("4")
    assert rows[0].split is None


# Tables


def test_table_keeps_words_and_counts_physical_lines(tmp_path: Path) -> None:
    path = save(tmp_path / "t.csv", '\ufeffa,b\r\n"two\r\nlines",None\r\n\r\nnan,NA\r\n,"say ""x"", y"')
    header, rows = read_table(path)
    assert header == ["a", "b"]
    assert list(rows) == [
        (2, {"a": "two\nlines", "b": "None"}),
        (5, {"a": "nan", "b": "NA"}),
        (6, {"a": "", "b": 'say "x", y'}),
    ]


def test_tsv_separates_by_tabs_and_fields_may_be_huge(tmp_path: Path) -> None:
    _, rows = read_table(save(tmp_path / "t.tsv", "a\tb\nx, y\t" + "z" * 300_000 + "\n"))
    assert [(row["a"], len(row["b"])) for _, row in rows] == [("x, y", 300_000)]


@pytest.mark.parametrize(
    ("content", "where", "words"),
    [
        ("a,b\n1,2\n1\n", ":3", ["expected 2 columns", "found 1 column"]),
        ("a,b\n1,2,3\n", ":2", ["expected 2 columns", "found 3 columns"]),
        ("a,a\n1,2\n", ":1", ["'a' more than once"]),
        ('a,b\n1,2\n"1,2\n3,4\n', ":3", ["a quote that is never closed", "up to line 4"]),
        ('a,b\n"1"x,2\n', ":2", ["text right after a closing quote"]),
        (b"a,b\n1,2\nx,\xe9t\xe9\n", ":3", ["UTF-8", "0xe9", "column 3"]),
        ("a,b\n1,\0\n", ":2", ["NUL character at column 3"]),
        ("a,b\n1\r2,3\n", ":2", ["carriage return"]),
        ("\n\n", "", ["blank lines only"]),
        ("", "", ["an empty file"]),
    ],
)
def test_table_names_what_is_wrong_and_where(
    tmp_path: Path, content: str | bytes, where: str, words: list[str]
) -> None:
    path = save(tmp_path / "t.csv", content)
    with pytest.raises(DataError) as caught:
        list(read_table(path)[1])
    assert str(caught.value).startswith(f"{path}{where}: ")
    for word in words:
        assert word in str(caught.value)


@in_scratch
@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\0\r", codec="utf-8")), min_size=2, max_size=2)))
def test_table_reads_back_what_csv_writes(tmp_path: Path, cells: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([["a", "b"], *cells])
    _, rows = read_table(save(tmp_path / "t.csv", buffer.getvalue()))
    assert [list(row.values()) for _, row in rows] == cells


@in_scratch
@given(
    st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"]),
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet='ab",\n\r\t\0 {}[]:\\é1', max_size=80).map(lambda text: text.encode()),
        st.text(alphabet='ab",\n\r -', max_size=60).map(lambda text: (PLAIN + text).encode()),
        st.binary(max_size=40).map(lambda tail: b"PAR1" + tail + b"PAR1"),
        st.dictionaries(
            st.sampled_from(["id", "premise", "hypothesis", "label", "explanation", "explanations", "fields", "split"]),
            st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=3),
        ).map(lambda row: json.dumps(row).encode()),
    ),
)
def test_any_bytes_give_a_data_set_or_a_data_error(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = save(tmp_path / f"any{suffix}", content)
    try:
        assert load(path).examples
    except DataError as error:
        message = str(error)
        assert str(path) in message


# e-SNLI

MARKED = [f"Sentence{s}_{kind}" for kind in ("marked", "Highlighted") for s in (1, 2)]
CORE = ["pairID", "gold_label", "Sentence1", "Sentence2"]
ROW = {
    "pairID": "12.jpg#0r1e",
    "gold_label": "entailment",
    "Sentence1": "A big  dog runs.",
    "Sentence2": "An animal moves.",
    "Explanation_1": "A dog is an animal.",
    "Sentence1_marked_1": " A big  *dog* *runs.*",
    "Sentence2_marked_1": "An *animal* moves.",
    "Sentence1_Highlighted_1": "4,3",
    "Sentence2_Highlighted_1": "1",
    "Explanation_2": "Running is moving.",
    "Sentence1_marked_2": "A big  dog *runs.*",
    "Sentence2_marked_2": "An animal moves.",
    "Sentence1_Highlighted_2": "4",
    "Sentence2_Highlighted_2": "{}",
    "Explanation_3": "Dogs are animals.",
    "Sentence1_marked_3": "A big  dog runs.",
    "Sentence2_marked_3": "An animal moves.",
    "Sentence1_Highlighted_3": "{}",
    "Sentence2_Highlighted_3": "{}",
}


def esnli(path: Path, *changes: dict[str, str], columns: list[str] | None = None) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns or list(ROW), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**ROW, **change} for change in changes)
    return path


def test_esnli_dev_layout(tmp_path: Path) -> None:
    (found,) = load(esnli(tmp_path / "esnli_dev.csv", {})).examples
    assert found.id == "12.jpg#0r1e"
    assert found.group == "12.jpg"
    assert found.label == "entailment"
    assert found.fields == {"premise": "A big  dog runs.", "hypothesis": "An animal moves."}
    assert [e.text for e in found.references] == ["A dog is an animal.", "Running is moving.", "Dogs are animals."]
    assert {e.source for e in found.explanations} == {"human"}
    assert found.highlights == (
        {"premise": [2, 3], "hypothesis": [1]},
        {"premise": [3], "hypothesis": []},
        {"premise": [], "hypothesis": []},
    )


def test_esnli_train_layout_in_any_column_order(tmp_path: Path) -> None:
    columns = ["WorkerId", *(f"{name}_1" for name in MARKED), "Explanation_1", *reversed(CORE)]
    loaded = load(esnli(tmp_path / "esnli_train_1.csv", {"WorkerId": "A1"}, columns=columns))
    assert [e.text for e in loaded.examples[0].explanations] == ["A dog is an animal."]
    assert loaded.examples[0].highlights == ({"premise": [2, 3], "hypothesis": [1]},)
    assert loaded.ignored_columns == ()
    bare = load(esnli(tmp_path / "bare.csv", {}, columns=[*CORE, "Explanation_1"]))
    assert bare.examples[0].highlights is None


def test_esnli_sets_aside_and_counts(tmp_path: Path) -> None:
    path = esnli(
        tmp_path / "esnli.csv",
        {"pairID": "a.jpg#1"},
        {"pairID": "b.jpg#1", "gold_label": "-"},
        {"pairID": "c.jpg#1", "gold_label": ""},
        {"pairID": "d.jpg#1", "Sentence2": " "},
        {"pairID": "e.jpg#1", "Explanation_2": ""},
        {"pairID": "a.jpg#1"},
        {"pairID": "vg_1", "Sentence1_marked_1": "A *cat* runs."},
        {"pairID": "f.jpg#1", "Sentence1": "None", "Sentence1_marked_1": "None"},
    )
    loaded = load(path)
    assert [e.id for e in loaded.examples] == ["a.jpg#1", "e.jpg#1", "vg_1", "f.jpg#1"]
    assert loaded.set_aside["no gold label"] == 2
    assert loaded.set_aside["empty hypothesis"] == 1
    assert loaded.set_aside["empty explanation"] == 1
    assert loaded.set_aside["repeated row"] == 1
    _, without_second, vg, none = loaded.examples
    assert [e.text for e in without_second.explanations] == ["A dog is an animal.", "Dogs are animals."]
    assert without_second.highlights is not None
    assert len(without_second.highlights) == 2
    assert vg.group == vg.fields["premise"]
    assert vg.highlights is not None
    assert vg.highlights[0] == {}
    assert none.fields["premise"] == "None"


@pytest.mark.parametrize(
    ("marked", "listed", "positions"),
    [
        ("*a* b *c*", "", [0, 2]),
        (" a b c ", "{}", []),
        ("a *b* c", "1", [1]),
        ("a *b* c", "2", None),
        ("a *b* c", "1,9", None),
        ("a *b* c", "x", None),
        ("a *b*", "", None),
        ("a *x* c", "", None),
        ("a *b c*", "", None),
        ("", "", None),
    ],
)
def test_highlighted_words(marked: str, listed: str, positions: list[int] | None) -> None:
    assert highlighted_words("a b c", marked, listed) == positions


def test_a_star_of_the_sentence_is_no_highlight() -> None:
    assert highlighted_words("a *b* c", "a *b* *c*") == [2]


@given(st.lists(st.tuples(st.text("ab*.", min_size=1), st.booleans()), min_size=1), st.sampled_from(["", " ", "  "]))
def test_highlights_are_found_wherever_they_stand(words: list[tuple[str, bool]], lead: str) -> None:
    sentence = " ".join(word for word, _ in words)
    marked = lead + " ".join(f"*{word}*" if is_marked else word for word, is_marked in words)
    positions = [number for number, (_, is_marked) in enumerate(words) if is_marked]
    assert highlighted_words(sentence, marked, ",".join(map(str, reversed(positions))) or "{}") == positions


def test_esnli_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "esnli.csv"
    message = complaint(esnli(path, {}, {"pairID": "x#1", "gold_label": "entailed"}))
    assert message.startswith(f"{path}:3: ")
    assert "'entailment', 'neutral', 'contradiction'" in message
    assert "'entailed'" in message
    message = complaint(esnli(path, {}, {"Explanation_1": "Another reason."}))
    assert f"{path}:3: " in message
    assert f"{path}:2 has too" in message
    for name in [*CORE, "Explanation_1"]:
        message = complaint(esnli(path, {}, columns=[column for column in ROW if column != name]))
        assert f"without {name}" in message
        assert str(path) in message
        assert "Fetch" in message
    assert "dropped: 1 × no gold label" in complaint(esnli(path, {"gold_label": "-"}))
    assert "at least one row" in complaint(esnli(path))
    with pytest.raises(DataError, match="nothing at this path"):
        read_esnli(tmp_path / "absent.csv")


def test_is_esnli() -> None:
    assert is_esnli(ROW)
    assert not is_esnli(["sentence1", "sentence2", "gold_label", "pairID"])


# A user's own files


def test_direct_names_ids_groups_and_ignored_columns(tmp_path: Path) -> None:
    text = (
        "id,hypothesis,premise,label,explanation_10,explanation_2,explanation_1,note\n"
        "x,An animal runs.,A dog runs.,entailment,ten,two,one,!\n"
        ",A cat sits.,A dog runs.,,,,one,\n"
    )
    loaded = load(save(tmp_path / "own.csv", text))
    first, second = loaded.examples
    assert (first.id, second.id) == ("x", "own.csv:3")
    assert [e.text for e in first.explanations] == ["one", "two", "ten"]
    assert [e.source for e in first.explanations] == ["explanation_1", "explanation_2", "explanation_10"]
    assert second.label is None
    assert first.group == second.group == "A dog runs."
    assert loaded.ignored_columns == ("note",)
    assert loaded.set_aside == {"empty explanation": 2, "empty label": 1}
    assert loaded.name == "own"


def test_columns_can_be_mapped_in_every_format(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [
        {"text_a": "A dog runs.", "hypothesis": "It moves.", "gold": "entailment", "why1": "Yes.", "why2": "It is so."}
    ]
    header = list(rows[0])
    save(tmp_path / "m.csv", "\n".join([",".join(header), ",".join(rows[0].values())]))
    save(tmp_path / "m.tsv", "\n".join(["\t".join(header), "\t".join(rows[0].values())]))
    save(tmp_path / "m.jsonl", json.dumps(rows[0]) + "\n")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "m.parquet")
    for suffix, line in {"csv": 2, "tsv": 2, "jsonl": 1, "parquet": 1}.items():
        loaded = load(
            tmp_path / f"m.{suffix}", columns={"premise": "text_a", "label": "gold", "explanation": ["why1", "why2"]}
        )
        (found,) = loaded.examples
        assert found.id == f"m.{suffix}:{line}"
        assert found.fields == {"premise": "A dog runs.", "hypothesis": "It moves."}
        assert found.label == "entailment"
        assert [(e.text, e.source) for e in found.explanations] == [("Yes.", "why1"), ("It is so.", "why2")]
        assert loaded.ignored_columns == ()


def test_jsonl_takes_examples_and_flat_rows(tmp_path: Path) -> None:
    rows = [
        {"fields": {"premise": "p", "hypothesis": "h"}, "label": "neutral"},
        {
            "id": 7,
            "premise": "p",
            "hypothesis": "h",
            "label": "neutral",
            "explanation": "e",
            "explanations": ["f", " "],
        },
        {"premise": "p", "hypothesis": "h", "explanations": [{"text": "g", "source": "gpt", "label": "neutral"}]},
    ]
    loaded = load(save(tmp_path / "mix.jsonl", "".join(json.dumps(row) + "\n\n" for row in rows)))
    first, second, third = loaded.examples
    assert (first.id, second.id, third.id) == ("mix.jsonl:1", "7", "mix.jsonl:5")
    assert [e.text for e in second.explanations] == ["e", "f"]
    assert third.explanations == (Explanation(text="g", source="gpt", label="neutral"),)
    assert loaded.set_aside == {"empty explanation": 1, "empty label": 1}


def test_examples_written_are_read_back(tmp_path: Path) -> None:
    examples = [example("1", label="neutral", split="test", highlights=({"premise": [0]},)), example("2", group="g")]
    write_records(tmp_path / "e.jsonl", examples)
    assert load(tmp_path / "e.jsonl").examples == examples


def test_examples_in_parquet(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    examples = [
        example("1", label="neutral", explanations=(Explanation(text="x", source="gpt", label="entailment"),)),
        example("2", label="entailment", highlights=({"premise": [0]},), group="g"),
    ]
    table = pyarrow.Table.from_pylist([record.model_dump(mode="json") for record in examples])
    pyarrow.parquet.write_table(table, tmp_path / "e.parquet")
    assert load(tmp_path / "e.parquet").examples == examples


def test_parquet_with_nulls(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [
        {"id": 1, "premise": "p", "hypothesis": "h", "label": "neutral", "explanation": None},
        {"id": 2, "premise": None, "hypothesis": "h", "label": None, "explanation": "e"},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "n.parquet")
    loaded = load(tmp_path / "n.parquet")
    assert [e.id for e in loaded.examples] == ["1"]
    assert loaded.set_aside == {"empty explanation": 1, "empty premise": 1, "empty label": 1}


def test_choices_of_each_row(tmp_path: Path) -> None:
    good = {"question": "Which is wet?", "choices": ["sea", "sand"], "label": "sea"}
    (found,) = load(save(tmp_path / "c.jsonl", json.dumps(good)), task=CHOICES).examples
    assert found.choices == ("sea", "sand")
    message = complaint(save(tmp_path / "c.jsonl", json.dumps({**good, "label": "sun"})), task=CHOICES)
    assert message.startswith(f"{tmp_path / 'c.jsonl'}:1: ")
    assert "'sun'" in message
    message = complaint(save(tmp_path / "c.jsonl", json.dumps({**good, "choices": None})), task=CHOICES)
    assert ":1: " in message
    assert "choices" in message


def test_missing_and_mismapped_columns(tmp_path: Path) -> None:
    path = save(tmp_path / "own.csv", PLAIN.replace("hypothesis", "hypo").replace("label", "lable"))
    message = complaint(path)
    assert "expected the columns premise, hypothesis, label, explanation" in message
    assert "found premise, hypo, lable, explanation, without hypothesis, label" in message
    assert "--columns hypothesis=<column>" in message
    assert "without text_b" in complaint(path, columns={"hypothesis": "text_b", "label": "lable"})
    assert "without why" in complaint(path, columns={"hypothesis": "hypo", "label": "lable", "explanation": "why"})
    assert "'hypo'" in complaint(path, columns={"hypo": "hypothesis"})
    assert "one column for 'label'" in complaint(path, columns={"label": ["a", "b"]})


def test_labels_are_needed_unless_said_otherwise(tmp_path: Path) -> None:
    table = save(tmp_path / "new.csv", "premise,hypothesis\nA dog runs.,It moves.\n")
    assert "without label" in complaint(table)
    assert load(table, need_label=False).examples[0].label is None
    rows = save(tmp_path / "new.jsonl", json.dumps(example("1").model_dump(mode="json")))
    assert "expected a label in at least some rows" in complaint(rows)
    assert len(load(rows, need_label=False).examples) == 1


@pytest.mark.parametrize(
    ("name", "content", "line", "words"),
    [
        ("a.csv", PLAIN + "A,B,maybe,\n", 4, ["'maybe'", "entailment"]),
        ("a.csv", "id," + PLAIN.replace("\nA", "\n1,A"), 3, ["the id '1'", "a.csv:2 has too"]),
        ("a.jsonl", '{"premise": "p", "hypothesis": "h", "label": "neutral"}\n{"premise"\n', 2, ["a JSON object"]),
        ("a.jsonl", '{"premise": "p", "hypothesis": "h", "label": "neutral"}\n{"premise": "p"}', 2, ["hypothesis"]),
        ("a.jsonl", '{"premise": ["p"], "hypothesis": "h", "label": "neutral"}', 1, ["a text in 'premise'", "a list"]),
        ("a.jsonl", '{"premise": "p", "hypothesis": "h", "label": true}', 1, ["a text in 'label'", "truth"]),
        ("a.jsonl", '{"premise": "p", "hypothesis": "h", "label": "neutral", "explanations": [3]}', 1, ["explanat"]),
        ("a.jsonl", '{"premise": "p", "hypothesis": "h", "label": "neutral", "explanations": "x"}', 1, ["list"]),
        ("a.jsonl", '{"premise": "\\ud800", "hypothesis": "h", "label": "neutral"}', 1, ["surrogate"]),
        ("a.jsonl", '{"fields": {"premise": "p"}, "label": "neutral"}', 1, ["hypothesis"]),
        ("a.jsonl", '{"fields": {"premise": "p", "hypothesis": "h"}, "lable": "neutral"}', 1, ["lable"]),
    ],
)
def test_bad_rows_are_named_by_line(tmp_path: Path, name: str, content: str, line: int, words: list[str]) -> None:
    path = save(tmp_path / name, content)
    message = complaint(path)
    assert message.startswith(f"{path}:{line}: ")
    for word in words:
        assert word in message


def test_sources_that_are_no_data(tmp_path: Path) -> None:
    assert "found a folder" in complaint(tmp_path)
    assert "nothing at this path" in complaint(tmp_path / "absent.csv")
    assert "an empty file" in complaint(save(tmp_path / "empty.csv", ""))
    assert "at least one row" in complaint(save(tmp_path / "header.csv", "premise,hypothesis,label\n"))
    assert "the suffix '.xls'" in complaint(save(tmp_path / "table.xls", "x"))
    assert "not registered" in complaint("scnes")
    assert "registered name (scenes, e-snli)" in complaint("scnes")
    assert "scenes:<how many>" in complaint("scenes:many")
    assert "at least 1" in complaint("scenes:0")
    assert "size is for built-in data" in complaint(save(tmp_path / "own.csv", PLAIN), size=5)
    assert "a Parquet file" in complaint(save(tmp_path / "p.parquet", "no parquet"))


def test_a_part_of_a_file(tmp_path: Path) -> None:
    rows = "".join(f"Premise {number}.,It is so.,neutral\n" for number in range(60))
    path = save(tmp_path / "own.csv", "premise,hypothesis,label\n" + rows)
    assert all(e.split is None for e in load(path).examples)
    parts = {split: load(path, split=split).examples for split in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) == 60
    for split, examples in parts.items():
        assert {e.split for e in examples} == {split}
        assert {split_of(e.group or "") for e in examples} == {split}
    message = complaint(path, split="dev")
    assert "rows of the split 'dev'" in message
    assert f"{len(parts['test'])} of 'test'" in message


def test_a_file_that_names_its_parts(tmp_path: Path) -> None:
    text = "premise,hypothesis,label,split\nP one.,H.,neutral,test\nP two.,H.,neutral,train\n"
    path = save(tmp_path / "own.csv", text)
    assert [e.id for e in load(path, split="test").examples] == ["own.csv:2"]
    assert "1 of 2 rows without one" in complaint(save(path, text.replace(",train", ",")), split="test")


def test_fingerprint_follows_content_and_not_the_name(tmp_path: Path) -> None:
    text = "id," + PLAIN.replace("\nA dog runs.,A", "\n2,A dog runs.,A", 2).replace("\n2", "\n1", 1)
    first = load(save(tmp_path / "a.csv", text)).fingerprint
    assert load(save(tmp_path / "b.csv", text + "\n")).fingerprint == first
    for old, new in [("\n1,", "\n9,"), ("sleeps", "rests"), ("contradiction", "neutral"), ("cannot", "can")]:
        assert text.count(old) >= 1
        assert load(save(tmp_path / "c.csv", text.replace(old, new))).fingerprint != first


def test_scenes_by_name() -> None:
    loaded = load("scenes:30@2")
    assert loaded.name == "scenes:30@2"
    assert len(loaded.examples) == 30
    assert loaded.fingerprint == load("scenes", size=30, seed=2).fingerprint
    assert loaded.fingerprint != load("scenes:30@3").fingerprint
    assert all(NLI.check(e) and e.split for e in loaded.examples)


def test_describe(tmp_path: Path) -> None:
    found = describe(load(save(tmp_path / "own.csv", PLAIN + "A cat sits down.,It is red.,,\n")))
    assert found["n"] == 3
    assert found["labels"] == {"(none)": 1, "contradiction": 1, "entailment": 1}
    assert found["groups"] == 2
    assert sum(count for labels in found["splits"].values() for count in labels.values()) == 3
    assert found["explanations"]["total"] == 2
    assert found["explanations"]["per_example"] == {"0": 1, "1": 2}
    assert found["words"]["premise"] == {"p5": 3, "p50": 3, "p95": 3, "p100": 4}
    assert found["set_aside"] == {"empty explanation": 1, "empty label": 1}
    assert [row["id"] for row in found["sample"]] == ["own.csv:2", "own.csv:3"]
    json.dumps(found)


# The documentation


def test_documented_formats(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "data_formats.md").read_text(encoding="utf-8")

    def block(heading: str, kind: str) -> str:
        section = text.split(f"\n## {heading}\n", 1)[1]
        return str(re.findall(rf"^```{kind}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[0])

    table, esnli_table = block("Your own table", "csv"), block("e-SNLI", "csv")
    flat, converted = block("Your own table", "json"), block("e-SNLI", "json")
    own, prediction = block("Example", "json"), block("Prediction", "json")
    assert (
        load(save(tmp_path / "own.csv", table)).examples[1].fields["hypothesis"] == 'A girl says "good night" in bed.'
    )
    assert len(load(save(tmp_path / "flat.jsonl", flat)).examples[0].explanations) == 2
    (found,) = load(save(tmp_path / "esnli_train_1.csv", esnli_table)).examples
    assert as_row(found) == json.loads(converted)
    (found,) = load(save(tmp_path / "own.jsonl", own)).examples
    assert as_row(found) == json.loads(own)
    assert [e.text for e in found.references] == ["Tulips are flowers."]
    assert as_row(Prediction.model_validate_json(prediction)) == json.loads(prediction)
    assert split_of("77.jpg") == "test"


# Real data


def real_data() -> Path:
    folder = Path(os.environ.get("REASONDISTILL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    path = folder / "e-snli" / "esnli_dev.csv"
    if not path.is_file():
        pytest.skip("e-snli/esnli_dev.csv is not in REASONDISTILL_DATA")
    return path


@pytest.mark.real
def test_real_esnli_dev() -> None:
    path = real_data()
    loaded = load(path)
    assert len(loaded.examples) == 9842
    assert loaded.set_aside == {}
    assert loaded.ignored_columns == ()
    assert {len(e.explanations) for e in loaded.examples} == {3}
    starred: Counter[str | None] = Counter()
    for found in loaded.examples:
        assert found.highlights is not None
        for positions in found.highlights:
            assert set(positions) == {"premise", "hypothesis"}
            for field, words in positions.items():
                assert words == sorted(set(words))
                assert all(0 <= word < len(found.fields[field].split()) for word in words)
        starred[found.label] += any(positions["premise"] for positions in found.highlights)
    assert starred["neutral"] == 0  # the annotators were told to highlight the hypothesis only
    assert min(starred["entailment"], starred["contradiction"]) > 3000

    parts: dict[str, list[Example]] = {}
    for found in assign_splits(loaded.examples):
        parts.setdefault(str(found.split), []).append(found)
    assert {split: len(part) for split, part in parts.items()} == {"train": 6872, "validation": 962, "test": 2008}
    groups = [{e.group for e in part} for part in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 3059
    premises = [{e.fields["premise"] for e in part} for part in parts.values()]
    assert sum(map(len, premises)) == len(set.union(*premises))
    assert load(path, split="validation").examples == parts["validation"]


# e-SNLI's folder


def esnli_file(path: Path, *ids: str) -> Path:
    rows = [f"{i},neutral,A man.,A tall man.,Not all men are tall." for i in ids]
    return save(path, "\n".join(["pairID,gold_label,Sentence1,Sentence2,Explanation_1", *rows]))


def test_esnlis_folder_has_the_official_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "downloads" / "e-snli"
    folder.mkdir(parents=True)
    esnli_file(folder / "esnli_train_1.csv", "1.jpg#0", "2.jpg#0")
    esnli_file(folder / "esnli_train_2.csv", "3.jpg#0")
    esnli_file(folder / "esnli_dev.csv", "4.jpg#0")
    whole = load(folder)
    assert [(e.id, e.split) for e in whole.examples] == [
        ("1.jpg#0", "train"),
        ("2.jpg#0", "train"),
        ("3.jpg#0", "train"),
        ("4.jpg#0", "validation"),
    ]
    assert [e.id for e in load(folder, split="train").examples] == ["1.jpg#0", "2.jpg#0", "3.jpg#0"]
    assert [e.split for e in load(folder, split="train").examples[:2]] == ["train", "train"]
    with pytest.raises(DataError, match=r"esnli_test.csv, found esnli_dev.csv, esnli_train_1.csv"):
        load(folder, split="test")
    with pytest.raises(DataError, match="one of the parts train, validation, test, found 'dev'"):
        load(folder, split="dev")
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path))
    assert load("e-snli").fingerprint == whole.fingerprint
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match="reasondistill data download e-snli"):
        load("e-snli")


# A large file


def test_a_large_file_is_read_once_and_then_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "CACHED_FROM", 10)
    path = esnli_file(tmp_path / "esnli_dev.csv", "1.jpg#0", "2.jpg#0")
    first = load(path)
    assert len(list((tmp_path / "cache").rglob("*.arrow"))) == 1
    monkeypatch.setattr(sources, "read_esnli", None)  # would fail if it were called again
    again = load(path)
    assert again.examples == first.examples
    assert (again.name, again.set_aside, again.fingerprint) == (first.name, first.set_aside, first.fingerprint)
    esnli_file(path, "1.jpg#0")
    with pytest.raises(TypeError):  # another content is another key
        load(path)


def test_a_torn_or_absent_cache_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "CACHED_FROM", 10)
    path = esnli_file(tmp_path / "esnli_dev.csv", "1.jpg#0", "2.jpg#0")
    first = list(load(path).examples)
    [kept] = (tmp_path / "cache").rglob("*.arrow")
    torn = kept.read_bytes()[:100]
    kept.unlink()  # the file itself is mapped into memory
    kept.write_bytes(torn)
    assert load(path).examples == first
    (tmp_path / "a file").write_text("x")
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path / "a file"))
    with pytest.warns(UserWarning, match="cache cannot be written to"):
        assert load(path).examples == first


def test_a_file_with_a_mistake_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "CACHED_FROM", 10)
    path = esnli_file(tmp_path / "esnli_dev.csv", *(f"{i}.jpg#0" for i in range(5000)), "7.jpg#0r")
    path.write_text(path.read_text() + "\n7.jpg#0,entailment,A man.,A tall man.,Because.")
    with pytest.raises(DataError, match=r"the id '7.jpg#0', which .*esnli_dev.csv:9 has too"):
        load(path)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


# --- votes ---


def test_votes_are_read_in_either_form(tmp_path: Path) -> None:
    path = tmp_path / "voted.jsonl"
    rows = [
        {
            "premise": "A girl waters the tulips.",
            "hypothesis": "A girl is near flowers.",
            "label": "entailment",
            "annotators": 3,
            "explanations": [
                {"text": "Tulips are flowers.", "sample": "greedy", "acceptable_votes": 3},
                {"text": "Girls like water.", "source": "gpt", "votes": {"acceptable": 1, "of": 2}},
                {"text": "  ", "acceptable_votes": 0},
                {"text": "Tulips are no girls.", "acceptable_votes": 0, "label": "contradiction"},
            ],
        }
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    loaded = load(path)
    assert loaded.set_aside == {"empty explanation": 1}
    assert loaded.ignored_columns == ()
    first, second, third = loaded.examples[0].explanations
    assert (third.label, third.votes) == ("contradiction", Votes(acceptable=0, of=3))
    assert (first.votes, second.votes) == (Votes(acceptable=3, of=3), Votes(acceptable=1, of=2))
    assert (first.source, second.source) == ("explanations", "gpt")


@pytest.mark.parametrize(
    ("explanation", "annotators"),
    [
        ({"text": "x", "acceptable_votes": 4}, 3),
        ({"text": "x", "acceptable_votes": 1}, None),
        ({"acceptable_votes": 1}, 3),
    ],
)
def test_votes_that_cannot_be_are_refused(tmp_path: Path, explanation: dict[str, Any], annotators: int | None) -> None:
    path = tmp_path / "voted.jsonl"
    row = {"premise": "p", "hypothesis": "h", "label": "neutral", "explanations": [explanation]}
    path.write_text(json.dumps(row | ({"annotators": annotators} if annotators else {})), encoding="utf-8")
    with pytest.raises(DataError, match=r"voted\.jsonl:1"):
        load(path)
