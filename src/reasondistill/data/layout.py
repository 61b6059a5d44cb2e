"""What the columns of an unknown table hold: texts, a label, explanations. Found by names and values, never assumed
silently: what was found is said, and a user corrects it column by column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Final

from reasondistill.data.answer_columns import holds_texts
from reasondistill.data.column_facts import MOST_LABELS, Column, describe
from reasondistill.data.column_roles import (
    answer_column,
    can_be_label,
    explains,
    identity_column,
    label_column,
    split_column,
    text_columns,
)
from reasondistill.data.label_spellings import label_spellings, require_meant
from reasondistill.data.own_columns import own_columns
from reasondistill.data.readers.csv_files import DELIMITERS
from reasondistill.data.readers.explanation_cells import is_explanation
from reasondistill.data.readers.flat_rows import Row, listed
from reasondistill.data.readers.own_tables import (
    NO_FIELD,
    ColumnMapping,
    LabelValues,
    field_name,
    label_values_of,
)
from reasondistill.errors import DataError
from reasondistill.storage.packed import plain_suffix
from reasondistill.tasks.reading_outputs import without_case
from reasondistill.tasks.task import Task

LOOKED_AT: Final = 20_000
"""Rows by which columns are described. Labels are gathered from all rows."""


NONE: Final = ""
"""Named as the column of something, it says that there is none."""


@dataclass(frozen=True)
class Choice:
    """The columns that a user names; None leaves one to `look`, ``""`` says that there is none."""

    text: tuple[str, ...] = ()
    label: str | None = None
    written: bool = False
    """``label`` is the column of answers that are texts, however few different ones there are."""
    explanation: tuple[str, ...] | None = None
    id: str | None = None
    group: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """Column → the name of the field that it becomes, where that is another."""
    label_values: LabelValues = field(default_factory=dict)
    """A value of the label's column → the label that it means."""

    @classmethod
    def of(cls, columns: ColumnMapping) -> Choice:
        """What a mapping of what → column says: its keys that mean nothing else are fields."""
        explanation = columns.get("explanation")
        fields = {str(name): what for what, name in columns.items() if what not in NO_FIELD}
        label, identity, group = (str(columns[what]) if what in columns else None for what in ("label", "id", "group"))
        if explanation is not None:
            names = [explanation] if isinstance(explanation, str) else explanation
            explanation = tuple(str(name) for name in names if name)
        values = label_values_of(columns)
        return cls(
            text=tuple(fields),
            label=label,
            explanation=explanation,
            id=identity,
            group=group,
            fields=fields,
            label_values=values,
        )

    def mapping(self, task: Task) -> ColumnMapping:
        """The columns of a task that is known: its fields in its order.

        Raises:
            DataError: there are more or fewer texts than fields.
        """
        if self.text and len(self.text) != len(task.fields):
            raise DataError(
                "text",
                expected=f"one column for each field of the task {task.name}: {', '.join(task.fields)}",
                found=", ".join(self.text),
                fix="Name as many, in that order.",
            )
        mapping: dict[str, str | Sequence[str] | LabelValues] = dict(zip(task.fields, self.text, strict=False))
        mapping |= {what: name for what, name in self.names() if what not in ("text", "explanation")}
        mapping |= {"label_values": self.label_values} if self.label_values else {}
        mapping |= {"explanation": list(self.explanation)} if self.explanation else {}
        return mapping | dict.fromkeys(self.none, NONE)

    @property
    def none(self) -> tuple[str, ...]:
        """What there is none of, as a user says."""
        single = {"label": self.label, "id": self.id, "group": self.group}
        none = tuple(what for what, name in single.items() if name == NONE)
        return (*none, "explanation") if self.explanation == () else none

    def names(self) -> list[tuple[str, str]]:
        """``(what, column)`` of all that were named."""
        single = [("label", self.label), ("id", self.id), ("group", self.group)]
        several = [("text", name) for name in self.text] + [("explanation", name) for name in self.explanation or ()]
        return several + [(what, name) for what, name in single if name]


def one_of(label: str | None, answer: str | None) -> str | None:
    """The column that was named as the label's, or as that of written answers.

    Raises:
        DataError: both are named.
    """
    if label is not None and answer is not None:
        raise DataError(
            "--answer",
            expected="a label to choose (--label COLUMN) or an answer to write (--answer COLUMN)",
            found="both",
            fix="Name one of them.",
        )
    return label if answer is None else answer


