"""Which task an evaluation is of: as asked, as recorded, as recognised; never assumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from make import write_jsonl
from reasondistill.cli import app
from reasondistill.config import Generation
from reasondistill.contracts.predictions_record import PredictionsRecord
from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.results import Results
from reasondistill.data.recognising import recognise
from reasondistill.errors import ConfigError, DataError
from reasondistill.evaluation import EvaluationSettings, evaluate
from reasondistill.storage.files import fingerprint
from reasondistill.students.prediction_files import task_answered
from reasondistill.students.student_task import StudentTask
from reasondistill.tasks.task import NLI, Task

TICKETS = [("My card was charged twice.", "billing"), ("The app closes.", "bug"), ("Please add a map.", "feature")]


def answers_file(folder: Path, labels: list[str], data: str) -> Path:
    rows = [{"id": f"{data}:{k + 2}", "label": label, "explanation": "so"} for k, label in enumerate(labels)]
    return write_jsonl(folder / "answers.jsonl", *rows)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["evaluate", "--no-bertscore", *map(str, arguments)])


@pytest.mark.parametrize(
    ("header", "row", "name"),
    [
        ("premise,hypothesis,label", "a,b,neutral", "nli"),
        ("id,premise,hypothesis,label,more", "1,a,b,,x", "nli"),
        ("first,second,label", "a,b,first", "comve"),
    ],
)
def test_columns_tell_a_built_in_task(tmp_path: Path, header: str, row: str, name: str) -> None:
    (tmp_path / "rows.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    assert recognise(tmp_path / "rows.csv").task.name == name


def test_mapped_columns_tell_it_too(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b,gold\nx,y,neutral\n", encoding="utf-8")
    columns = {"premise": "a", "hypothesis": "b", "label": "gold"}
    assert recognise(tmp_path / "rows.csv", columns).task is NLI


def test_rows_in_our_own_form_tell_fields_and_labels(tmp_path: Path) -> None:
    rows = [{"id": str(k), "fields": {"text": text}, "label": label} for k, (text, label) in enumerate(TICKETS)]
    found = recognise(write_jsonl(tmp_path / "tickets.jsonl", *rows), labels=["spam"])
    assert (found.task.name, found.task.fields) == ("tickets", ("text",))
    assert found.task.labels == ("billing", "bug", "feature", "spam")
    rows = [{"id": "1", "fields": {"text": "a"}, "choices": ["x", "y"], "label": "x"}]
    assert recognise(write_jsonl(tmp_path / "choices.jsonl", *rows)).task.labels is None
    rows = [{"id": "1", "fields": {"premise": "a", "hypothesis": "b"}, "label": "neutral"}]
    assert recognise(write_jsonl(tmp_path / "nli.jsonl", *rows)).task is NLI


@pytest.mark.parametrize(
    ("header", "cells"),
    [("text,category", "{},{}"), ("Ticket Text,category,id", "{},{},"), ("category,group,Text ", "{1},,{0}")],
)
def test_a_table_of_any_names_is_scored_as_it_stands(tmp_path: Path, header: str, cells: str) -> None:
    body = "".join(f"{cells.format(*ticket)}\n" for ticket in TICKETS)
    if header.endswith("id"):
        body = "".join(f"{line}{k + 2}\n" for k, line in enumerate(body.splitlines()))
    (tmp_path / "tickets.csv").write_text(f"{header}\n{body}", encoding="utf-8")
    ids = "" if header.endswith("id") else "tickets.csv:"
    answers = [{"id": f"{ids}{k + 2}", "label": label} for k, (_, label) in enumerate(TICKETS)]
    done = run(write_jsonl(tmp_path / "answers.jsonl", *answers), tmp_path / "tickets.csv", "--out", tmp_path / "out")
    assert done.exception is None, done.exception
    results = Results.load(tmp_path / "out" / "results.json")
    assert results.metrics["label_accuracy"].value == 1.0
    assert results.settings["task"] == "tickets"


def test_labels_of_another_task_do_not_make_it_nli(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("premise,hypothesis,label\na,b,yes\nc,d,no\n", encoding="utf-8")
    assert recognise(tmp_path / "rows.csv", labels=["maybe"]).task.labels == ("maybe", "no", "yes")


def record_of(**facts: Any) -> PredictionsRecord:
    return PredictionsRecord(student="0", generation={}, **facts)


def test_a_record_says_it_before_the_data_do(tmp_path: Path) -> None:
    task = Task(name="verdicts", fields=("premise", "hypothesis"), labels=("yes", "no"))
    (tmp_path / "rows.csv").write_text("premise,hypothesis,label\na,b,yes\nc,d,no\n", encoding="utf-8")
    file = answers_file(tmp_path, ["yes", "yes"], "rows.csv")
    record_of(task="0", task_definition=task.model_dump(mode="json")).save(tmp_path / "answers.meta.json")
    done = run(file, tmp_path / "rows.csv", "--out", tmp_path / "out")
    assert done.exception is None, done.exception
    assert Results.load(tmp_path / "out" / "results.json").settings["task"] == "verdicts"
    # What is asked for goes before the record, and a mistake under a recorded task says where that is from.
    asked = run(file, tmp_path / "rows.csv", "--out", tmp_path / "asked", "--task", "nli")
    assert "entailment" in str(asked.exception)
    (tmp_path / "rows.csv").write_text("premise,hypothesis,label\na,b,neutral\nc,d,no\n", encoding="utf-8")
    refused = run(file, tmp_path / "rows.csv", "--out", tmp_path / "third")
    assert "the task verdicts, told by the record of the predictions (--task: another)" in str(refused.exception)


def test_evaluate_in_python_takes_the_task_from_the_examples() -> None:
    examples = [Example(id=str(k), fields={"text": text}, label=label) for k, (text, label) in enumerate(TICKETS)]
    answers = [Prediction(id=e.id, label="bug") for e in examples]
    settings = EvaluationSettings(bertscore=False, resamples=50)
    results = evaluate(answers, examples, name="tickets", settings=settings).results
    assert results.settings["task"] == "tickets"
    assert results.metrics["label_accuracy"].value == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="premise"):
        evaluate(answers, examples, task=NLI, name="tickets", settings=settings)
    odd = [examples[0], examples[1].model_copy(update={"fields": {"other": "x"}})]
    with pytest.raises(DataError, match="Name the task"):
        evaluate(answers[:2], odd, name="tickets", settings=settings)


def test_a_run_tells_the_task_of_its_own_predictions(tmp_path: Path) -> None:
    task = Task(name="verdicts", fields=("premise", "hypothesis"), labels=("yes", "no"))
    run_folder = tmp_path / "run"
    (run_folder / "student").mkdir(parents=True)
    (run_folder / "predictions").mkdir()
    (run_folder / "run.json").write_text("{}", encoding="utf-8")
    asked = StudentTask(
        task=task, order="label_first", max_source_length=64, max_target_length=32, generation=Generation()
    )
    asked.save(run_folder / "student")
    predictions = run_folder / "predictions" / "test.jsonl"
    assert task_answered(predictions) is None  # without a record it may be anybody's
    # A record as earlier versions wrote it has the fingerprint alone.
    identity = fingerprint(task.model_dump(mode="json"), "label_first")
    record = predictions.with_name("test.meta.json")
    record_of(task=identity).save(record)
    assert task_answered(predictions) == task
    record_of(task="another's").save(record)
    assert task_answered(predictions) is None
    record_of(task=identity, task_definition={"name": 3}).save(record)
    with pytest.raises(ConfigError, match="task_definition"):
        task_answered(predictions)


def show(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["data", "show", *map(str, arguments)])


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("text,category,why", "{},{},so"),
        ("Intent,my `text` $HOME,Reason", "{1},{0},so"),
        ("label,text,explanation", "{1},{0},so"),
    ],
)
def test_data_show_reads_a_table_as_it_stands(tmp_path: Path, header: str, cells: str) -> None:
    body = "".join(f"{cells.format(*ticket)}\n" for ticket in TICKETS)
    (tmp_path / "tickets.csv").write_text(f"{header}\n{body}", encoding="utf-8")
    shown = show(tmp_path / "tickets.csv", "--json")
    assert shown.exception is None, shown.exception
    counts = json.loads(shown.stdout)
    assert counts["labels"] == {"billing": 1, "bug": 1, "feature": 1}
    assert counts["explanations"]["total"] == 3
    assert not counts["ignored_columns"]
    assert all(f"  {column} " in shown.stderr for column in header.split(","))


def test_columns_that_are_named_are_taken(tmp_path: Path) -> None:
    rows = [{"a": text, "b": label, "c": "so"} for text, label in TICKETS]
    file = write_jsonl(tmp_path / "tickets.jsonl", *rows)
    shown = show(file, "--text", "a", "--label", "b", "--explanation", "c", "--json")
    assert json.loads(shown.stdout)["explanations"]["total"] == 3
    assert json.loads(shown.stdout)["labels"] == {"billing": 1, "bug": 1, "feature": 1}
    (tmp_path / "mine.yaml").write_text("{name: mine, fields: [body], labels: [billing, bug, feature]}")
    shown = show(file, "--task", tmp_path / "mine.yaml", "--text", "a", "--label", "b", "--json")
    assert [*json.loads(shown.stdout)["sample"][0]["fields"]] == ["body"]
    refused = show(file, "--task", tmp_path / "mine.yaml", "--text", "a", "--text", "c")
    assert "one column for each field of the task mine: body" in str(refused.exception)
    assert "both" in str(show(file, "--text", "a", "--columns", "label=b").exception)


def test_labels_are_taken_as_the_reader_does(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": "a", "label": label} for label in (1.0, 0, -1, "-", "", None, ["2"])]
    assert recognise(write_jsonl(tmp_path / "numbers.jsonl", *rows)).task.labels == ("0", "1", "2")
    rows = [{"text": "a", "label": f"a sentence {k}"} for k in range(60)]
    with pytest.raises(DataError, match="neither among the columns text, label"):
        recognise(write_jsonl(tmp_path / "sentences.jsonl", *rows))


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ({"id": 1, "label": "bug", "explanation": "so"}, "evaluate PREDICTIONS DATA"),
        ({"id": 1, "label": "bug", "probabilities": {}}, "evaluate PREDICTIONS DATA"),
    ],
)
def test_data_of_another_form_get_their_own_advice(tmp_path: Path, row: dict[str, Any], advice: str) -> None:
    refused = show(write_jsonl(tmp_path / "rows.jsonl", row))
    assert isinstance(refused.exception, DataError)
    assert advice in refused.exception.fix


def test_data_commands_read_own_rows_of_any_fields(tmp_path: Path) -> None:
    rows = [{"id": str(k), "fields": {"text": text}, "label": label} for k, (text, label) in enumerate(TICKETS)]
    shown = show(write_jsonl(tmp_path / "tickets.jsonl", *rows), "--json")
    assert json.loads(shown.output)["labels"] == {"billing": 1, "bug": 1, "feature": 1}
    (tmp_path / "rows.csv").write_text("premise,hypothesis,label\na,b,yes\n", encoding="utf-8")
    assert "rows.csv:2" in str(show(tmp_path / "rows.csv").exception)
