"""Edits of an example's words: leave one out, or replace a share by random words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reasondistill.contracts.records import Example
from reasondistill.languages.word_splitting import as_written
from reasondistill.tasks.task import Task


class Place(NamedTuple):
    """The place of a word: the ``number``-th of a field, from 0. Punctuation belongs to the word it touches."""

    field: str
    number: int


def places(example: Example, task: Task) -> list[Place]:
    """Every word of the task's fields, in reading order."""
    return [Place(name, k) for name in task.fields for k in range(len(as_written(example.fields[name])))]


def word_at(example: Example, place: Place) -> str:
    return as_written(example.fields[place.field])[place.number].lstrip()


def without(example: Example, place: Place) -> Example:
    """``example`` with one word left out."""
    pieces = as_written(example.fields[place.field])
    del pieces[place.number]
    return _with_fields(example, {place.field: "".join(pieces).lstrip()})


def noised(example: Example, task: Task, shares: Sequence[float], pool: Sequence[str], seed: int) -> list[Example]:
    """``example`` with shares of its words replaced by random ones of ``pool``, an example for each of ``shares``.

    Of n words, share · n are replaced, rounded, at least one. A larger share makes the same replacements as a smaller
    one, and more. The draws depend only on ``seed`` and the example's id. A word stays if the pool has no other word.
    """
    where = places(example, task)
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}\x1f{example.id}".encode()).digest()[:8]))
    order = generator.permutation(len(where)).tolist()
    pieces = {name: as_written(example.fields[name]) for name in task.fields}
    done = 0
    edited = []
    for share in shares:
        for name, k in (where[turn] for turn in order[done : _count(share, len(where))]):
            piece = pieces[name][k]
            word = piece.lstrip()
            others = (pool[number] for number in generator.integers(len(pool), size=_DRAWS).tolist())
            pieces[name][k] = piece.removesuffix(word) + next((other for other in others if other != word), word)
        done = max(done, _count(share, len(where)))
        edited.append(_with_fields(example, {name: "".join(texts) for name, texts in pieces.items()}))
    return edited


_DRAWS = 20
"""Draws per word: nearly always at least one is a different word."""


def _count(share: float, n: int) -> int:
    return min(n, max(1, round(share * n)))


def _with_fields(example: Example, fields: dict[str, str]) -> Example:
    return example.model_copy(update={"fields": {**example.fields, **fields}})
