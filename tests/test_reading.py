"""Files as people have them: separators, encodings, line ends; tasks against forms; own ids, groups and splits."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from make import write_jsonl
from reasondistill.cli.shared import mapping
from reasondistill.contracts.records import Example, Prediction, read_predictions
from reasondistill.data import description, load, sources, stored
from reasondistill.data.readers.csv_dialects import recognise
from reasondistill.data.readers.csv_files import read_table
from reasondistill.data.splits import usual_split
from reasondistill.errors import DataError
from reasondistill.evaluation.pairing import join
from reasondistill.storage.files import read_json_list, read_jsonl, read_lines
from reasondistill.storage.text_encodings import is_western, odd_words, readings, wide_encoding
from reasondistill.tasks.task import NLI, Task, get_task

in_scratch = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SENTIMENT = Task.model_validate({"name": "sent", "fields": ["text"], "labels": ["positive", "negative"]})
NUMBERS = Task.model_validate({"name": "numbers", "fields": ["text"], "labels": ["0", "1"]})
QUIZ = Task.model_validate({"name": "quiz", "fields": ["question"]})


def complaint(do: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        do()
    return str(caught.value)


# --- separators, encodings, line ends ---

CELLS = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=6)


@in_scratch
@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([".csv", ".tsv"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_table_reads_back_in_whatever_dialect_it_was_written(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, encoding: str, end: str, suffix: str, quoting: Any
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("text", "label", "why"), *rows])
    path = tmp_path / f"t{suffix}"
    path.write_bytes(buffer.getvalue().encode(encoding))
    notes: list[str] = []
    header, found = read_table(path, notes)
    assert header == ["text", "label", "why"]
    assert [tuple(row.values()) for _, row in found] == rows
    assert any("separated" in note for note in notes) == (delimiter != {".csv": ",", ".tsv": "\t"}[suffix])
    assert any("UTF" in note for note in notes) == (encoding in ("utf-16", "utf-32"))
    assert any("carriage" in note for note in notes) == (end == "\r")


@pytest.mark.parametrize(
    ("head", "delimiter"),
    [
        ("text;label\n", ";"),
        ("text;label\na, b;c\n", ";"),
        ("text,label\na; b,c\n", ","),
        ("text\na; b\nc; d\n", ","),
        ('"text; or so",label\nx,y\n', ","),
        ("text, or so;label;why\nx;y;z\nq;w, r;e\n", ";"),
        ("a;b,c;d\n1;2,5;3\n4;5,5;6\n", ";"),
        ("text;label\na;b\nc;d\ne\nf;g\n", ";"),  # the broken row is named when it is read
        ("text,label;x\na,b\nc,d\n", ","),
        ("sep=;\na,b;c\n", ";"),
        ("sep=\t\na,b\tc\n", "\t"),
        ("", ","),
    ],
)
def test_separators(head: str, delimiter: str) -> None:
    assert recognise(head, ",").delimiter == delimiter


def test_a_long_file_is_recognised_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("text;label\n" + 'a, b;"c\nd"\n' * 150_000)
    header, rows = read_table(path)
    assert header == ["text", "label"]
    assert sum(1 for _ in rows) == 150_000


def test_excels_first_line_and_doubled_carriage_returns(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbfsep=;\r\r\ntext;label\r\r\nx;positive\r\r\n")
    assert list(read_table(path)[1]) == [(3, {"text": "x", "label": "positive"})]


def test_advice_on_a_stray_carriage_return_mends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1\r2,3\n")
    message = complaint(lambda: list(read_table(path)[1]))
    assert "tr '\\r' ' '" in message
    path.write_bytes(path.read_bytes().replace(b"\r", b" "))
    assert list(read_table(path)[1]) == [(2, {"a": "1 2", "b": "3"})]


WESTERN = [
    "Die Tür klemmt, Größe 5 €",
    "Le garçon mange une pêche à l’école. Où ?",
    "¿Dónde está el niño?",
    "A “nice” café – 5 £",
]


@pytest.mark.parametrize("text", WESTERN)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_windows_1252_is_read_and_said_with_its_words(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    quoted = f'text,label\nplain,negative\n"{text}",positive\n'
    lines = f'{{"text": "plain", "label": "negative"}}\n{{"text": "{text}", "label": "positive"}}\n'
    path.write_bytes((quoted if suffix == ".csv" else lines).encode("cp1252"))
    loaded = load(path, task=SENTIMENT)
    assert loaded.examples[1].fields["text"] == text
    (note,) = loaded.notes
    assert note.startswith("read as Windows-1252")
    assert repr(odd_words([text.encode("cp1252")])[0].decode("cp1252")) in note


FOREIGN = [
    ("Zażółć gęślą jaźń", "cp1250"),
    ("Příliš žluťoučký kůň", "cp1250"),
    ("Дверь не открывается", "cp1251"),
    ("Дверь не открывается", "koi8-r"),
    ("Η πόρτα δεν ανοίγει", "cp1253"),
    ("Kapı sıkıştı", "cp1254"),
    ("הדלת לא נפתחת", "cp1255"),
    ("Die Tür klemmt", "cp850"),
    ("Die Tür klemmt", "macintosh"),
    ("門打不開了", "big5"),
    ("门打不开了", "gb18030"),
    ("ドアが開きません", "shift_jis"),
    ("문이 열리지 않습니다", "cp949"),
]


@pytest.mark.parametrize(("text", "encoding"), FOREIGN)
def test_a_text_in_another_encoding_is_read_right_or_refused_with_advice_that_works(
    tmp_path: Path, text: str, encoding: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f"text,label\nplain,negative\n{text},positive\n".encode(encoding))
    try:
        loaded = load(path, task=SENTIMENT)
    except DataError as refused:
        message = str(refused)
    else:
        assert loaded.examples[1].fields["text"] == text
        assert any(note.startswith("read as ") for note in loaded.notes)
        return
    assert message.startswith(f"{path}:3: expected text in UTF-8")
    assert f"in {encoding}" in message
    assert re.search(rf"iconv -f \S+ -t utf-8 \S*{path.name} > \S+utf8_{path.name}", message)
    assert dict(readings([text.encode(encoding)]))[encoding] in text
    (tmp_path / "utf8_t.csv").write_bytes(path.read_bytes().decode(encoding).encode())
    assert load(tmp_path / "utf8_t.csv", task=SENTIMENT).examples[1].fields["text"] == text


def test_a_file_of_two_encodings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for lines in (["Tür".encode(), "Tür".encode("cp1252")], ["Tür".encode("cp1252"), "Tür".encode()]):
        path.write_bytes(b"text,label\n" + b"".join(line + b",positive\n" for line in lines))
        message = complaint(lambda: load(path, task=SENTIMENT))
        assert "expected text in UTF-8" in message
        assert "is in UTF-8: if the file was joined of several" in message
    path.write_bytes(b"\xef\xbb\xbftext,label\nT\xfcr,positive\n")  # it says that it is UTF-8
    message = complaint(lambda: load(path, task=SENTIMENT))
    assert ":2: expected text in UTF-8" in message
    subprocess.run(message.partition("convert it: ")[2], shell=True, check=True)
    assert load(tmp_path / "utf8_t.csv", task=SENTIMENT).examples[0].fields == {"text": "Tür"}


def test_where_nothing_is_said_nothing_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes('{"id": "1", "label": "x", "explanation": "Tür"}\n'.encode("cp1252"))
    message = complaint(lambda: list(read_predictions(path)))
    assert "'Tür' in cp1252" in message
    assert f"iconv -f cp1252 -t utf-8 {path} > {tmp_path / 'utf8_p.jsonl'}" in message
    path.write_bytes('{"id": "1", "label": "x", "explanation": "Tür"}\n'.encode("utf-16"))
    assert [p.explanation for p in read_predictions(path)] == ["Tür"]


@given(st.binary(max_size=60))
def test_any_bytes_have_an_encoding_or_none(content: bytes) -> None:
    assert wide_encoding(content) in (None, "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    lines = content.splitlines(keepends=True)
    if is_western(lines):
        assert len(content.decode("cp1252")) == len(content)
    for encoding, words in readings(lines):
        assert all(word.encode(encoding) in content for word in words.split(" "))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("text,label\nEin Text für alle,positive\n".encode(encoding))
    loaded = load(path, task=SENTIMENT)
    assert loaded.notes == ("read as UTF-16",)
    assert loaded.examples[0].fields == {"text": "Ein Text für alle"}
    path.write_bytes(path.read_bytes()[:-1])
    assert "bytes that are none" in complaint(lambda: load(path, task=SENTIMENT))


@given(st.text("ab\n", max_size=30), st.sampled_from(["\n", "\r"]))
@in_scratch
def test_lines_end_where_they_are_said_to(tmp_path: Path, text: str, end: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(text.replace("\n", end).encode() or b"x")
    lines = (text or "x").split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    assert [line for _, line in read_lines(path, line_end=end)] == lines


# --- JSON by its content ---

TWO = [{"text": "a", "label": "positive"}, {"text": "b", "label": "negative"}]


@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(TWO),
        json.dumps(TWO, indent=1),
        "\n".join(map(json.dumps, TWO)),
        "\n\n" + "\r\n".join(map(json.dumps, TWO)) + "\r\n",
        "\r".join(map(json.dumps, TWO)),
    ],
)
def test_json_is_a_list_or_lines_whatever_its_name(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    loaded = load(path, task=SENTIMENT)
    assert [(e.fields["text"], e.label) for e in loaded.examples] == [("a", "positive"), ("b", "negative")]
    assert bool(loaded.notes) == ((name == "t.json") != text.startswith("["))


def test_one_row_alone_and_a_list_inside_an_object(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(TWO[0]))
    assert len(load(path, task=SENTIMENT).examples) == 1
    for indent in (None, 1):
        path.write_text(json.dumps({"version": 1, "data": TWO}, indent=indent))
        assert len(load(path, task=SENTIMENT).examples) == 2
        path.write_text(json.dumps({"data": TWO, "more": TWO}, indent=indent))  # which of them is not known
        message = complaint(lambda: load(path, task=SENTIMENT))
        assert "an object with the keys 'data, more'" in message
        command = message.split("Take the list out of it: ")[1].replace("python", sys.executable, 1)
        subprocess.run(command, shell=True, check=True)
        assert len(load(tmp_path / "list_t.json", task=SENTIMENT).examples) == 2


HALF = {"id": "1", "text": "cut \ud83d", "label": "positive", "explanation": "x"}


@pytest.mark.parametrize("read", [read_jsonl, read_json_list])
def test_half_a_pair_is_refused_in_every_place(tmp_path: Path, read: Any) -> None:
    for row in (HALF, {"extra": {"deep": ["\udc00"]}}, {"\ud800": 1}):
        path = write_jsonl(tmp_path / "t.jsonl", row) if read is read_jsonl else tmp_path / "t.json"
        if read is read_json_list:
            path.write_text(json.dumps([{"text": "fine 😀"}, row]))
        message = complaint(lambda path=path: list(read(path)))  # type: ignore[misc]
        assert "half of a surrogate pair" in message
        assert "item 2" in message or ":1: " in message
    whole = write_jsonl(tmp_path / "whole.jsonl", {"text": "😀 and \\ud800 spelt"})
    assert next(read_jsonl(whole))[1] == {"text": "😀 and \\ud800 spelt"}


# --- a task that was asked for, and columns that nobody uses ---

FEEDBACK = Task.model_validate(
    {"name": "feedback", "fields": ["instruction", "input"], "labels": ["good", "bad"], "optional": ["input"]}
)
ALPACA = {"instruction": "Name a colour.", "input": "", "output": "Blue"}


def test_labels_of_a_task_win_over_a_recognised_form(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", {**ALPACA, "label": "good", "explanation": "Blue is a colour."})
    loaded = load(path, task=FEEDBACK)
    (row,) = loaded.examples
    assert (row.label, [e.text for e in row.explanations]) == ("good", ["Blue is a colour."])
    assert loaded.ignored_columns == ("output",)
    by_itself = load(path)
    assert (by_itself.examples[0].label, by_itself.examples[0].references[0].text) == ("Blue", "Blue is a colour.")
    assert by_itself.ignored_columns == ("label",)
    assert load(path, task=get_task("instructions")).examples == by_itself.examples
    unlabelled = FEEDBACK.model_copy(update={"labels": ()})
    assert [e.text for e in load(path, task=unlabelled).examples[0].explanations] == ["Blue is a colour."]
    assert "without premise, hypothesis" in complaint(lambda: load(path, task=NLI))


@pytest.mark.parametrize(
    ("header", "row", "fields", "labels"),
    [
        ("pairID,gold_label,Sentence1,Sentence2,label", "1,x,A,B,yes", ["Sentence1", "Sentence2"], ["yes", "no"]),
        ("Correct Statement,Incorrect Statement,text,label", "A,B,C,yes", ["text"], ["yes", "no"]),
    ],
)
def test_a_table_that_looks_published_is_read_for_the_task(
    tmp_path: Path, header: str, row: str, fields: list[str], labels: list[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n{row}\n")
    task = Task.model_validate({"name": "own", "fields": fields, "labels": labels})
    loaded = load(path, task=task)
    assert loaded.examples[0].label == "yes"
    assert set(loaded.ignored_columns) == set(header.split(",")) - {*fields, "label"}


def test_what_instances_and_explanations_beside_hold_is_named_too(tmp_path: Path) -> None:
    row = {"instruction": "Do.", "name": "n", "instances": [{"input": "", "output": "o", "label": "good"}]}
    assert load(write_jsonl(tmp_path / "t.jsonl", row)).ignored_columns == ("name", "instances.label")
    write_jsonl(tmp_path / "cose_x.jsonl", {"id": "q", "explanation": {"open-ended": "x"}, "votes": 3})
    choices = [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}]
    question = {"id": "q", "answerKey": "A", "question": {"stem": "?", "choices": choices}, "label": 1}
    assert load(write_jsonl(tmp_path / "q.jsonl", question)).ignored_columns == ("cose_x.jsonl: votes", "label")


def test_a_form_still_holds_for_a_part_of_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "esnli_dev.csv"
    path.write_text("pairID,gold_label,Sentence1,Sentence2,Explanation_1\n1.jpg#0,neutral,A,B,C\n")
    half = Task.model_validate({"name": "half", "fields": ["hypothesis"], "labels": NLI.labels})
    assert load(path, task=half).examples[0].group == "1.jpg"


def test_unused_columns_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", {**TWO[0], **{f"c{i}": 1 for i in range(5000)}})
    load(path, task=SENTIMENT)
    assert len(load(path, task=SENTIMENT).ignored_columns) == 5000
    (record,) = [record for record in caplog.records if str(path) in record.message]
    assert record.message.endswith("columns that are not used: c0, c1, c2, c3, c4, c5, c6, c7, … (5,000 in all)")


# --- a row's own id, group and split ---


def esnli(folder: Path, own: list[dict[str, Any]]) -> Path:
    rows = [
        {"pairID": f"{i}.jpg#0", "gold_label": "neutral", "Sentence1": f"A {i}", "Sentence2": "B", "Explanation_1": "C"}
        for i in range(len(own))
    ]
    return table(folder / "esnli.csv", rows, own)


def comve(folder: Path, own: list[dict[str, Any]]) -> Path:
    rows = [{"Correct Statement": f"A {i}", "Incorrect Statement": "B", "Right Reason1": "C"} for i in range(len(own))]
    return table(folder / "comve.csv", rows, own)


def table(path: Path, rows: list[dict[str, Any]], own: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*rows[0], *own[0]])
        writer.writeheader()
        writer.writerows({**row, **more} for row, more in zip(rows, own, strict=True))
    return path


def plain(folder: Path, own: list[dict[str, Any]]) -> Path:
    rows = [{"premise": f"A {i}", "hypothesis": "B", "label": "neutral"} for i in range(len(own))]
    return table(folder / "own.csv", rows, own)


def alpaca(folder: Path, own: list[dict[str, Any]]) -> Path:
    return write_jsonl(folder / "alpaca.jsonl", *({**ALPACA, "instruction": f"A {i}", **o} for i, o in enumerate(own)))


def cose(folder: Path, own: list[dict[str, Any]]) -> Path:
    choices = [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}]
    rows = [{"answerKey": "A", "question": {"stem": f"A {i}", "choices": choices}, **o} for i, o in enumerate(own)]
    write_jsonl(folder / "cose_x.jsonl", {"id": own[0]["id"], "explanation": {"open-ended": "Because."}})
    return write_jsonl(folder / "questions.jsonl", *rows)


def examples(folder: Path, own: list[dict[str, Any]]) -> Path:
    return write_jsonl(
        folder / "e.jsonl", *({"fields": {"premise": "A", "hypothesis": "B"}, "label": "neutral", **o} for o in own)
    )


def hub(folder: Path, own: list[dict[str, Any]]) -> Path:
    rows = [{"premise": f"A {i}", "hypothesis": "B", "label": 1, "explanation_1": "C", **o} for i, o in enumerate(own)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "hub.parquet")
    return folder / "hub.parquet"


FORMS = [esnli, comve, plain, alpaca, cose, examples, hub]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [int, float])
def test_own_ids_groups_and_splits_hold(tmp_path: Path, form: Callable[..., Path], number: type) -> None:
    if number is float and form in (esnli, comve, plain):
        pytest.skip("a table's cells are texts: 0.0 is an id of its own")
    own = [{"id": number(i), "group": number(i // 2), "split": "test" if i % 2 else "train"} for i in range(4)]
    path = form(tmp_path, own)
    loaded = load(path)
    assert [(e.id, e.group, e.split) for e in loaded.examples] == [
        ("0", "0", "train"),
        ("1", "0", "test"),
        ("2", "1", "train"),
        ("3", "1", "test"),
    ]
    assert loaded.ignored_columns == ()
    assert [e.id for e in load(path, split="test").examples] == ["1", "3"]


@pytest.mark.parametrize("form", FORMS)
def test_other_spellings_of_a_split_mean_the_same(tmp_path: Path, form: Callable[..., Path]) -> None:
    own = [{"id": f"r{i}", "split": name} for i, name in enumerate(["dev", "Test", "TRAIN", "Val", "challenge"])]
    path = form(tmp_path, own)
    wanted = ["validation", "test", "train", "validation", "challenge"]
    assert [e.split for e in load(path).examples] == wanted
    for asked, ids in {"train": ["r2"], "dev": ["r0", "r3"], "validation": ["r0", "r3"], "challenge": ["r4"]}.items():
        assert [e.id for e in load(path, split=asked).examples] == ids


def test_the_names_of_splits() -> None:
    assert [usual_split(n) for n in ("valid", " DEV ", "development", "training", "Testing")] == [
        "validation",
        "validation",
        "validation",
        "train",
        "test",
    ]
    assert usual_split("fold 1") == "fold 1"


def test_a_column_called_split_in_capitals_holds_too(tmp_path: Path) -> None:
    path = plain(tmp_path, [{"Split": "test"}, {"Split": "train"}])
    assert [e.split for e in load(path).examples] == ["test", "train"]


@pytest.mark.parametrize("form", [alpaca, hub, plain])
def test_a_truth_value_names_nothing(tmp_path: Path, form: Callable[..., Path]) -> None:
    path = form(tmp_path, [{"id": "a", "group": True}])
    if form is plain:  # a cell is a text
        assert load(path).examples[0].group == "True"
    else:
        assert "a text in 'group', found a truth value" in complaint(lambda: load(path))


def test_an_official_folder_does_not_overrule_a_files_own_splits(tmp_path: Path) -> None:
    esnli(tmp_path, [{"split": "test"}]).rename(tmp_path / "esnli_train_1.csv")
    message = complaint(lambda: load(tmp_path, split="train"))
    assert "a column 'split'" in message
    assert load(tmp_path / "esnli_train_1.csv", split="test").examples  # as the message advises


def test_a_row_twice_in_two_splits_is_refused(tmp_path: Path) -> None:
    path = esnli(tmp_path, [{"split": "train"}])
    line = path.read_text().splitlines()[1]
    path.write_text(path.read_text() + line.replace("train", "test") + "\n")
    assert "ids that occur once" in complaint(lambda: load(path))


# --- ids, labels and choices that are no plain texts ---


def test_numbers_are_ids_and_labels_in_predictions_as_in_data(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "d.jsonl", *({"id": i, "text": "x", "label": i % 2} for i in range(3)))
    answers = write_jsonl(tmp_path / "p.jsonl", *({"id": float(i), "label": 1, "explanation": ""} for i in range(3)))
    rows = join(read_predictions(answers), load(data, task=NUMBERS).examples, NUMBERS)
    assert [(row.prediction.id, row.prediction.label, row.example.label) for row in rows] == [
        ("0", "1", "0"),
        ("1", "1", "1"),
        ("2", "1", "0"),
    ]


def test_the_first_rows_alone_can_be_scored_as_the_message_says() -> None:
    rows = [Example(id=str(i), fields={"text": "x"}, label="positive") for i in range(4)]
    answers = [Prediction(id=str(i), label="positive") for i in range(2)]
    assert "--limit 2" in complaint(lambda: join(answers, rows, SENTIMENT))
    assert len(join(answers, rows[:2], SENTIMENT)) == 2
    others = [answer.model_copy(update={"id": identity}) for answer, identity in zip(answers, "13", strict=True)]
    assert "--limit" not in complaint(lambda: join(others, rows, SENTIMENT))


@pytest.mark.parametrize(
    ("value", "label"),
    [(1, "1"), (1.0, "1"), (True, "1"), (False, "0"), ("1.0", "1"), (["0"], "0"), (None, None), (" ", None)],
)
def test_values_that_are_labels(tmp_path: Path, value: object, label: str | None) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", {"text": "x", "label": value})
    assert load(path, task=NUMBERS, need_label=False).examples[0].label == label


@pytest.mark.parametrize("value", [-1, -1.0, "-1", "-"])
def test_what_stands_for_no_label_is_counted(tmp_path: Path, value: object) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", {"text": "x", "label": value}, {"text": "y", "label": 1})
    loaded = load(path, task=NUMBERS)
    assert [e.label for e in loaded.examples] == [None, "1"]
    assert list(loaded.set_aside.values()) == [1]
    signed = Task.model_validate({"name": "signed", "fields": ["text"], "labels": ["-1", "-", "1"]})
    assert load(path, task=signed).examples[0].label in ("-1", "-")


@pytest.mark.parametrize("value", [1.5, ["0", "1"], 2, 1e300])
def test_values_that_are_no_labels(tmp_path: Path, value: object) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", {"text": "x", "label": value})
    assert complaint(lambda: load(path, task=NUMBERS)).startswith(f"{path}:1: expected ")


def test_numbers_for_labels_that_are_words_say_what_works(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", {"text": "x", "label": 1}, {"text": "y", "label": 0})
    message = complaint(lambda: load(path, task=SENTIMENT))
    assert "['positive', 'negative'], found the number 1" in message
    assert 'labels: ["1", …]' in message
    assert [e.label for e in load(path, task=NUMBERS).examples] == ["1", "0"]


def test_a_column_of_explanations_may_hold_lists(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", {"text": "x", "label": "positive", "why": ["a", {"text": "b"}, ""]})
    loaded = load(path, task=SENTIMENT, columns={"explanation": "why"})
    assert [(e.text, e.source) for e in loaded.examples[0].explanations] == [("a", "why"), ("b", "why")]
    assert loaded.set_aside == {"empty explanation": 1}


def test_choices_are_a_list(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("question,choices,label\nWhere?,bank,bank\n")
    assert ":2: expected a list of texts in 'choices', found the text 'bank'" in complaint(
        lambda: load(path, task=QUIZ)
    )
    path = write_jsonl(tmp_path / "t.jsonl", {"question": "Where?", "choices": "bank", "label": "bank"})
    assert ":1: expected a list of texts" in complaint(lambda: load(path, task=QUIZ))
    path = write_jsonl(tmp_path / "t.jsonl", {"fields": {"question": "Where?"}, "choices": "bank", "label": "bank"})
    assert f"{path}:1: " in complaint(lambda: load(path, task=QUIZ))
    for odd in (5, [["x"]], True):
        write_jsonl(path, {"question": "Where?", "choices": odd, "label": "bank"})
        assert f"{path}:1: " in complaint(lambda: load(tmp_path / "t.jsonl", task=QUIZ))
    path = write_jsonl(tmp_path / "t.jsonl", {"question": "How many?", "choices": [1, 2, 30], "label": 2})
    assert (load(path, task=QUIZ).examples[0].choices, load(path, task=QUIZ).examples[0].label) == (
        ("1", "2", "30"),
        "2",
    )


def test_only_choices_that_cannot_be_told_apart_are_set_aside(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "question": "Where?", "choices": ["bank account", "bank"], "label": "bank"},
        {"id": "b", "question": "Where?", "choices": ["back yard", "Backyard"], "label": "back yard"},
        {"id": "c", "question": "Where?", "choices": ["x", "x"]},
    ]
    loaded = load(write_jsonl(tmp_path / "t.jsonl", *rows), task=QUIZ)
    assert [e.id for e in loaded.examples] == ["a"]
    assert loaded.set_aside == {"answers that cannot be told apart": 2, "empty label": 1}
    assert any("line 2, 'b'" in note for note in loaded.notes)
    path = write_jsonl(tmp_path / "t.jsonl", rows[0], {"id": "d", "question": "Where?", "choices": ["x", " "]})
    message = complaint(lambda: load(path, task=QUIZ))
    assert message.startswith(f"{path}:2: example 'd': the label ' ' is empty")


# --- columns with commas in their names ---


@pytest.mark.parametrize(
    ("given_names", "texts"),
    [
        ('explanation="why, at length",why2', ["a", "b"]),
        ("explanation=why2", ["b"]),
        ("explanation=why, at length", ["a"]),
    ],
)
def test_columns_with_commas(tmp_path: Path, given_names: str, texts: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text('"the text, a=b",label,"why, at length",why2\nx,positive,a,b\n')
    loaded = load(path, task=SENTIMENT, columns=mapping(["text=the text, a=b", given_names]))
    assert [e.text for e in loaded.examples[0].explanations] == texts


def test_names_that_are_quoted_wrongly_are_refused_with_an_example() -> None:
    message = complaint(lambda: mapping(['explanation="why"x']))
    example = re.search(r"--columns '(explanation=.*)'\.", message)
    assert example is not None
    assert mapping([example[1]]) == {"explanation": ["why, briefly", "why_at_length"]}


# --- large ones ---


@given(st.text(st.sampled_from("ab \u2003\x1c\n"), max_size=40))
def test_words_are_counted_a_stretch_at_a_time(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(description, "_STRETCH", 3)
        assert description._words(text) == len(text.split())


def test_long_texts_make_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "LARGEST_BATCH", 10)
    rows = [Example(id=str(i), fields={"text": "four"}) for i in range(7)]
    batches = list(stored.to_batches((row, "") for row in rows))
    assert [batch.num_rows for batch in batches] == [3, 3, 1]


def test_what_was_recognised_is_kept_with_the_cached_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "CACHED_FROM", 10)
    path = tmp_path / "t.csv"
    path.write_text("text;label;more\nx;positive;y\n")
    first = load(path, task=SENTIMENT)
    assert first.notes == ("columns are separated by semicolons",)
    monkeypatch.setattr(sources, "read_table", None)  # would fail if it were called again
    again = load(path, task=SENTIMENT)
    assert (again.notes, again.ignored_columns) == (first.notes, ("more",))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_a_file_whose_name_is_no_text_is_refused_for_its_name(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"rows\xff.csv")
    path.write_text("premise,hypothesis,label\na,b,neutral\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"expected a file with a name in UTF-8.*Rename the file"):
        load(path)


@pytest.mark.parametrize(("begin", "found"), [(b"PK\x03\x04\x14\0", "workbook"), (b"PAR1\x15\0", "Parquet")])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_what_is_no_text_is_called_what_it_is(tmp_path: Path, begin: bytes, found: str, suffix: str) -> None:
    (tmp_path / f"rows{suffix}").write_bytes(begin + bytes(range(256)))
    with pytest.raises(DataError, match=f"expected a text file, found .*{found}"):
        load(tmp_path / f"rows{suffix}")


def test_a_text_may_begin_as_a_binary_file_does(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("BZh,premise,hypothesis,label\n1,a,b,neutral\n", encoding="utf-8")
    assert load(tmp_path / "rows.csv").ignored_columns == ("BZh",)
