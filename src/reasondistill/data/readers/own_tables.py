"""A user's own rows: which column holds what, and turning a row into an Example.

A row is flat (one column per field, ``label``, ``explanation`` …) or, in JSON Lines and Parquet, already in the form
of an Example, which has the key ``fields``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from reasondistill.contracts.records import Example, number_as_text, parse_record
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.own_columns import kind_of, name_of, own_columns, own_values
from reasondistill.data.splits import usual_split
from reasondistill.errors import DataError
from reasondistill.tasks.task import Task

ColumnMapping: TypeAlias = Mapping[str, str | Sequence[str]]
"""What a column holds → its name in the file: ``{"premise": "text_a", "explanation": ["why1", "why2"]}``."""

Row: TypeAlias = tuple[int, Mapping[str, Any]]
"""Line number (in Parquet, row number) from 1, and the row."""

_ANNOTATORS = "annotators"
"""How many people judged each of a row's explanations; used with ``acceptable_votes``."""
_OPTIONAL = ("id", "group", "split", "choices")
NO_FIELD = frozenset({"id", "label", "group", "split", "choices", "explanation", "explanations"})
"""Names that mean something else than a field."""
_EXPLANATION = re.compile(r"explanation(?:_([0-9]{1,4}))?")
NO_LABEL = ("-1", "-")
"""What stands in many published files for a row without a label."""
_WHOLE = re.compile(r"-?[0-9]{1,15}\.0+")
_FOREIGN = {
    "conversations": "Turn each conversation into an instruction and its output: python -c "
    "\"import json, sys; [print(json.dumps(dict(instruction=r['conversations'][0]['value'], "
    "output=r['conversations'][1]['value']))) for r in json.load(sys.stdin)]\" < OLD.json > NEW.jsonl",
    "annotations": "If this is Label Studio's JSON, export the project as JSON-MIN or CSV, which have a column for "
    "each answer, and say which they are: --columns label=<column>.",
}
"""Columns that tell of another tool's form → how to come from there to a table."""


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
            raise DataError("columns", expected=f"one column for {key!r}", found=f"the list {list(name)}")
        single[key] = name
    explanations = mapping.get("explanation")
    if explanations is None:
        explanations = sorted((n for n in header if _EXPLANATION.fullmatch(n)), key=_explanation_number)
    elif isinstance(explanations, str):
        explanations = [explanations]
    elif not names.issuperset(explanations) and ",".join(explanations) in names:
        explanations = [",".join(explanations)]  # one name that holds a comma

    needed = {single[key]: key for key in [*task.fields, "label", *_OPTIONAL] if key in mapping or key in task.fields}
    if need_label and task.labels != ():
        needed[single["label"]] = "label"
    if task.labels is None:
        needed[single["choices"]] = "choices"
    needed.update((name, "explanation") for name in explanations)
    if missing := [name for name in needed if name not in names]:
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
            fix=foreign_advice(header) or fix,
        )
    present = {key: name if name in names else None for key, name in single.items()}
    return Columns(
        fields={field: single[field] for field in task.fields},
        label=present["label"],
        id=present["id"],
        group=present["group"],
        split=present["split"],
        choices=present["choices"],
        explanations=tuple(explanations),
    )


def field_name(column: str) -> str:
    """The name of the field that a column becomes: ``Ticket Text`` becomes ``ticket_text``."""
    name = re.sub(r"\W+", "_", column).strip("_").lower() or "text"
    return name if name.isidentifier() and name not in NO_FIELD else f"text_{name}"


