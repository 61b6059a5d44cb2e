"""How the system does on each slice of the rows, beside the rest of them, worst first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from reasondistill.contracts.slices import MeasuredSlice, SliceFigures
from reasondistill.evaluation.column_means import Means, as_column, means_of_sums, percentiles
from reasondistill.evaluation.pairing import Row, gives_labels, right_answers
from reasondistill.evaluation.slice_rules import Slice, find_slices
from reasondistill.metrics.any_script import rouge1_any, rougeL_any
from reasondistill.metrics.registry import evidence_metrics, known_metrics, metric_names
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap
from reasondistill.storage.lazy_sequences import Mapped
from reasondistill.tasks.task import Task

_NUMBERS_AT_ONCE: Final = 2_000_000
"""Of rows times slices, in and out of them: some arrays of as many numbers are held."""
SMALLEST: Final = 30
"""A slice with fewer rows, or with fewer rows beside it, is shown but not ranked."""
ACCURACY: Final = "label_accuracy"
ANSWER_F1, ANSWER_F1_INTL = "answer_f1", "answer_f1_intl"
"""By which slices of written answers are ranked: of long ones, none may match exactly."""


class Slices(NamedTuple):
    """``measured`` is ``results.slices``, ``names`` has the slices of each row, ``settings`` how all came about."""

    measured: list[MeasuredSlice]
    names: Sequence[list[str]]
    settings: dict[str, Any]


def measure_slices(
    rows: Sequence[Row],
    task: Task,
    scores: Sequence[Mapping[str, float | None]],
    bootstrap: GroupBootstrap,
    given_language: str | None = None,
) -> Slices:
    """Every metric at hand on every slice, on the rows outside it, and the difference, with 95% intervals.

    Intervals are those of `GroupBootstrap`. ``p`` is two-sided, for a difference of 0, by the normal approximation
    with the bootstrap's standard deviation, and None for slices too small to rank; ``p_adjusted`` holds the false
    discovery rate over the slices of a metric that have one (Benjamini & Hochberg 1995).

    Ranked slices come first, the one whose difference in the ranking metric has the lowest upper bound at the top:
    the one that is the worst for sure, not the one that looks the worst by chance.

    Args:
        scores: of each row, as in per_example.jsonl.
        given_language: as `find_slices`.
    """
    rules = find_slices(rows, task, scores, given_language)
    columns = _columns(rows, task, scores)
    names = Mapped(lambda k: [part.name for part in rules.slices if part.members[k]], range(len(rows)))
    settings: dict[str, object] = {"languages": rules.languages}
    if rules.left_out:
        settings["left_out"] = rules.left_out
    if not rules.slices or not columns:
        return Slices([], names, settings)
    ranking = next(name for name in (ACCURACY, ANSWER_F1_INTL, ANSWER_F1, *evidence_metrics()) if name in columns)
    figures = {name: _adjusted(_compare(rules.slices, column, bootstrap)) for name, column in columns.items()}
    measured = [
        MeasuredSlice(
            name=part.name,
            family=part.family,
            rule=part.rule,
            n=int(part.members.sum()),
            share=float(part.members.mean()),
            ranked=_is_large(figures[ranking][k]),
            metrics={name: its for name, of in figures.items() if (its := of[k]) is not None},
        )
        for k, part in enumerate(rules.slices)
    ]
    measured.sort(key=lambda measured_slice: _place(measured_slice, ranking))
    tested = sum(measured_slice.ranked for measured_slice in measured)
    settings |= {
        "ranked_by": ranking,
        "order": "the upper bound of the difference's 95% interval, lowest first",
        "smallest": SMALLEST,
        "ranked": tested,
        "below_by_chance": 0.025 * tested,
        "p": "two-sided, normal approximation with the bootstrap's standard deviation; adjusted by Benjamini-Hochberg",
    }
    return Slices(measured, names, settings)


def _columns(rows: Sequence[Row], task: Task, scores: Sequence[Mapping[str, float | None]]) -> dict[str, FloatArray]:
    """Each metric's values (n,), NaN where a row has none; metrics without any value are left out."""
    evidence = evidence_metrics()
    columns = {name: as_column([row.get(name) for row in scores]) for name in metric_names() if name in evidence}
    if all(row.get("rougeL", 0) is None for row in scores):  # left out: a script that it cannot read
        read = [
            rougeL_any(row.prediction.explanation or "", row.references) if row.references else None for row in rows
        ]
        columns["rougeL_intl"] = as_column(read)
    if task.writes_answers:
        answers = [metric.name for metric in known_metrics() if metric.family == "answers"]
        columns = {name: as_column([row.get(name) for row in scores]) for name in answers} | columns
        if all(row.get("answer_rougeL", 0) is None for row in scores):  # its words are not those of white space
            columns[ANSWER_F1_INTL] = as_column([rouge1_any(answer, of) if of else None for answer, of in _given(rows)])
            del columns[ANSWER_F1]
    elif gives_labels(rows, task):
        columns = {ACCURACY: as_column(right_answers(rows, task)), **columns}
    return {name: column for name, column in columns.items() if not np.isnan(column).all()}


