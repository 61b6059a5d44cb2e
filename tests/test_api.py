"""The public API: lazy, over objects in memory, and enough for what a user wants: from a table to a report."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest

import reasondistill as rd
from reasondistill.contracts.scored_rows import SCORED_ROWS_FILE
from reasondistill.reporting.inputs import Scored, Source
from reasondistill.reporting.sections.headline import summarise
from reasondistill.run_data import source_beside
from reasondistill.training.continual.lineage import kept_sets
from reasondistill.updating import plan_update

SCRATCH = {"kind": "scratch", "d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2, "vocab_size": 300}
FEW = {"max_steps": 4, "report_to": "none", "disable_tqdm": True, "use_cpu": True}


def tickets() -> pd.DataFrame:
    kinds = {"billing": "the invoice shows a charge", "bug": "the app closes at once", "idea": "please add a theme"}
    rows = [
        {"Ticket Text": f"{words} number {n}", "category": kind, "why": f"it says that {words}"}
        for n in range(20)
        for kind, words in kinds.items()
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("runs")
    return rd.train(tickets(), student=SCRATCH, name="tickets", out=out, training=FEW)


def test_every_name_is_there_and_importing_loads_nothing_heavy() -> None:
    for name in rd.__all__:
        assert getattr(rd, name) is not None
    assert rd.__version__.count(".") == 2
    heavy = "torch", "transformers", "pandas", "pyarrow", "pydantic"
    code = f"import sys, reasondistill; print([m for m in {heavy} if m in sys.modules], len(dir(reasondistill)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", str(len(rd.__all__))]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rd.nothing  # noqa: B018


def test_a_function_is_not_hidden_by_a_module_of_its_name() -> None:
    names = ("audit", "calibrate", "compare", "evaluate", "export", "report", "train", "load_dataset")
    code = "import reasondistill.exporting, reasondistill.cli, reasondistill as rd; "
    code += f"print([name for name in {names} if not callable(getattr(rd, name))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_frame_becomes_a_run_that_keeps_its_data(run: Any) -> None:
    config = run.config()
    assert config.data.train.source == str(run.folder / "data.jsonl")
    assert config.task.fields == ("ticket_text",)
    assert run.info().status == "finished"
    kept = rd.load_dataset(run.folder / "data.jsonl", task=config.task)
    assert len(kept) == 60
    assert kept.splits == rd.load_dataset(tickets()).splits
    assert "finished" in run._repr_html_()
    again = rd.train(tickets(), student="scratch", name="tickets", out=run.folder.parent, resume=True, training=FEW)
    assert again.folder == run.folder


def test_a_student_answers_a_frame_rows_and_texts(run: Any) -> None:
    student = rd.Student.load(run)
    frame = tickets().head(3)
    frame.index = pd.Index(["x", "y", "z"])
    frame.loc["y", "Ticket Text"] = ""
    answered = student.predict(frame)
    assert [*answered.index] == ["x", "y", "z"]
    assert {"label", "probability", "explanation"} <= {*answered.columns}
    assert answered["label"].isna().tolist() == [False, True, False]
    [of_text, *_] = student.predict([frame["Ticket Text"].iloc[0]])
    [of_row, *_] = student.predict([{"ticket_text": frame["Ticket Text"].iloc[0]}])
    assert of_text.label == of_row.label == answered["label"].iloc[0]
    assert of_text.probabilities[of_text.label or ""] == pytest.approx(answered["probability"].iloc[0], abs=1e-5)
    assert "<table>" in of_text._repr_html_()
    with pytest.raises(rd.errors.DataError, match="ticket_text"):
        student.predict([{"other": "x"}])


def test_a_missing_text_is_none_wherever_it_stands(run: Any) -> None:
    student = rd.Student.load(run)
    rows: Any
    for rows in (
        [None, "please add a theme"],
        [math.nan, "please add a theme"],
        pd.Series([None, "please add a theme"]),
    ):
        assert [a.label is None for a in student.predict(rows)] == [True, False]
    rows = datasets.Dataset.from_dict({"ticket_text": [None, "please add a theme"]})["ticket_text"]
    assert [a.label is None for a in student.predict(rows)] == [True, False]
    for rows in ([None], [None, math.nan]):
        with pytest.raises(rd.errors.UserError, match="at least one row"):
            student.predict(rows)
    for odd in ({"ticket_text": "b"}, 1.5):
        rows = ["please add a theme", odd]
        with pytest.raises(rd.errors.DataError, match="a text, as the first one is"):
            student.predict(rows)


def test_what_cannot_be_answered_is_said_and_shifts_nothing(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    student = rd.Student.load(run)
    texts = ["the app closes at once", "", "please add a theme", "  "]
    answers = student.predict(texts)
    assert [(a.id, a.label is None) for a in answers] == [
        ("data:1", False), ("data:2", True), ("data:3", False), ("data:4", True)
    ]  # fmt: skip
    assert "data: not answered: 2 rows with an empty ticket_text (data:2, data:4)" in caplog.text
    assert len(student.predict([{"id": str(k), "ticket_text": text} for k, text in enumerate(texts)])) == 2
    frame = pd.DataFrame({"ticket_text": texts[:1], "label": ["bug"]}, index=pd.Index(["T-7"], name="id"))
    assert "label" not in caplog.text
    student.predict(frame)
    assert "the answers take the place of the frame's own label: rename them to keep both" in caplog.text


def test_from_answers_to_a_comparison_and_a_report(run: Any, tmp_path: Path) -> None:
    student = rd.Student.load(run)
    data = rd.load_dataset(run.folder / "data.jsonl", task=student.task)
    answers = student.predict(data["test"])
    results = rd.evaluate(
        answers, data, split="test", student=student, bertscore=False, faithfulness_limit=5, budget=2, resamples=50
    )
    assert results.metrics["label_accuracy"].n == len(data["test"])
    assert results.results.efficiency is not None
    assert results.results.faithfulness
    assert "label_accuracy" in results._repr_html_()
    results.save(run.results("test"))
    assert (run.results("test") / SCORED_ROWS_FILE).is_file()
    gold = [{"id": e.id, "label": e.label, "explanation": "so"} for e in data["test"]]
    other = rd.evaluate(gold, data["test"], bertscore=False, resamples=50)
    assert other.metrics["label_accuracy"].value == 1.0
    comparison = rd.compare({"student": run, "gold": other}, out=tmp_path / "compared", resamples=50, swaps=99)
    assert (comparison.settings.resamples, comparison.settings.swaps) == (50, 99)
    [pair] = rd.compare([run, other], resamples=50).pairs
    assert (pair.system, pair.baseline) == ("system 2", "tickets")
    [pair] = rd.compare([run, run.results("test")], resamples=50).pairs
    assert (pair.system, pair.baseline) == ("tickets (2)", "tickets"), "names of their own"
    with pytest.raises(rd.errors.ConfigError, match="resamples"):
        rd.compare([run, other], resamples=0)
    assert [pair.system for pair in comparison.pairs] == ["gold"]
    assert (tmp_path / "compared" / "comparison.json").is_file()
    assert rd.report(run).html.is_file()
    assert rd.audit(data)


def test_rows_that_a_run_learned_from_calibrate_nothing_and_are_counted(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    data = rd.load_dataset(run.folder / "data.jsonl", task=run.config().task)
    for student in (run, rd.Student.load(run)):
        with pytest.raises(rd.errors.DataError, match=f"{len(data['train'])} of 60 .* learned from.*validation"):
            rd.calibrate(student, data)
    met = rd.evaluate(run, data, bertscore=False, resamples=20)
    assert f"{len(data['train'])} of 60 rows are ones that {run.folder} learned from" in caplog.text
    assert met.results.settings["learned_rows"] == len(data["train"])
    told = summarise(Source("met", None, None, {"all": Scored("all", met.results, None)}))
    assert f"The student learned from {len(data['train'])} of them" in told


def test_other_data_have_the_columns_that_the_run_knows(run: Any, tmp_path: Path) -> None:
    frame = tickets()
    frame["Ticket Text"] += ", a second time"
    file = tmp_path / "second.csv"
    frame.to_csv(file, index=False)
    given: list[Any] = [frame, file, frame.to_dict("records")]
    for data in given:
        metrics = rd.evaluate(run, data, bertscore=False, resamples=20).metrics
        assert (metrics["label_accuracy"].n, metrics["chrf"].n) == (60, 60)
        calibration = rd.calibrate(run, data).calibration
        assert calibration is not None
        assert calibration.labelled == 60
    kept = plan_update(run, str(file), changes={"update": {"keep": [source_beside(run, file).model_dump()]}}).config
    assert kept.update is not None
    [held] = kept_sets(kept, kept.update)
    assert len(held.splits[0].loaded) + len(held.splits[1].loaded) + len(held.selection or ()) < 60
    assert {e.label for e in held.splits[-1].loaded.examples} <= {*run.config().task.labels}
    own = frame.rename(columns={"category": "label", "why": "explanation"})
    assert rd.evaluate(run, own, bertscore=False, resamples=20).metrics["label_accuracy"].n == 60


def test_test_rows_calibrate_nothing(run: Any) -> None:
    data = rd.load_dataset(run.folder / "data.jsonl", task=run.config().task)
    with pytest.raises(rd.errors.DataError, match="spoils the test"):
        rd.calibrate(run, data["test"])
    calibration = rd.calibrate("builtin:scenes", rd.load_dataset("scenes:2000", split="validation")).calibration
    assert calibration is not None
    assert calibration.data.split == "validation"


def test_labels_of_another_case_are_the_tasks(run: Any) -> None:
    data = rd.load_dataset(run.folder / "data.jsonl", task=run.config().task)["test"]
    answers = [{"id": e.id, "label": (e.label or "").upper(), "explanation": "so"} for e in data]
    assert rd.evaluate(answers, data, bertscore=False, resamples=20).metrics["label_accuracy"].value == 1


def test_a_column_an_array_and_a_generator_of_texts_are_answered(run: Any) -> None:
    student, texts = rd.Student.load(run), ["The app closes", "", "Please add a theme"]
    want = [answer.label for answer in student.predict(texts)]
    assert want[1] is None
    series: list[Any] = [pd.Series(texts, index=[7, 7, 9]), np.array(texts), (text for text in texts)]
    for given in series:
        assert [answer.label for answer in student.predict(given)] == want


def test_a_column_of_polars_is_answered(run: Any) -> None:
    student, texts = rd.Student.load(run), ["The app closes", "Please add a theme"]
    column: Any = pytest.importorskip("polars").Series(texts)
    assert [answer.label for answer in student.predict(column)] == [a.label for a in student.predict(texts)]


def test_an_example_is_asked_with_words_and_by_the_tasks_names(run: Any) -> None:
    student = rd.Student.load(run)
    with pytest.raises(rd.errors.DataError, match="words in each field"):
        student.explain({"ticket_text": " "})
    with pytest.raises(rd.errors.DataError, match=r"found .'Text'.*Name them as the task does"):
        student.explain(Text="The app closes")


def test_a_configuration_takes_data_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "first.yaml"
    file.write_text(
        "name: first\ndata: {train: {source: scenes}}\n"
        "student: {kind: scratch, d_model: 16, d_ff: 32, d_kv: 8, num_heads: 2}\n",
        encoding="utf-8",
    )
    rows = rd.load_dataset("scenes:60")
    run = rd.train(file, data=rows, out=tmp_path, training={**FEW, "max_steps": 1})
    assert run.config().data.train_sources[0].source == str(run.folder / "data.jsonl")
    with pytest.raises(rd.errors.DataError, match="names its own"):
        rd.train(file, student="scratch")


@pytest.mark.parametrize("student", ["flan-t5-tiny", "nowhere", ""])
def test_an_unknown_student_is_refused_before_anything_is_written(student: str, tmp_path: Path) -> None:
    with pytest.raises(rd.errors.ConfigError, match="one of flan-t5-small"):
        rd.train(tickets(), student=student, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_calibrating_returns_a_student_with_a_temperature() -> None:
    student = rd.Student.load("builtin:scenes", calibrated=False)
    fitted = rd.calibrate(student, rd.load_dataset("scenes:2000", split="validation"))
    assert student.calibration is None
    assert fitted.calibration is not None
    assert fitted.calibration.temperature > 0


def _scored(answers: Any, data: Any) -> float | None:
    return rd.evaluate(answers, data, resamples=10, bertscore=False).metrics["label_accuracy"].value


def test_an_answered_frame_is_scored_with_the_frame(run: Any) -> None:
    student, frame = rd.Student.load(run), tickets()
    gold = rd.load_dataset(frame)
    expected = _scored(student.predict(gold), gold)
    answered = student.predict(frame)
    assert _scored(answered, frame) == expected
    assert _scored(answered.to_dict("records"), frame) == expected
    assert _scored(answered.rename(columns={"Ticket Text": "said"}), frame) == expected
    polars = pytest.importorskip("polars")
    assert _scored(polars.from_pandas(answered), frame) == expected
    # Rows that have no label in the data, and rows of another split, are answers to nothing that is scored.
    frame.loc[::4, "category"] = None
    kept = frame[frame["category"].notna()]
    assert _scored(answered, frame) == _scored(student.predict(kept), kept)


@pytest.mark.parametrize(
    "change",
    [
        lambda answered: answered.iloc[::-1],
        lambda answered: answered.head(10),
        lambda answered: answered[["label", "explanation"]],
        lambda answered: answered.assign(**{"Ticket Text": "another text"}),
    ],
)
def test_answers_without_ids_to_other_rows_are_refused(run: Any, change: Any) -> None:
    answered = change(rd.Student.load(run).predict(tickets()))
    with pytest.raises(rd.errors.DataError, match="a column `id`, or the texts that were answered"):
        _scored(answered, tickets())


def test_different_answers_to_one_text_are_not_guessed_at() -> None:
    data = [{"id": str(n), "text": text, "label": "yn"[n % 2]} for n, text in enumerate(("a b", "c d", "e f"))]
    rows = [
        {"text": text, "label": label, "explanation": ""} for text, label in (("a b", "y"), ("c d", "n"), ("e f", "y"))
    ]
    doubled = [rows[0], rows[0] | {"label": "n"}, *rows[1:]]
    assert _scored([rows[0], *rows], data) == 1.0
    with pytest.raises(rd.errors.DataError, match="different answers to the same text, 'a b'"):
        _scored(doubled, data)


def test_a_sweep_is_named_by_its_file() -> None:
    with pytest.raises(rd.errors.ConfigError, match="expected the path of its YAML file, found a dict"):
        rd.sweep({"name": "one"})  # type: ignore[arg-type]


def test_a_vocabulary_holds_the_bytes(tmp_path: Path) -> None:
    with pytest.raises(rd.errors.ConfigError, match=r"vocab_size.*258"):
        rd.train(tickets(), student=SCRATCH | {"vocab_size": 257}, name="small", out=tmp_path, training=FEW)
    assert not list(tmp_path.iterdir())


def test_an_empty_frame_has_no_answers(run: Any) -> None:
    answered = rd.Student.load(run).predict(tickets().head(0))
    assert len(answered) == 0
    assert {"Ticket Text", "label", "probability", "explanation"} <= {*answered.columns}


@pytest.mark.parametrize("given", ["The app closes. Why?", "why " * 2000, {"ticket_text": "The app closes at once."}])
def test_a_single_text_or_row_belongs_in_a_list(given: Any, run: Any) -> None:
    student = rd.Student.load(run)
    with pytest.raises(rd.errors.DataError, match="Put it in a list"):
        student.predict(given)
    assert len(student.predict([given])) == 1


def test_a_report_is_of_runs(run: Any, tmp_path: Path) -> None:
    data = rd.load_dataset(tickets())
    evaluation = rd.evaluate(rd.Student.load(run).predict(data), data, resamples=10, bertscore=False)
    wrong: list[tuple[Any, str]] = [(3, "int"), ([], "none"), ([run, None], "NoneType"), (evaluation, "Evaluation")]
    for given, found in wrong:
        with pytest.raises(rd.errors.DataError, match=rf"found {found}\. .*evaluation\.save\(folder\)"):
            rd.report(given, tmp_path / "report")
    assert not list(tmp_path.iterdir())
    evaluation.save(tmp_path / "results")
    assert rd.report(tmp_path / "results", tmp_path / "report").html.is_file()
