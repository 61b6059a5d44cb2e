"""report.html of a comparison: a chart of any quality over any cost, with the Pareto front, above the whole report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from reasondistill.comparison import Comparison
from reasondistill.comparison.degradation import ZEROS
from reasondistill.comparison.pareto import on_front
from reasondistill.comparison.system_costs import COSTS, PARAMETERS
from reasondistill.comparison.tradeoffs import qualities
from reasondistill.contracts.results import Metric
from reasondistill.contracts.tradeoffs import Curve, Estimate, SystemSummary, Tradeoffs
from reasondistill.metrics.registry import metric_of
from reasondistill.reporting.cost_format import COMPRESSION, COST_TITLES, ZERO_TITLES
from reasondistill.reporting.figures import Drawing
from reasondistill.reporting.html import content_policy, page_script, render
from reasondistill.reporting.tradeoff_document import to_document
from reasondistill.reporting.viewer.columns import page_json

GENERATOR: Final = "reasondistill compare"
SCRIPT_FILES: Final = ("scale.js", "chart.js", "tradeoffs.js")
"""The parts of the page's script in ``reporting/tradeoffs_js/``, in the order in which they need each other."""
_ALL_ROWS: Final = ""

Point = tuple[float, float | None, float | None] | None
"""Value and bounds of its interval; None where a system has no figure."""


def to_page(found: Comparison, tradeoffs: Tradeoffs, drawings: Sequence[Drawing]) -> str:
    """The page; it needs no other file and makes no request."""
    from markupsafe import Markup

    script = page_script(["viewer/explorer_js/element.js", *(f"tradeoffs_js/{name}" for name in SCRIPT_FILES)])
    return render(
        "tradeoffs.html.j2",
        document=to_document(found, tradeoffs, drawings),
        generator=GENERATOR,
        flag="",
        data=Markup(page_json(chart_data(tradeoffs))),
        script=Markup(script),
        policy=content_policy(script),
    )


def chart_data(found: Tradeoffs) -> dict[str, Any]:
    """What the page's script draws.

    ``systems`` are those with costs; every list of points and every front counts them by their place. ``points`` has
    ``{metric: {label or "": {scale: [point, …]}}}``, where a scale is ``measured`` or the zero point above which shares
    are kept; a system that was not measured alike on a metric has no point there. ``fronts`` has
    ``{metric: {label or "": {cost: [place, …]}}}``.
    """
    systems = [system for system in found.systems if system.compression is not None]
    axes = [COMPRESSION, *(c.name for c in COSTS if any(c.name in s.costs for s in systems))]
    alike = {f.quality: {*f.systems, *f.dominated} for f in found.fronts if f.cost == PARAMETERS}
    metrics = [name for name in qualities() if name in alike]
    labels = list(dict.fromkeys(label for system in systems for label in system.per_label))
    curves = {(curve.metric, curve.label or _ALL_ROWS): curve for curve in found.curves}
    points: dict[str, dict[str, dict[str, list[Point]]]] = {}
    fronts: dict[str, dict[str, dict[str, list[int]]]] = {}
    for metric in metrics:
        points[metric], fronts[metric] = {}, {}
        for label in (_ALL_ROWS, *labels):
            tables = [s.metrics if label == _ALL_ROWS else s.per_label.get(label, {}) for s in systems]
            curve = curves.get((metric, label))
            quality = {point.system: point.quality for point in curve.points} if curve is not None else {}
            measured = [
                _point(table.get(metric) or quality.get(system.name)) if system.name in alike[metric] else None
                for system, table in zip(systems, tables, strict=True)
            ]
            if sum(point is not None for point in measured) > 1:
                points[metric][label] = {
                    "measured": measured,
                    **dict(_kept(systems, curve)),
                }
                fronts[metric][label] = dict(_fronts(systems, metric, measured, found.costs_left_out))
    return {
        "reference": found.reference,
        "systems": [
            {"name": s.name, "costs": {COMPRESSION: s.compression, **s.costs}} for s in systems
        ],
        "axes": [
            {"key": name, "title": COST_TITLES[name].title, "unit": COST_TITLES[name].unit,
             "unlike": name in found.costs_left_out}
            for name in axes
        ],
        "metrics": [
            {"key": m.name, "title": m.title, "lower": m.lower_is_better, "unit": m.on_unit_scale}
            for m in map(metric_of, metrics)
        ],
        "parts": [{"key": _ALL_ROWS, "title": "all rows"}, *({"key": name, "title": name} for name in labels)],
        "scales": [
            {"key": "measured", "title": "as measured"},
            *({"key": zero, "title": f"share kept above {ZERO_TITLES[zero]}"} for zero in ZEROS),
        ],
        "points": points,
        "fronts": fronts,
    }  # fmt: skip


def _point(metric: Metric | Estimate | None) -> Point:
    if metric is None:
        return None
    low, high = metric.ci95 or (None, None)
    return metric.value, low, high


def _kept(systems: Sequence[SystemSummary], curve: Curve | None) -> Iterator[tuple[str, list[Point]]]:
    if curve is None:
        return
    kept = {point.system: point.kept for point in curve.points}
    for zero in ZEROS:
        if any(zero in shares for shares in kept.values()):
            yield zero, [_point(kept.get(system.name, {}).get(zero)) for system in systems]


def _fronts(
    systems: Sequence[SystemSummary], metric: str, measured: Sequence[Point], unlike: Mapping[str, str]
) -> Iterator[tuple[str, list[int]]]:
    sign = -1 if metric_of(metric).lower_is_better else 1
    for cost in COSTS:
        there = [k for k, point in enumerate(measured) if point is not None and cost.name in systems[k].costs]
        if cost.name in unlike or len(there) < 2:
            continue
        gain = np.array([sign * point[0] for k in there if (point := measured[k]) is not None])
        price = np.array([systems[k].costs[cost.name] for k in there]) * (-1 if cost.higher_is_better else 1)
        yield cost.name, [there[int(k)] for k in np.flatnonzero(on_front(gain, price))]
