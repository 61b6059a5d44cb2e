"""Words that annotators highlighted: how many in which field, and how far that alone tells the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from reasondistill.contracts.audit import Audit
from reasondistill.contracts.audit_numbers import HighlightBaseline, Highlights
from reasondistill.data.audit.findings import Grid, Section, finding, percent
from reasondistill.data.audit.profile import Columns


def count_highlights(columns: Columns, train_split: str) -> Highlights | None:
    """Highlighted words by field and label; None without highlights."""
    if not columns.highlights:
        return None
    n: Counter[str] = Counter()
    marked: dict[str, Counter[str]] = {name: Counter() for name in columns.fields}
    words: dict[str, Counter[str]] = {name: Counter() for name in columns.fields}
    for (_, label, numbers), count in columns.highlights.items():
        n[label] += count
        for name, number in zip(columns.fields, numbers, strict=True):
            marked[name][label] += count * (number > 0)
            words[name][label] += count * number
    labels = sorted(n)

    def per_label(counts: Mapping[str, Counter[str]]) -> dict[str, dict[str, float]]:
        return {name: {label: counts[name][label] / n[label] for label in labels} for name in columns.fields}

    return Highlights(
        n=n.total(),
        annotations={label: n[label] for label in labels},
        marked=per_label(marked),
        mean=per_label(words),
        baseline=_baseline(columns, train_split),
    )


def _baseline(columns: Columns, train_split: str) -> HighlightBaseline | None:
    """What a table of the training split's counts guesses; None where these have one label only.

    Without annotations in another split, the same rows are looked up, which flatters a little.
    """
    train = columns.splits.index(train_split)
    known: dict[tuple[int, ...], Counter[str]] = {}
    labels: Counter[str] = Counter()
    apart = any(split != train for split, _, _ in columns.highlights)
    for (split, label, numbers), count in columns.highlights.items():
        if split == train or not apart:
            known.setdefault(numbers, Counter())[label] += count
            labels[label] += count
    if len(labels) < 2:
        return None
    guess = {numbers: _commonest(counts) for numbers, counts in known.items()}
    most = _commonest(labels)
    right = majority = total = 0
    for (split, label, numbers), count in columns.highlights.items():
        if split != train or not apart:
            total += count
            right += count * (guess.get(numbers, most) == label)
            majority += count * (most == label)
    return HighlightBaseline(accuracy=right / total, majority=majority / total, n=total)


def _commonest(counts: Counter[str]) -> str:
    return min(counts.items(), key=lambda item: (-item[1], item[0]))[0]


def highlights_section(audit: Audit) -> Section:
    """What highlights tell of the label."""
    highlights = audit.highlights
    if highlights is None:
        return Section("Highlights", "highlights", [], [])
    caption = "Share of annotations with a highlighted word in the field, by label."
    figure = Grid("highlights", "Highlights", caption, highlights.marked)
    baseline = highlights.baseline
    if baseline is None:
        return Section("Highlights", "highlights", [], [figure])
    guess = f"{percent(baseline.accuracy)} of {baseline.n:,} labels (the commonest label: {percent(baseline.majority)})"
    never = [
        f"the {field} is marked in {percent(share)} of {label}; "
        for field, shares in highlights.marked.items()
        for label, share in shares.items()
        if share < 0.01 and max(shares.values()) > 0.3
    ]
    findings = []
    if never or baseline.accuracy > baseline.majority + 0.1:
        what = f"highlights give the label away: {''.join(never)}the numbers of marked words alone guess {guess}"
        advice = "Never feed highlights to a student; reasondistill does not."
        findings = [finding("warning", what, advice, **baseline.model_dump())]
    text = f"From the numbers of highlighted words alone, a table guesses {guess}."
    return Section("Highlights", "highlights", findings, [figure, text])
