"""What parts of a data set share that they should not: groups, whole inputs, single fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reasondistill.data.audit.duplicates import Ids
from reasondistill.data.audit.profile import IDS, Columns, Ints, distinct

TRAIN_SHARE = 0.7
"""How much of the data a random split would train on, as the hash rule does."""

EMPTY: Final = hash("")
"""An optional field that is empty says nothing that could leak."""


def find_leaks(columns: Columns, ids: Ids) -> dict[str, Any]:
    """``train_part``, ``groups``, ``between_parts`` and ``random_split``; see `building.audit` for their keys."""
    keys = {name: columns.plain[name] for name in columns.fields}
    if len(keys) > 1:
        keys["all fields"] = columns.plain_content
    train = _train(columns)
    return {
        "train_part": columns.parts[train] if columns.parts else None,
        "groups": _groups(columns, ids),
        "between_parts": {
            columns.parts[code]: {
                name: _shared_with(columns, key, train, code, ids) for name, key in keys.items()
            }
            for code in range(len(columns.parts))
            if code != train
        },
        "random_split": {name: _under_random_split(key) for name, key in keys.items()},
    }  # fmt: skip


def _train(columns: Columns) -> int:
    if "train" in columns.parts:
        return columns.parts.index("train")
    return int(np.argmax(np.bincount(columns.part, minlength=1)))


def _groups(columns: Columns, ids: Ids) -> dict[str, Any]:
    grouped = columns.group != 0
    group, part = columns.group[grouped], columns.part[grouped]
    names, where, sizes = np.unique(group, return_inverse=True, return_counts=True)
    pairs = distinct(where * len(columns.parts) + part)
    parts_of = np.bincount(pairs // len(columns.parts), minlength=len(names))
    rows = np.flatnonzero(grouped)[parts_of[where] > 1]
    return {
        "groups": len(names),
        "rows_without": int((~grouped).sum()),
        "largest": int(sizes.max()) if len(sizes) else 0,
        "in_several_parts": int((parts_of > 1).sum()),
        "rows": len(rows),
        "ids": _one_of_each_part(columns, rows, ids),
    }


def _one_of_each_part(columns: Columns, rows: Ints, ids: Ids) -> list[list[str]]:
    """For the first groups, one row of every part that the group is in."""
    shown: dict[int, dict[int, int]] = {}
    for row in rows.tolist():
        group = int(columns.group[row])
        if group in shown or len(shown) < IDS:
            shown.setdefault(group, {}).setdefault(int(columns.part[row]), row)
    return [ids(list(by_part.values())) for by_part in shown.values()]


def _shared_with(columns: Columns, key: Ints, train: int, code: int, ids: Ids) -> dict[str, Any]:
    """The rows of a part whose text a row of the training part has, too."""
    rows = np.flatnonzero(columns.part == code)
    train_rows = np.flatnonzero(columns.part == train)
    shared = rows[np.isin(key[rows], key[train_rows]) & (key[rows] != EMPTY)]
    return {
        "rows": len(shared),
        "of": len(rows),
        "share": len(shared) / len(rows) if len(rows) else 0.0,
        "ids": [ids(pair) for pair in _with_twin(key, shared[:IDS], train_rows)],
    }


def _with_twin(key: Ints, rows: Ints, among: Ints) -> list[Sequence[int]]:
    if not len(rows):
        return []
    first: dict[int, int] = {}
    for row in among[np.isin(key[among], key[rows])].tolist():
        first.setdefault(int(key[row]), row)
    return [(row, first[int(key[row])]) for row in rows.tolist()]


def _under_random_split(key: Ints) -> dict[str, float]:
    """What a split that ignores groups would do: the expected share of test rows whose text is in training."""
    _, where, counts = np.unique(key, return_inverse=True, return_counts=True)
    others: npt.NDArray[np.float64] = np.where(key == EMPTY, 0.0, counts[where] - 1.0)
    if not len(others):
        return {"shared": 0.0, "leaked": 0.0}
    return {"shared": float((others > 0).mean()), "leaked": float((1 - (1 - TRAIN_SHARE) ** others).mean())}
