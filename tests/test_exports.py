"""Exports of annotation and generation tools, each in its documented form: the examples, and what is left out."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import reasondistill as rd
from reasondistill.contracts.records import as_row
from reasondistill.data import load_dataset
from reasondistill.data.loaded import Loaded
from reasondistill.data.readers.exports import EXPORTS
from reasondistill.errors import DataError


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def listed(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def answers(loaded: Loaded) -> list[tuple[str, str | None, list[str]]]:
    return [(" | ".join(e.fields.values()), e.label, [r.text for r in e.references]) for e in loaded]


def said(name: str, loaded: Loaded) -> bool:
    return any(note == f"read as {name}" for note in loaded.notes)


def choice(name: str, *values: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [*values]}}


def words(name: str, *texts: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": "textarea", "value": {"text": [*texts]}}


def test_label_studio_tasks(tmp_path: Path) -> None:
    def task(number: int, *results: list[dict[str, Any]], cancelled: bool = False) -> dict[str, Any]:
        done = [
            {"id": 10 + k, "completed_by": k, "result": r, "was_cancelled": cancelled} for k, r in enumerate(results)
        ]
        return {"id": number, "data": {"text": f"Ticket {number} says so."}, "annotations": done, "predictions": []}

    rows = [
        task(1, [choice("kind", "bug"), words("why", "It is a crash report.")]),
        task(2, [choice("kind", "bill")], [choice("kind", "bill")], [choice("kind", "bug")]),
        task(3, [choice("kind", "bug")], [choice("kind", "bill")]),
        task(4, [choice("kind", "bug")], cancelled=True),
        task(5, [choice("kind", "bug", "bill")]),
        task(
            6,
            [choice("kind", "bill"), words("why", "A long reason of one person.")],
            [choice("kind", "bill"), words("why", "A long reason of another one.")],
        ),
        task(7),
    ]
    loaded = load_dataset(listed(tmp_path / "project.json", rows), label="kind")
    assert said("Label Studio's JSON", loaded)
    assert answers(loaded) == [
        ("Ticket 1 says so.", "bug", ["It is a crash report."]),
        ("Ticket 2 says so.", "bill", []),
        ("Ticket 3 says so.", None, []),
        ("Ticket 6 says so.", "bill", ["A long reason of one person.", "A long reason of another one."]),
        ("Ticket 7 says so.", None, []),
    ]
    assert [e.id for e in loaded] == ["1", "2", "3", "6", "7"]
    assert loaded.set_aside["skipped by its annotator"] == 1
    assert loaded.set_aside["several labels"] == 1
    assert loaded.set_aside["annotators who do not agree"] == 1


def test_reasons_are_kept_of_those_who_chose_the_label_however_short_they_are(tmp_path: Path) -> None:
    given = [("bug", "It is a crash."), ("feat", "The user wants something new here."), ("bug", "It crashes.")]
    alike = [("bug", "It is a crash."), ("bug", "It describes a crash."), ("bug", "It is a crash.")]
    tasks, records = [], []
    for number, people in enumerate((given, alike), start=1):
        done = [
            {"id": k, "completed_by": k, "result": [choice("kind", label), words("why", why)], "was_cancelled": False}
            for k, (label, why) in enumerate(people)
        ]
        tasks.append({"id": number, "data": {"text": f"Ticket {number}."}, "annotations": done, "predictions": []})
        responses = {
            question: [
                {"value": pair[place], "user_id": f"u{k}", "status": "submitted"} for k, pair in enumerate(people)
            ]
            for place, question in enumerate(("kind", "reason"))
        }
        fields = {"text": f"Ticket {number}."}
        records.append({"id": f"r{number}", "fields": fields, "suggestions": {}, "responses": responses})
    for rows, of in ((tasks, "tasks"), (records, "records")):
        loaded = load_dataset(listed(tmp_path / f"{of}.json", rows), label="kind")
        assert answers(loaded) == [
            ("Ticket 1.", "bug", ["It is a crash.", "It crashes."]),
            ("Ticket 2.", "bug", ["It is a crash.", "It describes a crash."]),
        ]
        assert loaded.set_aside == {"explanation of an annotator who chose another label": 1}


MIN = [
    {
        "text": "It closes at once.",
        "id": 1,
        "kind": "bug",
        "why": "It is a crash.",
        "annotator": 1,
        "annotation_id": 7,
        "created_at": "2026-01-01",
        "updated_at": "2026-01-01",
        "lead_time": 3.5,
    },
    {
        "text": "It closes at once.",
        "id": 1,
        "kind": "bug",
        "why": "It closes.",
        "annotator": 2,
        "annotation_id": 8,
        "created_at": "2026-01-01",
        "updated_at": "2026-01-01",
        "lead_time": 2.5,
    },
    {
        "text": "I was charged twice.",
        "id": 2,
        "kind": {"choices": ["bug", "bill"]},
        "why": "",
        "annotator": 1,
        "annotation_id": 9,
        "created_at": "2026-01-01",
        "updated_at": "2026-01-01",
        "lead_time": 1.5,
    },
]


@pytest.mark.parametrize("labels", [["5", "4", "5"], ["0", "1", "1"], ["0", "word", "1"]])
@pytest.mark.parametrize("name", ["label", "gold", "answer", "correct", "cop"])
def test_whole_numbers_without_options_are_labels(tmp_path: Path, labels: list[str], name: str) -> None:
    rows = [{"text": f"hello world {k}", name: label, "id": f"row{k}"} for k, label in enumerate(labels)]
    file = tmp_path / "stars.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, ["text", name, "id"])
        table.writeheader()
        table.writerows(rows)
    for given in (file, rows):
        loaded = rd.load_dataset(given, text="text", label=name)
        assert [example.label for example in loaded.examples] == labels
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": f"row{k}", "label": y}) + "\n" for k, y in enumerate(labels)), "utf-8")
    scored = rd.evaluate(answers, rd.load_dataset(file, text="text", label=name, id="id"), bertscore=False, resamples=9)
    assert scored.metrics["label_accuracy"].value == 1


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_label_studio_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"project{suffix}"
    if suffix == ".json":
        listed(path, MIN)
    else:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, MIN[0])
            writer.writeheader()
            writer.writerows({k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()} for row in MIN)
    loaded = load_dataset(path, label="kind")
    assert answers(loaded) == [
        ("It closes at once.", "bug", ["It is a crash."]),
        ("It closes at once.", "bug", ["It closes."]),
    ]
    assert [(e.id, e.group) for e in loaded] == [("1.7", "1"), ("1.8", "1")]
    assert loaded.set_aside == {"several labels": 1}


def test_argilla_records_and_columns(tmp_path: Path) -> None:
    def record(text: str, label: list[tuple[str, str]], suggestion: str | None, status: str) -> dict[str, Any]:
        suggestions = {"label": {"value": suggestion, "score": 0.9, "agent": "m"}} if suggestion else {}
        given = {"label": [{"value": value, "user_id": "u", "status": said} for value, said in label]} if label else {}
        why = {"why": [{"value": "It is kind.", "user_id": "u"}]} if label else {}
        return {
            "id": f"r-{text}",
            "fields": {"text": text},
            "metadata": {"source": "web"},
            "suggestions": suggestions,
            "responses": given | why,
            "vectors": {},
            "status": status,
        }

    records = [
        record("Nice and kind people.", [("good", "submitted")], None, "completed"),
        record(
            "Bad and rude people.",
            [("bad", "submitted"), ("bad", "submitted"), ("good", "submitted")],
            None,
            "completed",
        ),
        record("Not seen by anybody.", [], "good", "pending"),
        record("Not to be used.", [("good", "discarded")], None, "discarded"),
    ]
    loaded = load_dataset(listed(tmp_path / "records.json", records))
    assert said("Argilla's records", loaded)
    expected = [
        ("Nice and kind people.", "good", ["It is kind."]),
        ("Bad and rude people.", "bad", ["It is kind."]),
        ("Not seen by anybody.", "good", []),
    ]
    assert answers(loaded) == expected
    assert loaded.set_aside == {"discarded or not submitted": 1}
    assert [e.id for e in loaded] == [f"r-{text}" for text, _, _ in expected]

    def columns(row: dict[str, Any]) -> dict[str, Any]:
        flat = {"id": row["id"], "status": row["status"], "_server_id": "s", **row["fields"], **row["metadata"]}
        for name in ("label", "why"):
            given = row["responses"].get(name) or []
            flat[f"{name}.responses"] = [answer["value"] for answer in given] or None
            flat[f"{name}.responses.users"] = [answer["user_id"] for answer in given] or None
            flat[f"{name}.responses.status"] = [answer.get("status", "submitted") for answer in given] or None
        flat["label.suggestion"] = row["suggestions"].get("label", {}).get("value")
        flat["label.suggestion.score"] = row["suggestions"].get("label", {}).get("score")
        return flat

    pq.write_table(pa.Table.from_pylist([columns(row) for row in records]), tmp_path / "records.parquet")
    of_columns = load_dataset(tmp_path / "records.parquet")
    assert said("Argilla's columns", of_columns)
    assert answers(of_columns) == expected
    assert of_columns.set_aside == {"discarded or not submitted": 1, "empty explanation": 1}


def test_argilla_1s_feedback(tmp_path: Path) -> None:
    row = {
        "text": "Nice and kind people.",
        "label": [{"user_id": "u", "value": "good", "status": "submitted"}],
        "label-suggestion": "bad",
        "label-suggestion-metadata": {"score": 0.5},
        "external_id": "7",
        "metadata": "{}",
    }
    loaded = load_dataset(lines(tmp_path / "old.jsonl", [row]), explanation="", text="text")
    assert answers(loaded) == [("Nice and kind people.", "good", [])]


def test_doccano(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "data": "Nice and kind people.", "label": ["good"], "Comments": []},
        {"id": 2, "data": "Bad and rude people.", "label": ["bad"], "Comments": ["sure"]},
        {"id": 3, "data": "Nobody has looked at it.", "label": [], "Comments": []},
        {"id": 4, "data": "Both at once, as it seems.", "label": ["good", "bad"], "Comments": []},
    ]
    loaded = load_dataset(lines(tmp_path / "all.jsonl", rows))
    assert said("doccano's JSON Lines", loaded)
    assert answers(loaded) == [
        ("Nice and kind people.", "good", []),
        ("Bad and rude people.", "bad", []),
        ("Nobody has looked at it.", None, []),
    ]
    assert loaded.set_aside == {"several labels": 1, "empty label": 1}


def test_prodigy(tmp_path: Path) -> None:
    def task(text: str, answer: str, **more: Any) -> dict[str, Any]:
        return {
            "text": text,
            "_input_hash": 1,
            "_task_hash": 2,
            "_timestamp": 3,
            "answer": answer,
            "meta": {"s": 0.1},
        } | more

    options = [{"id": "bug", "text": "Bug"}, {"id": "bill", "text": "Billing"}]
    rows = [
        task("It closes at once.", "accept", options=options, accept=["bug"], user_input="It is a crash."),
        task("I was charged twice.", "accept", options=options, accept=["bill"], user_input=""),
        task("Some words of no use.", "reject", options=options, accept=[], user_input=""),
        task("It is hard to say.", "ignore", options=options, accept=[], user_input=""),
        task("It is both of them.", "accept", options=options, accept=["bug", "bill"], user_input=""),
    ]
    loaded = load_dataset(lines(tmp_path / "choice.jsonl", rows))
    assert said("Prodigy's JSON Lines", loaded)
    assert answers(loaded) == [
        ("It closes at once.", "bug", ["It is a crash."]),
        ("I was charged twice.", "bill", []),
    ]
    assert loaded.set_aside == {"answer: reject": 1, "answer: ignore": 1, "several labels": 1, "empty explanation": 1}
    single = [
        task("It closes at once.", "accept", label="bug", spans=[]),
        task("I was charged twice.", "reject", label="bug", spans=[]),
        task("I was charged twice.", "accept", label="bill", spans=[]),
    ]
    loaded = load_dataset(lines(tmp_path / "textcat.jsonl", single))
    assert answers(loaded) == [("It closes at once.", "bug", []), ("I was charged twice.", "bill", [])]
    assert loaded.set_aside == {"answer: reject": 1}


def test_distilabel(tmp_path: Path) -> None:
    row = {
        "instruction": "Name the opposite of hot.",
        "generation": "Cold.",
        "model_name": "m",
        "distilabel_metadata": {"raw_output_text_generation_0": "Cold."},
    }
    loaded = load_dataset(lines(tmp_path / "distiset.jsonl", [row, row | {"generation": None}]))
    assert said("distilabel's rows", loaded)
    assert answers(loaded) == [("Name the opposite of hot. | ", "Cold.", [])]
    assert loaded.set_aside == {"generation that failed": 1}
    several = {
        "instruction": "Name a colour.",
        "generations": ["Red.", "Blue.", None],
        "generation_models": ["a", "b", "c"],
        "ratings": [5, 4, None],
        "rationales": ["Right.", "Right.", None],
    }
    loaded = load_dataset([several])
    assert answers(loaded) == [("Name a colour. | ", "Red.", []), ("Name a colour. | ", "Blue.", [])]
    assert {e.group for e in loaded} == {"Name a colour."}
    labelled = [
        {"text": f"Some words, {n} of them.", "labels": label, "distilabel_metadata": {"x": "y"}, "model_name": "m"}
        for n, label in enumerate(["good", "bad", "good", "bad"])
    ]
    loaded = load_dataset(lines(tmp_path / "labelled.jsonl", labelled))
    assert loaded.task is not None
    assert loaded.task.labels == ("bad", "good")


def test_sharegpt(tmp_path: Path) -> None:
    rows = [
        {
            "id": "c1",
            "conversations": [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "Name a fruit."},
                {"from": "gpt", "value": "Apple."},
                {"from": "human", "value": "Another."},
                {"from": "gpt", "value": "Pear."},
            ],
        },
        {"id": "c2", "conversations": [{"from": "human", "value": "Hello?"}]},
        {"id": "c3", "conversations": [{"from": "human", "value": "Say yes."}, {"from": "gpt", "value": "Yes."}]},
    ]
    loaded = load_dataset(listed(tmp_path / "share.json", rows))
    assert said("ShareGPT's conversations", loaded)
    assert loaded.task is not None
    assert loaded.task.name == "instructions"
    assert [(e.id, e.group, [*e.fields.values()], e.label) for e in loaded] == [
        ("c1.1", "c1", ["Name a fruit.", "Be brief."], "Apple."),
        ("c1.2", "c1", ["Another.", "system: Be brief.\nhuman: Name a fruit.\ngpt: Apple."], "Pear."),
        ("c3", "Say yes.", ["Say yes.", ""], "Yes."),
    ]
    assert loaded.set_aside == {"conversation without an answer": 1}


def test_what_a_tool_says_is_input_and_a_call_of_it_is_no_answer(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How many tickets?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "count"}}]},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "42 of them."},
    ]
    loaded = load_dataset(lines(tmp_path / "chat.jsonl", [{"id": "m", "messages": messages}]))
    assert answers(loaded) == [("How many tickets? | system: Be brief.\ntool: 42", "42 of them.", [])]
    turns = [
        {"from": "human", "value": "How many tickets?"},
        {"from": "function_call", "value": "count()"},
        {"from": "observation", "value": "42"},
        {"from": "gpt", "value": "42 of them."},
    ]
    loaded = load_dataset(listed(tmp_path / "share.json", [{"id": "c", "conversations": turns}]))
    assert answers(loaded) == [("How many tickets? | function_call: count()\nobservation: 42", "42 of them.", [])]


def test_chat_messages(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "Name a fruit."}, {"role": "assistant", "content": "Apple."}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "And a"}, {"type": "text", "text": "tree."}]},
                {"role": "assistant", "content": "Oak."},
            ],
            "split": "test",
        },
    ]
    loaded = load_dataset(lines(tmp_path / "chat.jsonl", [{"split": "train"} | row for row in rows]))
    assert said("chat messages", loaded)
    assert answers(loaded) == [("Name a fruit. | ", "Apple.", []), ("And a\ntree. | ", "Oak.", [])]
    assert loaded.splits == {"train": 1, "test": 1}
    labelled = [
        {"messages": [{"role": "user", "content": f"The weather is {w} today"}], "label": n}
        for n, w in enumerate(["nice", "bad"])
    ]
    loaded = load_dataset(lines(tmp_path / "labelled.jsonl", labelled), label_values={0: "good", 1: "bad"})
    assert answers(loaded) == [("The weather is nice today", "good", []), ("The weather is bad today", "bad", [])]


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv"])
def test_alpaca(tmp_path: Path, suffix: str) -> None:
    rows = [{"instruction": "Name the opposite.", "input": "hot", "output": "cold"}]
    path = tmp_path / f"alpaca{suffix}"
    if suffix == ".csv":
        path.write_text("instruction,input,output\nName the opposite.,hot,cold\n", encoding="utf-8")
    else:
        (listed if suffix == ".json" else lines)(path, rows)
    assert answers(load_dataset(path)) == answers(load_dataset(rows)) == [("Name the opposite. | hot", "cold", [])]


def documented() -> list[tuple[str, str, dict[str, Any]]]:
    """``(heading, a file's line, the example that it becomes)`` out of docs/data_formats.md."""
    page = (Path(__file__).parents[1] / "docs" / "data_formats.md").read_text(encoding="utf-8")
    section = page.split("\n## Exports of other tools\n")[1].split("\n## ")[0]
    cases = []
    for part in section.split("\n### ")[1:]:
        pending: list[str] = []
        for block in re.findall(r"^```json\n(.*?)\n```", part, re.MULTILINE | re.DOTALL):
            row = json.loads(block)
            if "explanations" not in row:
                pending.append(block)
                continue
            cases += [(part.split("\n")[0], line, row) for line in pending]
            pending = []
        assert not pending, f"a file without its example in {part[:40]!r}"
    return cases


@pytest.mark.parametrize(("tool", "line", "example"), documented())
def test_documented_exports(tmp_path: Path, tool: str, line: str, example: dict[str, Any]) -> None:
    path = tmp_path / "export.jsonl"
    path.write_text(line, encoding="utf-8")
    loaded = load_dataset(path)
    assert [note for note in loaded.notes if note.startswith("read as ")], tool
    assert [as_row(found) for found in loaded] == [{"explanations": []} | example]


def test_a_later_row_of_another_form_is_named(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "data": {"text": "a b c d"}, "annotations": [{"result": [choice("kind", "bug")]}]},
        {"id": 2, "data": {"text": "a b c d"}, "annotations": None},
    ]
    with pytest.raises(DataError, match=r"project.json:2: expected a row as in Label Studio's JSON.*Export it again"):
        load_dataset(listed(tmp_path / "project.json", rows))


