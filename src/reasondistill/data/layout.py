"""What the columns of an unknown table hold: texts, a label, explanations. Found by names and values, never assumed
silently: what was found is said, and a user corrects it column by column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal

from reasondistill.contracts.records import number_as_text
from reasondistill.data.own_columns import own_columns
from reasondistill.data.readers.own_tables import NO_FIELD, NO_LABEL, ColumnMapping, Row, field_name, label_text, listed
from reasondistill.errors import DataError
from reasondistill.tasks.task import Task

Kind = Literal["text", "number", "truth value", "list", "object", "empty"]

LOOKED_AT: Final = 20_000
"""Rows by which columns are described. Labels are gathered from all rows."""

MOST_LABELS: Final = 50
"""A column of more different values holds no labels."""

_LONG_LABEL = 6  # words, on average: more are a sentence
_SENTENCE = 3  # words, on average, from which a column holds texts
_SHOWN = 30  # characters of a value
_REPEATED = 3  # times, on average, that values of a label column without a label's name must occur

_LABELS = re.compile(
    r"(gold_?)?labels?|categor(y|ies)|class(es)?|topics?|intents?|sentiments?|targets?|gold|answers?|verdicts?|ratings?"
    r"|stars|polarity|emotions?|decisions?|outcomes?|tags?|label_name|label_text",
    re.IGNORECASE,
)
_EXPLANATIONS = re.compile(
    r"(.*[_ ])?(why|reasons?|reasoning|rationales?|justifications?|explanations?|chain_of_thought|cot)([_ ]?[0-9]+)?",
    re.IGNORECASE,
)
_TEXTS = re.compile(
    r"texts?|sentence([_ ]?[0-9ab])?|premise|hypothesis|questions?|context|passages?|title|headline|subject|body"
    r"|message|review([_ ](text|body))?|content|document|article|inputs?|prompt|tweet|comment|caption|statement"
    r"|claim|evidence|text[_ ]?[0-9ab]|query|instruction|ticket|description|utterance|paragraph|abstract",
    re.IGNORECASE,
)
_IDS = re.compile(r"(.*[_ .-])?(id|uid|uuid|guid|no|nr|number|key|index)|unnamed: 0|", re.IGNORECASE)
_NO_TEXT = re.compile(r"\s*(https?://\S+|[\w.+-]+@[\w-]+\.[\w.]+|\d{4}-\d{2}-\d{2}([T ][\d:.+Z-]+)?|[\d\W]+)\s*")

NONE: Final = ""
"""Named as the column of something, it says that there is none."""


@dataclass(frozen=True)
class Column:
    """What one column holds, over the rows looked at.

    Attributes:
        filled: rows with a value.
        words: per filled row, on average; 0 for what is no text.
        commonest: the most frequent values, with how often each occurs; none where values hardly repeat.
        distinct: different values.
    """

    name: str
    kind: Kind
    rows: int
    filled: int
    words: float
    distinct: int
    commonest: tuple[tuple[str, int], ...] = ()
    plain: bool = True
    """Not mostly addresses, dates and numbers."""

    @property
    def unique(self) -> bool:
        return self.filled == self.rows == self.distinct

    def __str__(self) -> str:
        """As a person would say it: ``text, 12 words on average, 3 empty``."""
        words: list[str] = [self.kind]
        if self.kind == "text" and self.words >= _SENTENCE:
            words.append(f"{self.words:.0f} words on average")
        if self.commonest and self.words < _LONG_LABEL:
            shown = ", ".join(f"{value[:_SHOWN]} ({n:,})" for value, n in self.commonest[:4])
            more = f" and {self.distinct - 4:,} more" if self.distinct > 4 else ""
            words.append(f"{self.distinct:,} different: {shown}{more}")
        elif self.unique and self.rows > 1:
            words.append("all different")
        elif self.filled:
            words.append(f"{self.distinct:,} different")
        if self.filled < self.rows:
            words.append(f"{self.rows - self.filled:,} empty")
        return ", ".join(words)


@dataclass(frozen=True)
class Choice:
    """The columns that a user names; None leaves one to `look`, ``""`` says that there is none."""

    text: tuple[str, ...] = ()
    label: str | None = None
    explanation: tuple[str, ...] | None = None
    id: str | None = None
    group: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """Column → the name of the field that it becomes, where that is another."""

    @classmethod
    def of(cls, columns: ColumnMapping) -> Choice:
        """What a mapping of what → column says: its keys that mean nothing else are fields."""
        explanation = columns.get("explanation")
        fields = {str(name): what for what, name in columns.items() if what not in NO_FIELD}
        single = {what: str(columns[what]) for what in ("label", "id", "group") if what in columns}
        if explanation is not None:
            explanation = (explanation,) if isinstance(explanation, str) else tuple(explanation)
        return cls(text=tuple(fields), explanation=explanation, fields=fields, **single)

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
        mapping: dict[str, str | Sequence[str]] = dict(zip(task.fields, self.text, strict=False))
        mapping |= {what: name for what, name in self.names() if what not in ("text", "explanation")}
        return mapping | ({"explanation": list(self.explanation)} if self.explanation else {})

    def names(self) -> list[tuple[str, str]]:
        """``(what, column)`` of all that were named."""
        single = [("label", self.label), ("id", self.id), ("group", self.group)]
        several = [("text", name) for name in self.text] + [("explanation", name) for name in self.explanation or ()]
        return several + [(what, name) for what, name in single if name]


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

    @property
    def roles(self) -> dict[str, str]:
        """Column → what it holds, in words."""
        single = {self.label: "label", self.id: "id", self.group: "group", self.split: "split", self.choices: "choices"}
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
        return Task.model_validate(
            {
                "name": re.sub(r"\W+", "_", name).strip("_") or "own",
                "fields": list(self._fields()),
                "labels": None if self.choices is not None else sorted({*self.labels, *labels}),
            }
        )

    def mapping(self) -> dict[str, str | Sequence[str]]:
        """What → its column, as readers take it."""
        mapping: dict[str, str | Sequence[str]] = dict(self._fields())
        single = {"label": self.label, "id": self.id, "group": self.group, "split": self.split, "choices": self.choices}
        mapping |= {what: name for what, name in single.items() if name is not None}
        if self.explanations:
            mapping["explanation"] = list(self.explanations)
        return mapping

    def lines(self) -> list[tuple[str, str, str]]:
        """``(column, what it holds, what it looks like)`` of each column; those that are not used come last."""
        described = [(name, what, str(self.columns[name])) for name, what in self.roles.items()]
        return described + [(name, "not used", str(self.columns[name])) for name in self.unused]

    def _fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for column in self.texts:
            name = self.fields.get(column) or field_name(column)
            number = 2
            while name in fields:
                name, number = f"{name}_{number}", number + 1
            fields[name] = column
        return fields


def look(source: object, rows: Callable[[], Iterable[Row]], choice: Choice | None = None) -> Layout:
    """Find out what the columns of a table hold.

    Columns go by their names where those are usual ones and their values do not contradict, else by their values:
    labels are few and repeat, texts and explanations are sentences, ids never repeat.

    Args:
        source: named in messages.
        rows: begins to read the table.
        choice: what the user says of it, which is taken as it is.

    Raises:
        DataError: a named column is not there; nothing can be an input, or several columns could be the label; there is
            neither a label nor an explanation, and no text is named.
    """
    choice = choice or Choice()
    columns = describe(row for _, row in islice(rows(), LOOKED_AT))
    for what, name in choice.names():
        if name not in columns:
            raise DataError(
                source,
                expected=f"the column {name!r}, named as --{what}",
                found=listed(list(columns)) or "no columns",
                fix="Name one that is there.",
            )
    taken = {name for _, name in choice.names()}
    free = {name: column for name, column in columns.items() if name not in taken}
    own = own_columns(free)
    identity = choice.id if choice.id is not None else own.get("id") or _identity(free)
    group = choice.group if choice.group is not None else own.get("group")
    split = own.get("split")
    choices = next((n for n in ("choices", "options") if n in free and free[n].kind == "list"), None)
    for known in (identity, group, split, choices):
        free.pop(known or "", None)
    explanations = choice.explanation
    if explanations is None:
        explanations = tuple(name for name, column in free.items() if _explains(column))
    free = {name: column for name, column in free.items() if name not in explanations}
    label = choice.label if choice.label is not None else _label(source, free, alone=not choice.text)
    free.pop(label or "", None)
    texts = choice.text or _texts(free)
    layout = Layout(
        texts=texts,
        label=label or None,
        explanations=tuple(name for name in explanations if name),
        id=identity or None,
        group=group or None,
        split=split,
        choices=choices if label else None,
        labels=() if not label or choices else _labels(label, rows()),
        columns=columns,
        fields=choice.fields,
    )
    _require_usable(source, layout, named=bool(choice.text))
    return layout


def describe(rows: Iterable[Mapping[str, Any]]) -> dict[str, Column]:
    """Each column of some rows, by name, in the order in which they first occur."""
    values: dict[str, list[object]] = {}
    number = 0
    for row in rows:
        number += 1
        for name, value in row.items():
            if value is not None and value != "" and value == value:
                values.setdefault(name, []).append(value)
            else:
                values.setdefault(name, [])
    return {name: _described(name, column, number) for name, column in values.items()}


def _described(name: str, values: Sequence[object], rows: int) -> Column:
    kind = _kind(values)
    texts = [str(number_as_text(value)) for value in values]
    counts = Counter(texts)
    repeated = len(counts) <= MOST_LABELS and len(counts) < len(texts)
    of_texts = kind == "text" and bool(texts)
    return Column(
        name=name,
        kind=kind,
        rows=rows,
        filled=len(values),
        words=sum(len(text.split()) for text in texts) / len(texts) if of_texts else 0.0,
        distinct=len(counts),
        commonest=tuple(counts.most_common(5)) if repeated and kind not in ("list", "object") else (),
        plain=not of_texts or 2 * sum(_NO_TEXT.fullmatch(text) is not None for text in texts) <= len(texts),
    )


def _kind(values: Sequence[object]) -> Kind:
    """The commonest kind; a text in a CSV file that is a number counts as one."""
    if not values:
        return "empty"
    kinds = Counter(_kind_of(value) for value in values)
    return kinds.most_common(1)[0][0]


def _kind_of(value: object) -> Kind:
    if isinstance(value, bool):
        return "truth value"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list | tuple):
        return "list"
    if isinstance(value, Mapping):
        return "object"
    text = str(value)
    try:
        float(text)
    except ValueError:
        return "text"
    return "number"


def _identity(columns: Mapping[str, Column]) -> str | None:
    """The first column that is called an id and never repeats."""
    return next(
        (
            name
            for name, column in columns.items()
            if _IDS.fullmatch(name.strip()) and column.unique and column.rows > 1 and column.words < _SENTENCE
        ),
        None,
    )


def _explains(column: Column) -> bool:
    if not _EXPLANATIONS.fullmatch(column.name.strip()):
        return False
    # A reason out of a list is a label.
    coded = column.words < 2 and column.distinct >= 2 and column.filled >= _REPEATED * column.distinct
    return column.kind in ("list", "empty") or (column.kind == "text" and not coded)


def _can_be_label(column: Column) -> bool:
    """Whether values are few and short; those of one item, as ``["billing"]``, count too."""
    return (
        column.kind in ("text", "number", "truth value", "list")
        and 1 <= column.distinct <= MOST_LABELS
        and column.words <= _LONG_LABEL
    )


def _label(source: object, columns: Mapping[str, Column], *, alone: bool) -> str | None:
    """The label's column; None where there is none.

    Raises:
        DataError: several could be it.
    """
    able = {name: column for name, column in columns.items() if _can_be_label(column)}
    if named := [name for name in able if _LABELS.fullmatch(name.strip())]:
        return named[0]
    likely = [
        name
        for name, column in able.items()
        if column.kind in ("text", "truth value")
        and column.distinct >= 2
        and column.words < _SENTENCE
        and column.filled >= _REPEATED * column.distinct
        and not _TEXTS.fullmatch(name.strip())
    ]
    if alone and likely and len(likely) == len(columns):
        likely = likely[1:]  # something has to be the input
    if len(likely) > 1:
        raise DataError(
            source,
            expected="one column that can be the label",
            found=f"several: {listed(likely)}",
            fix=f"Say which: --label {likely[0]!r} (from Python: label=…).",
        )
    return likely[0] if likely else None


def _texts(columns: Mapping[str, Column]) -> tuple[str, ...]:
    """The inputs: columns that are called texts, else those that hold sentences, else the text that differs most."""
    texts = {
        name: column for name, column in columns.items() if column.kind == "text" and column.plain and column.filled
    }
    if named := tuple(name for name in texts if _TEXTS.fullmatch(name.strip())):
        return named
    if sentences := tuple(
        name for name, c in texts.items() if c.words >= _SENTENCE and (c.distinct > 1 or c.rows == 1)
    ):
        return sentences
    best = max(texts.values(), key=lambda column: column.distinct, default=None)
    return () if best is None else (best.name,)


def _labels(column: str, rows: Iterable[Row]) -> tuple[str, ...]:
    """The labels that a column holds, as readers take them."""
    labels: set[str] = set()
    for _, row in rows:
        value = label_text(row.get(column))
        value = str(value).lower() if isinstance(value, bool) else value
        if isinstance(value, str) and value.strip() and value not in NO_LABEL:
            labels.add(value)
    return tuple(sorted(labels))


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
    if layout.label is not None and not layout.choices and not 1 <= len(layout.labels) <= 10 * MOST_LABELS:
        raise DataError(
            source,
            expected=f"1 to {10 * MOST_LABELS} different labels in {layout.label!r}",
            found=f"{len(layout.labels):,}",
            fix="Name another column, --label COLUMN, or none, --label '' (from Python: label=…).",
        )


def iterate(rows: Sequence[Mapping[str, Any]]) -> Callable[[], Iterator[Row]]:
    """Rows in memory, as `look` reads them."""
    return lambda: iter(enumerate(rows, start=1))
