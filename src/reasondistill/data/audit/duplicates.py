"""Rows that say the same, and rows that say nearly the same, without comparing every row with every other.

Near ones are found by MinHash with banding (Broder 1997; Leskovec et al. 2020, Mining of Massive Datasets, ch. 3):
rows that share a band are candidates, and candidates are then compared exactly. Two rows are near where every one of
their fields is: a pair that shares its premise and nothing else is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from reasondistill.contracts.audit import Audit, Finding
from reasondistill.contracts.audit_numbers import Duplicates, NearPairs, NearRows, RowSets, SameRows
from reasondistill.data.audit.findings import Cell, Evidence, NumberTable, Section, finding, number_of, percent
from reasondistill.data.audit.profile import IDS, Columns, Ints, WordSets, distinct

NEAR: Final = 0.8
"""Two texts are near if their sets of words have at least this Jaccard similarity."""
BANDS: Final = 6
PER_BAND: Final = 2
NEIGHBOURS: Final = 3
"""Each row of a band's bucket is compared with this many after it, so that a bucket of alike rows costs no square."""
MOST_PAIRS: Final = 400_000
"""More candidate pairs are sampled."""
_CHUNK: Final = 20_000

GetIds = Callable[[Sequence[int]], list[str]]
"""Row numbers → ids."""


def find_duplicates(columns: Columns, get_ids: GetIds, *, seed: int) -> Duplicates:
    """Rows that are the same, the same but for their spelling, or alike; ``seed`` is that of hashes and samples."""
    first = np.sort(np.unique(columns.plain_content, return_index=True)[1])
    return Duplicates(
        exact=_same(columns, columns.content, get_ids),
        normalised=_same(columns, columns.plain_content, get_ids),
        near=_near(columns, first, get_ids, seed),
    )


def _same(columns: Columns, content: Ints, get_ids: GetIds) -> SameRows:
    order = np.argsort(content, kind="stable")  # stable: within a set, rows ascend
    starts = np.flatnonzero(np.r_[True, np.diff(content[order]) != 0])
    sizes = np.diff(np.r_[starts, len(order)])
    answers, bounds = columns.answer[order], np.iinfo(np.int64)
    least = np.minimum.reduceat(np.where(answers == 0, bounds.max, answers), starts)
    most = np.maximum.reduceat(np.where(answers == 0, bounds.min, answers), starts)
    conflicting = least < most

    def row_sets(which: npt.NDArray[np.bool_]) -> RowSets:
        chosen = np.flatnonzero(which)
        shown = chosen[np.argsort(order[starts[chosen]])][:IDS]
        sets = [order[starts[k] : starts[k] + min(sizes[k], IDS)].tolist() for k in shown]
        return RowSets(sets=len(chosen), rows=int(sizes[chosen].sum()), ids=[get_ids(rows) for rows in sets])

    several = sizes > 1
    return SameRows(
        sets=int(several.sum()),
        rows=int(sizes[several].sum()),
        repeats=int((sizes[several] - 1).sum()),
        same_label=row_sets(several & ~conflicting),
        conflicting_label=row_sets(several & conflicting),
    )


def _near(columns: Columns, rows: Ints, get_ids: GetIds, seed: int) -> NearRows:
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
    share = len(candidates) / n_candidates if n_candidates else 1.0

    def pairs(mask: npt.NDArray[np.bool_]) -> NearPairs:
        alike = np.flatnonzero(mask)
        alike = alike[np.lexsort((a[alike], -likeness[alike]))][:IDS]
        return NearPairs(
            pairs=round(int(mask.sum()) / share),
            ids=[get_ids([int(a[k]), int(b[k])]) for k in alike],
            similarity=[round(float(likeness[k]), 3) for k in alike],
        )

    return NearRows(
        pairs=round(len(a) / share),
        rows=len(distinct(np.concatenate([a, b]))),
        same_label=pairs(~conflict),
        conflicting_label=pairs(conflict),
        across_splits=pairs(columns.split[a] != columns.split[b]),
        candidates=n_candidates,
        compared=len(candidates),
        threshold=NEAR,
    )


