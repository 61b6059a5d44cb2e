"""Which rows are wrong in what: label, explanation or both, with examples, and whether the two go together.

An explanation in error is one that a stated rule finds no better than an explanation of another row; the rule's
sentence stands beside the figures. It marks the worst: that the others are good does not follow. What equals a
reference is never in error.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from reasondistill.contracts.error_analysis import (
    Association,
    ConfusedLabels,
    ErrorExample,
    ErrorKind,
    ErrorSummary,
    Gap,
    Judged,
    Share,
)
from reasondistill.evaluation.column_means import as_column, column_means, percentiles
from reasondistill.evaluation.pairing import Row, right_answers
from reasondistill.metrics.registry import evidence_metrics, metric_of
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.metrics.text import is_among
from reasondistill.tasks.task import Task

KINDS: Final[tuple[ErrorKind, ...]] = ("none", "label", "explanation", "both")
SUPPORT_WITHOUT_CONTROL: Final = 0.5
"""The least support of an explanation that is not wrong, where no other row's explanation can be compared with."""
UNLESS_REFERENCE: Final = "One that equals a reference, but for case, spaces and punctuation, does not."
EXAMPLES_EACH = 5
CELL_EXAMPLES = 3
MOST_CELLS = 12


class Rule(NamedTuple):
    """When an explanation counts as wrong: ``metric`` below ``threshold``, empty, or a copy of an input field.

    Without a metric only empty ones and copies do. One that equals a reference never does, whatever a judge or a copy
    rule says of it. ``sentence`` says the rule in words.
    """

    threshold: float | None
    metric: str | None
    sentence: str

    def is_wrong(self, scores: Mapping[str, float | None], *, is_reference: bool = False) -> bool | None:
        """Whether a row's explanation is in error; None where the rule's metric has no score for it.

        ``is_reference``: it equals one of the row's references.
        """
        score = None if self.metric is None else scores.get(self.metric)
        if self.metric is not None and score is None:
            return None
        if is_reference:
            return False
        below = score is not None and self.threshold is not None and score < self.threshold
        return bool(scores["empty"] or scores["copy"] or below)


@dataclass(frozen=True)
class Errors:
    """``kinds`` of the rows in their order, None where nothing can be said, and ``results.errors``."""

    kinds: list[ErrorKind | None]
    summary: ErrorSummary


def explanation_error_rule(
    scores: Sequence[Mapping[str, float | None]],
    shuffled: Sequence[Mapping[str, float | None]],
    *,
    same_label: bool = True,
) -> Rule:
    """The rule for these rows, from the strictest evidence at hand: support, BERTScore, ROUGE-L, or none.

    The threshold is the median that the negative control reaches: what a typical explanation of something else has.
    With a judge and without that control it is 0.5.

    Args:
        scores: of each row, as in per_example.jsonl.
        shuffled: scores of the negative control: explanations of other rows in the place of these rows' own.
        same_label: whether those other rows were given the same label.
    """
    other_rows = f"other rows{' of the same predicted label' if same_label else ''}"
    for metric in evidence_metrics():
        name = metric_of(metric).phrase
        own = [score for row in scores if (score := row.get(metric)) is not None]
        control = [score for row in shuffled if (score := row.get(metric)) is not None]
        if metric == "support" and own and not control:
            return Rule(
                SUPPORT_WITHOUT_CONTROL,
                metric,
                f"An explanation counts as wrong if its {name} is below {SUPPORT_WITHOUT_CONTROL} (there are no "
                f"explanations of {other_rows} to compare with), or if it is empty or restates an input field. "
                f"{UNLESS_REFERENCE}",
            )
        # A metric that is blind to these texts, as ROUGE is to most scripts, gives 0 to all; a judge's 0 is a verdict.
        if not own or not control or (metric != "support" and not any([*control, *own])):
            continue
        threshold = float(np.median(control))
        return Rule(
            threshold,
            metric,
            f"An explanation counts as wrong if its {name} is below {threshold:.3f}, the median that explanations "
            f"written for {other_rows} reach in the place of these rows' own (no better than a typical explanation of "
            f"something else), or if it is empty or restates an input field. {UNLESS_REFERENCE}",
        )
    return Rule(
        None,
        None,
        "Without a judge and references that explanations can be compared with, only empty explanations and those "
        f"that restate an input field count as wrong. {UNLESS_REFERENCE}",
    )


