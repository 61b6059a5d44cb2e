"""Figures of students: their parts, where they look, the loss around them, how losses pull, quality against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from reasondistill.contracts.tradeoffs import Tradeoffs
from reasondistill.reporting.cost_format import cost_value
from reasondistill.reporting.figures import CARD, MUTED, SERIES, Drawing, drawing, short_label
from reasondistill.reporting.formatting import metric_title, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reasondistill.inspection import CrossAttention, PartGradient, Plane

_MAP: Final = "cividis"  # even in lightness, and the same to every eye
_SIDES: Final = {"embeddings": 4, "encoder": 0, "decoder": 1, "norms": 3, "head": 2}
_BANDS: Final = 12
_CONFIDENCES: Final = 20


def parts(name: str, title: str, caption: str, students: Mapping[str, Mapping[str, int]]) -> Drawing:
    """Parameters of each student as one bar, divided into its parts."""
    return drawing(height=0.9 + 0.42 * len(students), width=5.4)(_parts)(name, title, caption, students)


def _parts(figure: Figure, students: Mapping[str, Mapping[str, int]]) -> None:
    axes = figure.subplots()
    told: set[str] = set()
    for y, counts in enumerate(students.values()):
        left = 0
        for part, count in counts.items():
            side = part.split(" ")[0]
            axes.barh(y, count, 0.6, left=left, color=SERIES[_SIDES[side]], edgecolor=CARD, linewidth=1.2,
                      label=None if side in told else side)  # fmt: skip
            told.add(side)
            left += count
    axes.set_yticks(range(len(students)), [printable(short_label(one, 26)) for one in students])
    axes.invert_yaxis()
    axes.set_xlabel("parameters")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)
    figure.legend(loc="outside upper left", ncols=5, handlelength=1.0, columnspacing=1.2)


@drawing(height=3.2)
def confidences(figure: Figure, right: Sequence[float], wrong: Sequence[float]) -> None:
    """How sure a student is of the label that it gives, of answers that are right above those that are wrong."""
    import numpy as np

    panels = figure.subplots(2, 1, sharex=True)
    edges = np.linspace(0, 1, _CONFIDENCES + 1)
    for axes, what, values, colour in zip(panels, ("right", "wrong"), (right, wrong), SERIES, strict=False):
        axes.hist(values, edges, color=colour, alpha=0.85, edgecolor=CARD)
        axes.set_title(f"{what}: {len(values):,} answer{'s' * (len(values) != 1)}", loc="left", fontsize=9)
        axes.set_ylabel("answers")
        axes.locator_params(axis="y", nbins=4, integer=True)
    panels[1].set(xlim=(0, 1), xlabel="probability of the label that was given")


def attention(name: str, title: str, caption: str, found: CrossAttention) -> Drawing:
    """Target tokens in rows, prompt tokens in columns; a cell is the mean weight over layers and heads."""
    height, width = 1.5 + 0.17 * len(found.target), 1.6 + 0.17 * len(found.prompt)
    return drawing(height=height, width=width)(_attention)(name, title, caption, found)


def _attention(figure: Figure, found: CrossAttention) -> None:
    axes = figure.subplots()
    picture = axes.imshow(found.mean, cmap=_MAP, vmin=0, aspect="auto")
    axes.set_xticks(range(len(found.prompt)), [printable(one.strip()) for one in found.prompt], rotation=90, fontsize=8)
    axes.set_yticks(range(len(found.target)), [printable(one.strip()) for one in found.target], fontsize=8)
    axes.set_xlabel("read in the prompt")
    axes.set_ylabel("written")
    axes.grid(False)
    axes.tick_params(length=0)
    figure.colorbar(picture, ax=axes, label="attention", shrink=0.8)


def landscapes(name: str, title: str, caption: str, planes: Mapping[str, Plane], *, of: str = "label") -> Drawing:
    """A contour map of the loss around each student, all to one scale; the student stands at the cross."""
    return drawing(height=2.9, width=2.7 * len(planes) + 0.9)(_landscapes)(name, title, caption, planes, of)


def _landscapes(figure: Figure, planes: Mapping[str, Plane], of: str) -> None:
    import numpy as np

    panels = figure.subplots(1, len(planes), squeeze=False, sharey=True)[0]
    losses = {who: getattr(plane, of) for who, plane in planes.items()}
    levels = np.linspace(min(map(np.min, losses.values())), max(map(np.max, losses.values())), _BANDS + 1)
    for axes, (who, plane) in zip(panels, planes.items(), strict=True):
        filled = axes.contourf(plane.steps, plane.steps, losses[who], levels, cmap=_MAP)
        axes.contour(plane.steps, plane.steps, losses[who], levels, colors=CARD, linewidths=0.5, alpha=0.6)
        axes.plot([0], [0], "+", color=CARD, markersize=9, markeredgewidth=1.8)
        centre = losses[who][len(plane.steps) // 2, len(plane.steps) // 2]
        axes.set_title(f"{printable(short_label(who, 24))}\nat the cross {centre:.2f} nats", fontsize=9, loc="left")
        axes.set_xlabel("first direction")
        axes.grid(False)
        axes.set_aspect("equal")
    panels[0].set_ylabel("second direction")
    figure.colorbar(filled, ax=list(panels), label=f"{of} loss, nats a token", format="{x:.1f}")


def gradients(name: str, title: str, caption: str, flow: Sequence[PartGradient]) -> Drawing:
    """Norms of both losses' gradients in each part of a student, and beside them their cosine."""
    return drawing(height=1.0 + 0.27 * len(flow), width=5.8)(_gradients)(name, title, caption, flow)