def _candidates(fields: Sequence[WordSets], rows: Ints, seed: int) -> npt.NDArray[np.int64]:
    """Pairs of rows that share a band, each once and sorted: ``first place × len(rows) + second place``."""
    if len(rows) < 2:
        return np.zeros(0, np.int64)
    generator = np.random.default_rng(seed)
    candidates = np.zeros(0, np.int64)
    for _ in range(BANDS):
        keys = np.zeros(len(rows), np.uint64)
        for field in fields:
            for _ in range(PER_BAND):
                # Multiply-shift hashing (Dietzfelbinger et al. 1997): odd factor, upper half of the product.
                factor, shift = generator.integers(0, 2**63, size=2, dtype=np.uint64)
                keys = keys * np.uint64(0x9E3779B97F4A7C15) + _smallest(field, factor | np.uint64(1), shift)[rows]
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        pairs = [candidates]
        for step in range(1, NEIGHBOURS + 1):
            at = np.flatnonzero(ranked[step:] == ranked[:-step])
            pairs.append(order[at] * len(rows) + order[at + step])  # ascending: equal keys keep their order
        candidates = distinct(np.concatenate(pairs))
    return candidates


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
        first, second = a[begin : begin + _CHUNK], b[begin : begin + _CHUNK]
        keys = np.sort(np.concatenate([_keyed(field, first), _keyed(field, second)]))
        shared = np.bincount((keys[1:][keys[1:] == keys[:-1]] >> np.uint64(32)).astype(np.int64), minlength=len(first))
        sizes = np.diff(field.starts)
        similarity[begin : begin + _CHUNK] = shared / (sizes[first] + sizes[second] - shared)
    return similarity


def _keyed(field: WordSets, rows: Ints) -> npt.NDArray[np.uint64]:
    """The words of these rows, each with its row's place in the upper half."""
    sizes = field.starts[rows + 1] - field.starts[rows]
    place = np.repeat(np.arange(len(rows)), sizes)
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    words = field.words[np.repeat(field.starts[rows], sizes) + within]
    keys: npt.NDArray[np.uint64] = (place.astype(np.uint64) << np.uint64(32)) | words.astype(np.uint64)
    return keys


def duplicates_section(audit: Audit) -> Section:
    """Rows that are the same or nearly so."""
    return Section("Duplicates", "duplicates", [*_same_findings(audit), *_near_findings(audit)], [_table(audit)])


def _same_findings(audit: Audit) -> Iterator[Finding]:
    n, exact, same = audit.n, audit.duplicates.exact, audit.duplicates.normalised
    conflicts = exact.conflicting_label
    if conflicts.sets:
        yield finding(
            "problem" if conflicts.rows >= 0.01 * n else "warning",
            f"{number_of(conflicts.sets, 'input')} with different labels in different rows ({conflicts.rows:,} rows)",
            "Correct the labels, or keep one row of each.",
            ids=conflicts.ids,
            sets=conflicts.sets,
            rows=conflicts.rows,
        )
    more = same.conflicting_label.sets - conflicts.sets  # fewer, where sets of other spelling join
    if more > 0:
        yield finding(
            "warning",
            f"{number_of(more, 'more input')} with different labels if case, punctuation and articles do not count",
            "Look at them: some will be mistakes.",
            ids=same.conflicting_label.ids,
            sets=more,
        )
    if exact.repeats:
        yield finding(
            "warning" if exact.repeats >= 0.01 * n else "note",
            f"{number_of(exact.repeats, 'row')} ({percent(exact.repeats / n)}) with the fields of an earlier row",
            "Keep one of each, or join their explanations into one row.",
            ids=exact.same_label.ids or conflicts.ids,
            repeats=exact.repeats,
        )


def _near_findings(audit: Audit) -> Iterator[Finding]:
    near = audit.duplicates.near
    if near.pairs:
        across, conflicts = near.across_splits, near.conflicting_label
        yield finding(
            "warning" if across.pairs >= 0.01 * audit.n or near.pairs >= 0.05 * audit.n else "note",
            f"at least {number_of(near.pairs, 'pair')} of nearly equal rows: {across.pairs:,} across splits, "
            f"{conflicts.pairs:,} with different labels",
            "Pairs across splits reward memory. Different labels can be right, as one word may change the answer.",
            ids=(across if across.pairs else conflicts).ids or near.same_label.ids,
            pairs=near.pairs,
            across_splits=across.pairs,
            conflicting=conflicts.pairs,
        )


def _table(audit: Audit) -> Evidence:
    exact, same, near = audit.duplicates.exact, audit.duplicates.normalised, audit.duplicates.near
    titles = {"the same fields": exact, "… but for case, punctuation, articles": same}
    rows: list[Sequence[Cell]] = [
        (
            title,
            *((f"{sets.sets:,}", number_of(sets.rows, "row")) for sets in (rows.same_label, rows.conflicting_label)),
        )
        for title, rows in titles.items()
    ]
    pairs = (f"{near.same_label.pairs:,}", f"{near.conflicting_label.pairs:,}")
    note = (
        f"Nearly the same: every field shares at least {near.threshold:.0%} of its words (Jaccard similarity). This is "
        f"a lower bound. {number_of(near.across_splits.pairs, 'such pair')} across splits. "
        f"{near.compared:,} of {near.candidates:,} candidate pairs were compared."
    )
    head = ("", "same label", "different labels")
    return NumberTable("Rows that say the same", head, [*rows, ("nearly the same, pairs", *pairs)], note)