def foreign_advice(header: Iterable[str]) -> str:
    """How to come to a table from the form of another tool; "" where the columns tell of none."""
    names = set(header)
    return next((advice for name, advice in _FOREIGN.items() if name in names), "")


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names of columns, the first ones where there are many."""
    named = ", ".join(names[:most])
    return f"{named}, … ({len(names):,} in all)" if len(names) > most else named


def read_rows(
    path: Path,
    rows: Callable[[], Iterable[Row]],
    task: Task,
    mapping: ColumnMapping | None = None,
    *,
    header: Sequence[str] | None = None,
    need_label: bool = True,
    notes: list[str] | None = None,
    key: str | None = None,
) -> Loaded:
    """Make a data set out of a file's rows.

    A row without an id gets ``<file name>:<line>``. Flat rows without a group are tied by their text in the task's
    first field (in NLI the premise), so that it cannot stand in two parts. An explanation's source is the name of
    its column. Explanations that are empty are left out and counted.

    Args:
        rows: begins to read the file anew.
        header: the file's column names; None where rows say themselves what they hold (JSON Lines).
        notes: as in `data.loaded.gather`, and so is ``key``.

    Raises:
        DataError: as `find_columns` and `data.loaded.gather`; a row lacks a field, or holds what is no text.
    """
    if header is None:
        header = list(dict.fromkeys(name for _, row in rows() if _is_flat(row, mapping) for name in row))
    columns = None  # every row is in the form of an Example
    if mapping or (header and "fields" not in header):
        columns = find_columns(path, header, task, mapping, need_label=need_label)

    def examples(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        for number, row in rows():
            where, fallback_id = f"{path}:{number}", f"{path.name}:{number}"
            if columns is None or not _is_flat(row, mapping):
                known = {key: value for key, value in row.items() if value is not None}
                if isinstance(known.get("split"), str):
                    known["split"] = usual_split(known["split"])
                yield where, parse_record(Example, {"id": fallback_id, **known}, where)
            else:
                yield where, _flat_example(row, columns, task, where, fallback_id, set_aside)

    used = {*columns.names(), "explanations", _ANNOTATORS} if columns else set(header)
    ignored = [name for name in header if name not in used]
    return gather(path.stem, path, examples, task, ignored_columns=ignored, need_label=need_label, notes=notes, key=key)


def _is_flat(row: Mapping[str, Any], mapping: ColumnMapping | None) -> bool:
    return bool(mapping) or "fields" not in row


def _flat_example(
    row: Mapping[str, Any], columns: Columns, task: Task, where: str, fallback_id: str, set_aside: Counter[str]
) -> Example:
    missing = [name for name in columns.fields.values() if name not in row]
    if missing:
        raise DataError(
            where,
            expected=f"the keys {', '.join(columns.fields.values())}",
            found=f"{listed(list(row)) or 'none'}, without {', '.join(missing)}",
            fix="Complete the row.",
        )
    fields = {field: _text(row, name, where) for field, name in columns.fields.items()}
    explanations = _explanations(row, columns, where)
    kept = [explanation for explanation in explanations if not _is_blank(explanation.get("text"))]
    if len(kept) < len(explanations):
        set_aside["empty explanation"] += len(explanations) - len(kept)
    value: dict[str, Any] = {
        "id": fallback_id,
        "fields": fields,
        "explanations": kept,
        "group": next(iter(fields.values())),
        **own_values(row, columns.own, where),
    }
    if columns.choices is not None:
        value["choices"] = _choices(row.get(columns.choices), columns.choices, where)
    if columns.label is not None:
        value["label"] = _label(row.get(columns.label), columns.label, task, value.get("choices"), where, set_aside)
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


def _label(value: object, column: str, task: Task, choices: object, where: str, set_aside: Counter[str]) -> str | None:
    """A row's label, which may be a number, or the only item of a list; what stands for none is counted.

    Truth values are labels where the task has labels of their name (true, false) or number (1, 0).
    """
    value = label_text(value)
    known = list(task.labels or map(number_as_text, choices if isinstance(choices, list) else ()))
    if isinstance(value, bool):
        spelt = (str(value).lower(), str(value), str(int(value)))
        value = next((text for text in spelt if text in known), value)
    elif isinstance(value, str) and value not in known and _WHOLE.fullmatch(value):
        value = value.split(".")[0]  # a table in which a number is missing has 1.0 for 1
    label = name_of(value, column, where)
    if label is None or not label.strip() or label in known or not known:
        return label if label and label.strip() else None
    if label in NO_LABEL:
        set_aside[f"label {label}, which stands for none"] += 1
        return None
    if label.lstrip("-").isdigit():
        raise DataError(
            where,
            expected=f"one of the labels {known[:20]}",
            found=f"the number {label} in {column!r}",
            fix="Write the labels' names instead of numbers, or name a task whose labels are the numbers "
            f'(--task mine.yaml, with labels: ["{label}", …]).',
        )
    return label


def label_text(value: object) -> object:
    """What a label's cell holds, taken out of a list of one item; a whole number as its text."""
    return number_as_text(value[0] if isinstance(value, list) and len(value) == 1 else value)


def _explanations(row: Mapping[str, Any], columns: Columns, where: str) -> list[dict[str, Any]]:
    texts: list[dict[str, Any]] = []
    for name in (name for name in columns.explanations if name in row):
        value = row[name]
        if isinstance(value, list):
            texts += [_listed(item, name, row) for item in value]
        else:
            texts.append({"text": _text(row, name, where), "source": name})
    several = row.get("explanations") if "explanations" not in columns.explanations else None
    if several is None or several == "":
        return texts
    if not isinstance(several, list):
        raise DataError(
            where,
            expected="a list of texts in 'explanations'",
            found=kind_of(several),
            fix='Write ["…", "…"], or name single texts explanation_1, explanation_2, ….',
        )
    return texts + [_listed(item, "explanations", row) for item in several]


def _listed(item: object, column: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a list of explanations: a text, an explanation as it is, or one in the form of Wiegreffe et al. 2022,
    which says how many of a row's annotators accept it."""
    if not isinstance(item, dict):
        return {"text": item, "source": column}
    if "acceptable_votes" not in item:
        return {"source": column, **item}
    votes = {"acceptable": item["acceptable_votes"], "of": row.get(_ANNOTATORS)}
    kept = {key: item[key] for key in ("text", "source", "label") if key in item}
    return {"source": column, **kept, "votes": votes}


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    value = number_as_text(value)
    if isinstance(value, str):
        return value
    raise DataError(where, expected=f"a text in {name!r}", found=kind_of(value), fix="Write it as a text.")


def _explanation_number(name: str) -> int:
    match = _EXPLANATION.fullmatch(name)
    return int(match[1]) if match and match[1] else 0
