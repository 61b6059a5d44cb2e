"""Assign rows to splits by a fixed rule on their group, so that no run can shuffle test rows into train."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Literal, TypeAlias

from reasondistill.contracts.records import Example
from reasondistill.errors import DataError

Split: TypeAlias = Literal["train", "validation", "test"]


def split_of(group: str) -> Split:
    """The part that all rows of ``group`` belong to: about 70% train, 10% validation, 20% test.

    The SHA-256 of the group's UTF-8, as a number modulo 10: 0–6 train, 7 validation, 8–9 test. It depends on
    nothing but the name, so adding rows or changing a seed moves no row from one part to another.
    """
    remainder = int(hashlib.sha256(group.encode("utf-8")).hexdigest(), 16) % 10
    if remainder <= 6:
        return "train"
    return "validation" if remainder == 7 else "test"


def split_order(name: str) -> tuple[int, str]:
    """A key that sorts train, validation and test before other names."""
    usual = ("train", "validation", "test")
    return (usual.index(name) if name in usual else len(usual), name)


_KNOWN_AS = {
    name: split
    for split, names in {
        "train": ("train", "training", "trn"),
        "validation": ("validation", "valid", "val", "dev", "development"),
        "test": ("test", "testing", "tst"),
    }.items()
    for name in names
}


def usual_split(name: str) -> str:
    """``train``, ``validation`` or ``test`` for a name that is one of them by another spelling (Test, dev, val).

    Any other name stays as it is.
    """
    return _KNOWN_AS.get(name.strip().casefold(), name)


HELD_OUT = ("test", "validation")
"""The splits that nothing is learned from; the first of them that there is speaks for a system."""


def main_split(names: Collection[str]) -> str | None:
    """The split that speaks for a system, of those that there are: test, else validation, else the first by name."""
    return next((name for name in (*HELD_OUT, *sorted(names)) if name in names), None)


def part_of(split: str | None, group: str | None, identity: str) -> str:
    """The part of a row: its own where it names one, else that of its group, or of its id where it has none."""
    if split is not None:
        return split
    return split_of(group if group is not None else identity)


def assign_splits(examples: Iterable[Example]) -> list[Example]:
    """Examples that all have a split, as `part_of` says."""
    return [
        example
        if example.split is not None
        else example.model_copy(update={"split": part_of(None, example.group, example.id)})
        for example in examples
    ]


def split_in_part(source: str, without: int, rows: int) -> DataError:
    """What a data set is refused with of which some rows name their split and others do not."""
    return DataError(
        source,
        expected="a split in every row, or in none",
        found=f"{without} of {rows} rows without one",
        fix="Complete the column 'split', or remove it.",
    )