def _gradients(figure: Figure, flow: Sequence[PartGradient]) -> None:
    norms, angles = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    rows = range(len(flow))
    for y, one in enumerate(flow):
        norms.plot([one.label, one.explanation], [y, y], color=MUTED, linewidth=1, zorder=1)
    norms.plot([one.label for one in flow], rows, "o", color=SERIES[0], label="label loss")
    norms.plot([one.explanation for one in flow], rows, "s", color=SERIES[1], label="explanation loss")
    if all(one.label > 0 and one.explanation > 0 for one in flow):
        _plain_logarithmic(norms)
    norms.set_yticks(rows, [one.part for one in flow])
    norms.set_xlabel("norm of the gradient")
    told = [(y, one.cosine) for y, one in enumerate(flow) if one.cosine is not None]
    angles.axvline(0, color=MUTED, linewidth=1)
    angles.barh([y for y, _ in told], [value for _, value in told], 0.6,
                color=[SERIES[2] if value > 0 else SERIES[3] for _, value in told])  # fmt: skip
    angles.set(xlim=(-1, 1), xlabel="cosine of both")
    for axes in (norms, angles):
        axes.grid(axis="y", visible=False)
        axes.tick_params(length=0)
    norms.set_ylim(len(flow) - 0.4, -0.6)
    figure.legend(loc="outside upper left", ncols=2, handletextpad=0.3)


def _plain_logarithmic(axes: Axes) -> None:
    """A logarithmic axis with plain numbers: mathematics in a label is not set in these figures."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def fronts(
    name: str, title: str, caption: str, found: Tradeoffs, qualities: Sequence[str], cost: str = "parameters"
) -> Drawing:
    """Quality against cost, a panel for each quality; a line joins the systems that no other beats on both."""
    draw = drawing(height=2.9, width=2.7 * len(qualities) + 0.3)(_fronts)
    return draw(name, title, caption, found, qualities, cost)


def _fronts(figure: Figure, found: Tradeoffs, qualities: Sequence[str], cost: str) -> None:
    panels = figure.subplots(1, len(qualities), squeeze=False)[0]
    for axes, quality in zip(panels, qualities, strict=True):
        _front(axes, found, quality, cost)
        axes.set_xlabel(cost.replace("_", " "))
        axes.set_ylabel(metric_title(quality))


def _front(axes: Axes, found: Tradeoffs, quality: str, cost: str) -> None:
    front = next((f for f in found.fronts if (f.quality, f.cost) == (quality, cost)), None)
    placed = {s.name: (s.costs[cost], s.metrics[quality]) for s in found.systems
              if cost in s.costs and quality in s.metrics}  # fmt: skip
    for who, (x, metric) in placed.items():
        kept = front is not None and who in front.systems
        colour = SERIES[0] if kept else MUTED
        if metric.ci95 is not None:
            axes.plot([x, x], metric.ci95, color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="butt")
        axes.plot([x], [metric.value], "o" if kept else "s", color=colour, markersize=5.5)
        axes.annotate(
            printable(short_label(who, 22)), (x, metric.value), xytext=(6, -11), textcoords="offset points", fontsize=8
        )
    if front is not None:
        axes.plot([placed[who][0] for who in front.systems], [placed[who][1].value for who in front.systems],
                  color=SERIES[0], linewidth=1.2, zorder=1)  # fmt: skip
    axes.margins(x=0.22, y=0.12)
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: cost_value(cost, value) if value > 0 else "")