def _given(rows: Sequence[Row]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each row's answer, and the accepted ones."""
    return ((row.prediction.label or "", row.example.answers) for row in rows)


def _compare(slices: Sequence[Slice], column: FloatArray, bootstrap: GroupBootstrap) -> list[SliceFigures | None]:
    """The figures of one metric on each slice; None where no row of a slice has a value."""
    present = ~np.isnan(column)
    values = np.where(present, column, 0.0)
    figures: list[SliceFigures | None] = []
    at_once = max(1, _NUMBERS_AT_ONCE // (2 * len(column)))
    for start in range(0, len(slices), at_once):
        inside = np.stack([part.members for part in slices[start : start + at_once]], axis=1).astype(np.float64)
        membership = np.hstack([inside, 1 - inside]) * present[:, None]
        means = means_of_sums(values[:, None] * membership, membership, bootstrap)
        width = inside.shape[1]
        figures += [_figures(means, k, k + width) if means.n[k] else None for k in range(width)]
    return figures


def _figures(means: Means, inside: int, outside: int) -> SliceFigures:
    n, rest_n = int(means.n[inside]), int(means.n[outside])
    difference, interval, p = None, None, None
    if rest_n:
        difference = float(means.value[inside]) - float(means.value[outside])
        if means.resampled is not None:
            differences = means.resampled[:, inside] - means.resampled[:, outside]
            interval = percentiles(differences)
            if min(n, rest_n) >= SMALLEST:
                p = _p(difference, differences[~np.isnan(differences)])
    return SliceFigures(
        value=float(means.value[inside]),
        ci95=means.interval(inside),
        n=n,
        rest=float(means.value[outside]) if rest_n else None,
        rest_n=rest_n,
        difference=difference,
        difference_ci95=interval,
        p=p,
        p_adjusted=None,
    )


def _p(difference: float, resampled: FloatArray) -> float | None:
    """Two-sided p of a difference of 0, by the normal approximation; None where resamples do not vary."""
    if len(resampled) < 2 or (deviation := float(resampled.std(ddof=1))) < 1e-12:
        return None
    return math.erfc(abs(difference) / deviation / math.sqrt(2))


def _is_large(figures: SliceFigures | None) -> bool:
    return figures is not None and min(figures.n, figures.rest_n) >= SMALLEST


def _adjusted(figures: Sequence[SliceFigures | None]) -> list[SliceFigures | None]:
    """With ``p_adjusted`` where there is a ``p``."""
    from scipy.stats import false_discovery_control

    tested = {k: figure.p for k, figure in enumerate(figures) if figure is not None and figure.p is not None}
    adjusted = dict(zip(tested, false_discovery_control(list(tested.values())), strict=True)) if tested else {}
    return [
        figure.model_copy(update={"p_adjusted": float(adjusted[k])}) if figure is not None and k in adjusted else figure
        for k, figure in enumerate(figures)
    ]


def _place(measured_slice: MeasuredSlice, ranking: str) -> tuple[bool, float, float, str]:
    """Ranked ones by upper bound, then by difference; the others after them by difference."""
    figures = measured_slice.metrics.get(ranking)
    difference = math.inf if figures is None or figures.difference is None else figures.difference
    interval = None if figures is None else figures.difference_ci95
    upper = interval[1] if interval and measured_slice.ranked else difference
    return not measured_slice.ranked, upper, difference, measured_slice.name
