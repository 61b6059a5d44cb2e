"""A row as every reader gives it, and its columns by name: those of nested objects with dots, as ``data.text``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Cells: TypeAlias = Mapping[str, Any]
"""A row as it was read: a cell may hold whatever JSON or Parquet can."""

Row: TypeAlias = tuple[int, Cells]
"""Line number (in Parquet and JSON lists, row number) from 1, and the row."""


def is_example(row: Mapping[str, object]) -> bool:
    """Whether a row is in the form of an `Example` instead of flat."""
    return "fields" in row


def flat(row: Mapping[str, object]) -> Mapping[str, object]:
    """A row without objects in it: ``{"data": {"text": "…"}}`` becomes ``{"data.text": "…"}``; lists stay."""
    if not any(isinstance(value, Mapping) and value for value in row.values()):
        return row
    columns: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, Mapping) and value:
            for inner, cell in flat(value).items():
                columns.setdefault(f"{name}.{inner}", cell)
        else:
            columns[name] = value
    return columns


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names of columns, the first ones where there are many."""
    named = ", ".join(names[:most])
    return f"{named}, … ({len(names):,} in all)" if len(names) > most else named
