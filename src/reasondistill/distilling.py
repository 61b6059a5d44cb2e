"""The whole way in one call that can be stopped and called again: train, calibrate, predict, evaluate, report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from reasondistill.config import Source, TrainConfig
from reasondistill.contracts.results import Results
from reasondistill.contracts.run import RUN_FILE
from reasondistill.data import load_source
from reasondistill.errors import importing
from reasondistill.runs import Run
from reasondistill.storage.files import require_new_folder

if TYPE_CHECKING:
    from reasondistill.evaluation.of_run import Answered
    from reasondistill.judges import Judge
    from reasondistill.run_data import RunData
    from reasondistill.training.progress import Watcher

Bar: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Gives, for a title and a total, what takes how much of it is done."""


class Shown(NamedTuple):
    """Who is told what goes on.

    Attributes:
        stage: gets a line of plain text as each stage begins.
        bar: of predictions.
        watching: gives what is called with each step of the training.
        evaluation: gives what is called with a sentence as each part of the evaluation begins.
    """

    stage: Callable[[str], None]
    bar: Bar
    watching: Callable[[], AbstractContextManager[Watcher]]
    evaluation: Callable[[], AbstractContextManager[Callable[[str], None]]]


class Distilled(NamedTuple):
    """What came of it."""

    run: Run
    results: Results
    split: str
    report: Path


def distil(
    config: TrainConfig,
    shown: Shown,
    *,
    test: Source | None = None,
    judge: str | None = None,
    measured: bool = True,
) -> Distilled:
    """Train a student, predict the held-out rows, evaluate and report; stages whose files are there are not done again.

    Training fits the calibration. What is scored are rows of the split test, or of validation where there are none.

    Args:
        config: of the training; its ``evaluation`` says how to score.
        test: the file of test rows, where they have one; by default what the run knows.
        judge: gives explanations their support, instead of the configuration's: a folder, or ``builtin:scenes``.
        measured: measure the student's costs and the faithfulness of its explanations too.

    Raises:
        MissingExtraError: PyTorch or transformers is not installed.
        UserError: as `training.train.train`; there are no rows to score; a file in the way, or of another student.
    """
    folder = Path(config.runs_dir) / config.name
    begun = (folder / RUN_FILE).is_file()
    if not begun:
        require_new_folder(folder)
    with importing("training a student", "train"):
        from reasondistill.evaluation.of_run import answers_of
        from reasondistill.evaluation.support import as_judge
        from reasondistill.run_data import Rows, RunData
        from reasondistill.training.train import train
    from reasondistill.reporting import build_report

    loaded_judge = as_judge(config.evaluation.judge if judge is None else judge)  # before hours of training
    shown.stage(f"train {folder}{' (there already: going on from it)' if begun else ''}")
    with shown.watching() as watcher:
        run = train(config, resume=begun, watcher=watcher)
    data = RunData(run)
    if test is None:
        rows = data.held_out()
    else:
        loaded = load_source(test, data.config.task, data.config.seed)
        rows = Rows(loaded, test.model_copy(update={"split": "test"}))
    answered = answers_of(run, rows, progress=shown.bar)
    split = rows.split or "all"
    results_file = run.results(split) / "results.json"
    if not results_file.exists():
        shown.stage(f"evaluate the {split} split")
        with shown.evaluation() as tell:
            _evaluate(data, answered, judge=loaded_judge, measured=measured, tell=tell)
    report = build_report([run.folder], run.folder)
    return Distilled(run, Results.load(results_file), split, report.html)


def _evaluate(
    data: RunData, answered: Answered, *, judge: Judge | None, measured: bool, tell: Callable[[str], None]
) -> None:
    from reasondistill.evaluation import evaluate_whole, save
    from reasondistill.evaluation.reference_teachers import named
    from reasondistill.students.student import Student

    rows, config, run = answered.rows, data.config, data.run
    student = Student.load(run.student)
    examples = rows.loaded.examples
    evaluation = evaluate_whole(
        answered.answers,
        examples,
        task=config.task,
        name=rows.loaded.name,
        split=rows.split,
        options=config.evaluation,
        train_examples=list(data.training()),
        judge=judge,
        teachers=named(config.evaluation.teachers, examples),
        student=student if measured else None,
        made_by=student.fingerprint,
        progress=tell,
    )
    save(evaluation, run.results(rows.split or "all"))
