"""Metrics of several systems in the same resamples of the same rows, so that any function of them has an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reasondistill.comparison.pairs import Columns, Measured, shared
from reasondistill.contracts.tradeoffs import Estimate
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, percentile_interval


class Draws:
    """A figure over all rows, and in each resample: (resamples,), empty with fewer than two groups."""

    def __init__(self, value: float, resampled: FloatArray) -> None:
        self.value = value
        self.resampled = resampled

    def estimate(self) -> Estimate:
        return Estimate(value=self.value, ci95=percentile_interval(self.resampled))

    def minus(self, other: Draws) -> Draws:
        return Draws(self.value - other.value, self.resampled - other.resampled)

    def share_of(self, whole: Draws, zero: float) -> Draws:
        """(self - zero) / (whole - zero); NaN in resamples where the whole does not lie above the zero point."""
        return Draws((self.value - zero) / (whole.value - zero), _share(self.resampled - zero, whole.resampled - zero))

    def above(self, zero: float) -> bool:
        """Whether the figure lies above ``zero`` in at least 97.5% of the resamples, or simply does without any."""
        interval = percentile_interval(self.resampled)
        return self.value > zero and (interval is None or interval[0] > zero)


class Panel:
    """One metric on the rows of one gold label, or on all: what each system that can be compared on it reaches."""

    def __init__(self, metric: str, label: str | None, n: int, draws: dict[str, Draws]) -> None:
        self.metric, self.label, self.n, self.draws = metric, label, n, draws


def panels(
    systems: Sequence[Measured],
    reference: Measured,
    metrics: Sequence[str],
    labels: Sequence[str | None],
    bootstrap: GroupBootstrap,
) -> tuple[list[Panel], dict[str, str]]:
    """Some metrics of ``reference`` with all systems that were measured alike, on the rows that all of these have.

    Args:
        systems: with ``reference`` among them, their rows in the same order.
        metrics: those asked for, in their order; the reference need not have them all.
        labels: gold labels whose rows are looked at apart; None stands for all rows.

    Returns:
        A panel for each metric and label with at least two systems, and why a system is missing from a metric, by
        ``"<system>: <metric>"``.
    """
    gold = np.array([row.gold or "" for row in reference.system.rows])
    columns = Columns()
    planned: list[tuple[str, str | None, int, dict[str, slice]]] = []
    comparable, missing = _comparable(systems, reference, metrics)
    for metric, group in comparable.items():
        if len(group) < 2:
            continue
        rows = np.logical_and.reduce([candidate.measures[metric].present for candidate in group])
        for label in labels:
            chosen: NDArray[np.bool_] = rows if label is None else rows & (gold == label)
            if not chosen.any() or (label is not None and group[0].measures[metric].kind == "corpus"):
                continue
            places = {candidate.system.name: columns.add(candidate.measures[metric].on(chosen)) for candidate in group}
            planned.append((metric, label, int(chosen.sum()), places))
    if not planned:
        return [], missing
    statistics = columns.joined()
    total = statistics.sum(axis=0)
    sums = bootstrap.sums(statistics) if bootstrap.n_groups > 1 else statistics[:0]
    functions = {name: measure.function for name, measure in reference.measures.items()}
    return [
        Panel(
            metric,
            label,
            n,
            {
                name: Draws(float(functions[metric](total[place])), functions[metric](sums[:, place]))
                for name, place in places.items()
            },
        )
        for metric, label, n, places in planned
    ], missing


def _comparable(
    systems: Sequence[Measured], reference: Measured, metrics: Sequence[str]
) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    groups: dict[str, list[Measured]] = {metric: [] for metric in metrics if metric in reference.measures}
    missing: dict[str, str] = {}
    for candidate in systems:
        names, left_out = shared(candidate, reference)
        for metric, group in groups.items():
            if metric in names:
                group.append(candidate)
            else:
                missing[f"{candidate.system.name}: {metric}"] = left_out[metric]
    return groups, missing


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    share: FloatArray = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return share
