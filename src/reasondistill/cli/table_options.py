"""The options that say what the columns of a table hold, for every command that reads data."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from reasondistill.cli.next_steps import column_words, in_csv
from reasondistill.cli.options import (
    AnswerOption,
    Columns,
    ExplanationOption,
    GroupOption,
    IdOption,
    LabelOption,
    LabelValuesOption,
    TaskOption,
    TextOption,
)
from reasondistill.cli.shared import mapping, named_values
from reasondistill.cli.terminal import complain
from reasondistill.errors import DataError

if TYPE_CHECKING:
    from reasondistill.data.layout import Choice, Layout
    from reasondistill.data.readers.own_tables import ColumnMapping
    from reasondistill.data.recognising import Recognised
    from reasondistill.tasks.task import Task

_OPTIONS: Mapping[str, object] = {
    "task": TaskOption,
    "columns": Columns,
    "text": TextOption,
    "label": LabelOption,
    "answer": AnswerOption,
    "explanation": ExplanationOption,
    "id": IdOption,
    "group": GroupOption,
    "label_values": LabelValuesOption,
}

NAMED = "--task"
"""What says which task it is, where the user does."""

F = TypeVar("F", bound=Callable[..., None])


@dataclass(frozen=True)
class TableOptions:
    """What a user says of a table."""

    task: str | None = None
    columns: ColumnMapping | None = None
    choice: Choice | None = None

    def read_as(self, data: str, labels: Iterable[str] | None = None, *, texts_alone: bool = False) -> Recognised:
        """The task of a data set and where its columns are; what had to be guessed is said on standard error.

        Args:
            labels: that a system gives to its rows, where one is to be scored: they must be among the task's.
            texts_alone: a table may have nothing but texts.

        Raises:
            DataError: as `recognise`; --columns is given beside the options that name single columns.
        """
        from reasondistill.data.recognising import Recognised, recognise, recognise_data
        from reasondistill.tasks.task import get_task

        if self.task is not None:
            task = get_task(self.task)
            return Recognised(task, NAMED, self.columns_of(task))
        self._require_one_way()
        if labels is None:
            recognised = recognise_data(data, self.columns, self.choice, texts_alone=texts_alone)
        else:
            recognised = recognise(data, self.columns, labels, self.choice)
        if recognised.layout is not None:
            say_columns(data, recognised.layout)
        return recognised

    def columns_of(self, task: Task) -> ColumnMapping | None:
        """Where the columns of a known task are.

        Raises:
            DataError: as `read_as`, or more or fewer texts are named than the task has fields.
        """
        self._require_one_way()
        return self.columns if self.choice is None else self.choice.mapping(task)

    def words(self) -> list[str]:
        """The same options, for another command."""
        words = [] if self.task is None else ["--task", self.task]
        words += column_words(self.columns)
        if (choice := self.choice) is not None:
            words += [f"--text={name}" for name in choice.text]
            words += [] if choice.label is None else [f"--{'answer' if choice.written else 'label'}={choice.label}"]
            words += [f"--explanation={name}" for name in choice.explanation or ()]
            words += ["--explanation="] if choice.explanation == () else []
            words += [] if choice.id is None else [f"--id={choice.id}"]
            words += [] if choice.group is None else [f"--group={choice.group}"]
            words += [f"--label-values={in_csv(f'{v}={label}')}" for v, label in choice.label_values.items()]
        return words

    def _require_one_way(self) -> None:
        if self.columns and self.choice is not None:
            raise DataError(
                "--columns",
                expected="either --columns, or --text, --label, --answer, --explanation, --id and --group",
                found="both",
                fix="Name all columns in one of the two ways.",
            )


def takes_table(command: F) -> F:
    """Give a command that has a parameter ``table`` the options that make a `TableOptions`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for name, p in signature.parameters.items() if name != "table"]
    optional = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]

    @wraps(command)
    def wrapper(**given: Any) -> None:
        options = {name: given.pop(name) for name in _OPTIONS}
        command(table=_table(**options), **given)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    wrapper.__signature__ = signature.replace(parameters=[*parameters, *optional])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in (*parameters, *optional)} | {"return": None}
    return wrapper  # type: ignore[return-value]


def say_columns(source: object, layout: Layout) -> None:
    """Say, on standard error, what a table's columns were taken for."""
    from reasondistill.data.column_facts import MOST_LABELS

    lines = layout.lines()
    widths = [max(len(line[k]) for line in lines) for k in (0, 1)]
    complain(f"{source}: what its columns hold")
    for name, what, words in lines:
        complain(f"  {name:{widths[0]}}  {what:{widths[1]}}  {words}")
    complain("  To change this: --text, --label, --answer, --explanation, --id, --group, --label-values.")
    if not layout.written and len(layout.labels) > MOST_LABELS:
        write = shlex.join([f"--answer={layout.label}"])
        complain(f"  {len(layout.labels)} labels are many to choose from. If they are texts to write: {write}")


def _table(
    task: str | None,
    columns: list[str] | None,
    text: list[str] | None,
    label: str | None,
    answer: str | None,
    explanation: list[str] | None,
    id: str | None,
    group: str | None,
    label_values: list[str] | None,
) -> TableOptions:
    choice = None
    values = named_values(label_values)
    if any(value is not None for value in (text, label, answer, explanation, id, group)):
        from reasondistill.data.layout import Choice, one_of

        choice = Choice(
            text=tuple(text or ()),
            label=one_of(label, answer),
            written=bool(answer),
            explanation=None if explanation is None else tuple(name for name in explanation if name),
            id=id,
            group=group,
            label_values=values,
        )
    mapped = mapping(columns)
    if values and choice is None:
        mapped = {**(mapped or {}), "label_values": values}
    return TableOptions(task, mapped, choice)
