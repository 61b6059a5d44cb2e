"""Examples beside their predictions, one each, and all that can be wrong with that."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple, TypeVar

from reasondistill.contracts.records import Example, Prediction
from reasondistill.errors import DataError
from reasondistill.metrics.answer_overlap import exact_match
from reasondistill.metrics.text import is_empty
from reasondistill.storage.lazy_sequences import Mapped, PickledSequence, repeatable
from reasondistill.tasks.reading_outputs import without_case
from reasondistill.tasks.task import Task

_LOG = logging.getLogger(__name__)

R = TypeVar("R", Example, Prediction)

_ROUNDED = 0.02  # how far from 1 the sum of probabilities that were written with two digits may lie


class Row(NamedTuple):
    example: Example
    prediction: Prediction
    references: list[str]
    right: bool | None = None
    """Of a written answer with accepted ones, whether it is one of them."""

    @property
    def correct(self) -> bool | None:
        """Whether the label, or the written answer, is right; None where none is known."""
        if self.example.label is None:
            return None
        return self.prediction.label == self.example.label if self.right is None else self.right


def fields_of(rows: Sequence[Row], name: str) -> Sequence[str]:
    """The field of this name of each row."""
    return Mapped(lambda row: row.example.fields[name], rows)


def join(predictions: Iterable[Prediction], examples: Iterable[Example], task: Task) -> Sequence[Row]:
    """Examples in their order, each with its prediction, all of them checked.

    The rows are kept pickled: walk through them in order.
    """
    predictions, examples = repeatable(predictions), repeatable(examples)
    ids = [task.check(example).id for example in examples]
    _require_once("data", ids)
    answered = [prediction.id for prediction in predictions]
    _require_once("predictions", answered)
    if not ids:
        raise DataError("data", expected="examples to score", found="none", fix="Check the file and the split.")
    places = {name: place for place, name in enumerate(answered)}
    if missing := [name for name in ids if name not in places]:
        raise DataError(
            "predictions",
            expected=f"one for each of the {len(ids)} examples",
            found=f"none for {few(missing)}",
            fix="Predict the same split of the same data again, or name the split that was predicted."
            + _of_the_first(answered, ids),
        )
    if len(answered) > len(ids):
        known = set(ids)
        raise DataError(
            "predictions",
            expected="ids of the scored examples",
            found=f"others: {few([name for name in answered if name not in known])}",
            fix="Name the data, and the split of it, that were predicted." + _of_the_first(answered, ids),
        )
    if answered != ids:
        predictions = list(predictions)  # pickled ones are not made for another order
    answers = _Spelled(task)
    rows = PickledSequence(
        _row(example, without_phrase(answers.as_the_task(predictions[places[example.id]], example)), task)
        for example in examples
    )
    answers.say()
    _check_answers(rows, task)
    return rows


def _row(example: Example, prediction: Prediction, task: Task) -> Row:
    # A reference without any text is none: there is nothing in it to compare with.
    references = [text for e in example.references if not is_empty(text := task.own_words(e.text, example.fields))]
    judged = task.writes_answers and example.answers
    right = exact_match(prediction.label or "", example.answers) if judged else None
    return Row(example, prediction, references, right)


class _Spelled:
    """Predictions with their labels as the task spells them, where they differ in case and white space only."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._changed = 0

    def as_the_task(self, answer: Prediction, example: Example) -> Prediction:
        task = self._task
        known = task.choices_for(example) if task.has_answers and not task.writes_answers else ()
        given = [label for label in (answer.label, answer.parsed_label, *answer.probabilities) if label is not None]
        if all(label in known for label in given) or not known:
            return answer
        names = {without_case(label): label for label in known}
        as_known = {label: names.get(without_case(label), label) for label in given if label not in known}
        self._changed += any(label != known_label for label, known_label in as_known.items())
        changes: dict[str, object] = {
            "label": as_known.get(answer.label or "", answer.label),
            "parsed_label": as_known.get(answer.parsed_label or "", answer.parsed_label),
            "probabilities": {as_known.get(label, label): p for label, p in answer.probabilities.items()},
        }
        return answer.model_copy(update=changes)

    def say(self) -> None:
        """Say how many were spelled otherwise."""
        n = self._changed
        if n:
            _say_once(f"{n:,} predictions spell a label otherwise than the data (case, spaces): taken as the data's")


@cache
def _say_once(sentence: str) -> None:
    _LOG.warning("%s", sentence)


