"""A user's own rows: which column holds what, and turning a row into an Example.

A row is flat (one column per field, ``label``, ``explanation`` …) or, in JSON Lines and Parquet, already in the form
of an Example, which has the key ``fields``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from reasondistill.contracts.records import Example, number_as_text, parse_record
from reasondistill.data.answer_columns import in_answer, put_answer
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.own_columns import name_of, own_columns, own_values
from reasondistill.data.readers.any_table import Table
from reasondistill.data.readers.explanation_cells import (
    ANNOTATORS,
    cell_text,
    explanation_number,
    explanations_of,
    is_explanation,
)
from reasondistill.data.readers.flat_rows import is_example, listed
from reasondistill.data.splits import usual_split
from reasondistill.errors import DataError
from reasondistill.tasks.reading_outputs import without_case
from reasondistill.tasks.task import Task

LabelValues: TypeAlias = Mapping[str, str]
"""A value of the label's column, as text → the label that it means; "" where it means none."""

ColumnMapping: TypeAlias = Mapping[str, str | Sequence[str] | LabelValues]
"""What a column holds → its name in the file: ``{"premise": "text_a", "explanation": ["why1", "why2"]}``; and
``label_values`` → what the label's values mean: ``{"0": "entailment", "1": "neutral"}``. An empty name for label,
explanation, id or group says that the file has none, whatever its columns are called."""

_OPTIONAL = ("id", "group", "split", "choices")
_CAN_BE_NONE = ("label", "id", "group")
NO_FIELD = frozenset({"id", "label", "group", "split", "choices", "explanation", "explanations", "label_values"})
"""Names that mean something else than a field."""
NO_LABEL = ("-1", "-")
"""What stands in many published files for a row without a label."""
STANDS_FOR_NONE = ", which stands for none"
"""How the reason ends for which a row with one of these is counted."""
EMPTY_LABEL = "empty label"
"""As what a row without a label is counted where others have one."""
_WHOLE = re.compile(r"-?[0-9]{1,15}\.0+")


@dataclass(frozen=True)
class Columns:
    """The names that a file's columns have; None where the file has no such column."""

    fields: dict[str, str]
    label: str | None
    id: str | None
    group: str | None
    split: str | None
    choices: str | None
    explanations: tuple[str, ...]
    label_values: LabelValues = field(default_factory=dict)

    @property
    def own(self) -> dict[str, str]:
        """The columns of a row's own id, group and split that the file has."""
        named = {"id": self.id, "group": self.group, "split": self.split}
        return {what: name for what, name in named.items() if name is not None}

    def names(self) -> set[str]:
        single = {self.label, self.id, self.group, self.split, self.choices} - {None}
        return {*self.fields.values(), *self.explanations, *(name for name in single if name)}


def find_columns(
    where: object, header: Sequence[str], task: Task, mapping: ColumnMapping | None = None, *, need_label: bool = True
) -> Columns:
    """Decide which column holds what: as the mapping says, else by its direct name.

    Direct names are the task's fields, as they are or as `field_name` makes them of a column, ``label``, ``id``,
    ``group``, ``split``, ``choices``, ``explanation``, ``explanation_1``, ``explanation_2``, …

    Raises:
        DataError: the mapping speaks of something else, or a column that is needed is not there.
    """
    mapping = dict(mapping or {})
    label_values = label_values_of(mapping)
    mapping.pop("label_values", None)
    known = [*task.fields, "label", *_OPTIONAL, "explanation"]
    if unknown := [key for key in mapping if key not in known]:
        raise DataError(
            "columns",
            expected=f"a mapping of {', '.join(known)}",
            found=", ".join(map(repr, unknown)),
            fix=f"Write it as what=column, for example {task.fields[0]}=text_a.",
        )
    names = set(header)
    single = own_columns(name for name in header if name not in task.fields)
    fields = {field_name(name): name for name in reversed(header)}
    single |= {field: fields[field] for field in task.fields if field not in names and field in fields}
    for key in known[:-1]:
        name = mapping.get(key, single.get(key, key))
        if not isinstance(name, str):
            raise DataError("columns", expected=f"one column for {key!r}", found=f"several: {list(name)}")
        single[key] = name
    explanations = _explanation_columns(header, cast("str | Sequence[str] | None", mapping.get("explanation")))
    none = {key for key in _CAN_BE_NONE if mapping.get(key) == ""}

    named = mapping.keys() - none
    needed = {single[key]: key for key in [*task.fields, "label", *_OPTIONAL] if key in named or key in task.fields}
    if need_label and task.has_answers and "label" not in none:
        needed[single["label"]] = "label"
    if task.labels is None:
        needed[single["choices"]] = "choices"
    needed.update((name, "explanation") for name in explanations)
    _require_columns(where, header, needed)
    present = {key: name if name in names and key not in none else None for key, name in single.items()}
    return Columns(
        fields={field: single[field] for field in task.fields},
        label=present["label"],
        id=present["id"],
        group=present["group"],
        split=present["split"],
        choices=present["choices"],
        explanations=tuple(explanations),
        label_values=label_values,
    )


