"""Degradation curves: the share of the reference's quality that is kept, over compression, in small panels."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from reasondistill.comparison.degradation import ACCURACY, curved
from reasondistill.contracts.tradeoffs import Curve, CurvePoint, Estimate, Tradeoffs, Zero
from reasondistill.metrics.registry import evidence_metrics, headline_metrics, metric_of
from reasondistill.reporting.cost_format import ZERO_TITLES, cost_value, count
from reasondistill.reporting.figures import MUTED, SERIES, Drawing, drawing, short_label
from reasondistill.reporting.formatting import metric_title, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME: Final = "degradation_curves"
_MARKERS: Final = ("o", "s", "D", "^", "v", "P")  # colour is not the only sign
_COLUMNS, _WIDTH, _HEIGHT = 3, 3.9, 3.0  # of a panel, inches
_LINES = 6  # no more lines in a panel than there are colours


class Panel(NamedTuple):
    """One pair of axes; ``lines`` are names with the curves that they stand for."""

    name: str
    title: str
    zero: Zero
    lines: tuple[tuple[str, Curve], ...]


def degradation_panels(tradeoffs: Tradeoffs) -> list[Panel]:
    """The panels with a curve over at least two sizes: above baselines, labels, explanations, by label."""
    whole = {curve.metric: curve for curve in tradeoffs.curves if curve.label is None}
    planned: list[Panel] = []

    def plan(name: str, title: str, zero: Zero, lines: Sequence[tuple[str, Curve]]) -> None:
        drawn = tuple((text, c) for text, c in lines if len({p.compression for p in c.points if zero in p.kept}) > 1)
        if drawn:
            planned.append(Panel(name, title, zero, drawn[:_LINES]))

    def of(metrics: Sequence[str]) -> list[tuple[str, Curve]]:
        return [(metric_title(metric), whole[metric]) for metric in metrics if metric in whole]

    plan("above-baselines", f"Above {ZERO_TITLES['baseline']}", "baseline", of((ACCURACY, *evidence_metrics())))
    plan("labels", "Labels", "nothing", of([name for name in curved() if metric_of(name).about == "labels"]))
    plan(
        "explanations",
        "Explanations",
        "nothing",
        of([name for name in headline_metrics() if metric_of(name).controlled]),
    )
    for metric in (ACCURACY, *evidence_metrics()):
        by_label = [(c.label, c) for c in tradeoffs.curves if c.metric == metric and c.label is not None]
        plan(f"by-label-{metric}", f"{metric_title(metric)} by gold label", "nothing", by_label)
    return planned


def degradation_figure(tradeoffs: Tradeoffs, panels: Sequence[Panel]) -> Drawing:
    """All panels in one figure, for degradation_curves.png."""
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    draw = drawing(height=_HEIGHT * rows + 0.8, width=_WIDTH * columns)(_draw_all)
    caption = (
        f"Share of {tradeoffs.reference}'s quality that is kept (1 is all of it) over compression, from "
        f"{tradeoffs.base.name}. Bands: 95% intervals of a paired bootstrap over groups. Where a panel does not say "
        "otherwise, a figure of 0 counts as nothing."
    )
    return draw(NAME, "Degradation curves", caption, tradeoffs, panels, columns, rows)


def panel_figure(tradeoffs: Tradeoffs, panel: Panel) -> Drawing:
    """One panel by itself, for a page."""
    caption = (
        f"Share of {tradeoffs.reference}'s quality above {ZERO_TITLES[panel.zero]} that is kept, over compression."
    )
    return drawing()(_draw_one)(f"degradation-{panel.name}", panel.title, caption, tradeoffs, panel)


def _draw_one(figure: Figure, tradeoffs: Tradeoffs, panel: Panel) -> None:
    axes = figure.subplots()
    _draw_panel(axes, tradeoffs, panel)
    axes.set_title("", loc="left")  # the page has it as text
    axes.set_xlabel("compression")


def _draw_all(figure: Figure, tradeoffs: Tradeoffs, panels: Sequence[Panel], columns: int, rows: int) -> None:
    grid = figure.subplots(rows, columns, squeeze=False)
    title = f"Share of the quality of {short_label(tradeoffs.reference, 40)} that is kept, with 95% intervals"
    figure.suptitle(printable(title), x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    for place, axes in enumerate(grid.flat):
        if place < len(panels):
            _draw_panel(axes, tradeoffs, panels[place])
        else:
            axes.set_visible(False)
    sizes = [
        f"{cost_value('compression', system.compression)} {system.name} ({count(system.costs['parameters'])})"
        for system in sorted(tradeoffs.systems, key=lambda system: system.compression or 0.0)
        if system.compression is not None
    ]
    text = (
        f"Compression: parameters of {tradeoffs.base.name} over a system's own. {' · '.join(sizes)}. Counted from 0 "
        "where no other zero point is named."
    )
    figure.supxlabel("\n".join(textwrap.wrap(printable(text), 52 * columns)), fontsize=8.5, color=MUTED)


def _draw_panel(axes: Axes, tradeoffs: Tradeoffs, panel: Panel) -> None:
    axes.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    for index, (text, curve) in enumerate(panel.lines):
        points = _points(curve, panel.zero)
        x, y = [point.compression for point, _ in points], [kept.value for _, kept in points]
        bounds = [kept.ci95 or (kept.value, kept.value) for _, kept in points]
        colour, marker = SERIES[index], _MARKERS[index]
        low, high = [low for low, _ in bounds], [high for _, high in bounds]
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
        for edge in (low, high):
            axes.plot(x, edge, color=colour, linewidth=0.7, alpha=0.55)
        above = len(panel.lines) - 1 - index  # what is drawn over it is thinner, so that equal lines are both seen
        axes.plot(
            x,
            y,
            marker=marker,
            markersize=4.6 + above,
            linewidth=1.6 + 0.6 * above,
            color=colour,
            label=printable(short_label(text, 24)),
        )
    _compression_axis(axes, sorted({s.compression for s in tradeoffs.systems if s.compression is not None}))
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f}%".replace("-", "−"))
    axes.set_title(panel.title, loc="left", fontsize=10)
    axes.legend(loc="best", handlelength=1.5, fontsize=8.2, frameon=True, framealpha=0.75, edgecolor="none")


def _points(curve: Curve, zero: Zero) -> list[tuple[CurvePoint, Estimate]]:
    there = [(point, point.kept[zero]) for point in curve.points if zero in point.kept]
    return sorted(there, key=lambda pair: pair[0].compression)


def _compression_axis(axes: Axes, ticks: Sequence[float]) -> None:
    """A logarithmic axis with a tick for each system, but those that would overlap."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log", base=2)
    span = math.log2(ticks[-1] / ticks[0]) if ticks[-1] > ticks[0] else 1.0
    shown = [ticks[0]]
    for tick in ticks[1:]:
        if math.log2(tick / shown[-1]) > 0.13 * span:
            shown.append(tick)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: cost_value("compression", value)))