def find_errors(
    rows: Sequence[Row],
    task: Task,
    scores: Sequence[Mapping[str, float | None]],
    shuffled: Sequence[Mapping[str, float | None]],
    bootstrap: GroupBootstrap,
) -> Errors:
    """Judge every row, count, and choose examples.

    A system that gives no label for any row, or a set without gold labels, is judged by explanations alone; one that
    explains nothing, by labels alone. Where both are judged, a row that lacks either verdict has no kind.

    Args:
        scores: of each row, as in per_example.jsonl.
        shuffled: see `explanation_error_rule`.
    """
    label_wrong = _label_errors(rows, task)
    rule = explanation_error_rule(scores, shuffled, same_label=task.labels is not None)
    explained = any(not row["empty"] for row in scores)
    explanation_wrong = [
        rule.is_wrong(s, is_reference=is_among(row.prediction.explanation, row.references)) if explained else None
        for row, s in zip(rows, scores, strict=True)
    ]
    verdicts_of: dict[Judged, list[bool | None]] = {"label": label_wrong, "explanation": explanation_wrong}
    judged = [name for name, verdicts in verdicts_of.items() if any(verdict is not None for verdict in verdicts)]
    if not judged:
        return Errors([None] * len(rows), ErrorSummary())
    kinds = [_kind(*verdicts, judged) for verdicts in zip(label_wrong, explanation_wrong, strict=True)]
    gold = [row.example.label for row in rows]
    about = [
        _Mistake(place, kind, row.example.label, row.prediction.label, _severity(row, s, rule))
        for place, (row, kind, s) in enumerate(zip(rows, kinds, scores, strict=True))
        if kind in KINDS[1:] or row.prediction.label != row.example.label
    ]
    by_rule = "explanation" in judged
    summary = ErrorSummary(
        n=sum(kind is not None for kind in kinds),
        judged=judged,
        rule=rule.sentence if by_rule else None,
        metric=rule.metric if by_rule else None,
        threshold=rule.threshold if by_rule else None,
        control_n=_control_n(rule, shuffled) if by_rule else None,
        counts=_counts(kinds, bootstrap),
        per_label={
            name: _counts(of_label, bootstrap)
            for name in task.labels or ()
            if any(of_label := [k if g == name else None for k, g in zip(kinds, gold, strict=True)])
        },
        association=_association(label_wrong, explanation_wrong, bootstrap) if len(judged) == 2 else None,
        examples={
            kind: _worst([a for a in about if a.kind == kind], rows, EXAMPLES_EACH)
            for kind in KINDS[1:]
            if any(a.kind == kind for a in about)
        },
        confusion=_confusion(about, rows) if "label" in judged and task.labels else [],
    )
    return Errors(kinds, summary)


def _control_n(rule: Rule, shuffled: Sequence[Mapping[str, float | None]]) -> int | None:
    """How many explanations of other rows the threshold is the median of; None where it is of none."""
    if rule.metric is None:
        return None
    return sum(row.get(rule.metric) is not None for row in shuffled) or None


class _Severity(NamedTuple):
    confidence: float | None
    score: float | None
    empty: bool
    """Whether nothing was written as the explanation."""
    id: str


class _Mistake(NamedTuple):
    """``place`` of a row, and what it is chosen by: half of all rows can be among them."""

    place: int
    kind: ErrorKind | None
    gold: str | None
    given: str | None
    severity: _Severity


def _label_errors(rows: Sequence[Row], task: Task) -> list[bool | None]:
    right = right_answers(rows, task)
    if task.answer == "text" and not any(right):  # summaries, say: none equals its reference, which makes none wrong
        return [None] * len(rows)
    return [None if verdict is None else not verdict for verdict in right]


