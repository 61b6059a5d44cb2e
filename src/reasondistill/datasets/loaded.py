"""What reading a data set gives: its examples, what was set aside and why, and a hash of the content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from reasondistill.errors import DataError, UserError
from reasondistill.files import fingerprint
from reasondistill.records import Example, unique_ids
from reasondistill.tasks import Task


@dataclass(frozen=True)
class Loaded:
    """A data set in memory.

    Attributes:
        name: the registered name with its size and seed, or the file's name without its suffix.
        examples: in the order of the source.
        set_aside: reason → how many rows (or explanations, or highlights) of the source it kept out.
        ignored_columns: columns of the source that nothing was read from.
    """

    name: str
    examples: list[Example]
    set_aside: dict[str, int] = field(default_factory=dict)
    ignored_columns: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what is trained on and scored: ids, fields, labels, choices and explanations, in order."""
        return fingerprint(*(_content_hash(example) for example in self.examples))

    def first(self, limit: int) -> Loaded:
        """The same data set with at most ``limit`` examples, from the start."""
        return replace(self, examples=self.examples[:limit])

    def joined_with(self, other: Loaded) -> Loaded:
        """The examples of both; counts of what was set aside stay this one's, as both come from one source."""
        return replace(self, examples=self.examples + other.examples)


def gather(
    name: str,
    where: object,
    rows: Iterable[tuple[str, Example]],
    task: Task,
    set_aside: Counter[str],
    *,
    ignored_columns: tuple[str, ...] = (),
) -> Loaded:
    """Make a data set out of ``(file:line, example)`` rows, each checked against the task.

    Rows in which a field of the task is blank are set aside. ``set_aside`` is what the reader of the rows counts
    into; it is complete once they are all read.

    Raises:
        DataError: a row does not fit the task, an id occurs twice, or no row is left.
    """
    examples = []
    for example in unique_ids((place, _checked(example, task, place)) for place, example in rows):
        blank = [name for name in task.fields if not example.fields[name].strip()]
        if blank:
            set_aside[f"empty {blank[0]}"] += 1
        else:
            examples.append(example)
    if not examples:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in set_aside.items())
        raise DataError(
            where,
            expected="at least one row of data",
            found=f"none that can be used (set aside: {reasons})" if reasons else "none",
            fix="Add rows to the file.",
        )
    return Loaded(name, examples, dict(set_aside), ignored_columns)


def _checked(example: Example, task: Task, where: str) -> Example:
    try:
        return task.check(example)
    except UserError as error:  # the task knows the example's id; the user needs the line too
        raise DataError(
            where,
            expected=error.expected,
            found=f"{error.found} in {error.where}" if error.found else "",
            fix=error.fix,
            problem=error.problem,
        ) from error


def _content_hash(example: Example) -> str:
    return fingerprint(
        example.id,
        example.fields,
        example.label,
        example.choices,
        [(explanation.text, explanation.label) for explanation in example.explanations],
    )
