"""Rows that say the same, and rows that say nearly the same, without comparing every row with every other.

Near ones are found by MinHash with banding (Broder 1997; Leskovec et al. 2020, Mining of Massive Datasets, ch. 3):
rows that share a band are candidates, and candidates are then compared exactly. Two rows are near where every one of
their fields is: a pair that shares its premise and nothing else is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reasondistill.data.audit.profile import IDS, Columns, Ints, WordSets, distinct

NEAR: Final = 0.8
"""Two texts are near if their sets of words have at least this Jaccard similarity."""
BANDS: Final = 6
PER_BAND: Final = 2
NEIGHBOURS: Final = 3
"""In a band's bucket each row is compared with so many after it: a bucket of alike rows costs no square."""
MOST_PAIRS: Final = 400_000
"""More candidate pairs are sampled."""
_CHUNK: Final = 20_000

Ids = Callable[[Sequence[int]], list[str]]
"""Row numbers → ids."""


def find_duplicates(columns: Columns, ids: Ids, *, seed: int) -> dict[str, Any]:
    """``exact``, ``normalised`` and ``near`` duplicates; see `building.audit` for their keys."""
    first, repeats = _repeats(columns.plain_content)
    return {
        "exact": _same(columns, columns.content, ids),
        "normalised": _same(columns, columns.plain_content, ids) | {"n_distinct": len(first)},
        "near": _near(columns, first, ids, seed) | {"rows_left_out": repeats},
    }


def _repeats(content: Ints) -> tuple[Ints, int]:
    first = np.sort(np.unique(content, return_index=True)[1])
    return first, len(content) - len(first)


def _same(columns: Columns, content: Ints, ids: Ids) -> dict[str, Any]:
    """Sets of rows with equal content; a set conflicts where two of its rows have different labels."""
    order = np.argsort(content, kind="stable")  # stable: within a set, rows ascend
    starts = np.flatnonzero(np.r_[True, np.diff(content[order]) != 0])
    sizes = np.diff(np.r_[starts, len(order)])
    answers, bounds = columns.answer[order], np.iinfo(np.int64)
    least = np.minimum.reduceat(np.where(answers == 0, bounds.max, answers), starts)
    most = np.maximum.reduceat(np.where(answers == 0, bounds.min, answers), starts)
    conflicting = least < most

    def counted(which: npt.NDArray[np.bool_]) -> dict[str, Any]:
        chosen = np.flatnonzero(which)
        shown = chosen[np.argsort(order[starts[chosen]])][:IDS]
        rows = [order[starts[k] : starts[k] + min(sizes[k], IDS)].tolist() for k in shown]
        return {"sets": len(chosen), "rows": int(sizes[chosen].sum()), "ids": [ids(one) for one in rows]}

    several = sizes > 1
    return {
        "sets": int(several.sum()),
        "rows": int(sizes[several].sum()),
        "repeats": int((sizes[several] - 1).sum()),
        "same_label": counted(several & ~conflicting),
        "conflicting_label": counted(several & conflicting),
    }