@dataclass(frozen=True)
class Layout:
    """Which column of a table holds what.

    Attributes:
        texts: the inputs, in the table's order.
        labels: the values of the label column, sorted; none where it has choices of each row's own, or no label.
    """

    texts: tuple[str, ...]
    label: str | None
    explanations: tuple[str, ...]
    id: str | None
    group: str | None
    split: str | None
    choices: str | None
    labels: tuple[str, ...]
    columns: Mapping[str, Column] = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict)
    """Column → its field's name, where a user gave it one."""
    label_values: LabelValues = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    """Values that a user says the meaning of, and that do not occur."""
    written: bool = False
    """The label's column holds answers that are texts."""
    none: tuple[str, ...] = ()
    """What a user says that there is none of, whatever the columns are called."""

    @property
    def roles(self) -> dict[str, str]:
        """Column → what it holds, in words."""
        label = "answer" if self.written else "label"
        single = {self.label: label, self.id: "id", self.group: "group", self.split: "split", self.choices: "choices"}
        roles = dict.fromkeys(self.texts, "text") | dict.fromkeys(self.explanations, "explanation")
        roles |= {name: what for name, what in single.items() if name is not None}
        return {name: roles[name] for name in self.columns if name in roles}

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns that nothing is read from."""
        return tuple(name for name in self.columns if name not in self.roles)

    def task(self, name: str, labels: Iterable[str] = ()) -> Task:
        """The task that such rows are of.

        Args:
            labels: that a system gives, which may be more than the table's.
        """
        answers: dict[str, object] = {"answer": "text"}
        if not self.written:
            known = {without_case(label): label for label in self.labels}
            for label in labels:
                known.setdefault(without_case(label), " ".join(label.split()))
            answers = {"labels": None if self.choices is not None else sorted(known.values())}
        own_name = re.sub(r"\W+", "_", name).strip("_") or "own"
        return Task.model_validate({"name": own_name, "fields": list(self._fields()), **answers})

    def mapping(self) -> dict[str, str | Sequence[str] | LabelValues]:
        """What → its column, as readers take it."""
        mapping: dict[str, str | Sequence[str] | LabelValues] = dict(self._fields())
        single = {"label": self.label, "id": self.id, "group": self.group, "split": self.split, "choices": self.choices}
        mapping |= {what: name for what, name in single.items() if name is not None}
        if self.explanations:
            mapping["explanation"] = list(self.explanations)
        if self.label_values:
            mapping["label_values"] = dict(self.label_values)
        return mapping | dict.fromkeys(self.none, NONE)

    def lines(self) -> list[tuple[str, str, str]]:
        """``(column, what it holds, what it looks like)`` of each column; those that are not used come last."""
        described = [
            (name, what, str(self.columns[name]) + (self._read_as() if what == "label" else ""))
            for name, what in self.roles.items()
        ]
        return described + [(name, "not used", str(self.columns[name])) for name in self.unused]

    def _read_as(self) -> str:
        values = [f"{value!r} as {label}" for value, label in self.label_values.items() if value not in self.unread]
        read = f"; read {listed(values, most=4)}" if values else ""
        return read + (f"; nowhere: {listed(list(map(repr, self.unread)), most=4)}" if self.unread else "")

    def _fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for column in self.texts:
            name = self.fields.get(column) or field_name(column)
            number = 2
            while name in fields:
                name, number = f"{name}_{number}", number + 1
            fields[name] = column
        return fields


def look(
    source: object, rows: Callable[[], Iterable[Row]], choice: Choice | None = None, *, texts_alone: bool = False
) -> Layout:
    """Find out what the columns of a table hold.

    Columns go by their names where those are usual ones and their values do not contradict, else by their values:
    labels are few and repeat, texts and explanations are sentences, ids never repeat.

    Args:
        source: named in messages.
        rows: begins to read the table.
        choice: what the user says of it, which is taken as it is.
        texts_alone: there may be neither labels nor explanations.

    Raises:
        DataError: a named column is not there; nothing can be an input, or several columns could be the label; there is
            neither a label nor an explanation, and no text is named.
    """
    choice = choice or Choice()
    columns = describe(row for _, row in islice(rows(), LOOKED_AT))
    if not choice.names():
        _require_header(source, columns, rows)
    _require_named(source, choice, columns)
    taken = {name for _, name in choice.names()}
    free = {name: column for name, column in columns.items() if name not in taken}
    own = own_columns(free)
    identity = choice.id if choice.id is not None else own.get("id") or identity_column(free)
    group = choice.group if choice.group is not None else own.get("group")
    split = own.get("split") or split_column(free)
    choices = next((n for n in ("choices", "options") if n in free and free[n].kind == "list"), None)
    for known in (identity, group, split, choices):
        free.pop(known or "", None)
    explanations = choice.explanation
    if explanations is None:
        explanations = tuple(name for name, column in free.items() if explains(column))
    free = {name: column for name, column in free.items() if name not in explanations}
    label = choice.label if choice.label is not None else label_column(source, free, alone=not choice.text)
    if label is None and choices is None:
        label = answer_column(free, named=bool(choice.text))
    written = bool(label) and choices is None and not choice.label_values and holds_texts(columns[str(label)])
    written = written or choice.written
    free.pop(label or "", None)
    texts = choice.text or text_columns(free)
    spellings = {} if not label or choices or written else label_spellings(label, rows(), choice.label_values)
    unread = require_meant(source, label, rows(), choice.label_values) if label and choice.label_values else ()
    layout = Layout(
        texts=texts,
        label=label or None,
        explanations=tuple(name for name in explanations if name),
        id=identity or None,
        group=group or None,
        split=split,
        choices=choices if label else None,
        labels=tuple(sorted({*spellings.values()})),
        written=written,
        columns=columns,
        none=choice.none,
        fields=choice.fields,
        label_values={**{value: name for value, name in spellings.items() if value != name}, **choice.label_values},
        unread=unread,
    )
    _require_usable(source, layout, named=texts_alone or bool(choice.text))
    return layout


def _require_named(source: object, choice: Choice, columns: Mapping[str, Column]) -> None:
    for what, name in choice.names():
        if name not in columns:
            option = "answer" if what == "label" and choice.written else what
            raise DataError(
                source,
                expected=f"the column {name!r}, named as --{option}",
                found=listed(list(columns)) or "no columns",
                fix="Name one that is there.",
            )


def usual_columns(table: Callable[[], Iterable[Row]]) -> dict[str, str | list[str]]:
    """The columns of explanations, and of splits, that tables of a known task have under names of their own."""
    columns = describe(row for _, row in islice(table(), LOOKED_AT))
    explanations = [name for name, column in columns.items() if explains(column)]
    direct = [name for name in columns if is_explanation(name)]
    names: dict[str, str | list[str]] = {} if direct or not explanations else {"explanation": explanations}
    if "split" not in own_columns(columns) and (split := split_column(columns)) is not None:
        names["split"] = split
    return names


def _require_header(source: object, columns: Mapping[str, Column], rows: Callable[[], Iterable[Row]]) -> None:
    """Refuse a table whose first line is a row: where the name of a column that repeats is one of its own values.

    Raises:
        DataError: it is.
    """
    if plain_suffix(str(source)) not in DELIMITERS:
        return
    repeated = [name for name, column in columns.items() if can_be_label(column) and column.filled > column.distinct]
    for name in repeated:
        if name.strip() and any(row.get(name) == name for _, row in islice(rows(), LOOKED_AT)):
            old = Path(str(source))
            names = ",".join(f"column{number}" for number in range(1, len(columns) + 1))
            cells = ", ".join(cell if len(cell) <= 30 else f"{cell[:30]}…" for cell in islice(columns, 3))
            raise DataError(
                source,
                expected="a first line with the names of the columns",
                found=f"a row ({cells}): {name!r} is a value in later rows too",
                fix=f"Put one before it, with names that say what the columns hold: "
                f"(echo {names}; cat {quote(str(old))}) > {quote(str(old.with_name(f'with_header_{old.name}')))}",
            )


def _require_usable(source: object, layout: Layout, *, named: bool) -> None:
    """Refuse a table that has no input, nothing to learn unless its texts were named, or labels that are none."""
    columns = listed(list(layout.columns)) or "none"
    if not layout.texts:
        raise DataError(
            source,
            expected="a column with the texts to answer",
            found=f"none among the columns {columns}" if layout.columns else "no rows",
            fix="Name it: --text COLUMN (from Python: text=…)." if layout.columns else "",
        )
    if not named and layout.label is None and not layout.explanations:
        # A file that is no table, or has another separator, reads as a column of texts too.
        raise DataError(
            source,
            expected="a column with labels, or one with explanations",
            found=f"neither among the columns {columns}",
            fix="Name them: --label COLUMN, --explanation COLUMN; or where there are only texts: --text COLUMN.",
        )
    if (
        layout.label is not None
        and not layout.choices
        and not layout.written
        and not 1 <= len(layout.labels) <= 10 * MOST_LABELS
    ):
        raise DataError(
            source,
            expected=f"1 to {10 * MOST_LABELS} different labels in {layout.label!r}",
            found=f"{len(layout.labels):,}" + (", as rows have lists of several" if _is_listed(layout) else ""),
            fix="Name another column, --label COLUMN, or none, --label '' (from Python: label=…).",
        )


def _is_listed(layout: Layout) -> bool:
    return layout.columns[str(layout.label)].kind == "list"
