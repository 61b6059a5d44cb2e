"""Quality against cost: compression, Pareto fronts and degradation, for systems whose results say what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from reasondistill.comparison.degradation import ZEROS, answer, curve, curved, losses, zero_points
from reasondistill.comparison.pairs import Measured
from reasondistill.comparison.pareto import dominates, on_front
from reasondistill.comparison.resampled import Panel, panels
from reasondistill.comparison.system_costs import COSTS, PARAMETERS, Cost, costs_of, remarks, unlike_costs
from reasondistill.comparison.systems import COSTS_FILE
from reasondistill.contracts.tradeoffs import Base, Front, SystemSummary, Tradeoffs, Zero
from reasondistill.errors import DataError
from reasondistill.metrics.registry import known_metrics, metric_of
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap


def qualities() -> tuple[str, ...]:
    """The metrics that fronts are drawn for: those of which one knows whether more is better."""
    return (*curved(), *sorted(metric.name for metric in known_metrics() if metric.weighed and metric.lower_is_better))


def tradeoffs(
    systems: Sequence[Measured], bootstrap: GroupBootstrap, base: str | None = None
) -> tuple[Tradeoffs | None, list[str]]:
    """What the systems' costs and scores say together.

    Args:
        systems: with their rows in the same order.
        base: ``NAME`` of one of them or ``NAME=PARAMETERS``: what compression is counted from; the largest by default.

    Returns:
        None where fewer than two results say how many parameters their system has; and what a reader has to know then.

    Raises:
        DataError: ``base`` is neither, or names a system without costs, or there is nothing to compare with it.
    """
    costs = {candidate.system.name: costs_of(candidate.system) for candidate in systems}
    measured = [candidate for candidate in systems if PARAMETERS in costs[candidate.system.name]]
    left_out = {
        name: f"not measured: neither its results nor a {COSTS_FILE} beside them or in its run says its parameters"
        for name, figures in costs.items()
        if PARAMETERS not in figures
    }
    if len(measured) < 2:
        if base is not None:
            raise DataError(
                "--base",
                expected="efficiency in the results of at least two systems",
                found=f"it in those of {len(measured)}",
                fix=f"Run `reasondistill efficiency STUDENT DATA --out RESULTS/{COSTS_FILE}` for each.",
            )
        note = f"Trade-offs need the costs of two systems; without them: {', '.join(left_out)}."
        return None, [note] if measured else []
    named = _base(
        base, {candidate.system.name: costs[candidate.system.name][PARAMETERS] for candidate in measured}, left_out
    )
    return _of_measured(systems, measured, costs, named, bootstrap, left_out), []


def _of_measured(
    systems: Sequence[Measured],
    measured: Sequence[Measured],
    costs: Mapping[str, dict[str, float]],
    base: Base,
    bootstrap: GroupBootstrap,
    left_out: dict[str, str],
) -> Tradeoffs:
    sizes = {
        candidate.system.name: (p := costs[candidate.system.name][PARAMETERS], base.parameters / p)
        for candidate in measured
    }
    reference = base.name if base.compared else max(sizes, key=lambda name: sizes[name][0])
    by_name = {candidate.system.name: candidate for candidate in measured}
    labels: list[str | None] = [
        None, *sorted({row.gold for row in measured[0].system.rows if row.gold is not None})
    ]  # fmt: skip
    compared, missing = panels(measured, by_name[reference], qualities(), labels, bootstrap)
    results = by_name[reference].system.results
    zeros: dict[str, dict[Zero, float]] = {metric: zero_points(metric, results) for metric in curved()}
    smaller = sorted((n for n in sizes if sizes[n][0] < sizes[reference][0]), key=lambda n: sizes[n][0])
    lost = losses(compared, reference, smaller, zeros)
    unlike = unlike_costs([candidate.system for candidate in measured])
    return Tradeoffs(
        base=base,
        reference=reference,
        smallest=smaller[0] if smaller else None,
        systems=[
            SystemSummary(
                name=candidate.system.name,
                n=candidate.system.results.dataset.n,
                costs=costs[candidate.system.name],
                compression=sizes[candidate.system.name][1] if candidate.system.name in sizes else None,
                metrics=candidate.system.results.metrics,
                per_label=candidate.system.results.per_label,
            )
            for candidate in systems
        ],
        left_out=left_out,
        costs_left_out=unlike,
        metrics_left_out=missing,
        fronts=_fronts(compared, {name: costs[name] for name in by_name}, unlike),
        curves=[
            curve(panel, reference, zeros[panel.metric] if panel.label is None else {"nothing": 0.0}, sizes)
            for panel in compared
            if panel.metric in zeros
        ],
        losses=lost,
        answers={
            zero: answer([loss.verdict for loss in lost if loss.system == smaller[0] and loss.zero == zero])
            for zero in ZEROS
            if any(loss.zero == zero for loss in lost)
        },
        notes=[
            *_notes(sizes, reference, smaller),
            *remarks([candidate.system for candidate in measured]),
        ],
    )


def _fronts(
    panels: Sequence[Panel], costs: Mapping[str, Mapping[str, float]], unlike: Mapping[str, str]
) -> list[Front]:
    by_metric = {panel.metric: panel for panel in panels if panel.label is None}
    return [
        front
        for metric in qualities()
        if metric in by_metric
        for cost in COSTS
        if cost.name not in unlike and (front := _front(by_metric[metric], cost, costs)) is not None
    ]


def _front(panel: Panel, cost: Cost, costs: Mapping[str, Mapping[str, float]]) -> Front | None:
    names = [name for name in panel.draws if cost.name in costs[name]]
    if len(names) < 2:
        return None
    price = np.array([costs[name][cost.name] for name in names]) * (-1 if cost.higher_is_better else 1)
    sign = -1 if metric_of(panel.metric).lower_is_better else 1
    beats = dominates(sign * np.array([panel.draws[name].value for name in names]), price)
    resampled = sign * np.stack([panel.draws[name].resampled for name in names], axis=-1)
    order = sorted(range(len(names)), key=lambda k: price[k])
    kept = [k for k in order if not beats[:, k].any()]
    return Front(
        quality=panel.metric,
        cost=cost.name,
        systems=[names[k] for k in kept],
        # Of those that beat it one on the front, which there always is.
        dominated={names[k]: names[next(i for i in kept if beats[i, k])] for k in order if k not in kept},
        share=_shares(names, resampled, price),
        without=[name for name in costs if name not in names],
    )


def _shares(names: Sequence[str], resampled: FloatArray, price: FloatArray) -> dict[str, float] | None:
    whole = resampled[~np.isnan(resampled).any(axis=1)]
    if not len(whole):
        return None
    return dict(zip(names, map(float, on_front(whole, price).mean(axis=0)), strict=True))


def _base(base: str | None, parameters: Mapping[str, float], left_out: Mapping[str, str]) -> Base:
    if base is None:
        largest = max(parameters, key=lambda name: parameters[name])
        return Base(name=largest, parameters=parameters[largest], compared=True)
    if base in parameters:
        return Base(name=base, parameters=parameters[base], compared=True)
    if base in left_out:
        raise DataError(
            "--base", expected=f"the parameters of {base}", found=left_out[base], fix=f"Write {base}=NUMBER."
        )
    name, _, number = base.rpartition("=")
    if not name.strip():
        raise DataError(
            "--base",
            expected=f"NAME=PARAMETERS, or one of {', '.join(parameters)}",
            found=repr(base),
            fix='For a base without results, write its size: --base "teacher=1.1e9".',
        )
    if name.strip() in parameters:
        raise DataError(
            "--base", problem=f"{name.strip()} has parameters of its own", fix=f"Write --base {name.strip()} alone."
        )
    return Base(name=name.strip(), parameters=_count(number), compared=False)


def _count(number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise DataError("--base", expected="a number of parameters above 0, such as 248e6", found=repr(number))
    return value


def _notes(sizes: Mapping[str, tuple[float, float]], reference: str, smaller: Sequence[str]) -> list[str]:
    notes = []
    if not smaller:
        notes.append(f"No system has fewer parameters than {reference}: nothing has degraded from it to another.")
    by_size: dict[float, list[str]] = {}
    for name, (parameters, _) in sizes.items():
        by_size.setdefault(parameters, []).append(name)
    notes += [
        f"{', '.join(names)} have the same number of parameters: what sets them apart is not size."
        for names in by_size.values()
        if len(names) > 1
    ]
    return notes