def _near(columns: Columns, rows: Ints, ids: Ids, seed: int) -> dict[str, Any]:
    candidates = _candidates([columns.sets[name] for name in columns.fields], rows, seed)
    n_candidates = len(candidates)
    if n_candidates > MOST_PAIRS:
        candidates = np.sort(np.random.default_rng(seed).choice(candidates, MOST_PAIRS, replace=False))
    a, b = rows[candidates // len(rows)], rows[candidates % len(rows)]
    likeness = np.ones(len(a))
    for name in columns.fields:
        likeness = np.minimum(likeness, _jaccard(columns.sets[name], a, b))
    near = likeness >= NEAR
    a, b, likeness = a[near], b[near], likeness[near]
    conflict = (columns.answer[a] != columns.answer[b]) & (columns.answer[a] != 0) & (columns.answer[b] != 0)
    across = columns.part[a] != columns.part[b]
    share = len(candidates) / n_candidates if n_candidates else 1.0

    def pairs(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
        alike = np.flatnonzero(mask)
        alike = alike[np.lexsort((a[alike], -likeness[alike]))][:IDS]
        return {
            "pairs": round(int(mask.sum()) / share),
            "ids": [ids([int(a[k]), int(b[k])]) for k in alike],
            "similarity": [round(float(likeness[k]), 3) for k in alike],
        }

    return {
        "pairs": round(len(a) / share),
        "rows": len(distinct(np.concatenate([a, b]))),
        "same_label": pairs(~conflict),
        "conflicting_label": pairs(conflict),
        "across_parts": pairs(across),
        "candidates": n_candidates,
        "compared": len(candidates),
        "threshold": NEAR,
    }


def _candidates(fields: Sequence[WordSets], rows: Ints, seed: int) -> npt.NDArray[np.int64]:
    """Pairs of rows that share a band, as ``place of one × len(rows) + place of the other``, sorted, each once."""
    if len(rows) < 2:
        return np.zeros(0, np.int64)
    generator = np.random.default_rng(seed)
    found = np.zeros(0, np.int64)
    for _ in range(BANDS):
        keys = np.zeros(len(rows), np.uint64)
        for field in fields:
            for _ in range(PER_BAND):
                # Multiply-shift hashing (Dietzfelbinger et al. 1997): odd factor, upper half of the product.
                factor, shift = generator.integers(0, 2**63, size=2, dtype=np.uint64)
                keys = keys * np.uint64(0x9E3779B97F4A7C15) + _smallest(field, factor | np.uint64(1), shift)[rows]
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        pairs = [found]
        for step in range(1, NEIGHBOURS + 1):
            at = np.flatnonzero(ranked[step:] == ranked[:-step])
            pairs.append(order[at] * len(rows) + order[at + step])  # ascending: equal keys keep their order
        found = distinct(np.concatenate(pairs))
    return found


def _smallest(field: WordSets, factor: np.uint64, shift: np.uint64) -> npt.NDArray[np.uint64]:
    """The smallest hash in each row's set; no set is empty."""
    smallest = np.empty(len(field.starts) - 1, np.uint64)
    for begin in range(0, len(smallest), _CHUNK):
        stop = min(begin + _CHUNK, len(smallest))
        low, high = field.starts[begin], field.starts[stop]
        hashed = (field.words[low:high].astype(np.uint64) * factor + shift) >> np.uint64(32)
        smallest[begin:stop] = np.minimum.reduceat(hashed, field.starts[begin:stop] - low)
    return smallest


def _jaccard(field: WordSets, a: Ints, b: Ints) -> npt.NDArray[np.float64]:
    """The Jaccard similarity of the sets of rows ``a[i]`` and ``b[i]``."""
    similarity = np.empty(len(a))
    for begin in range(0, len(a), _CHUNK):
        one, other = a[begin : begin + _CHUNK], b[begin : begin + _CHUNK]
        keys = np.sort(np.concatenate([_keyed(field, one), _keyed(field, other)]))
        shared = np.bincount((keys[1:][keys[1:] == keys[:-1]] >> np.uint64(32)).astype(np.int64), minlength=len(one))
        sizes = np.diff(field.starts)
        similarity[begin : begin + _CHUNK] = shared / (sizes[one] + sizes[other] - shared)
    return similarity


def _keyed(field: WordSets, rows: Ints) -> npt.NDArray[np.uint64]:
    """The words of these rows, each with its row's place in the upper half."""
    sizes = field.starts[rows + 1] - field.starts[rows]
    place = np.repeat(np.arange(len(rows)), sizes)
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    words = field.words[np.repeat(field.starts[rows], sizes) + within]
    keys: npt.NDArray[np.uint64] = (place.astype(np.uint64) << np.uint64(32)) | words.astype(np.uint64)
    return keys
