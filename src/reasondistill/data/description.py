"""Counts and lengths of a data set, for `data show`."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any, TypedDict

import numpy as np

from reasondistill.contracts.records import Example, as_row
from reasondistill.data.loaded import Loaded
from reasondistill.data.splits import split_order
from reasondistill.languages.word_splitting import length

UNLABELLED = "(none)"
WRITTEN = "(a text)"
"""As what written answers are counted."""
_STRETCH = 1_000_000
PERCENTILES = (5, 50, 95, 100)


class Explained(TypedDict):
    """The reference explanations of a data set."""

    total: int
    per_example: dict[str, int]
    sources: dict[str, int]


class Description(TypedDict):
    """What `describe` counts."""

    name: str
    fingerprint: str
    n: int
    labels: dict[str, int]
    splits: dict[str, dict[str, int]]
    groups: int
    explanations: Explained
    highlighted: int
    words: dict[str, dict[str, int]]
    set_aside: dict[str, int]
    ignored_columns: list[str]
    notes: list[str]
    sample: list[dict[str, Any]]


def describe(loaded: Loaded) -> Description:
    """Count a data set.

    Returns:
        ``name``, ``fingerprint``, ``n``; ``labels``: label → count (where rows have choices, ``choice 1`` and so on:
        the place of the right one); ``splits``: part → label → count, by the hash rule where the rows name no part;
        ``groups``: how many there are; ``explanations``: ``total``, ``per_example`` (how many reference explanations
        an example has → count) and ``sources`` (source → count); ``highlighted``: examples with highlights;
        ``words``: field (and ``explanation``) → percentile of the number of words, ``p5`` … ``p100``; ``set_aside``:
        reason → count; ``ignored_columns``; ``notes``: what was recognised in the file; ``sample``: the first two rows.
    """
    counts = _Counts(writes_answers=loaded.task is not None and loaded.task.writes_answers)
    for example, part in zip(loaded.examples, loaded.stored.parts(), strict=True):
        counts.add(example, str(part))
    return {
        "name": loaded.name,
        "fingerprint": loaded.fingerprint,
        "n": len(loaded.examples),
        "labels": _sorted(counts.labels),
        "splits": {
            name: _sorted(labels)
            for name, labels in sorted(counts.splits.items(), key=lambda item: split_order(item[0]))
        },
        "groups": len(counts.groups),
        "explanations": {
            "total": len(counts.explained),
            "per_example": _sorted(counts.per_example),
            "sources": _sorted(counts.sources),
        },
        "highlighted": counts.highlighted,
        "words": counts.words(),
        "set_aside": dict(loaded.set_aside),
        "ignored_columns": list(loaded.ignored_columns),
        "notes": list(loaded.notes),
        "sample": [as_row(example) for example in loaded.examples[:2]],
    }


class _Counts:
    """What is counted of each example."""

    def __init__(self, *, writes_answers: bool) -> None:
        self._writes_answers = writes_answers
        self.splits: dict[str, Counter[str]] = {}
        self.labels: Counter[str] = Counter()
        self.groups: set[int] = set()
        self.per_example: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.explained = array("q")
        self.highlighted = 0
        self._lengths: dict[str, array[int]] = {}
        self._answers = array("q")

    def add(self, example: Example, part: str) -> None:
        label = _label(example)
        if self._writes_answers and example.label is not None:
            label = WRITTEN  # there are as many answers as rows
            self._answers.extend([_words(example.label)])
        self.splits.setdefault(part, Counter())[label] += 1
        self.labels[label] += 1
        self.groups.add(hash(example.cluster))
        self.sources.update(e.source for e in example.explanations)
        references = example.references
        self.per_example[str(len(references))] += 1
        self.explained.extend(_words(e.text) for e in references)
        for name, text in example.fields.items():
            self._lengths.setdefault(name, array("q")).append(_words(text))
        self.highlighted += any(example.highlights or ())

    def words(self) -> dict[str, dict[str, int]]:
        """Field → percentile → number of words."""
        words = {name: _percentiles(counts) for name, counts in self._lengths.items()}
        if self._answers:
            words["answer"] = _percentiles(self._answers)
        if self.explained:
            words["explanation"] = _percentiles(self.explained)
        return words


def _words(text: str) -> int:
    """`length`, a stretch at a time: a list of all words of a hundred megabytes would take gigabytes."""
    count = 0
    for begin in range(0, len(text), _STRETCH):
        count += length(text[begin : begin + _STRETCH])
        border = text[max(0, begin - 1) : begin + 1]
        if len(border.strip()) == 2 and length(border) == 1:
            count -= 1  # a word that goes on
    return count


def _percentiles(lengths: array[int]) -> dict[str, int]:
    # An observed length, not one between two: 17.5 words is no length.
    values = np.percentile(np.asarray(lengths), PERCENTILES, method="lower")
    return {f"p{percentile}": int(value) for percentile, value in zip(PERCENTILES, values, strict=True)}


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _label(example: Example) -> str:
    if example.label is None:
        return UNLABELLED
    # Where each row has its own choices there are as many labels as rows: their place is what can be counted.
    return f"choice {example.choices.index(example.label) + 1}" if example.choices else example.label
