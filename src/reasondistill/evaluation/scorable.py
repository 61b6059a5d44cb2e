"""Answers with the examples that they are to, in whatever form a caller has them: objects, files, or a run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple, TypeAlias

from reasondistill.contracts.records import Example, Prediction, outside, parse_record
from reasondistill.data import Loaded
from reasondistill.data.dataset_loading import Source
from reasondistill.data.prediction_tables import read_any_predictions
from reasondistill.errors import DataError
from reasondistill.evaluation.assembly import require_place_for_results
from reasondistill.evaluation.of_run import answers_of, learned_beside
from reasondistill.evaluation.pairing import only_labels_of
from reasondistill.run_data import RunData, load_beside, run_meant
from reasondistill.runs import Run
from reasondistill.students.prediction_files import made_by, maker_of
from reasondistill.students.student import Student
from reasondistill.tasks.task import Task

_LOG = logging.getLogger(__name__)

Answers: TypeAlias = str | PathLike[str] | Iterable[Prediction] | Iterable[Mapping[str, object]]


class Scorable(NamedTuple):
    """Answers, the examples that they are to, and what is known of both.

    Attributes:
        learned: examples that the system learned from.
        task: None where the answers have labels that the data's own task has not.
        student: that gave them, as far as it can be asked again.
        made_by: the fingerprint of that student.
        run: whose own rows these are.
        learned_rows: how many of the examples a run learned from, whose own they are not.
    """

    answers: Sequence[Prediction]
    examples: Sequence[Example]
    name: str
    split: str | None
    learned: Sequence[Example]
    task: Task | None
    student: Student | None
    made_by: str | None
    run: Run | None = None
    learned_rows: int = 0


def of_data(
    answers: Answers | Run,
    data: Source | None,
    *,
    student: Student | None = None,
    train: Loaded | None = None,
    split: str | None = None,
    task: Task | None = None,
) -> Scorable:
    """Answers to examples that a caller names.

    Args:
        answers: predictions, rows, a file of them; or a run, whose student answers now.
        task: that the examples are of; by default the student's, or the data's own.

    Raises:
        DataError: no data are named, or they cannot be read.
    """
    if data is None:
        raise DataError("data", expected="the examples that were answered", found="none", fix="Only a run knows them.")
    run = run_meant(answers)
    if run is not None:  # other data than its own
        student = student or Student.load(run)
    everything = load_beside(run, data, task or (None if run is None or student is None else student.task))
    loaded = everything if split is None else everything[split]
    met = 0 if run is None else RunData(run).learned_among(loaded.examples)
    if run is not None and met:
        _LOG.warning("%s: %s of %s rows are ones that %s learned from.", loaded.name, met, len(loaded), run.folder)
    if run is not None and student is not None:
        given: Sequence[Prediction] = student.predict(loaded.examples)
    else:
        given = predictions_of(answers)
    task = task or (student.task if student is not None else loaded.task)
    if task is not None and task.labels and not only_labels_of(task, given):
        task = None  # a system may give labels that these rows do not have
    learned = outside(everything.examples, loaded.examples) if train is None else train.examples
    fingerprint = None if student is None else student.fingerprint
    tested = student if run is None else None
    return Scorable(given, loaded.examples, loaded.name, split, learned, task, tested, fingerprint, learned_rows=met)


def of_run(run: Run, split: str | None = None, *, tested: bool, force: bool = False) -> Scorable:
    """The answers of a run's student to rows that the run knows, predicted now where they are not there.

    Args:
        split: by default the test split, or else the validation split.
        tested: load the student too.
        force: results that are there may be replaced.

    Raises:
        UserError: there are no such rows; the run has results for them.
    """
    rows = RunData(run).held_out(split)
    require_place_for_results(run.results(rows.split or "all"), force=force)
    answered = answers_of(run, rows)
    rows = answered.rows
    return Scorable(
        answered.answers,
        rows.loaded.examples,
        rows.loaded.name,
        rows.split,
        learned_beside(run, rows),
        run.config().task,
        maker_of(answered.predictions, run) if tested else None,
        made_by(answered.predictions),
        run,
    )


def predictions_of(answers: Answers) -> list[Prediction]:
    """Answers as predictions, read where they lie in a file."""
    if isinstance(answers, str | PathLike):
        return list(read_any_predictions(Path(answers)))
    rows = answers.to_dict("records") if hasattr(answers, "to_dict") else answers
    return [
        row if isinstance(row, Prediction) else parse_record(Prediction, dict(row), f"answer {number}")
        for number, row in enumerate(rows, start=1)
    ]