def test_rows_of_ones_own_are_no_export() -> None:
    for row in (
        {"text": "a", "label": "b"},
        {"id": 1, "text": "a", "label": "b", "answer": "accept"},
        {},
        {"fields": {"text": "a"}, "label": "b"},
        {"text": "a", "data": "b", "messages": "c"},
    ):
        assert not [export.name for export in EXPORTS if export.recognises(row)], row


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Which melts?", "choices": ["ice", "stone"], "answer": 0},
        {"question": "Which melts?", "choices": ["ice", "stone"], "answer": "A"},
        {"question": "Which melts?", "choices": ["ice", "stone"], "answer": "ice"},
        {"question": "Which melts?", "choices": {"text": ["ice", "stone"], "label": ["A", "B"]}, "answerKey": "A"},
        {"question": "Which melts?", "choices": {"text": ["ice", "stone"], "label": ["1", "2"]}, "answerKey": "1"},
        {"question": "Which melts?", "options": {"A": "ice", "B": "stone"}, "answer_idx": "A"},
        {"question": "Which melts?", "A": "ice", "B": "stone", "answer": "A"},
        {"question": "Which melts?", "option1": "ice", "option2": "stone", "answer": "1"},
        {"question": "Which melts?", "sol1": "ice", "sol2": "stone", "label": 0},
        {"question": "Which melts?", "opa": "ice", "opb": "stone", "cop": 0},
        {"question": "Which melts?", "endings": ["ice", "stone"], "label": "0"},
    ],
)
def test_questions_with_options(tmp_path: Path, row: dict[str, Any]) -> None:
    rows = [{**row, "exp": "Ice is frozen water."}, {**row, "question": "Which is cold?"}]
    loaded = load_dataset(lines(tmp_path / "q.jsonl", rows), explanation="exp")
    assert said("questions with options", loaded)
    assert [(e.label, e.choices) for e in loaded] == 2 * [("ice", ("ice", "stone"))]
    assert answers(loaded)[0] == ("Which melts?", "ice", ["Ice is frozen water."])


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ({"option1": "ice", "option2": "stone", "answer": 1}, "ice"),  # a number, as the options have
        ({"sol1": "ice", "sol2": "stone", "label": 1}, "stone"),  # a place from 0
    ],
)
def test_whole_numbers_name_options(tmp_path: Path, row: dict[str, Any], label: str) -> None:
    loaded = load_dataset(lines(tmp_path / "q.jsonl", [{"question": "Which melts?", **row}]))
    assert [e.label for e in loaded] == [label]


