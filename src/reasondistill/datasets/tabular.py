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

from reasondistill.datasets.loaded import Loaded, gather
from reasondistill.errors import DataError
from reasondistill.records import Example, parse_record
from reasondistill.tasks import Task

ColumnMapping: TypeAlias = Mapping[str, str | Sequence[str]]
"""What a column holds → its name in the file: ``{"premise": "text_a", "explanation": ["why1", "why2"]}``."""

Row: TypeAlias = tuple[int, Mapping[str, Any]]
"""Line number (in Parquet, row number) from 1, and the row."""

_ANNOTATORS = "annotators"
"""How many people judged each of a row's explanations; beside ``acceptable_votes``."""
_OPTIONAL = ("id", "group", "split", "choices")
_EXPLANATION = re.compile(r"explanation(?:_([0-9]{1,4}))?")


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

    def names(self) -> set[str]:
        single = {self.label, self.id, self.group, self.split, self.choices} - {None}
        return {*self.fields.values(), *self.explanations, *(name for name in single if name)}


def find_columns(
    where: object, header: Sequence[str], task: Task, mapping: ColumnMapping | None = None, *, need_label: bool = True
) -> Columns:
    """Decide which column holds what: as the mapping says, else by its direct name.

    Direct names are the task's fields, ``label``, ``id``, ``group``, ``split``, ``choices``, ``explanation``,
    ``explanation_1``, ``explanation_2``, …

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
    single: dict[str, str] = {}
    for key in known[:-1]:
        name = mapping.get(key, key)
        if not isinstance(name, str):
            raise DataError("columns", expected=f"one column for {key!r}", found=f"the list {list(name)}")
        single[key] = name
    explanations = mapping.get("explanation")
    if explanations is None:
        explanations = sorted((n for n in header if _EXPLANATION.fullmatch(n)), key=_explanation_number)
    elif isinstance(explanations, str):
        explanations = [explanations]

    needed = {single[key]: key for key in [*task.fields, "label", *_OPTIONAL] if key in mapping or key in task.fields}
    if need_label and task.labels != ():
        needed[single["label"]] = "label"
    if task.labels is None:
        needed[single["choices"]] = "choices"
    needed.update((name, "explanation") for name in explanations)
    if missing := [name for name in needed if name not in header]:
        raise DataError(
            where,
            expected=f"the columns {', '.join(needed)}",
            found=f"{', '.join(header) or 'none'}, without {', '.join(missing)}",
            fix=f"Rename the columns, or say which they are: --columns {needed[missing[0]]}=<column>.",
        )
    present = {key: name if name in header else None for key, name in single.items()}
    return Columns(
        fields={field: single[field] for field in task.fields},
        label=present["label"],
        id=present["id"],
        group=present["group"],
        split=present["split"],
        choices=present["choices"],
        explanations=tuple(explanations),
    )


def read_rows(
    path: Path,
    rows: Callable[[], Iterable[Row]],
    task: Task,
    mapping: ColumnMapping | None = None,
    *,
    header: Sequence[str] | None = None,
    need_label: bool = True,
    key: str | None = None,
) -> Loaded:
    """Make a data set out of a file's rows.

    A row without an id gets ``<file name>:<line>``. Flat rows without a group are tied by their text in the task's
    first field (in NLI the premise), so that it cannot stand in two parts. An explanation's source is the name of
    its column. Explanations that are empty are left out and counted.

    Args:
        rows: begins to read the file anew.
        header: the file's column names; None where rows say themselves what they hold (JSON Lines).
        key: as in `datasets.loaded.gather`.

    Raises:
        DataError: as `find_columns` and `datasets.loaded.gather`; a row lacks a field, or holds what is no text.
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
                yield where, parse_record(Example, {"id": fallback_id, **known}, where)
            else:
                yield where, _flat_example(row, columns, where, fallback_id, set_aside)

    ignored = tuple(n for n in header if columns and n not in {*columns.names(), "explanations", _ANNOTATORS})
    return gather(path.stem, path, examples, task, ignored_columns=ignored, need_label=need_label, key=key)


def _is_flat(row: Mapping[str, Any], mapping: ColumnMapping | None) -> bool:
    return bool(mapping) or "fields" not in row


def _flat_example(
    row: Mapping[str, Any], columns: Columns, where: str, fallback_id: str, set_aside: Counter[str]
) -> Example:
    missing = [name for name in columns.fields.values() if name not in row]
    if missing:
        raise DataError(
            where,
            expected=f"the keys {', '.join(columns.fields.values())}",
            found=f"{', '.join(row) or 'none'}, without {', '.join(missing)}",
            fix="Complete the row.",
        )
    fields = {field: _text(row, name, where) for field, name in columns.fields.items()}
    explanations = _explanations(row, columns, where)
    kept = [explanation for explanation in explanations if not _is_blank(explanation.get("text"))]
    if len(kept) < len(explanations):
        set_aside["empty explanation"] += len(explanations) - len(kept)
    value: dict[str, Any] = {
        "id": _optional_text(row, columns.id, where) or fallback_id,
        "fields": fields,
        "label": _optional_text(row, columns.label, where),
        "explanations": kept,
        "group": _optional_text(row, columns.group, where) or next(iter(fields.values())),
        "split": _optional_text(row, columns.split, where),
    }
    if columns.choices is not None:
        value["choices"] = row.get(columns.choices)
    return parse_record(Example, value, where)


def _explanations(row: Mapping[str, Any], columns: Columns, where: str) -> list[dict[str, Any]]:
    found = [{"text": _text(row, name, where), "source": name} for name in columns.explanations if name in row]
    listed = row.get("explanations") if "explanations" not in columns.explanations else None
    if listed is None or listed == "":
        return found
    if not isinstance(listed, list):
        raise DataError(
            where,
            expected="a list of texts in 'explanations'",
            found=_kind(listed),
            fix='Write ["…", "…"], or name single texts explanation_1, explanation_2, ….',
        )
    for item in listed:
        found.append(_with_votes(item, row) if isinstance(item, dict) else {"text": item, "source": "explanations"})
    return found


def _with_votes(item: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """An explanation as it is, or in the form of Wiegreffe et al. 2022: how many of a row's annotators accept it."""
    if "acceptable_votes" not in item:
        return dict(item)
    votes = {"acceptable": item["acceptable_votes"], "of": row.get(_ANNOTATORS)}
    kept = {key: item[key] for key in ("text", "source", "label") if key in item}
    return {"source": "explanations", **kept, "votes": votes}


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):  # ids and groups are often numbers
        return str(value)
    if isinstance(value, str):
        return value
    raise DataError(where, expected=f"a text in {name!r}", found=_kind(value), fix="Write it as a text.")


def _optional_text(row: Mapping[str, Any], name: str | None, where: str) -> str | None:
    return (_text(row, name, where) or None) if name is not None else None


def _kind(value: object) -> str:
    names = {"bool": "a truth value", "float": "a number", "list": "a list", "dict": "an object", "str": "a text"}
    return names.get(type(value).__name__, f"a value of type {type(value).__name__}")


def _explanation_number(name: str) -> int:
    match = _EXPLANATION.fullmatch(name)
    return int(match[1]) if match and match[1] else 0
