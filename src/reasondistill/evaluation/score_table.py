"""Scores of rows, kept by column: what a row's scores are, at a third of the memory of a dictionary for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Final

from reasondistill.storage.lazy_sequences import LazySequence

_ABSENT: Final = object()
"""In the place of a score that a row has not; None is one that says nothing."""


class ScoreTable(LazySequence[MutableMapping[str, Any]]):
    """Rows of scores by name, each of which reads and writes as a dictionary.

    Args:
        rows: how many; they have no scores yet.
    """

    def __init__(self, rows: int = 0) -> None:
        self._rows = rows
        self._columns: dict[str, Sequence[Any]] = {}

    def add(self, name: str, values: Sequence[Any]) -> None:
        """Give each row a score.

        Args:
            values: of the rows (n,). What makes them when they are asked for will do.
        """
        if len(values) != self._rows:
            raise ValueError(f"{len(values)} values of {name!r} for {self._rows} rows")
        self._columns[name] = values

    def extend(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows behind the others."""
        before = self._rows
        self._rows += len(rows)
        self._columns = {name: [*values, *([_ABSENT] * len(rows))] for name, values in self._columns.items()}
        for place, row in enumerate(rows, start=before):
            self[place].update(row)

    def __len__(self) -> int:
        return self._rows

    def _item(self, place: int) -> RowScores:
        return RowScores(self._columns, place, self._rows)


class RowScores(MutableMapping[str, Any]):
    """The scores of one row of a table."""

    __slots__ = ("_columns", "_place", "_rows")

    def __init__(self, columns: dict[str, Sequence[Any]], place: int, rows: int) -> None:
        self._columns, self._place, self._rows = columns, place, rows

    def __getitem__(self, name: str) -> Any:
        value = self._columns[name][self._place]
        if value is _ABSENT:
            raise KeyError(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        column = self._columns.get(name)
        value = _ABSENT if column is None else column[self._place]
        return default if value is _ABSENT else value

    def __setitem__(self, name: str, value: object) -> None:
        column = self._columns.get(name)
        if not isinstance(column, list):
            column = [_ABSENT] * self._rows if column is None else list(column)
            self._columns[name] = column
        column[self._place] = value

    def __delitem__(self, name: str) -> None:
        self[name] = _ABSENT

    def __iter__(self) -> Iterator[str]:
        return (name for name, column in self._columns.items() if column[self._place] is not _ABSENT)

    def __len__(self) -> int:
        return sum(1 for _ in self)
