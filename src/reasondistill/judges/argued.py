"""A judge's input: an explanation, the fields it refers to, and the label it argues for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reasondistill.contracts.records import Example, Explanation
from reasondistill.metrics.text import is_empty
from reasondistill.tasks.task import Task


class Argued(NamedTuple):
    """An explanation, the texts of the task's fields in order, and the label that it should argue for.

    ``label`` is "" in a task without labels.
    """

    fields: tuple[str, ...]
    label: str
    explanation: str


def fields_of(example: Example, task: Task) -> tuple[str, ...]:
    """The texts of the task's fields, in its order."""
    return tuple(example.fields[name] for name in task.fields)


def argued_of(example: Example, task: Task) -> Iterator[tuple[Argued, Explanation]]:
    """The non-empty explanations of an example, each with its own label or else the example's."""
    for explanation in example.explanations:
        label = explanation.label if explanation.label is not None else example.label
        label = "" if label is None and task.labels == () else label
        if label is not None and not is_empty(explanation.text):
            yield Argued(fields_of(example, task), label, explanation.text), explanation


def texts_of(rows: Iterable[Argued]) -> Iterator[str]:
    """Every text of the rows, with repetitions."""
    for row in rows:
        yield from row.fields
        yield row.label
        yield row.explanation
