"""A run's own answers, evaluated: its student predicts the rows that the run knows, unless it has done so before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from reasondistill.contracts.predictions_record import PredictionsRecord
from reasondistill.contracts.records import Example, Prediction, outside, read_predictions
from reasondistill.data import load
from reasondistill.errors import OutputError
from reasondistill.run_data import Rows, RunData
from reasondistill.runs import Run
from reasondistill.storage.lazy_sequences import PickledSequence
from reasondistill.students.calibration import Calibration, checkpoint_fingerprint
from reasondistill.students.prediction_files import predict_file
from reasondistill.students.student import Student


@dataclass(frozen=True)
class Answered:
    """A run's answers to rows, and the file that they lie in."""

    rows: Rows
    predictions: Path
    answers: Sequence[Prediction]


def _in_silence(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda done: None)


def answers_of(
    run: Run,
    rows: Rows | None = None,
    *,
    name: str | None = None,
    progress: Callable[[str, int], AbstractContextManager[Callable[[int], None]]] = _in_silence,
) -> Answered:
    """The predictions that lie in a run for rows, made now if they are not there.

    Args:
        rows: those of its test split, or else of its validation split, by default.
        name: of the file of predictions; by default that of the rows' split.
        progress: gives, for a title and a total, what takes how much of it is done.

    Where fewer rows were predicted than there are, as by ``predict --limit``, only those are given.

    Raises:
        UserError: there are no such rows, or no student that could answer them.
        OutputError: the predictions are of another student, calibration or data than there are now.
    """
    rows = RunData(run).held_out() if rows is None else rows
    file = run.predictions(name or rows.split or "all")
    if not file.exists():
        student = Student.load(run.folder)
        with progress("predicting", len(rows.loaded)) as advance:
            predict_file(student, rows.loaded.examples, file, facts={"data": rows.facts}, progress=advance)
    answers = PickledSequence(read_predictions(file))
    if 0 < len(answers) < len(rows.loaded):
        rows = rows.first(len(answers))
    if others := _others(run, file, rows):
        record = PredictionsRecord.path_of(file).name
        raise OutputError(
            file,
            expected="predictions by the run's student as it is now, of these rows",
            found=f"ones by or of {' and '.join(others)}",
            fix=f"Remove this file and {record} beside it: then the rows are predicted anew.",
        )
    return Answered(rows, file, answers)


def _others(run: Run, predictions: Path, rows: Rows) -> list[str]:
    """What predictions depend on that is now another; nothing where no record says what they depend on.

    Raw probabilities are never out of date: they may have been asked for.
    """
    path = PredictionsRecord.path_of(predictions)
    if not path.is_file():
        return []
    record, others = PredictionsRecord.load(path), list[str]()
    if run.student.is_dir():
        student = checkpoint_fingerprint(run.student)
        if record.student != student:
            return ["another student"]
        calibration = Calibration.load(run.student)
        if record.calibration not in (None, None if calibration is None else calibration.fingerprint):
            others.append("another calibration")
    if record.data is not None and record.data.fingerprint != rows.loaded.fingerprint:
        others.append("other rows, or the same with other content")
    return others


def learned_beside(run: Run, rows: Rows, data: str | None = None) -> Sequence[Example]:
    """Examples that are not scored: those that the run learned from, or other rows of data that were named."""
    if data is None:
        return outside(RunData(run).training(), rows.loaded.examples)
    task, columns = run.config().task, rows.source.columns
    return outside(load(data, task=task, columns=columns, need_label=False).examples, rows.loaded.examples)
