"""The figures of an audit: bars by label, points with intervals, a grid of shares, lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reasondistill.data.audit.findings import NO_LABEL, Bars, Figure, Grid, LengthBars, Points, percent
from reasondistill.reporting.figures import MUTED, SERIES, Drawing, drawing, short_label
from reasondistill.reporting.formatting import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


def draw(figure: Figure) -> Drawing:
    """A figure of an audit, drawn."""
    about = figure.name, figure.title, figure.caption
    match figure:
        case Bars():
            return (_tall_bars if len(figure.counts) > 6 else _bars)(*about, figure)
        case Points():
            return _points(*about, figure)
        case Grid():
            return _grid(*about, figure)
        case LengthBars():
            return _length_bars(*about, figure)
    raise TypeError(type(figure).__name__)


def _name(text: str, length: int = 18) -> str:
    return printable(short_label(text, length))


def _percent_axis(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)


def _fill_bars(canvas: Canvas, figure: Bars) -> None:
    axes = canvas.subplots()
    left = [0.0] * len(figure.counts)
    for index, series in enumerate(figure.series):
        shares = [
            counts.get(series, 0) / (figure.of or max(sum(counts.values()), 1)) for counts in figure.counts.values()
        ]
        colour = MUTED if series == NO_LABEL else SERIES[index % len(SERIES)]
        axes.barh(range(len(left)), shares, left=left, height=0.64, color=colour, alpha=0.85, label=_name(series))
        left = [a + b for a, b in zip(left, shares, strict=True)]
    axes.set_yticks(range(len(left)), [_name(name, 34) for name in figure.counts])
    axes.invert_yaxis()
    axes.set_xlim(0, None if figure.of else 1)
    axes.locator_params(axis="x", nbins=5)
    _percent_axis(axes)
    if any(figure.series):
        canvas.legend(loc="outside upper left", ncols=3, handlelength=1.0, columnspacing=1.2)


@drawing(height=2.4)
def _bars(canvas: Canvas, figure: Bars) -> None:
    _fill_bars(canvas, figure)


@drawing(height=3.8)
def _tall_bars(canvas: Canvas, figure: Bars) -> None:
    _fill_bars(canvas, figure)


@drawing(height=2.6)
def _points(canvas: Canvas, figure: Points) -> None:
    axes = canvas.subplots()
    for y, (value, ci95) in enumerate(figure.values.values()):
        if ci95 is not None:
            axes.plot(ci95, [y, y], color=SERIES[0], linewidth=2.4, alpha=0.45, solid_capstyle="butt")
        axes.plot([value], [y], "o", color=SERIES[0], markersize=5.5)
        shift, side = (-8, "right") if value > 0.85 else (8, "left")
        axes.annotate(
            f"{value:.0%}", (value, y), (shift, 0), textcoords="offset points", ha=side, va="center", fontsize=9
        )
    axes.axvline(figure.reference, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    axes.set_yticks(range(len(figure.values)), [_name(name, 32) for name in figure.values])
    axes.set_ylim(len(figure.values) - 0.5, -0.5)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("labels guessed right")
    _percent_axis(axes)


@drawing(height=2.4)
def _grid(canvas: Canvas, figure: Grid) -> None:
    """A cell for each row and column, as dark as its share."""
    from matplotlib.patches import Rectangle

    axes = canvas.subplots()
    columns = list(next(iter(figure.shares.values())))
    for y, shares in enumerate(figure.shares.values()):
        for x, share in enumerate(shares.values()):
            axes.add_patch(Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, facecolor=SERIES[0], alpha=0.03 + 0.47 * share))
            axes.text(x, y, percent(share), ha="center", va="center")
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(figure.shares) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), list(map(_name, columns)))
    axes.set_yticks(range(len(figure.shares)), list(map(_name, figure.shares)))
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


@drawing(height=2.4)
def _length_bars(canvas: Canvas, figure: LengthBars) -> None:
    axes = canvas.subplots()
    centres = [start + (figure.width - 1) / 2 for start in figure.starts]
    axes.bar(centres, figure.shares, figure.width * 0.9, color=SERIES[0], alpha=0.75)
    if figure.limit is not None:
        axes.axvline(figure.limit + 0.5, color=SERIES[1], linewidth=1.4, linestyle=(0, (3, 3)))
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel(figure.unit)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.grid(axis="x", visible=False)