def _explanation_columns(header: Sequence[str], named: str | Sequence[str] | None) -> Sequence[str]:
    if named is None:
        return sorted((name for name in header if is_explanation(name)), key=explanation_number)
    if isinstance(named, str):
        return [named] if named else []
    if not set(header).issuperset(named) and ",".join(named) in header:
        return [",".join(named)]  # one name that holds a comma
    return named


def _require_columns(where: object, header: Sequence[str], needed: Mapping[str, str]) -> None:
    """Raise a DataError for columns that are not there; ``needed`` says what each holds."""
    if missing := [name for name in needed if name not in header]:
        likely = next((name for name in header if name.strip().casefold() == missing[0].casefold()), "<column>")
        fix = (
            f"Rename the columns, say which they are (--columns {needed[missing[0]]}={likely}; in a configuration, "
            f"columns: {{{needed[missing[0]]}: {likely}}}), or, where the task is yours to choose, name one with the "
            "fields that are there (--task mine.yaml; in a configuration, task: mine.yaml)."
        )
        raise DataError(
            where,
            expected=f"the columns {', '.join(needed)}",
            found=f"{listed(header) or 'none'}, without {', '.join(missing)}",
            fix=fix,
        )


def label_values_of(mapping: ColumnMapping | None) -> LabelValues:
    """What a mapping says of the label's values.

    Raises:
        DataError: it does not say a label for each.
    """
    values = (mapping or {}).get("label_values", {})
    if not isinstance(values, Mapping):
        raise DataError(
            "columns: label_values",
            expected="a mapping of values to labels",
            found=repr(values),
            fix="Write it as 0=entailment,1=neutral; in a configuration as {0: entailment, 1: neutral}.",
        )
    return {value_text(value): str(label) for value, label in values.items()}


def plain_columns(columns: ColumnMapping | None) -> dict[str, str | list[str] | dict[str, str]] | None:
    """A mapping as a configuration has it."""
    if columns is None:
        return None
    return {
        what: name if isinstance(name, str) else dict(name) if isinstance(name, Mapping) else list(name)
        for what, name in columns.items()
    }


def field_name(column: str) -> str:
    """The name of the field that a column becomes: ``Ticket Text`` becomes ``ticket_text``."""
    name = re.sub(r"\W+", "_", column).strip("_").lower() or "text"
    return name if name.isidentifier() and name not in NO_FIELD else f"text_{name}"


