"""Recognise the task of a data set from its content: its form, its columns, or what its columns look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from reasondistill.contracts.records import Example, Prediction
from reasondistill.data.layout import Choice, Layout, look
from reasondistill.data.readers.own_tables import ColumnMapping, Row, foreign_advice, listed
from reasondistill.data.sources import open_rows, published_task
from reasondistill.errors import DataError
from reasondistill.tasks.task import NLI, Task, get_task

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
    header, rows = open_rows(source)
    recognised = None
    if not columns and choice is None and "fields" in header:
        parsed = ((row.get("fields"), row.get("label"), row.get("choices")) for _, row in rows())
        recognised = _of_examples(Path(source).stem, parsed, labels)
    elif choice is None:
        recognised = _of_table(header, rows, columns or {})
    if recognised is not None:
        return recognised._replace(columns=columns)
    return _of_any_table(source, header, rows, choice or (Choice.of(columns) if columns else None), labels)


def recognise_data(
    source: str | Path, columns: ColumnMapping | None = None, choice: Choice | None = None
) -> Recognised:
    """As `recognise`, for who only reads: a table with the fields of ``nli`` is taken for it whatever its labels are,
    so that the reader names the rows that do not fit.

    Raises:
        DataError: as `recognise`.
    """
    if choice is None and (columns or published_task(source) is None):
        header, _ = open_rows(source)
        if {*NLI.fields} <= {*header, *(columns or {})} and "fields" not in header:
            return Recognised(NLI, f"the columns {', '.join(NLI.fields)}", columns)
    return recognise(source, columns, choice=choice)


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


def _of_any_table(
    source: str | Path,
    header: list[str],
    rows: Callable[[], Iterator[Row]],
    choice: Choice | None,
    labels: Iterable[str],
) -> Recognised:
    """What `look` makes of a table whose columns no task has.

    Raises:
        DataError: as `look`; the file is another tool's, or holds predictions.
    """
    if advice := foreign_advice(header):
        raise DataError(
            source,
            expected="a table of texts, labels and explanations",
            found=listed(header) or "no columns",
            fix=advice,
        )
    if choice is None and "id" in header and {*header} <= Prediction.model_fields.keys():
        raise DataError(
            source,
            expected="data that hold the inputs",
            found=f"the columns {listed(header)} of predictions",
            fix="Name the data too; predictions are scored by: reasondistill evaluate PREDICTIONS DATA",
        )
    layout = look(source, rows, choice)
    roles = ", ".join(f"{name!r} {what}" for name, what in layout.roles.items())
    task = layout.task(Path(source).stem, labels)
    return Recognised(task, f"the columns {roles}", layout.mapping(), layout)


def _of_table(header: Iterable[str], rows: Callable[[], Iterator[Row]], columns: ColumnMapping) -> Recognised | None:
    named = {*header, *columns}
    for task in _KNOWN:
        needed = {*task.fields, *(("choices",) if task.labels is None else ())}
        label = str(columns.get("label", "label"))
        if needed <= named and _fit(task, Counter(str(row.get(label) or "") for _, row in islice(rows(), _LOOKED_AT))):
            return Recognised(task, f"the columns {', '.join(sorted(needed))}")
    return None


def _of_examples(
    name: str, rows: Iterable[tuple[object, object, object]], known_labels: Iterable[str]
) -> Recognised | None:
    """Fields, and labels or choices, as ``(fields, label, choices)`` of the rows have them."""
    labels = set(known_labels)
    fields: list[str] | None = None
    with_choices = False
    for own, label, choices in rows:
        if not isinstance(own, Mapping):
            return None
        fields = [*own] if fields is None else [field for field in fields if field in own]
        with_choices = with_choices or bool(choices)
        if isinstance(label, str):
            labels.add(label)
    for task in _KNOWN:
        if set(task.fields) == set(fields or ()) and with_choices == (task.labels is None):
            return Recognised(task, "its rows' fields")  # other labels than its own are refused with their rows
    names = sorted(labels)
    value = {"name": name, "fields": fields, "labels": None if with_choices else names}
    try:
        task = Task.model_validate(value)
    except ValidationError:
        return None
    answers = "choices" if with_choices else f"labels {', '.join(names)}" if names else "no labels"
    return Recognised(task, f"its rows' fields {', '.join(task.fields)} and {answers}")


def _fit(task: Task, labels: Counter[str]) -> bool:
    """Whether most labels are the task's: a few others are mistakes, which are then refused by their rows."""
    others = Counter({label: n for label, n in labels.items() if label and label not in (task.labels or ())})
    return task.labels is None or 2 * others.total() <= labels.total() - labels[""]
