"""What explanations are like: how many, how short, how often the same, and what they repeat of labels and fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from reasondistill.contracts.audit import Audit, Finding, Severity
from reasondistill.contracts.audit_numbers import Copies, ExplanationTexts, FieldCopies, LabelNames, RepeatedTexts
from reasondistill.data.audit.duplicates import GetIds
from reasondistill.data.audit.findings import (
    NO_LABEL,
    Cell,
    Evidence,
    FactList,
    NumberTable,
    Section,
    finding,
    number_of,
    of_total,
    percent,
)
from reasondistill.data.audit.profile import COPIES, IDS, Columns, distinct

_COPY_TITLES = {"equal": "equals it", "part_of_field": "is part of it", "holds_field": "contains it"}


def count_explanations(columns: Columns, get_ids: GetIds) -> ExplanationTexts:
    """Explanations and what they repeat, by label."""
    by_label = {label: columns.explained[label] for label in sorted(columns.explained)}
    return ExplanationTexts(
        n=len(columns.explanation),
        per_example=dict(sorted(columns.per_example.items())),
        sources=dict(sorted(columns.sources.items())),
        for_another_label=columns.other_label,
        empty=columns.empty,
        very_short=columns.short,
        repeated=_repeated(columns, get_ids),
        label_words={
            label: LabelNames(n=n, own=columns.own_word[label], other=columns.other_word[label])
            for label, n in by_label.items()
            if label != NO_LABEL
        },
        copies={
            label: Copies(
                n=n,
                any=columns.copied[label],
                fields={
                    name: FieldCopies(**{how: columns.copies[label, name, how] for how in COPIES})
                    for name in columns.fields
                },
            )
            for label, n in by_label.items()
        },
        ids={
            what: get_ids(columns.rows.get(what, [])) for what in ("short", "empty", "own_word", "other_word", *COPIES)
        },
    )


def _repeated(columns: Columns, get_ids: GetIds) -> RepeatedTexts:
    if not len(columns.explanation):
        return RepeatedTexts(n=0, most=0, ids=[])
    _, code = np.unique(columns.explanation, return_inverse=True)
    pairs = distinct(code * columns.n + columns.explanation_row)  # the same words twice in one row count once
    code, rows = pairs // columns.n, pairs % columns.n
    counts = np.bincount(code)
    several = counts[code] > 1
    shown: list[int] = []
    if several.any():
        # Of equally common ones the one that comes first: hashes have no order that lasts.
        commonest = np.flatnonzero(counts[code] == counts.max())
        shown = rows[code == code[commonest[np.argmin(rows[commonest])]]][:IDS].tolist()
    return RepeatedTexts(n=int(several.sum()), most=int(counts.max()), ids=get_ids(shown))


def explanations_section(audit: Audit) -> Section:
    """How explanations are made, and what they repeat."""
    evidence = [_facts(audit.explanations), _copies_table(audit.explanations), _label_table(audit.explanations)]
    return Section("Explanations", "explanations", [*_findings(audit)], evidence, about_explanations=True)


def _findings(audit: Audit) -> Iterator[Finding]:
    explanations = audit.explanations
    if not explanations.n:
        yield finding("warning", "no row has an explanation", "A student will learn only labels.", explanations=0)
        return
    if without := explanations.per_example.get(0, 0):
        yield finding(
            "warning" if without > 0.5 * audit.n else "note",
            f"{number_of(without, 'row')} ({percent(without / audit.n)}) without an explanation for the row's label",
            "They train only the label, and no score of explanations counts them.",
            rows=without,
        )
    yield from _short(explanations, answers_only=audit.settings.order == "explanation_only")
    yield from _copies(explanations)
    if audit.choices is None:
        yield from _label_names(explanations)
    repeated = explanations.repeated
    if repeated.n >= 0.02 * explanations.n:
        yield finding(
            "warning" if repeated.n >= 0.2 * explanations.n else "note",
            f"{_explanations(repeated.n, explanations)} repeated word for word in other rows, the commonest in "
            f"{number_of(repeated.most, 'row')}",
            "A student that learns these by heart scores well: compare with the template baseline.",
            ids=repeated.ids,
            explanations=repeated.n,
        )


def _explanations(n: int, explanations: ExplanationTexts) -> str:
    return f"{number_of(n, 'explanation')} ({of_total(n, explanations.n)})"


def _short(explanations: ExplanationTexts, *, answers_only: bool) -> Iterator[Finding]:
    n, empty, short = explanations.n, explanations.empty, explanations.very_short
    advice = "Leave them out: they teach a student to say nothing."
    # Where there is nothing but the answer, "Yes" may be all there is to say.
    severity: Severity = "note" if answers_only else "warning"
    if empty:
        what, ids = f"{_explanations(empty, explanations)} without a word", explanations.ids["empty"]
        yield finding("problem" if empty > 0.01 * n else severity, what, advice, ids=ids, explanations=empty)
    if short > 0.005 * n:
        what, ids = f"{_explanations(short, explanations)} of fewer than three words", explanations.ids["short"]
        yield finding(severity, what, advice, ids=ids, explanations=short)


def _copies(explanations: ExplanationTexts) -> Iterator[Finding]:
    copies, n = explanations.copies, explanations.n
    copied = sum(counts.any for counts in copies.values())
    if copied < 0.005 * n:
        return
    label, worst = max(copies.items(), key=lambda item: item[1].any / max(item[1].n, 1))
    by = {how: sum(getattr(f, how) for counts in copies.values() for f in counts.fields.values()) for how in COPIES}
    yield finding(
        "warning" if copied >= 0.05 * n or by["equal"] + by["part_of_field"] >= 0.02 * n else "note",
        f"{_explanations(copied, explanations)} with a copied field: {by['equal']:,} equal it, "
        f"{by['part_of_field']:,} are part of it, {by['holds_field']:,} contain it"
        + (f"; {of_total(worst.any, worst.n)} of {label}" if len(copies) > 1 else ""),
        "Copies score well on overlap metrics and explain nothing: report the copy rate and the copied-field baseline.",
        ids=explanations.ids[max(by, key=lambda how: by[how])],
        **by,
    )


def _label_names(explanations: ExplanationTexts) -> Iterator[Finding]:
    names, n = explanations.label_words, explanations.n
    own, other = sum(counts.own for counts in names.values()), sum(counts.other for counts in names.values())
    if own < 0.01 * n:
        return
    label, worst = max(names.items(), key=lambda item: item[1].own / max(item[1].n, 1))
    yield finding(
        "warning" if own >= 0.05 * n and own > 2 * other else "note",
        f"{_explanations(own, explanations)} with the name of their own label ({of_total(worst.own, worst.n)} of "
        f"{label}), {other:,} with another's",
        "Simulatability and support reward the mere name: mask it before scoring.",
        ids=explanations.ids["own_word"],
        own=own,
        other=other,
    )


def _facts(explanations: ExplanationTexts) -> Evidence:
    per_example = ", ".join(f"{n}: {number_of(rows, 'row')}" for n, rows in explanations.per_example.items())
    repeated, short = explanations.repeated.n, explanations.very_short
    return FactList(
        (
            ("explanations per row", per_example or "none"),
            ("sources", ", ".join(f"{name}: {n:,}" for name, n in explanations.sources.items()) or "none"),
            ("for another label", f"{explanations.for_another_label:,}"),
            ("empty", f"{explanations.empty:,}"),
            ("under three words", f"{short:,} ({of_total(short, explanations.n)})"),
            ("word for word in several rows", f"{repeated:,} ({of_total(repeated, explanations.n)})"),
        )
    )


def _copies_table(explanations: ExplanationTexts) -> Evidence | None:
    copies = explanations.copies
    if not any(counts.any for counts in copies.values()):
        return None
    rows: list[Sequence[Cell]] = []
    for label, counts in copies.items():
        copied = f"{counts.any:,}", of_total(counts.any, counts.n)
        for place, (field, by) in enumerate(counts.fields.items()):
            name = f"{label}, the {field}" if len(copies) > 1 else f"the {field}"
            rows.append((name, *(f"{getattr(by, how):,}" for how in COPIES), "" if place else copied))
    note = "Case, punctuation and articles do not count; stretches of fewer than three words are no copies."
    head = ("", *(_COPY_TITLES[how] for how in COPIES), "any")
    return NumberTable("Explanations that copy a field", head, rows, note)


def _label_table(explanations: ExplanationTexts) -> Evidence | None:
    names = explanations.label_words
    if not any(counts.own or counts.other for counts in names.values()):
        return None
    rows: list[Sequence[Cell]] = [
        (label, *((f"{n:,}", of_total(n, counts.n)) for n in (counts.own, counts.other)))
        for label, counts in names.items()
    ]
    return NumberTable("Label names in explanations", ("label", "its own name", "another's"), rows)