def _kind(label: bool | None, explanation: bool | None, judged: Sequence[Judged]) -> ErrorKind | None:
    if ("label" in judged and label is None) or ("explanation" in judged and explanation is None):
        return None
    if label and explanation:
        return "both"
    return "label" if label else "explanation" if explanation else "none"


def _counts(kinds: Sequence[ErrorKind | None], bootstrap: GroupBootstrap) -> dict[ErrorKind, Share]:
    """The share of each kind among the rows that have one."""
    known = np.array([kind is not None for kind in kinds])
    columns = np.stack([np.array([kind == name for kind in kinds], dtype=np.float64) for name in KINDS], axis=1)
    columns[~known] = np.nan
    means = column_means(columns, bootstrap)
    return {
        name: Share(n=sum(kind == name for kind in kinds), share=_number(means.value[k]), ci95=means.interval(k))
        for k, name in enumerate(KINDS)
    }


def _association(
    label_wrong: Sequence[bool | None], explanation_wrong: Sequence[bool | None], bootstrap: GroupBootstrap
) -> Association | None:
    """How often explanations are wrong beside right and beside wrong labels; None where one of them has no rows."""
    label, explanation = as_column(label_wrong), as_column(explanation_wrong)
    beside = np.stack([np.where(label == wrong, explanation, np.nan) for wrong in (0, 1)], axis=1)
    means = column_means(beside, bootstrap)
    if not means.n.all():
        return None
    right, wrong = (Share(n=int(means.n[k]), share=float(means.value[k]), ci95=means.interval(k)) for k in (0, 1))
    resampled = means.resampled
    interval = None if resampled is None else percentiles(resampled[:, 1] - resampled[:, 0])
    difference = Gap(value=float(means.value[1] - means.value[0]), ci95=interval)
    return Association(label_right=right, label_wrong=wrong, difference=difference)


def _severity(row: Row, scores: Mapping[str, float | None], rule: Rule) -> _Severity:
    score = scores.get(rule.metric) if rule.metric else None
    return _Severity(row.prediction.confidence, score, not row.prediction.explanation.strip(), row.example.id)


def _worst(mistakes: Sequence[_Mistake], rows: Sequence[Row], count: int) -> list[ErrorExample]:
    """The worst first: wrong labels by confidence, explanations by score; then by id, so that no order is by chance."""

    def place(mistake: _Mistake) -> tuple[float, float, float, str]:
        confidence, score, empty, identity = mistake.severity
        sure = 0.0 if confidence is None or mistake.kind not in ("label", "both") else -confidence
        return (sure, -float(empty), 1.0 if score is None else score, identity)

    return [_example(rows[mistake.place], mistake.severity) for mistake in heapq.nsmallest(count, mistakes, key=place)]


def _confusion(about: Sequence[_Mistake], rows: Sequence[Row]) -> list[ConfusedLabels]:
    """The commonest cells off the diagonal, each with its worst rows; a row without an explanation's verdict counts."""
    cells: dict[tuple[str, str | None], list[_Mistake]] = {}
    for mistake in about:
        gold, given = mistake.gold, mistake.given
        if gold is not None and gold != given:
            cells.setdefault((gold, given), []).append(mistake._replace(kind="label"))
    ordered = sorted(cells.items(), key=lambda item: (-len(item[1]), item[0][0], item[0][1] or ""))
    return [
        ConfusedLabels(
            gold=gold,
            predicted=given,
            n=len(mistakes),
            examples=_worst(mistakes, rows, CELL_EXAMPLES),
        )
        for (gold, given), mistakes in ordered[:MOST_CELLS]
    ]


def _example(row: Row, severity: _Severity) -> ErrorExample:
    return ErrorExample(
        id=row.example.id,
        fields=row.example.fields,
        gold=row.example.label,
        label=row.prediction.label,
        confidence=severity.confidence,
        explanation=row.prediction.explanation,
        score=severity.score,
        references=list(row.references),
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
