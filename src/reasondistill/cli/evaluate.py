"""`reasondistill evaluate`: any system's predictions scored; of a student, its faithfulness and its costs too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from reasondistill.cli.next_steps import say_next
from reasondistill.cli.options import (
    BudgetOption,
    EvalConfigOption,
    JudgeOption,
    LimitOption,
    OptionalData,
    SplitOption,
    TeacherOption,
)
from reasondistill.cli.shared import named_teachers, needs_extra, print_headline, quiet_libraries
from reasondistill.cli.shifting import ShiftOption, named_sets, show_shift
from reasondistill.cli.status import status_line
from reasondistill.cli.table_options import NAMED, TableOptions, takes_table
from reasondistill.cli.terminal import complain, fact, going_on, progress, stage
from reasondistill.errors import DataError, TaskError

if TYPE_CHECKING:
    from reasondistill.config import EvaluateOptions
    from reasondistill.contracts.records import Example, Prediction
    from reasondistill.contracts.results import Results
    from reasondistill.data import Loaded
    from reasondistill.data.recognising import Recognised
    from reasondistill.runs import Run
    from reasondistill.students.student import Student
    from reasondistill.tasks.task import Task

PredictionsArgument = Annotated[
    Path,
    typer.Argument(metavar="PREDICTIONS", help="A run, or a .jsonl file with id, label and explanation in each row."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(help="A new folder for results.json and per_example.jsonl. Default for a run: RUN/results/SPLIT."),
]
BertscoreOption = Annotated[
    bool | None,
    typer.Option("--bertscore/--no-bertscore", help="Score with BERTScore too (default); it takes most of the time."),
]
EncoderOption = Annotated[
    str | None, typer.Option(help="A folder or hub id; by default the MiniLM of the extra `offline`.")
]
LayerOption = Annotated[int | None, typer.Option(min=1, help="Which layer's states to compare.")]
DatabaseOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where answers are queries: the SQLite file to run them on, read-only."),
]
LanguageOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of the texts, by name or code: German, de. Default: the configuration's, or told from them.",
    ),
]
MakerOption = Annotated[
    Path | None,
    typer.Option(help="The student that made PREDICTIONS: asked again in tests of faithfulness, and timed."),
]
FaithfulnessOption = Annotated[
    bool | None,
    typer.Option(
        "--faithfulness/--no-faithfulness",
        help="Of a run or with --student: ask the student again in tests of faithfulness, which takes minutes. "
        "Default: with --student.",
    ),
]
FaithfulnessLimitOption = Annotated[int | None, typer.Option(min=1, help="At most N examples in each test.")]
EfficiencyOption = Annotated[
    bool | None,
    typer.Option(
        "--efficiency/--no-efficiency",
        help="With --student or --faithfulness: measure what the student costs here, on the first 100 examples "
        "(default). Of a run: also without them.",
    ),
]


@takes_table
def evaluate(
    predictions: PredictionsArgument,
    table: TableOptions,
    data: OptionalData = None,
    out: OutOption = None,
    split: SplitOption = None,
    limit: LimitOption = None,
    config: EvalConfigOption = None,
    bertscore: BertscoreOption = None,
    bertscore_encoder: EncoderOption = None,
    bertscore_layer: LayerOption = None,
    judge: JudgeOption = None,
    teacher: TeacherOption = None,
    student: MakerOption = None,
    faithfulness: FaithfulnessOption = None,
    faithfulness_limit: FaithfulnessLimitOption = None,
    efficiency: EfficiencyOption = None,
    budget: BudgetOption = None,
    shift: ShiftOption = None,
    database: DatabaseOption = None,
    language: LanguageOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace earlier results.")] = False,
) -> None:
    """Score any system's predictions: metrics with intervals, per label, per example, beside the baselines.

    A run knows its data and where its predictions are; what it has not predicted yet it predicts first.
    """
    from reasondistill.contracts.run import RUN_FILE
    from reasondistill.runs import Run

    run = Run(predictions) if (predictions / RUN_FILE).is_file() else None
    settings = _settings(
        config,
        run,
        bertscore=bertscore,
        bertscore_encoder=bertscore_encoder,
        bertscore_layer=bertscore_layer,
        database=None if database is None else str(database),
        language=language,
        judge=None if judge is None else str(judge),
        teachers=named_teachers(teacher),
        faithfulness_limit=faithfulness_limit,
        efficiency=efficiency,
        budget=budget,
    )
    if run is not None and student is None and (faithfulness or efficiency):
        student, faithfulness = run.folder, bool(faithfulness)
    if student is None:
        _refuse_without_student(run, {"--faithfulness-limit": faithfulness_limit, "--budget": budget})
    shifted = named_sets(shift, run is not None)
    request = _Request(predictions, data, out, split, student, table, force, kept=bool(shifted))
    request.require_place(out)
    quiet_libraries()
    place = _score(request, run, limit, settings, faithfulness=faithfulness is not False)
    if shifted:
        places = {place.name: place}
        for name, source in shifted.items():
            of_set = _Request(predictions, source, place.parent / name, None, None, table, force, kept=True)
            places[name] = _score(of_set, run, limit, settings, faithfulness=False, name=name)
        show_shift(places)
    say_next("report", run.folder if run is not None and out is None else place)


def _refuse_without_student(run: Run | None, options: dict[str, float | None]) -> None:
    for option, value in options.items():
        if value is not None:
            expected = "--student beside it" if run is None else "--faithfulness beside it"
            raise DataError(option, expected=expected, found="none", fix="Add it: the student is asked again.")


class _Request(NamedTuple):
    """What is to be scored, as far as the user named it."""

    predictions: Path
    data: str | None
    out: Path | None
    split: str | None
    student: Path | None
    table: TableOptions
    force: bool
    kept: bool = False
    """Whether results that are there are taken as they are."""

    def require_place(self, place: Path | None) -> Path | None:
        """Look at the folder of the results before anything takes time."""
        from reasondistill.evaluation import require_place_for_results

        if place is not None and not self.are_there(place):
            require_place_for_results(place, force=self.force)
        return place

    def are_there(self, place: Path) -> bool:
        """Whether there are results that nothing has to be done for."""
        from reasondistill.evaluation import are_results

        return self.kept and not self.force and are_results(place)


class _Scored(NamedTuple):
    """Answers, the rows that they are to, and all that was found out about the two."""

    predictions: Path
    answers: Sequence[Prediction]
    rows: Loaded
    split: str | None
    learned: Sequence[Example]
    read: Recognised
    maker: Student | None
    place: Path
    beside: Run | None = None
    """The run whose student gave the answers, where the rows are not its own."""


def _score(
    request: _Request,
    run: Run | None,
    limit: int | None,
    settings: EvaluateOptions,
    *,
    faithfulness: bool,
    name: str | None = None,
) -> Path:
    """Score answers, write the results, show the most important ones, and give the folder.

    ``name`` is that of a set of another kind than the run was made for.
    """
    from reasondistill.evaluation import evaluate_whole, save
    from reasondistill.evaluation.reference_teachers import named
    from reasondistill.run_data import LEARNED, RunData
    from reasondistill.students.prediction_files import made_by

    judge = None
    if settings.judge is not None:
        with needs_extra("train"):
            from reasondistill.judges import Judge
        judge = Judge.load(settings.judge)
    scored = _of_file(request) if run is None else _of_run(request, run, name)
    if request.are_there(scored.place):
        stage(f"{scored.place}: these results are there")
        return scored.place
    task, rows = scored.read.task, scored.rows.first(limit) if limit else scored.rows
    met = 0 if scored.beside is None else RunData(scored.beside).learned_among(rows.examples)
    if met:
        complain(f"{name or rows.name}: {met:,} of {len(rows):,} rows are {LEARNED}.")
    if settings.database is not None and task.answer != "query":
        raise DataError(
            "--database",
            expected="a task whose answers are queries",
            found=f"the task {task.name}",
            fix="Leave it out.",
        )
    teachers = named(settings.teachers, rows.examples)
    with _says_task(scored.read), status_line() as tell:
        evaluation = evaluate_whole(
            scored.answers,
            rows.examples,
            task=task,
            name=rows.name,
            split=scored.split,
            options=settings,
            train_examples=scored.learned or None,
            judge=judge,
            teachers=teachers,
            student=scored.maker,
            faithfulness=faithfulness,
            made_by=made_by(scored.predictions),
            learned_rows=met,
            progress=tell,
        )
    save(evaluation, scored.place, force=request.force)
    print_headline(evaluation.results, f"{scored.rows.name}, {scored.split or 'all'}")
    _say_what_was_cut(evaluation.results)
    fact("results", scored.place / "results.json")
    return scored.place


def _of_file(request: _Request) -> _Scored:
    """Predictions in a file, of any system, to rows that the user names."""
    from reasondistill.contracts.records import outside
    from reasondistill.data import load
    from reasondistill.data.prediction_tables import read_any_predictions
    from reasondistill.run_data import run_at
    from reasondistill.storage.lazy_sequences import PickledSequence
    from reasondistill.students.prediction_files import maker_of

    predictions, data, split = request.predictions, request.data, request.split
    if request.out is None:
        raise DataError("--out", expected="a new folder for the results, as PREDICTIONS is no run", found="none")
    maker = None if request.student is None else maker_of(predictions, request.student)
    answers = PickledSequence(read_any_predictions(predictions))
    if data is None:
        raise DataError("DATA", expected="the rows that were predicted", found="none", fix="Name them after the file.")
    read = _read_as(request.table, predictions, maker, data, answers)
    if maker is not None:
        _require_task(maker, read.task)
    with _says_task(read):
        everything = load(data, task=read.task, columns=read.columns)
        rows = everything if split is None else load(data, split=split, task=read.task, columns=read.columns)
    learned = outside(everything.examples, rows.examples)
    return _Scored(predictions, answers, rows, split, learned, read, maker, request.out, run_at(predictions.parent))


def _of_run(request: _Request, run: Run, name: str | None) -> _Scored:
    """The answers of a run's student to rows, predicted now if they are not there.

    ``name`` is that of a set of another kind, with which its predictions are called.
    """
    from reasondistill.data.recognising import Recognised
    from reasondistill.evaluation.of_run import answers_of, learned_beside
    from reasondistill.run_data import RunData, rows_for
    from reasondistill.students.prediction_files import maker_of
    from reasondistill.tasks.task import get_task

    table = request.table
    task = run.config().task if table.task is None else get_task(table.task)
    columns = table.columns_of(task)
    rows = rows_for(run.folder, task, request.data, split=request.split, columns=columns, need_label=True)
    called = name or ((rows.split or "all") if request.data is None else RunData(run).place_of(rows))
    place = request.out or run.results(called)
    request.require_place(place)
    stage(f"{rows.source.source}, {rows.split or 'all'}: {len(rows.loaded):,} rows")
    with going_on(lambda: "the same command goes on"):
        answered = answers_of(run, rows, name=called, progress=progress)
    if len(answered.rows.loaded) < len(rows.loaded):
        number = f"the first {len(answered.rows.loaded):,} of {len(rows.loaded):,} rows"
        complain(f"{answered.predictions} answers {number}: no others are scored.")
    rows = answered.rows
    maker = None if request.student is None else maker_of(answered.predictions, request.student)
    if maker is not None:
        _require_task(maker, task)
    read = Recognised(task, "the run", columns)
    scored = _Scored(answered.predictions, answered.answers, rows.loaded, rows.split, (), read, maker, place)
    of_run = name is not None or request.data is None
    beside = None if request.data is None else run
    return scored._replace(learned=learned_beside(run, rows, None if of_run else request.data), beside=beside)


def _settings(config: Path | None, run: Run | None, **given: object) -> EvaluateOptions:
    """What the file says, or else the run's configuration, under the options that were given; None stands for none."""
    from reasondistill.config import EvalConfig, EvaluateOptions, load_config, with_values

    if config is not None:
        settings = load_config(EvalConfig, config).evaluation
    else:
        settings = EvaluateOptions() if run is None else run.config().evaluation
    options = {name: value for name, value in given.items() if value is not None}
    return with_values(settings, options, where="the options of `evaluate`")


def _read_as(
    table: TableOptions, predictions: Path, maker: Student | None, data: str, answers: Sequence[Prediction]
) -> Recognised:
    """The task and the data's columns: as the options say, else the predictions' record, their student, the data."""
    from reasondistill.data.recognising import Recognised
    from reasondistill.evaluation.pairing import labels_given
    from reasondistill.students.prediction_files import task_answered

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
