"""Answers with the examples that they are to, in whatever form a caller has them: objects, files, or a run."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple, TypeAlias

from reasondistill.contracts.records import Example, Prediction, outside, parse_record
from reasondistill.data import Loaded
from reasondistill.data.dataset_loading import Source
from reasondistill.data.prediction_tables import read_any_predictions
from reasondistill.data.readers.in_memory import Frame, rows_in_memory
from reasondistill.errors import DataError
from reasondistill.evaluation.assembly import require_place_for_results
from reasondistill.evaluation.of_run import answers_of, learned_beside
from reasondistill.evaluation.pairing import only_labels_of
from reasondistill.run_data import RunData, load_beside, run_meant
from reasondistill.runs import Run
from reasondistill.storage.lazy_sequences import PickledSequence
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
        given = predictions_of(answers, loaded.examples)
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


def predictions_of(answers: Answers, examples: Sequence[Example]) -> Sequence[Prediction]:
    """Answers as predictions, read where they lie in a file.

    Args:
        examples: what was answered. Rows without any ``id``, such as those of the frame that `Student.predict`
            returns, are taken for answers to the examples whose texts they have, in the same order.

    Raises:
        DataError: an answer does not fit, or has neither an id nor the texts of an example.
    """
    if isinstance(answers, str | PathLike):
        return PickledSequence(read_any_predictions(Path(answers)))
    given = [*(rows_in_memory(answers) if isinstance(answers, Frame) else answers)]
    rows = [row for row in given if not isinstance(row, Prediction)]
    if rows and len(rows) == len(given) and not any("id" in row for row in rows):
        given = [*_with_ids(rows, examples)]
    return [
        row if isinstance(row, Prediction) else parse_record(Prediction, dict(row), f"answer {number}")
        for number, row in enumerate(given, start=1)
    ]


def _with_ids(rows: Sequence[Mapping[str, object]], examples: Sequence[Example]) -> Iterator[Mapping[str, object]]:
    """The answers to these examples, each with its example's id: both have the same texts in the same order.

    A column is told by what it holds, since the data's names for it may be others than the task's. Rows that answer
    no example are passed over: the data set them aside, or they belong to another split.
    """
    columns = {name: [_plain(row.get(name)) for row in rows] for name in rows[0]}
    held = {name: {*cells} for name, cells in columns.items()}
    fields = [*dict.fromkeys(name for example in examples for name in example.fields)]
    inputs = []
    for field in fields:
        wanted = {_plain(example.fields.get(field)) for example in examples}
        likely = sorted(columns, key=lambda name: name != field)  # of two that hold the same, the one of that name
        column = next((name for name in likely if wanted <= held[name]), None)
        if column is None:
            raise _not_those(f"no column of {', '.join(map(str, columns))} that has every {field} of the data")
        inputs.append(columns[column])
    texts = [*zip(*inputs, strict=True)]
    if len(rows) > len(examples) and (twice := _answered_differently(rows, texts)):
        raise _not_those(f"different answers to the same text, {' / '.join(twice)!r:.60}, and rows without an example")
    following = iter(range(len(rows)))
    for example in examples:
        own = tuple(_plain(example.fields.get(field)) for field in fields)
        number = next((row for row in following if texts[row] == own), None)
        if number is None:
            raise _not_those(f"none with the texts of {example.id} behind those of the examples before it")
        yield {**rows[number], "id": example.id}


def _answered_differently(
    rows: Sequence[Mapping[str, object]], texts: Sequence[tuple[str, ...]]
) -> tuple[str, ...] | None:
    """Texts that rows answer in more than one way: which of these answers an example has cannot be told."""
    first: dict[tuple[str, ...], tuple[str, str]] = {}
    for row, own in zip(rows, texts, strict=False):
        answer = _plain(row.get("label")), _plain(row.get("explanation"))
        if first.setdefault(own, answer) != answer:
            return own
    return None


def _not_those(found: str) -> DataError:
    return DataError(
        "answers",
        expected="a column `id`, or the texts that were answered, in the data's order",
        found=found,
        fix="Score what `student.predict(frame)` returned with that same frame, or give both a column `id`.",
    )


def _plain(value: object) -> str:
    """A cell's text as readers keep it: without spaces that say nothing; "" where it is missing."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else " ".join(str(value).split())