def _of_the_first(answers: Sequence[str], data: Sequence[str]) -> str:
    """What to do where there are predictions of another number of the first rows; "" where it is something else."""
    n = min(len(answers), len(data))
    if not n or len(answers) == len(data) or set(answers[:n]) != set(data[:n]):
        return ""
    # More answers than rows are of the first rows too where the rows were cut; of that nothing is known here.
    why = "as" if len(answers) < len(data) else "where --limit cut the data and"
    n = len(answers)
    return f" Or, {why} these are predictions of the first {n} examples, score as many: with --limit {n}."


def without_phrase(prediction: Prediction) -> Prediction:
    """The prediction with an explanation that does not say how sure it is: references have no such words."""
    return prediction.model_copy(update={"explanation": prediction.reasons}) if prediction.states else prediction


def labels_given(predictions: Iterable[Prediction]) -> set[str]:
    """Every label that predictions name, those that only have a probability among them."""
    return {label for p in predictions for label in (p.label, *p.probabilities) if label is not None}


def only_labels_of(task: Task, predictions: Iterable[Prediction]) -> bool:
    """Whether all labels that predictions name are the task's own, but for case and white space."""
    return {*map(without_case, labels_given(predictions))} <= {*map(without_case, task.labels or ())}


def gives_labels(rows: Sequence[Row], task: Task) -> bool:
    """Whether labels are asked for and the system gives any: only then is a missing one wrong."""
    return task.has_answers and any(row.prediction.label for row in rows)


def right_answers(rows: Sequence[Row], task: Task) -> list[bool | None]:
    """Whether each row's label, or written answer, is right; None where none is known, or the system gives none."""
    if not gives_labels(rows, task):
        return [None] * len(rows)
    return [row.correct for row in rows]


def by_id(where: str, records: Sequence[R]) -> dict[str, R]:
    """Records by their ids; a `DataError` that begins with ``where`` if an id comes twice."""
    _require_once(where, [record.id for record in records])
    return {record.id: record for record in records}


def _require_once(where: str, ids: Sequence[str]) -> None:
    if len(set(ids)) < len(ids):
        twice = [name for name, n in Counter(ids).items() if n > 1]
        raise DataError(where, expected="each id once", found=f"more often: {few(twice)}", fix="Keep one of each.")


def _check_answers(rows: Sequence[Row], task: Task) -> None:
    """Refuse labels that are not among the task's, and probabilities that are no distribution over them."""
    if task.labels == ():
        return
    check_labels("predictions", _labels_of(rows), task)
    with_probabilities = 0
    distributions = []
    for row in rows:
        p = row.prediction.probabilities
        with_probabilities += bool(p)
        if p and (set(p) != set(task.choices_for(row.example)) or abs(sum(p.values()) - 1) > _ROUNDED):
            distributions.append(f"{row.example.id} ({p})")
    if not distributions:
        return
    known = {row.example.label for row in rows}
    new = [f"{example.id} ({label!r})" for example, label in _labels_of(rows) if label not in known]
    if new and len(distributions) == with_probabilities:
        raise DataError(
            "predictions",
            expected="a probability for each label that is given",
            found=f"labels that no row of the data has, and that have none: {few(new)}",
            fix="Correct these labels; or, if they are right, give them a probability in every row.",
        )
    raise DataError(
        "predictions",
        expected="a probability for each of the labels, 1 in sum, or no probabilities",
        found=f"other ones: {few(distributions)}",
        fix="Correct the probabilities, or leave them out.",
    )


def _labels_of(rows: Iterable[Row]) -> Iterator[tuple[Example, str]]:
    """Every label that predictions give, beside its example."""
    return (
        (row.example, label)
        for row in rows
        for label in (row.prediction.label, row.prediction.parsed_label)
        if label is not None
    )


def check_labels(where: str, labels: Iterable[tuple[Example, str]], task: Task) -> None:
    """Refuse labels that are not among those of their examples, with a `DataError` that begins with ``where``."""
    if others := [f"{example.id} ({label!r})" for example, label in labels if label not in task.choices_for(example)]:
        raise DataError(
            where,
            expected=f"labels of the task {task.name!r}{f' {list(task.labels)}' if task.labels else ''}, or none",
            found=f"others: {few(others)}",
            fix="Spell them as the data does, or name another task.",
        )


def few(items: Sequence[str], most: int = 3) -> str:
    """The first few of ``items``, and how many there are in all."""
    named = ", ".join(items[:most])
    return f"{named} ({len(items)} in all)" if len(items) > most else named