def read_rows(
    table: Table,
    task: Task,
    mapping: ColumnMapping | None = None,
    *,
    need_label: bool = True,
    notes: list[str] | None = None,
    key: str | None = None,
) -> Loaded:
    """Make a data set out of a table's rows.

    A row without an id gets ``<file name>:<line>``. Flat rows without a group are tied by their text in the task's
    first field (in NLI the premise), so that it cannot stand in two parts. An explanation's source is the name of
    its column. Explanations that are empty are left out and counted; so are rows without a label, but they stay, where
    others have one.

    Args:
        notes: as in `data.loaded.gather`, and so is ``key``.

    Raises:
        DataError: as `find_columns` and `data.loaded.gather`; a row lacks a field, or holds what is no text.
    """
    path, header = table.where, list(table.header)
    if not table.fixed:
        header = list(dict.fromkeys(name for _, row in table.rows() if _is_flat(row, mapping) for name in row))
    columns = None  # every row is in the form of an Example
    if mapping or (header and "fields" not in header):
        columns = find_columns(path, header, task, mapping, need_label=need_label)

    def examples(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        labelled = unlabelled = 0
        for number, row in table.read(set_aside):
            where, fallback_id = f"{path}:{number}", f"{path.name}:{number}"
            if columns is None or not _is_flat(row, mapping):
                known = {key: value for key, value in row.items() if value is not None}
                if isinstance(known.get("split"), str):
                    known["split"] = usual_split(known["split"])
                yield where, parse_record(Example, {"id": fallback_id, **known}, where)
            else:
                example = _flat_example(row, columns, task, where, fallback_id, set_aside)
                labelled += example.label is not None
                unlabelled += columns.label is not None and is_empty(row.get(columns.label))
                yield where, example
        if labelled and unlabelled:
            set_aside[EMPTY_LABEL] += unlabelled

    used = {*columns.names(), "explanations", ANNOTATORS} if columns else set(header)
    ignored = [name for name in header if name not in used]
    return gather(
        table.name, path, examples, task, ignored_columns=ignored, need_label=need_label, notes=notes, key=key
    )


def _is_flat(row: Mapping[str, object], mapping: ColumnMapping | None) -> bool:
    return bool(mapping) or not is_example(row)


def _flat_example(
    row: Mapping[str, object], columns: Columns, task: Task, where: str, fallback_id: str, set_aside: Counter[str]
) -> Example:
    missing = [name for name in columns.fields.values() if name not in row and "." not in name]
    if missing:
        raise DataError(
            where,
            expected=f"the keys {', '.join(columns.fields.values())}",
            found=f"{listed(list(row)) or 'none'}, without {', '.join(missing)}",
            fix="Complete the row.",
        )
    fields = {field: cell_text(row, name, where) for field, name in columns.fields.items()}
    explanations = explanations_of(row, columns.explanations, where)
    kept = [explanation for explanation in explanations if not _is_blank(explanation.get("text"))]
    if len(kept) < len(explanations):
        set_aside["empty explanation"] += len(explanations) - len(kept)
    value: dict[str, object] = {
        "id": fallback_id,
        "fields": fields,
        "explanations": kept,
        "group": next(iter(fields.values())),
        **own_values(row, columns.own, where),
    }
    if columns.choices is not None:
        value["choices"] = _choices(row.get(columns.choices), columns.choices, where)
    if columns.label is not None:
        cell = row.get(columns.label)
        cell = in_answer(cell)[0] if task.writes_answers else cell
        label = _label(cell, columns, task, value.get("choices"), where, set_aside)
        if task.writes_answers:
            put_answer(value, row, columns.label, label)
        else:
            value["label"] = label
    return parse_record(Example, value, where)


def _choices(value: object, column: str, where: str) -> object:
    if isinstance(value, str) and value.strip():
        raise DataError(
            where,
            expected=f"a list of texts in {column!r}",
            found=f"the text {value[:40]!r}",
            fix='Write the rows as JSON Lines, with "choices": ["…", "…"].',
        )
    return value or None


def _label(
    value: object, columns: Columns, task: Task, choices: object, where: str, set_aside: Counter[str]
) -> str | None:
    """A row's label, which may be a number, or the only item of a list; what stands for none is counted.

    Truth values are labels where the task has labels of their name (true, false) or number (1, 0).
    """
    column = str(columns.label)
    value = label_text(value, columns.label_values)
    known = list(task.labels or map(number_as_text, choices if isinstance(choices, list) else ()))
    if isinstance(value, bool):
        spelt = (str(value).lower(), str(value), str(int(value)))
        value = next((text for text in spelt if text in known), value)
    elif isinstance(value, str) and value not in known and _WHOLE.fullmatch(value):
        value = value.split(".")[0]  # a table in which a number is missing has 1.0 for 1
    label = name_of(value, column, where)
    if label is not None and label not in known:
        alike = [str(name) for name in known if without_case(str(name)) == without_case(label)]
        label = alike[0] if len(alike) == 1 else label
    if label is None or not label.strip() or label in known or not known:
        return label if label and label.strip() else None
    if label in NO_LABEL:
        set_aside[f"label {label}{STANDS_FOR_NONE}"] += 1
        return None
    if columns.label_values:
        raise DataError(
            where,
            expected=f"one of the values {', '.join(columns.label_values)}, or of the labels {known[:20]}",
            found=f"{label!r} in {column!r}",
            fix=f"Say what it means, with the others: --label-values {label}=LABEL,… (from Python: label_values=…).",
        )
    if label.lstrip("-").isdigit() and not task.labels:
        raise DataError(
            where,
            expected=f"one of the row's options {known[:20]}",
            found=f"the number {label} in {column!r}",
            fix="Write the option's text, or its place from 0: subtract 1 where yours count from 1.",
        )
    if label.lstrip("-").isdigit():
        raise DataError(
            where,
            expected=f"one of the labels {known[:20]}",
            found=f"the number {label} in {column!r}",
            fix=f"Say what the numbers mean: --label-values {label}={known[0]},… (in a configuration, columns: "
            f"{{label_values: {{{label}: {known[0]}, …}}}}), or name a task whose labels are the numbers "
            f'(--task mine.yaml, with labels: ["{label}", …]).',
        )
    return label


def label_text(value: object, values: LabelValues | None = None) -> object:
    """What a label's cell holds, taken out of a list of one item; a whole number as its text.

    Args:
        values: what values mean.
    """
    if isinstance(value, list) and len(value) < 2:
        value = value[0] if value else None
    if values and (text := value_text(value)) in values:
        return values[text]
    return number_as_text(value)


def value_text(value: object) -> str:
    """A value as it is named in a mapping of values to labels: 1 and 1.0 are ``1``, and a truth value is ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(number_as_text(value))
    return text.split(".")[0] if _WHOLE.fullmatch(text) else text


def is_empty(value: object) -> bool:
    """Whether a label's cell is empty: nothing, blank, not a number, or a list of nothing."""
    return value is None or value != value or value == [] or (isinstance(value, str) and not value.strip())


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()
