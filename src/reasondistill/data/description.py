"""Counts and lengths of a data set, for `data show`."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any

import numpy as np

from reasondistill.contracts.records import Example, as_row
from reasondistill.data.loaded import Loaded

UNLABELLED = "(none)"
_STRETCH = 1_000_000
PERCENTILES = (5, 50, 95, 100)


def describe(loaded: Loaded) -> dict[str, Any]:
    """Count a data set.

    Returns:
        ``name``, ``fingerprint``, ``n``; ``labels``: label → count (where rows have choices, ``choice 1`` and so on:
        the place of the right one); ``splits``: part → label → count, by the hash rule where the rows name no part;
        ``groups``: how many there are; ``explanations``: ``total``, ``per_example`` (how many reference explanations
        an example has → count) and ``sources`` (source → count); ``highlighted``: examples with highlights;
        ``words``: field (and ``explanation``) → percentile of the number of words, ``p5`` … ``p100``; ``set_aside``:
        reason → count; ``ignored_columns``; ``notes``: what was recognised in the file; ``sample``: the first two rows.
    """
    splits: dict[str, Counter[str]] = {}
    labels: Counter[str] = Counter()
    groups: set[int] = set()
    per_example: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    lengths: dict[str, array[int]] = {}
    explained = array("q")
    highlighted = 0
    for example, part in zip(loaded.examples, loaded.stored.parts(), strict=True):
        splits.setdefault(str(part), Counter())[_label(example)] += 1
        labels[_label(example)] += 1
        groups.add(hash(example.cluster))
        sources.update(e.source for e in example.explanations)
        references = example.references
        per_example[str(len(references))] += 1
        explained.extend(_words(e.text) for e in references)
        for name, text in example.fields.items():
            lengths.setdefault(name, array("q")).append(_words(text))
        highlighted += any(example.highlights or ())
    words = {name: _percentiles(found) for name, found in lengths.items()}
    if explained:
        words["explanation"] = _percentiles(explained)
    return {
        "name": loaded.name,
        "fingerprint": loaded.fingerprint,
        "n": len(loaded.examples),
        "labels": _sorted(labels),
        "splits": {name: _sorted(counts) for name, counts in sorted(splits.items())},
        "groups": len(groups),
        "explanations": {
            "total": len(explained),
            "per_example": _sorted(per_example),
            "sources": _sorted(sources),
        },
        "highlighted": highlighted,
        "words": words,
        "set_aside": dict(loaded.set_aside),
        "ignored_columns": list(loaded.ignored_columns),
        "notes": list(loaded.notes),
        "sample": [as_row(example) for example in loaded.examples[:2]],
    }


def _words(text: str) -> int:
    """``len(text.split())``, a stretch at a time: a list of all words of a hundred megabytes would take gigabytes."""
    count = 0
    for begin in range(0, len(text), _STRETCH):
        count += len(text[begin : begin + _STRETCH].split())
        if begin and not text[begin - 1].isspace() and not text[begin].isspace():
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
