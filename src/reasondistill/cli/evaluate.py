"""`reasondistill evaluate`: any system's predictions scored; of a student, its faithfulness and its costs too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.shared import (
    BudgetOption,
    DataArgument,
    EvalConfigOption,
    SplitOption,
    TeacherOption,
    named_teachers,
    needs_extra,
    print_headline,
    quiet_libraries,
)
from reasondistill.cli.status import status_line
from reasondistill.cli.table_options import NAMED, TableOptions, takes_table
from reasondistill.cli.terminal import fact, stage
from reasondistill.errors import DataError, TaskError

if TYPE_CHECKING:
    from reasondistill.config import EvaluateOptions
    from reasondistill.contracts.records import Prediction
    from reasondistill.contracts.results import Results
    from reasondistill.data.recognising import Recognised
    from reasondistill.students.student import Student
    from reasondistill.tasks.task import Task


@takes_table
def evaluate(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="A .jsonl file with id, label and explanation in each row.")
    ],
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="A new folder for results.json and per_example.jsonl.")],
    table: TableOptions,
    split: SplitOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Score only the first N examples of the split.")] = None,
    config: EvalConfigOption = None,
    bertscore: Annotated[
        bool | None,
        typer.Option(
            "--bertscore/--no-bertscore", help="Score with BERTScore too (default); it takes most of the time."
        ),
    ] = None,
    bertscore_encoder: Annotated[
        str | None, typer.Option(help="A folder or hub id; by default the MiniLM of the extra `offline`.")
    ] = None,
    bertscore_layer: Annotated[int | None, typer.Option(min=1, help="Which layer's states to compare.")] = None,
    judge: Annotated[
        Path | None, typer.Option(help="A judge's folder, or builtin:scenes: gives the support of explanations.")
    ] = None,
    teacher: TeacherOption = None,
    student: Annotated[
        Path | None,
        typer.Option(help="The student that made PREDICTIONS: asked again in tests of faithfulness, and timed."),
    ] = None,
    faithfulness_limit: Annotated[
        int | None, typer.Option(min=1, help="With --student: at most N examples in each test.")
    ] = None,
    efficiency: Annotated[
        bool | None,
        typer.Option(
            "--efficiency/--no-efficiency",
            help="With --student: measure what it costs here, on the first 100 examples (default).",
        ),
    ] = None,
    budget: BudgetOption = None,
) -> None:
    """Score any system's predictions: metrics with intervals, per label, per example, beside the baselines."""
    from reasondistill.contracts.records import outside, read_predictions
    from reasondistill.data import load
    from reasondistill.evaluation import evaluate_whole, save
    from reasondistill.evaluation.named_teachers import named
    from reasondistill.evaluation.pairing import join
    from reasondistill.storage.files import require_new_folder
    from reasondistill.students.student import made_by, maker_of

    require_new_folder(out)
    settings = _settings(
        config,
        bertscore=bertscore,
        bertscore_encoder=bertscore_encoder,
        bertscore_layer=bertscore_layer,
        judge=None if judge is None else str(judge),
        teachers=named_teachers(teacher),
        faithfulness_limit=faithfulness_limit,
        efficiency=efficiency,
        budget=budget,
    )
    quiet_libraries()
    loaded_judge = None
    if settings.judge is not None:
        with needs_extra("train"):
            from reasondistill.judges import Judge
        loaded_judge = Judge.load(settings.judge)
    maker = None if student is None else maker_of(predictions, student)
    for option, value in (("--faithfulness-limit", faithfulness_limit), ("--budget", budget)):
        if maker is None and value is not None:
            raise DataError(option, expected="--student beside it", found="none", fix="Name the student.")
    answers = list(read_predictions(predictions))
    read = _read_as(table, predictions, maker, data, answers)
    if maker is not None:
        _require_task(maker, read.task)
    with _says_task(read):
        everything = load(data, task=read.task, columns=read.columns)
        loaded = load(data, split=split, task=read.task, columns=read.columns) if split else everything
        loaded = loaded.first(limit) if limit else loaded
        others = outside(everything.examples, loaded.examples)
        # Mistakes in what was given, before anything takes time.
        join(answers, loaded.examples, read.task)
    teachers = named(settings.teachers, loaded.examples)

    with status_line() as tell:
        evaluation = evaluate_whole(
            answers,
            loaded.examples,
            task=read.task,
            name=loaded.name,
            split=split,
            options=settings,
            train_examples=others or None,
            judge=loaded_judge,
            teachers=teachers,
            student=maker,
            made_by=made_by(predictions),
            progress=tell,
        )
    save(evaluation, out)
    print_headline(evaluation.results, f"{loaded.name}, {split or 'all'}")
    _say_what_was_cut(evaluation.results)
    fact("results", out / "results.json")


def _settings(config: Path | None, **given: object) -> EvaluateOptions:
    """What the file says, under the options that were given; an option that is None was not."""
    from reasondistill.config import EvalConfig, EvaluateOptions, load_config

    settings = EvaluateOptions() if config is None else load_config(EvalConfig, config).evaluation
    return settings.model_copy(update={name: value for name, value in given.items() if value is not None})


def _read_as(
    table: TableOptions, predictions: Path, maker: Student | None, data: str, answers: Sequence[Prediction]
) -> Recognised:
    """The task and the data's columns: as the options say, else the predictions' record, their student, the data."""
    from reasondistill.data.recognising import Recognised
    from reasondistill.evaluation.pairing import labels_given
    from reasondistill.students.student import task_answered

    if table.task is None and (recorded := task_answered(predictions)) is not None:
        return Recognised(recorded, "the record of the predictions", table.columns_of(recorded))
    if table.task is None and maker is not None:
        return Recognised(maker.task, "the student", table.columns_of(maker.task))
    read = table.read_as(data, labels_given(answers))
    if table.task is None:
        stage(f"task {read.task.name}, by {read.because}")
    return read


@contextmanager
def _says_task(read: Recognised) -> Iterator[None]:
    """Mistakes under a task that nobody named say where it is from."""
    try:
        yield
    except (DataError, TaskError) as error:
        if read.because == NAMED:
            raise
        name, because = read.task.name, read.because
        fix = f"{error.fix} The rows are read as the task {name}, told by {because} (--task: another).".strip()
        raise type(error)(
            error.where, expected=error.expected, found=error.found, problem=error.problem, fix=fix
        ) from error


def _require_task(maker: Student, task: Task) -> None:
    """Refuse a student of another task than the data's."""
    if (maker.task.fields, maker.task.labels) != (task.fields, task.labels):
        raise DataError(
            "--student",
            expected=f"a student of the task {task.name!r} (fields {list(task.fields)}, labels {task.labels})",
            found=f"one of {maker.task.name!r} (fields {list(maker.task.fields)}, labels {maker.task.labels})",
            fix="Name the student's task with --task.",
        )


def _say_what_was_cut(results: Results) -> None:
    """How many examples each test of a student looked at, and what the budget did not allow."""
    from reasondistill.evaluation.budget import BUDGET_CUT

    tests = {name: test.examples for name, test in results.faithfulness.items() if test.examples is not None}
    if tests:
        fact("tests", f"{', '.join(f'{name} {examples:,}' for name, examples in tests.items())} examples")
    reasons = {name: test.shortened or test.left_out for name, test in results.faithfulness.items()}
    reasons |= results.efficiency.not_measured if results.efficiency else {}
    cut = {name: why for name, why in reasons.items() if BUDGET_CUT in why}
    for name, why in cut.items():
        fact("cut", f"{name}: {why}")
    if cut:
        stage("--budget SECONDS gives more time, --budget 0 all that it takes")
