"""Read JSON Lines, and JSON files that hold all rows: the content says which of them a file is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasondistill.data.splits import usual_split
from reasondistill.storage.files import JsonObject, add_note, read_head, read_json_list, read_jsonl
from reasondistill.storage.packed import plain_suffix

SUFFIXES = (".jsonl", ".ndjson", ".json")

_OF_ROWS = {"data", "rows", "examples", "records", "items", "instances", "samples"}
"""Keys under which a list is that of all rows."""

_SPLITS = ("train", "validation", "test")


def read_objects(path: Path, notes: list[str] | None = None) -> Iterator[tuple[int, JsonObject]]:
    """``(line, object)`` of JSON Lines, or ``(number from 1, object)`` of a JSON file that holds all of them.

    The suffix decides only where the content leaves it open. A file's rows may be a list, objects one after another,
    or stand in an object as `rows_in` knows them.

    Raises:
        DataError: as `read_jsonl` and `read_json_list`.
    """
    lines = plain_suffix(path) != ".json"
    head = read_head(path).lstrip()
    if lines and head.startswith("["):
        add_note(notes, "one list of all rows, instead of a row on each line")
        return read_json_list(path, notes=notes, rows_in=rows_in)
    if not lines and head.startswith("{") and _begins_with_a_row(head):
        add_note(notes, "a row on each line, instead of one list of all rows")
        return read_jsonl(path, notes=notes)
    if lines and head.startswith("{\n"):
        add_note(notes, "rows of several lines, instead of a row on each line")
        lines = False
    return read_jsonl(path, notes=notes) if lines else read_json_list(path, notes=notes, rows_in=rows_in)


def _begins_with_a_row(head: str) -> bool:
    """Whether the first line is an object of its own: not the beginning of one, or all of one that holds the rows."""
    first, _, rest = re.split(r"(\r\n|\n|\r|$)", head, maxsplit=1)
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return False
    if not isinstance(row, dict):
        return False
    lists = _lists_of_objects(row)
    # A conversation, or a task with its annotations, holds a list of objects too.
    holds_rows = len(row) < 3 or lists.keys() <= _OF_ROWS if lists else rows_in(row) is not None
    return bool(rest.strip() or (row and not holds_rows))


def rows_in(value: object, notes: list[str] | None = None) -> list[Any] | None:
    """The rows in an object that is no list of them; None where it has none of these forms.

    A list under one of its keys (``{"version": 1, "data": [{…}]}``); a list for each split; columns as lists; and what
    pandas' ``to_json`` writes: ``columns`` (its default), ``index`` and ``split``.
    """
    if not isinstance(value, dict) or not value:
        return None
    lists = _lists_of_objects(value)
    if len(lists) == len(value) and all(usual_split(key) in _SPLITS for key in lists):
        add_note(notes, f"a list of rows for each split: {', '.join(lists)}")
        return [{**row, "split": key} if isinstance(row, dict) else row for key, rows in lists.items() for row in rows]
    if len(lists) == 1:
        (key,) = lists
        add_note(notes, f"the rows under the key {key!r}")
        return lists[key]
    cells = list(value.values())
    if isinstance(names := value.get("columns"), list) and isinstance(value.get("data"), list):
        add_note(notes, "column names, and the rows' cells")
        return [dict(zip(names, row, strict=False)) if isinstance(row, list) else row for row in value["data"]]
    if not lists and all(isinstance(cell, list) for cell in cells) and len({len(cell) for cell in cells}) == 1:
        add_note(notes, "a list of each column's cells")
        return [dict(zip(value, row, strict=True)) for row in zip(*cells, strict=True)]
    if len(cells) > 1 and all(isinstance(cell, dict) and cell.keys() == cells[0].keys() for cell in cells):
        if cells[0] and all(re.fullmatch("[0-9]+", key) for key in cells[0]):
            add_note(notes, "each column's cells by the number of their row")
            return [dict(zip(value, (cell[row] for cell in cells), strict=True)) for row in cells[0]]
        add_note(notes, "each row under a key, which is its id")
        return [{"id": key, **row} for key, row in value.items()]
    return None


def _lists_of_objects(value: JsonObject) -> dict[str, list[Any]]:
    """The lists in an object that hold objects, by their keys."""
    return {key: cell for key, cell in value.items() if isinstance(cell, list) and cell and isinstance(cell[0], dict)}
