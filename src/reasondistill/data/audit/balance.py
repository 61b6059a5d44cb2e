"""How many rows each label and each split has, and where the right one stands among a row's choices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from reasondistill.contracts.audit import Audit, Finding
from reasondistill.contracts.audit_numbers import ChoiceCounts, SplitCounts
from reasondistill.data.audit.findings import (
    NO_LABEL,
    Bars,
    Evidence,
    NumberTable,
    Section,
    finding,
    number_of,
    percent,
)
from reasondistill.data.audit.profile import Columns, Ints
from reasondistill.data.splits import split_order

FEW_ROWS: Final = 100
"""A split of fewer rows is said to be small."""


def count_labels(codes: Ints, columns: Columns) -> dict[str, int]:
    """Label → rows of those with these codes; rows without a label last, where there are any."""
    counts = np.bincount(codes + 1, minlength=len(columns.labels) + 1).tolist()
    named = dict(zip(columns.labels, counts[1:], strict=True))
    return named | ({NO_LABEL: counts[0]} if counts[0] else {})


def count_choices(columns: Columns) -> ChoiceCounts | None:
    """How many choices rows have and which is right; None where the task has the choices."""
    if not columns.choices:
        return None
    return ChoiceCounts(number=dict(sorted(columns.choices.items())), position=dict(sorted(columns.position.items())))


def count_splits(columns: Columns) -> SplitCounts:
    """Labels by split, the usual splits first."""
    codes = sorted(range(len(columns.splits)), key=lambda code: split_order(columns.splits[code]))
    counts = {columns.splits[code]: count_labels(columns.label[columns.split == code], columns) for code in codes}
    named = columns.named_splits
    return SplitCounts(by="the hash rule" if not named else "the rows" if named == columns.n else "both", counts=counts)


def balance_section(audit: Audit) -> Section:
    """Labels, splits and places of the right choice."""
    return Section("Labels and splits", "labels", [*_findings(audit)], [_figure(audit), _table(audit)])


def _findings(audit: Audit) -> Iterator[Finding]:
    if audit.choices is not None:
        yield from _positions(audit.choices.position)
    else:
        yield from _labels({label: count for label, count in audit.labels.items() if label != NO_LABEL})
    missing = audit.labels.get(NO_LABEL, 0)
    if missing and missing < audit.n:
        yield finding(
            "warning" if missing > 0.2 * audit.n else "note",
            f"{number_of(missing, 'row')} ({percent(missing / audit.n)}) without a label",
            "They train only the explanation, and no score of labels counts them.",
            rows=missing,
        )
    for split, labels in audit.splits.counts.items():
        rows = sum(labels.values())
        absent = [name for name, count in labels.items() if not count and audit.labels.get(name)]
        if absent:
            yield finding(
                "problem",
                f"{split} has no row with the label {', '.join(map(repr, absent))}",
                "Add such rows, or name each row's split in a column 'split'.",
                rows=rows,
            )
        if rows < FEW_ROWS and len(audit.splits.counts) > 1:
            noise = 196 * 0.5 / rows**0.5  # half of the 95% interval of an accuracy of 50%, in points
            advice = f"An accuracy measured on it can be off by {noise:.0f} points: add rows if you can."
            if split == audit.leakage.train_split:
                advice = "A student learns little from so few rows: add some if you can."
            yield finding("warning", f"{split} has only {number_of(rows, 'row')}", advice, rows=rows)


def _labels(counts: Mapping[str, int]) -> Iterator[Finding]:
    total = sum(counts.values())
    for label, count in counts.items():
        if total and not count:
            yield finding("problem", f"no row has the label {label!r}", "Add such rows, or use another task.", rows=0)
    if len(counts) > 1 and total:
        label = max(counts, key=lambda key: counts[key])
        share = counts[label] / total
        if share > max(0.7, 1.5 / len(counts)):
            yield finding(
                "problem" if share > 0.95 else "warning",
                f"{percent(share)} of the labels are {label!r} ({number_of(counts[label], 'row')})",
                "Report macro-F1 beside accuracy, or balance the training data.",
                share=share,
            )


def _positions(position: Mapping[int, int]) -> Iterator[Finding]:
    total = sum(position.values())
    if total and len(position) > 1:
        place = max(position, key=lambda key: position[key])
        share = position[place] / total
        if share > 1.25 / len(position) and share - 1 / len(position) > 0.03:
            yield finding(
                "warning",
                f"the right answer is choice {place + 1} in {percent(share)} of rows",
                "Shuffle the choices: a student can learn the position.",
                share=share,
            )


def _figure(audit: Audit) -> Evidence | None:
    if audit.choices is not None:
        places = {f"choice {place + 1}": count for place, count in audit.choices.position.items()}
        caption, of = "Rows, by which of their choices is the right one.", max(sum(places.values()), 1)
        counts = {name: {"": count} for name, count in places.items()}
        return Bars("positions", "Place of the right answer", caption, counts, ("",), of) if places else None
    splits = audit.splits.counts
    labels = [label for label in audit.labels if any(counts.get(label) for counts in splits.values())]
    if labels in ([], [NO_LABEL]):
        return None
    bars = {f"{split} ({sum(counts.values()):,})": counts for split, counts in splits.items()}
    return Bars("balance", "Labels by split", "Share of each label in each split.", bars, labels)


def _table(audit: Audit) -> Evidence:
    labels = list(audit.labels)
    rows = [
        (split, *(f"{counts.get(label, 0):,}" for label in labels), f"{sum(counts.values()):,}")
        for split, counts in {**audit.splits.counts, "all": audit.labels}.items()
    ]
    note = {
        "the rows": "Each row names its split.",
        "both": "Some rows name their split; the hash rule splits the others.",
        "the hash rule": "No row names a split: the hash rule splits by group, 70/10/20.",
    }[audit.splits.by]
    if audit.dropped:
        note += f" Dropped on reading: {', '.join(f'{n:,} × {why}' for why, n in audit.dropped.items())}."
    return NumberTable("Rows", ("", *labels, "all"), rows, note, frozenset({len(rows) - 1}))
