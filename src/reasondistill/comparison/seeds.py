"""One recipe trained with several seeds: its mean, how sure that is over rows and over trainings, and tests of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, stdev

import numpy as np

from reasondistill.comparison.pairs import Measured
from reasondistill.contracts.results import MetricValue
from reasondistill.metrics.measure import Measure
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, Interval, ratio


def mean_of(runs: Sequence[Measured], name: str) -> Measured:
    """The mean of several trainings as one system, whose rows are scored as the trainings are on average.

    So a test that swaps the answers of a group swaps those of all its trainings together. A metric that some of the
    trainings do not have is left out.

    Args:
        runs: of one recipe, one a seed, with their rows in the same order.
        name: of the recipe.
    """
    first = runs[0]
    if len(runs) == 1:
        return first._replace(system=replace(first.system, name=name))
    names = [metric for metric in first.measures if all(metric in run.measures for run in runs)]
    measures = {metric: _mean_measure([run.measures[metric] for run in runs]) for metric in names}
    left_out = {
        metric: next(
            (run.left_out[metric] for run in runs if metric in run.left_out), "some of its seeds have no figure of it"
        )
        for metric in {**first.measures, **first.left_out}
        if metric not in measures
    }
    metrics = {metric: MetricValue(value=measure.value(), n=measure.n) for metric, measure in measures.items()}
    update = {"metrics": metrics, "per_label": _mean_per_label(runs, names)}
    results = first.system.results.model_copy(update=update)
    return Measured(replace(first.system, name=name, results=results), measures, left_out)


def _mean_measure(several: Sequence[Measure]) -> Measure:
    present = np.logical_and.reduce([measure.present for measure in several])
    if all(measure.kind != "corpus" for measure in several):
        scores = np.mean([measure.statistics[:, 0] for measure in several], axis=0)
        return Measure("score", np.column_stack([scores * present, present]), present, ratio)
    width = several[0].statistics.shape[1]
    function = several[0].function

    def averaged(sums: FloatArray) -> FloatArray:
        values: FloatArray = np.mean(
            [function(sums[..., k : k + width]) for k in range(0, sums.shape[-1], width)], axis=0
        )
        return values

    return Measure("corpus", np.hstack([measure.on(present) for measure in several]), present, averaged)


def _mean_per_label(runs: Sequence[Measured], names: Sequence[str]) -> dict[str, dict[str, MetricValue]]:
    first, *others = [run.system.results.per_label for run in runs]
    return {
        label: {
            name: MetricValue(value=mean([metric.value, *(other[label][name].value for other in others)]), n=metric.n)
            for name, metric in metrics.items()
            if name in names and all(name in other.get(label, {}) for other in others)
        }
        for label, metrics in first.items()
    }


def seed_margin(values: Sequence[float]) -> float | None:
    """Half the 95% interval of the mean of ``values``, one a seed, by Student's t; None with fewer than two.

    It takes the seeds as a sample of all trainings that the recipe could have had, on these rows.
    """
    if len(values) < 2:
        return None
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))


def over_rows_and_seeds(value: float, rows: Interval | None, values: Sequence[float]) -> Interval | None:
    """The 95% interval of a mean that is unsure for two reasons: which rows were scored, and which seeds were drawn.

    The distances of the two intervals' ends from ``value`` add as squares, as independent errors do (the method of
    variance estimates recovery). What a seed does to single rows is in both, so that the interval is rather too wide.

    Source: Zou & Donner 2008, Construction of confidence limits about effect measures, Statistics in Medicine 27.

    Args:
        value: the mean over seeds.
        rows: its interval by resampling groups of rows, with these trainings.
        values: of each seed.

    Returns:
        None with fewer than two seeds or without an interval over rows: then one of the two reasons is not known.
    """
    margin = seed_margin(values)
    if margin is None or rows is None:
        return None
    low, high = rows
    return value - math.hypot(max(value - low, 0.0), margin), value + math.hypot(max(high - value, 0.0), margin)


def row_interval(measured: Measured, metric: str, bootstrap: GroupBootstrap) -> Interval | None:
    """The 95% interval of a metric by resampling groups of rows."""
    measure = measured.measures[metric]
    return bootstrap.interval(measure.statistics, measure.function)
