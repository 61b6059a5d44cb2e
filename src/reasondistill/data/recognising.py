"""Recognise the task of a data set from its content. Where that is unclear, a task is proposed, not assumed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from pydantic import ValidationError

from reasondistill.contracts.records import Example
from reasondistill.data.readers.own_tables import NO_LABEL, ColumnMapping, Row, foreign_advice, label_text, listed
from reasondistill.data.sources import open_rows, published_task
from reasondistill.errors import DataError
from reasondistill.tasks.task import BUILTIN_TASKS, NLI, Task, get_task

_KNOWN = (NLI, get_task("comve"), get_task("cose"))
"""Tasks that columns tell; that of instructions has no label, and any table might have its columns."""

_LOOKED_AT = 200
"""Rows of a table whose labels have to fit."""

_NO_FIELD = re.compile(r"id|label|group|split|choices|explanations?|explanation_[0-9]+")

_OFTEN_LABELS = re.compile(r"label|category|class|topic|intent|sentiment|target|gold|gold_label|answer", re.IGNORECASE)
_OFTEN_EXPLANATIONS = re.compile(r"why|reason|rationale|justification|explanation", re.IGNORECASE)
"""Names of columns by which a proposed task is filled in."""

_MOST_LABELS = 50
"""A column of more different texts holds no labels."""


class Recognised(NamedTuple):
    """A task, and the evidence for it, as shown to the user."""

    task: Task
    because: str


def recognise(source: str | Path, columns: ColumnMapping | None = None, labels: Iterable[str] = ()) -> Recognised:
    """The task of a published or built-in set, of rows in the form of an Example, or of a table with known columns.

    Args:
        source: as `load` takes it.
        columns: what → its column, where a file's columns have other names.
        labels: that a system gives, which may be more than the data's.

    Raises:
        DataError: the source is unknown or cannot be read, or nothing tells which task it is of.
    """
    if not columns and (task := published_task(source)) is not None:
        return Recognised(task, f"the form of {source}")
    header, rows = open_rows(source)
    if not columns and "fields" in header:
        parsed = ((row.get("fields"), row.get("label"), row.get("choices")) for _, row in rows())
        recognised = _of_examples(Path(source).stem, parsed, labels)
    else:
        recognised = _of_table(header, rows, columns or {})
    if recognised is None:
        raise _unknown(source, header, rows, columns or {}, labels)
    return recognised


def recognise_data(source: str | Path, columns: ColumnMapping | None = None) -> Recognised:
    """As `recognise`, for who only reads: a table with the fields of ``nli`` is taken for it whatever its labels are,
    so that the reader names the rows that do not fit.

    Raises:
        DataError: as `recognise`.
    """
    if columns or published_task(source) is None:
        header, _ = open_rows(source)
        if {*NLI.fields} <= {*header, *(columns or {})} and "fields" not in header:
            return Recognised(NLI, f"the columns {', '.join(NLI.fields)}")
    return recognise(source, columns)


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


def _unknown(
    source: str | Path,
    header: list[str],
    rows: Callable[[], Iterator[Row]],
    columns: ColumnMapping,
    labels: Iterable[str],
) -> DataError:
    """With a task to begin with in its fix: every column that can be a field, and the labels that are known."""
    known_labels = set(labels)
    mapping: dict[str, str] = {}
    label = str(columns.get("label", "label"))
    if label not in header and (guess := _label_column(header, rows, known_labels)) is not None:
        mapping["label"] = label = guess
    if label in header:
        known_labels |= _names_in(label, rows)
    explanation = next((name for name in header if _OFTEN_EXPLANATIONS.fullmatch(name.strip())), None)
    if explanation is not None and not {"explanation", "explanations"} & {*header, *columns} and explanation != label:
        mapping["explanation"] = explanation
    named = (*columns.values(), *mapping.values(), label)
    taken = {one for value in named for one in ([value] if isinstance(value, str) else value)}
    free = [name for name in header if name not in taken and not _NO_FIELD.fullmatch(name)]
    fields = [key for key in columns if not _NO_FIELD.fullmatch(key)]
    for name in free if not fields else ():
        field = re.sub(r"\W+", "_", name).strip("_").lower() or "text"
        field = field if field.isidentifier() and not _NO_FIELD.fullmatch(field) else f"field_{field}"
        if field not in fields:
            fields.append(field)
            mapping |= {} if field == name else {field: name}
    expected = f"columns that tell its task ({_forms()}), or a task that is named"
    columns_text = f"the columns {listed(header) or 'none'}"
    if advice := foreign_advice(header):
        return DataError(source, expected=expected, found=columns_text, fix=advice)
    if "probabilities" in header or not fields:
        fix = "Name the data that hold the inputs; predictions are scored by: reasondistill evaluate PREDICTIONS DATA"
        return DataError(source, expected=expected, found=f"{columns_text}, none of them an input", fix=fix)
    stem = re.sub(r"\W+", "_", Path(source).stem) or "own"
    proposal = {"name": stem, "fields": fields, "labels": None if "choices" in header else sorted(known_labels)}
    options = "".join(f" --columns {quote(f'{key}={name}')}" for key, name in mapping.items())
    spare = "without the fields that are no input, " if len(fields) > 1 else ""
    explained = explanation is not None or any(key.startswith("explanation") for key in (*header, *columns))
    others = "" if explained else ". Explanations are named by --columns explanation=COLUMN."
    return DataError(
        source,
        expected=expected,
        found=columns_text,
        fix=f"Name the task, --task {' or '.join(BUILTIN_TASKS)}, and what has other names, --columns FIELD=COLUMN; "
        f"or write {json.dumps(proposal, ensure_ascii=False)} to {stem}.yaml, {spare}"
        f"and give --task {stem}.yaml{options}{others}",
    )


def _forms() -> str:
    return "; ".join(f"{task.name}: {', '.join(task.fields)}" for task in _KNOWN)


def _label_column(header: Iterable[str], rows: Callable[[], Iterator[Row]], labels: set[str]) -> str | None:
    """The column most of whose cells hold labels that a system gives; where there is no system, one whose name is
    often a label's. None where there is neither."""
    if not labels:
        return next((name for name in header if _OFTEN_LABELS.fullmatch(name.strip())), None)
    sample = [row for _, row in islice(rows(), _LOOKED_AT)]
    shares = {name: sum(str(row.get(name)) in labels for row in sample) for name in header}
    best = max(shares, key=shares.__getitem__, default=None)
    return best if best is not None and 2 * shares[best] > len(sample) else None


def _names_in(column: str, rows: Callable[[], Iterator[Row]]) -> set[str]:
    """The labels that a column holds, as the reader takes them; none where there are too many to be labels."""
    names: set[str] = set()
    for _, row in rows():
        value = label_text(row.get(column))
        if isinstance(value, str) and value.strip() and value not in NO_LABEL:
            names.add(value)
        if len(names) > _MOST_LABELS:
            return set()
    return names
