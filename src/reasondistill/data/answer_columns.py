"""Which columns hold answers that are texts, and taking an answer, or several accepted ones, out of a cell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from reasondistill.data.column_facts import LONG_LABEL, MOST_LABELS, Column

_ANSWERS: Final = re.compile(
    r"(gold_?)?(answers?|outputs?|responses?|completions?|targets?|summar(y|ies)|tldr|highlights)([_ .]text)?",
    re.IGNORECASE,
)
_ENOUGH = 10
"""Rows from which answers that hardly repeat are taken for texts: fewer labels may well be all different."""
_RARE = 0.9  # of the rows have an answer of their own
_REPEATED = 3  # times, on average, that a label of a long list occurs


def is_called_answer(column: str) -> bool:
    """Whether a column's name, or the last part of a nested one's, is one that answers have."""
    return any(_ANSWERS.fullmatch(name.strip()) for name in (column, column.rpartition(".")[2]))


def holds_texts(column: Column) -> bool:
    """Whether the values of an answer's column are texts rather than labels: they are long, or hardly repeat."""
    if column.kind not in ("text", "number", "list") or not column.filled:
        return False
    many = column.distinct > MOST_LABELS and column.filled < _REPEATED * column.distinct
    unrepeated = column.filled >= _ENOUGH and column.distinct >= _RARE * column.filled
    long = column.words > LONG_LABEL and column.filled < _REPEATED * column.distinct
    return long or many or unrepeated


def in_answer(value: object) -> tuple[object, tuple[str, ...]]:
    """A cell's answer, and the further ones of a list: all of them are accepted.

    Blank ones and repetitions are passed over. A cell that is no list is its only answer.
    """
    if not isinstance(value, list | tuple):
        return value, ()
    texts = list(dict.fromkeys(item.strip() for item in value if isinstance(item, str) and item.strip()))
    return (texts[0], tuple(texts[1:])) if texts else (None, ())


def put_answer(example: dict[str, object], row: Mapping[str, object], column: str, label: str | None) -> None:
    """Give an example its written answer out of a row's column; ``label`` is the first one, as readers take it."""
    example["label"] = label
    if (further := in_answer(row.get(column))[1]) and label is not None:
        example["accepted"] = further
