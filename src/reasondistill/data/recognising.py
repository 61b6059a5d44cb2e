"""Recognise the task of a data set from its content: its form, its columns, or what its columns look like."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from reasondistill.contracts.records import Example, Prediction
from reasondistill.data.answer_columns import holds_texts
from reasondistill.data.column_facts import describe
from reasondistill.data.column_names import is_called
from reasondistill.data.layout import LOOKED_AT, Choice, Layout, look, usual_columns
from reasondistill.data.readers.any_table import Table, open_table
from reasondistill.data.readers.flat_rows import Row, is_example, listed
from reasondistill.data.readers.own_tables import ColumnMapping, is_empty, label_text, label_values_of
from reasondistill.data.sources import form_of_table, published_task
from reasondistill.errors import DataError
from reasondistill.tasks.reading_outputs import without_case
from reasondistill.tasks.task import NLI, Task, get_task

_LOG = logging.getLogger(__name__)

_KNOWN = (NLI, get_task("comve"), get_task("cose"))
"""Tasks that columns tell; that of instructions has no label, and any table might have its columns."""

_LOOKED_AT = 200
"""Rows of a table whose labels have to fit."""


class Recognised(NamedTuple):
    """A task, the evidence for it as shown to the user, and the columns to read it from.

    ``layout`` describes the columns of a table that is of no known form.
    """

    task: Task
    because: str
    columns: ColumnMapping | None = None
    layout: Layout | None = None


def recognise(
    source: str | Path,
    columns: ColumnMapping | None = None,
    labels: Iterable[str] = (),
    choice: Choice | None = None,
) -> Recognised:
    """The task of a published or built-in set, of rows in the form of an Example, or of any table.

    Args:
        source: as `load` takes it.
        columns: what → its column, where a file's columns have other names.
        labels: that a system gives, which may be more than the data's.
        choice: which column holds what, for a table of any names.

    Raises:
        DataError: the source is unknown or cannot be read, or `look` finds nothing to read in its columns.
    """
    if not columns and choice is None and (task := published_task(source)) is not None:
        return Recognised(task, f"the form of {source}")
    return recognise_table(open_table(source), columns, labels, choice)


def recognise_table(
    table: Table,
    columns: ColumnMapping | None = None,
    labels: Iterable[str] = (),
    choice: Choice | None = None,
    *,
    any_labels: bool = False,
    texts_alone: bool = False,
) -> Recognised:
    """As `recognise`, for rows.

    Args:
        texts_alone: a table may have nothing but texts, as a teacher is to label and explain them.
        any_labels: a table with the fields of ``nli`` is one of that task's whatever its labels are, so that the
            reader names the rows that do not fit.
    """
    if not columns and choice is None:
        if form := form_of_table(table):
            return Recognised(get_task(form), f"the form of {table.where}")
        if is_example(dict.fromkeys(table.header)):
            parsed = ((row.get("fields"), row.get("label"), row.get("choices")) for _, row in table.rows())
            if (recognised := _of_examples(table.name, parsed, labels)) is not None:
                return recognised
    if choice is None:
        recognised = _of_table(table.header, table.rows, columns or {}, any_labels=any_labels)
        if recognised is not None:
            return recognised._replace(columns=columns or usual_columns(table.rows) or columns)
    return _of_any_table(table, choice or (Choice.of(columns) if columns else None), labels, texts_alone)


def recognise_data(
    source: str | Path,
    columns: ColumnMapping | None = None,
    choice: Choice | None = None,
    *,
    texts_alone: bool = False,
) -> Recognised:
    """As `recognise`, for who only reads: a table with the fields of ``nli`` is taken for it whatever its labels are,
    so that the reader names the rows that do not fit. ``texts_alone`` as in `recognise_table`.

    Raises:
        DataError: as `recognise`.
    """
    if not columns and choice is None and (task := published_task(source)) is not None:
        return Recognised(task, f"the form of {source}")
    return recognise_table(open_table(source), columns, choice=choice, any_labels=True, texts_alone=texts_alone)


def recognise_examples(name: str, examples: Iterable[Example], labels: Iterable[str] = ()) -> Task:
    """The task of examples: a built-in one of their fields, else one made of fields and labels, called ``name``.

    Raises:
        DataError: they have no fields in common, or labels that cannot be told apart.
    """
    recognised = _of_examples(name, ((e.fields, e.label, e.choices) for e in examples), labels)
    if recognised is None:
        raise DataError(
            name,
            expected="examples with fields in common, and labels that differ in more than case and spaces",
            found="others",
            fix="Name the task.",
        )
    return recognised.task


def _of_any_table(table: Table, choice: Choice | None, labels: Iterable[str], texts_alone: bool) -> Recognised:
    """What `look` makes of a table whose columns no task has.

    Raises:
        DataError: as `look`; the file holds predictions.
    """
    header, source = list(table.header), table.where
    if choice is None and "id" in header and {*header} <= Prediction.model_fields.keys():
        raise DataError(
            source,
            expected="data that hold the inputs",
            found=f"the columns {listed(header)} of predictions",
            fix="Name the data too; predictions are scored by: reasondistill evaluate PREDICTIONS DATA",
        )
    layout = look(source, table.rows, choice, texts_alone=texts_alone)
    if layout.label is not None and not layout.written and layout.choices is None:
        _say_new_labels(table.name, layout.labels, labels)
    roles = ", ".join(f"{name!r} {what}" for name, what in layout.roles.items())
    task = layout.task(table.name, labels)
    return Recognised(task, f"the columns {roles}", layout.mapping(), layout)


def _of_table(
    header: Iterable[str], rows: Callable[[], Iterator[Row]], columns: ColumnMapping, *, any_labels: bool
) -> Recognised | None:
    named = {*header, *columns}
    if any_labels and {*NLI.fields} <= named and "fields" not in named:
        return Recognised(NLI, f"the columns {', '.join(NLI.fields)}")
    label, values = str(columns.get("label", "label")), label_values_of(columns)
    for task in _KNOWN:
        needed = {*task.fields, *(("choices",) if task.labels is None else ())}
        if task.labels is None and any(is_called("text", name) for name in named - needed):
            continue  # a question about a context is another task
        cells = (label_text(row.get(label), values) for _, row in islice(rows(), _LOOKED_AT))
        if needed <= named and _fit(task, Counter("" if is_empty(cell) else str(cell) for cell in cells)):
            return Recognised(task, f"the columns {', '.join(sorted(needed))}")
    return None


def _of_examples(
    name: str, rows: Iterable[tuple[object, object, object]], known_labels: Iterable[str]
) -> Recognised | None:
    """Fields, and labels or choices, as ``(fields, label, choices)`` of the rows have them."""
    known, labels = set(known_labels), set[str]()
    given: list[str] = []
    fields: list[str] | None = None
    with_choices = False
    for own, label, choices in rows:
        if not isinstance(own, Mapping):
            return None
        fields = [*own] if fields is None else [field for field in fields if field in own]
        with_choices = with_choices or bool(choices)
        if isinstance(label, str):
            labels.add(label)
            given += [label] if len(given) < LOOKED_AT else []
    for task in _KNOWN:
        if set(task.fields) == set(fields or ()) and with_choices == (task.labels is None):
            return Recognised(task, "its rows' fields")  # other labels than its own are refused with their rows
    if not with_choices:
        _say_new_labels(name, labels, known)
    names = sorted(labels | known)
    value = {"name": name, "fields": fields, "labels": None if with_choices else names}
    if not with_choices and given and holds_texts(describe({"label": text} for text in given)["label"]):
        value = {"name": name, "fields": fields, "answer": "text"}
    try:
        task = Task.model_validate(value)
    except ValidationError:
        return None
    if task.writes_answers:
        return Recognised(task, f"its rows' fields {', '.join(task.fields)}, and answers that are texts")
    answers = "choices" if with_choices else f"labels {', '.join(names)}" if names else "no labels"
    return Recognised(task, f"its rows' fields {', '.join(task.fields)} and {answers}")


def _say_new_labels(name: str, known: Iterable[str], given: Iterable[str]) -> None:
    """Say which labels a system gives that no row has: a class of its own, or a mistake."""
    spelt = {without_case(label) for label in known}
    if spelt and (new := sorted({label for label in given if without_case(label) not in spelt})):
        listing = listed(list(map(repr, new)), most=5)
        _LOG.warning("%s: the answers have labels that no row has: %s; each counts as a class", name, listing)


def _fit(task: Task, labels: Counter[str]) -> bool:
    """Whether most labels are the task's: a few others are mistakes, which are then refused by their rows."""
    others = Counter({label: n for label, n in labels.items() if label and label not in (task.labels or ())})
    return task.labels is None or 2 * others.total() <= labels.total() - labels[""]