def test_exp_is_an_explanation_where_it_is_a_sentence(tmp_path: Path) -> None:
    question = {"question": "Which melts?", "opa": "ice", "opb": "stone", "cop": 0}
    rows = [{**question, "exp": "Ice is frozen water, and so it melts first."}] * 2
    assert answers(load_dataset(lines(tmp_path / "q.jsonl", rows)))[0][2] == [rows[0]["exp"]]
    people = [{"text": f"She knows {k} languages well.", "label": "ab"[k % 2], "exp": f"{k} years"} for k in range(8)]
    assert [e.explanations for e in load_dataset(people)] == [()] * 8


@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize("form", ["list", "columns", "letters"])
def test_places_count_from_where_all_answers_fit(tmp_path: Path, kind: type, form: str) -> None:
    def labels(*places: int) -> list[str | None]:
        forms: dict[str, dict[str, Any]] = {
            "list": {"options": ["ice", "stone", "tar"]},
            "columns": {"opa": "ice", "opb": "stone", "opc": "tar"},
            "letters": {"options": {"A": "ice", "B": "stone", "C": "tar"}},
        }
        rows = [
            {"question": f"Which melts {k}?", **forms[form], "answer": kind(place)} for k, place in enumerate(places)
        ]
        return [e.label for e in load_dataset(lines(tmp_path / "q.jsonl", rows))]

    assert labels(1, 2, 3) == labels(1, 2, 3, 1)[:3] == ["ice", "stone", "tar"]
    assert labels(3, 1) == ["tar", "ice"]
    assert labels(1, 2, 0) == ["stone", "tar", "ice"]
    assert labels(1, 2, 1) == ["stone", "tar", "stone"]  # nothing says otherwise
    with pytest.raises(DataError, match=r"q.jsonl:2: .*names none of the options .*places count from 0, as other"):
        labels(0, 3)
    with pytest.raises(DataError, match=r"q.jsonl:2: .*names none of the options .*places count from 1, as other"):
        labels(3, 4)


def test_a_pair_of_columns_and_a_label_is_no_question(tmp_path: Path) -> None:
    rows = [{"a": f"A dog runs {k} miles.", "b": f"It moves on to mile {k}.", "label": k % 2} for k in range(8)]
    loaded = load_dataset(lines(tmp_path / "pairs.jsonl", rows))
    assert loaded.task is not None
    assert (loaded.task.fields, loaded.task.labels) == (("a", "b"), ("0", "1"))


def test_an_answer_that_names_no_option_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = [{"question": "Which melts?", "choice1": "ice", "choice2": "stone", "label": label} for label in ("1", "0")]
    with pytest.raises(DataError, match=r"q\.jsonl:2: .*the answer '0' names none of the options 1, 2"):
        load_dataset(lines(tmp_path / "q.jsonl", rows))
