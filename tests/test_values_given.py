"""What a user gives is looked at: an empty text or a zero is not taken for nothing, and a slip not for a value."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import reasondistill as rd
from make import change_json, write_jsonl
from reasondistill.contracts.predictions_record import PredictionsRecord
from reasondistill.contracts.results import Results
from reasondistill.data.dataset_loading import load_dataset
from reasondistill.errors import ConfigError, DataError, OutputError
from reasondistill.students.prediction_files import predict_file
from reasondistill.teachers.teaching_run import teach
from reasondistill.updating import plan_update
from scripted_server import serving
from test_api import FEW, SCRATCH, tickets
from test_teaching import config as teaching_config

Command = Callable[..., tuple[int, str]]
FAST: dict[str, Any] = {"bertscore": False, "resamples": 20}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("runs")
    run = rd.train(tickets(), student=SCRATCH, name="tickets", out=out, training=FEW)
    rd.evaluate(run, **FAST)
    return run


@pytest.fixture
def copied(trained: Any, tmp_path: Path) -> Any:
    return rd.Run(shutil.copytree(trained.folder, tmp_path / "tickets"))


# --- predictions that do not belong to what is scored ---


def test_predictions_of_rows_that_were_changed_are_not_scored(copied: Any) -> None:
    file = copied.folder / "data.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace("at once", "at twice"), encoding="utf-8")
    with pytest.raises(OutputError, match="other rows, or the same with other content") as refused:
        rd.evaluate(copied, force=True, **FAST)
    predictions = copied.predictions("test")
    assert f"Remove this file and {PredictionsRecord.path_of(predictions).name}" in str(refused.value)
    predictions.unlink()
    PredictionsRecord.path_of(predictions).unlink()
    assert rd.evaluate(copied, force=True, **FAST).metrics["label_accuracy"].n > 0


def test_predictions_for_other_data_are_not_those_of_the_run(copied: Any, command: Command, tmp_path: Path) -> None:
    own = rd.load_dataset(copied.folder / "data.jsonl", task=copied.config().task)["test"]
    others = [{"id": e.id, "ticket_text": "Something else.", "category": e.label, "split": "test"} for e in own]
    file = write_jsonl(tmp_path / "others.jsonl", *others)
    columns = ("--columns", "label=category")
    before = copied.predictions("test").read_bytes()
    for _ in range(2):  # they have places of their own
        code, text = command("evaluate", copied.folder, file, "--split", "test", "--force", "--no-bertscore", *columns)
        assert code == 0, text
    assert copied.predictions("test").read_bytes() == before
    scored = Results.load(copied.results("others_test") / "results.json")
    assert (scored.dataset.name, scored.dataset.n) == ("others", len(own))
    assert command("evaluate", copied.folder, "--force", "--no-bertscore")[0] == 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("student", "another", "another student"), ("calibration", "another", "another calibration")],
)
def test_predictions_of_another_student_are_not_scored(
    copied: Any, command: Command, key: str, value: str, message: str
) -> None:
    change_json(PredictionsRecord.path_of(copied.predictions("test")), lambda record: record.update({key: value}))
    code, text = command("evaluate", copied.folder, "--force", "--no-bertscore")
    assert code == 2
    assert message in text


def test_a_report_says_whose_results_are_another_student_s(copied: Any, caplog: pytest.LogCaptureFixture) -> None:
    rd.report(copied)
    assert "another student" not in caplog.text
    change_json(copied.folder / "results" / "test" / "results.json", lambda r: r["settings"].update(student="another"))
    rd.report(copied)
    assert "is about another student" in caplog.text


def test_the_first_rows_alone_are_scored_and_named(copied: Any, command: Command) -> None:
    rows = rd.load_dataset(copied.folder / "data.jsonl", task=copied.config().task)["test"]
    code, _ = command("predict", copied.folder, "--limit", "4", "--force")
    assert code == 0
    code, text = command("evaluate", copied.folder, "--force", "--no-bertscore")
    assert code == 0
    assert f"the first 4 of {len(rows):,} rows" in text


# --- options ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("efficiency", "builtin:scenes", "scenes:12", "--out", "o.json", "--num-beams", "1000"), "num_beams"),
        (("evaluate", "p.jsonl", "scenes:12", "--out", "o", "--split", ""), "split"),
        (("init", "t.csv", "--student", ""), "one of flan-t5-small"),
        (("predict", "builtin:scenes", "scenes:12", "--out", "o", "--columns", "premise=b"), "whose form is known"),
        (("predict", "builtin:scenes", "scenes:12", "--out", "o", "--shard", ""), "shard"),
        (("predict", "builtin:scenes", "scenes:12", "--out", "o", "--pair", ""), "--prover beside it"),
        (("train", "t.csv", "--processes", "1000000"), "1024"),
        (("verify", "p.jsonl", "scenes:12", "--out", "o", "--fragment", ""), "expected captions, or scenes"),
    ],
)
def test_no_option_is_taken_unseen(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = load_dataset("scenes:12")
    predict_file(rd.Student.load("builtin:scenes"), rows.examples, "p.jsonl", facts={})
    tickets().to_csv("t.csv", index=False)
    code, text = command(*arguments)
    assert code == 2, text
    assert message in text
    assert not Path("o").exists()


def test_a_run_refuses_the_columns_of_a_table(copied: Any, command: Command, tmp_path: Path) -> None:
    code, text = command("verify", copied.folder, "--out", tmp_path / "o", "--label", "category")
    assert code == 2
    assert "as a run names these itself" in text


def test_a_budget_beside_a_run_without_prices_is_refused_before_anything_is_sent(
    tmp_path: Path, command: Command
) -> None:
    with serving() as server:
        source = {"source": "scenes:6"}
        first = teach(teaching_config(tmp_path, server.url, of_teacher={"prices": None}, data=source), limit=2)
        sent = len(server.sent)
        code, text = command("teach", first.folder, "--budget", "0.000001", "--resume")
        assert code == 2
        assert "prices: required where there is a budget" in text
        assert len(server.sent) == sent == 2


def test_a_limit_of_nothing_is_not_all(tmp_path: Path) -> None:
    with serving() as server:
        teacher = rd.Teacher(model="m", base_url=server.url)
        with pytest.raises(DataError, match="at least 1 example"):
            teacher.explain("scenes:6", out=tmp_path / "taught", limit=0)
        assert not server.sent


def test_a_run_is_resumed_as_it_was_begun(copied: Any, command: Command) -> None:
    code, text = command("train", copied.folder, "--resume", "--set", "training.max_steps=9")
    assert code == 2
    assert "--set" in text
    assert "resumed as it was begun" in text


# --- columns that there are none of ---

TABLE = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d"],
        "text": ["the app closes", "the bill is wrong", "the app closes again", "the bill is bad"],
        "label": ["bug", "billing"] * 2,
        "explanation": ["it closes", "it is wrong", "it closes too", "it is bad"],
        "group": ["1", "1", "2", "2"],
    }
)


@pytest.mark.parametrize("task", [None, rd.load_dataset(TABLE).task])
@pytest.mark.parametrize("as_mapping", [False, True])
@pytest.mark.parametrize("what", ["id", "label", "explanation", "group"])
def test_an_empty_name_says_that_there_is_no_such_column(what: str, as_mapping: bool, task: Any) -> None:
    named: dict[str, Any] = {"columns": {what: ""}} if as_mapping else {what: ""}
    whole, first = rd.load_dataset(TABLE).examples[0], rd.load_dataset(TABLE, task=task, **named).examples[0]
    read = {"id": first.id, "label": first.label, "explanation": first.references, "group": first.group}
    there = {"id": whole.id, "label": whole.label, "explanation": whole.references, "group": whole.group}
    assert {name for name in read if read[name] != there[name]} == {what}


def test_a_label_alone_is_planned_where_explanations_are_left_out(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = tickets().rename(columns={"why": "explanation"})
    frame.to_csv("t.csv", index=False)
    code, text = command("init", "t.csv", "--student", "scratch", "--explanation", "", "--set", "name=t")
    assert code == 0, text
    assert "the label only" in text


# --- Python ---


def test_a_slip_in_a_setting_is_a_mistake_of_the_user_s(copied: Any, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("name: t\ndata: {train: {source: 'scenes:12'}}\nstudent: {kind: scratch}\n", encoding="utf-8")
    for call in (
        lambda: rd.evaluate(copied, bertscor=False),
        lambda: rd.train(file, out=tmp_path, aplha=1),
        lambda: rd.serve("builtin:scenes", port=-1),
        lambda: rd.sweep(file, resamples=0),
    ):
        with pytest.raises(ConfigError):
            call()


def test_evaluate_takes_students_and_training_rows_as_all_else_does(copied: Any) -> None:
    data = rd.load_dataset(copied.folder / "data.jsonl", task=copied.config().task)
    answers = rd.Student.load(copied).predict(data["test"])
    quick: dict[str, Any] = {**FAST, "faithfulness": False, "efficiency": False}
    scored = rd.evaluate(answers, data["test"], student=copied.folder, train=data["train"].to_pandas(), **quick)
    assert scored.metrics == rd.evaluate(answers, data, split="test", **quick).metrics


def test_the_shipped_student_is_not_calibrated_from_python_either() -> None:
    for student in ("builtin:scenes", rd.Student.load("builtin:scenes")):
        with pytest.raises(OutputError, match="Copy its folder"):
            rd.calibrate(student, load_dataset("scenes:200"), save=True)
    assert rd.Student.load("builtin:scenes").calibration is None


def test_columns_are_not_named_for_examples_that_were_read() -> None:
    loaded = rd.load_dataset(tickets())
    for source in (loaded, list(loaded)):
        with pytest.raises(DataError, match="read already"):
            rd.load_dataset(source, label="category")


def test_what_was_read_is_held_to_a_task_that_is_named() -> None:
    loaded = rd.load_dataset(tickets())
    with pytest.raises(DataError, match="premise"):
        rd.load_dataset(loaded, task="nli")
    assert rd.load_dataset(loaded, task=loaded.task) is loaded


def test_an_update_keeps_the_labels_that_its_new_rows_lack(copied: Any) -> None:
    frame = tickets()
    fewer = frame[frame["category"] != "idea"].assign(**{"Ticket Text": lambda rows: "today " + rows["Ticket Text"]})
    loaded = rd.load_dataset(pd.DataFrame(fewer))
    assert loaded.task is not None
    assert "idea" not in (loaded.task.labels or ())
    plan = plan_update(copied, loaded, changes={})
    assert plan.config.task == copied.config().task


def test_a_share_of_nothing_is_laid_over_a_file(copied: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[dict[str, Any]] = []

    def stop(*_: object, changes: dict[str, Any], **others: object) -> None:
        planned.append(changes)
        raise ConfigError("update", expected="a test", found="its end")

    monkeypatch.setattr("reasondistill.updating.going_on.plan_update", stop)
    with pytest.raises(ConfigError, match="its end"):
        rd.update(copied, tmp_path / "u.yaml", replay=0.0, ewc=0.0)
    assert planned[0]["update"] == {"replay": 0.0, "ewc": 0.0}
