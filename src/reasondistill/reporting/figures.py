"""The figures of a report, each drawn once and kept both as SVG for the page and as PNG for Markdown.

Matplotlib is used through its objects, without pyplot's global state. The same data give the same bytes. A page's
light and dark modes share one SVG: its colours are rewritten as CSS variables, with the light ones as fallback.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Final, NamedTuple, ParamSpec

from reasondistill.contracts.results import NOT_BASELINES, Confusion, MetricValue, Results
from reasondistill.contracts.scored_confidence import CalibrationBin
from reasondistill.data.audit.findings import percent
from reasondistill.metrics.registry import metric_of
from reasondistill.reporting.formatting import baseline_title, metric_title, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

P = ParamSpec("P")

INK, MUTED, RULE, CARD = "#1f2933", "#5b6670", "#d5dadf", "#ffffff"
SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#aa5a97", "#b07d00", "#3f8fc4")
"""After Okabe and Ito's palette, told apart under every common colour blindness; the last three darkened for text."""
_VARIABLES: Final = {
    INK: "ink", MUTED: "muted", RULE: "rule", CARD: "card", **{c: f"series-{i}" for i, c in enumerate(SERIES, 1)}
}  # fmt: skip
_STYLE: Final = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a label may hold a dollar sign
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "svg.fonttype": "none",  # real text: it can be searched, read aloud, and takes the page's font
    "svg.hashsalt": "reasondistill",
}
_DASHES: Final = ("-", "--", ":")  # where there are more series than colours
_WIDTH, _HEIGHT = 4.4, 2.9  # inches; small, so that text stays legible where a phone shows a figure 360 pixels wide
_PNG_DPI = 160


@dataclass(frozen=True)
class Drawing:
    """A finished figure; ``svg`` is an ``<svg>`` element for a page, ``caption`` says in words what it shows."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes


class Line(NamedTuple):
    """A series of a learning curve; ``steps`` and ``values`` run side by side."""

    label: str
    steps: Sequence[float]
    values: Sequence[float]
    colour: int = 0
    marked: bool = False


Draw = Callable[Concatenate["Figure", P], None]


def drawing(
    height: float = _HEIGHT, width: float = _WIDTH
) -> Callable[[Draw[P]], Callable[Concatenate[str, str, str, P], Drawing]]:
    """Turn a function that fills a Figure into one that takes (name, title, caption, …) and gives a Drawing."""

    def decorate(draw: Draw[P]) -> Callable[Concatenate[str, str, str, P], Drawing]:
        @wraps(draw)
        def finish(name: str, title: str, caption: str, /, *args: P.args, **kwargs: P.kwargs) -> Drawing:
            import matplotlib
            from matplotlib.figure import Figure

            with matplotlib.rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
                # A label may be in a script that DejaVu lacks; the page's own fonts will have it.
                warnings.filterwarnings("ignore", message="Glyph .* missing from font")
                figure = Figure(figsize=(width, height), layout="constrained")
                draw(figure, *args, **kwargs)
                svg, png = io.BytesIO(), io.BytesIO()
                dateless = {"Date": None, "Creator": None, "Format": None, "Type": None}
                figure.savefig(svg, format="svg", transparent=True, metadata=dateless)
                figure.set_layout_engine("none")  # laid out once is enough
                figure.savefig(png, format="png", dpi=_PNG_DPI, facecolor=CARD, metadata={"Software": None})
            inline = _for_page(svg.getvalue().decode("utf-8"), name, title)
            return Drawing(name, title, caption, inline, png.getvalue())

        return finish

    return decorate


def _for_page(svg: str, name: str, title: str) -> str:
    """An SVG file as an element of a page: ids of its own, themed colours, no metadata and no fixed size."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    opening = re.sub(r'\s(?:xmlns(?::xlink)?|width|height|version)="[^"]*"', "", svg[: svg.index(">")])
    svg = f'{opening} role="img" aria-label="{html.escape(title)}"' + svg[svg.index(">") :]
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'(\bid="|\bhref="#|url\(#)', rf"\g<1>{name}-", svg)
    return re.sub(r'style="[^"]*"', lambda style: _themed(style[0]), svg)


def _themed(style: str) -> str:
    def variable(colour: re.Match[str]) -> str:
        name = _VARIABLES.get(colour[0].lower())
        return f"var(--{name}, {colour[0]})" if name else colour[0]

    return re.sub(r"#[0-9a-fA-F]{6}", variable, style)


@drawing()
def learning_curve(
    figure: Figure, lines: Sequence[Line], *, unit: str = "", best_step: float | None = None, unit_scale: bool = False
) -> None:
    """Series over optimizer steps; ``best_step`` marks the checkpoint that validation selected."""
    axes = figure.subplots()
    for line in lines:
        axes.plot(
            line.steps,
            line.values,
            label=printable(short_label(line.label, 32)),
            color=SERIES[line.colour % len(SERIES)],
            linestyle=_DASHES[line.colour // len(SERIES) % 3],
            marker="o" if line.marked or len(line.steps) < 3 else None,
            markersize=3.6,
        )
    if best_step is not None:
        axes.axvline(best_step, color=MUTED, linewidth=1, linestyle=(0, (3, 3)), label="selected")
    if unit_scale:
        axes.set_ylim(0, 1)
    axes.set_xlabel("step")
    axes.set_ylabel(unit)
    _thousands(axes.xaxis)
    if len(lines) + (best_step is not None) > 1:
        columns = 3 if max(len(line.label) for line in lines) < 16 else 1
        figure.legend(loc="outside upper left", ncols=columns, handlelength=1.6, columnspacing=1.4)


@drawing(height=3.4)
def confusion(figure: Figure, table: Confusion) -> None:
    """Counts of gold against predicted labels; a cell is as dark as its share of its row."""
    from matplotlib.patches import Rectangle

    axes = figure.subplots()
    names = [printable(short_label(name)) for name in table.labels]
    columns = max((len(row) for row in table.counts), default=0)
    for i, row in enumerate(table.counts):
        for j, count in enumerate(row):
            share = count / sum(row) if sum(row) else 0.0
            axes.add_patch(Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, facecolor=SERIES[0], alpha=0.03 + 0.57 * share))
            axes.text(j, i, f"{count:,}\n{percent(share)}", ha="center", va="center", linespacing=1.4)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(len(table.counts) - 0.5, -0.5)
    axes.set_xticks(range(columns), names[:columns])
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("gold")
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


@drawing(height=3.2)
def beside_baselines(figure: Figure, results: Results, metrics: Sequence[str]) -> None:
    """The student's figures with their intervals, and every baseline's, one row a metric; the axis is [0, 1]."""
    axes = figure.subplots()
    names = [n for n in metrics if n in results.metrics and metric_of(n).on_unit_scale]
    markers = ("s", "D", "^", "v", "P", "X")
    for y, name in enumerate(names):
        with_interval(axes, results.metrics[name], y - 0.14, SERIES[0], label="Student" if y == 0 else None)
    baselines = [
        f for f in results.baselines if f not in NOT_BASELINES and any(n in results.baselines[f] for n in names)
    ]
    for index, baseline in enumerate(baselines):
        points = [(results.baselines[baseline][n], y) for y, n in enumerate(names) if n in results.baselines[baseline]]
        colour = SERIES[1 + index % (len(SERIES) - 1)]
        axes.scatter(
            [x for x, _ in points], [y + 0.14 for _, y in points], marker=markers[index % 6], s=26, linewidths=1.3,
            facecolors="none", edgecolors=colour, label=baseline_title(printable(baseline)),
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [metric_title(n) for n in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)
    figure.legend(loc="outside upper left", ncols=2, handletextpad=0.4, columnspacing=1.2)


@drawing(height=3.4)
def reliability(figure: Figure, bins: Sequence[CalibrationBin]) -> None:
    """Accuracy against mean confidence by bin, above the number of examples in each bin."""
    top, bottom = figure.subplots(2, sharex=True, height_ratios=(3.2, 1))
    filled = [(b.confidence, b.accuracy) for b in bins if b.confidence is not None and b.accuracy is not None]
    top.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)), label="perfect calibration")
    top.plot(
        [x for x, _ in filled], [y for _, y in filled], color=SERIES[0], marker="o", markersize=4, label="student"
    )  # fmt: skip
    top.set(xlim=(-0.02, 1.02), ylim=(-0.04, 1.04), ylabel="accuracy")
    centres, widths = [(b.low + b.high) / 2 for b in bins], [0.9 * (b.high - b.low) for b in bins]
    bottom.bar(centres, [b.n for b in bins], widths, color=SERIES[0], alpha=0.55)
    bottom.set(xlabel="confidence", ylabel="examples")
    bottom.locator_params(axis="y", nbins=3)
    _thousands(bottom.yaxis)
    figure.align_ylabels()
    figure.legend(loc="outside upper left", ncols=2, handlelength=1.6)


@drawing()
def lengths(figure: Figure, groups: Mapping[str, Sequence[int]]) -> None:
    """How many words explanations have, as each group's share; lengths past the 99th percentile join the last bar."""
    import numpy as np

    axes = figure.subplots()
    longest = max(int(np.percentile(np.concatenate([list(v) for v in groups.values()]), 99)), 1)
    width = max(1, -(-longest // 30))
    edges = np.arange(-0.5, longest + width, width)
    for index, (name, values) in enumerate(groups.items()):
        shares, _ = np.histogram(np.minimum(values, longest), edges)
        colour = SERIES[index % len(SERIES)]
        axes.stairs(shares / max(len(values), 1), edges, color=colour, fill=True, alpha=0.16)
        axes.stairs(shares / max(len(values), 1), edges, color=colour, linewidth=1.5, label=name)
        axes.axvline(float(np.mean(values)), color=colour, linewidth=1, linestyle=(0, (3, 3)))
    axes.set_xlim(-0.5, float(edges[-1]))
    axes.set_ylim(0, None)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("words")
    axes.set_ylabel("explanations")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    figure.legend(loc="outside upper left", ncols=3, handlelength=1.4)


def with_interval(axes: Axes, metric: MetricValue, y: float, colour: str, *, label: str | None) -> None:
    """A figure's value as a dot, with its interval as a bar."""
    if metric.ci95 is not None:
        axes.plot(metric.ci95, [y, y], color=colour, linewidth=2.4, alpha=0.45, solid_capstyle="butt")
    axes.plot([metric.value], [y], "o", color=colour, markersize=5.5, label=label)


def _thousands(axis: Axis) -> None:
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == int(value) else "")


def short_label(label: str, length: int = 18) -> str:
    """A label that fits into a figure."""
    shown = label if len(label) <= length else label[: length - 1] + "…"
    # Matplotlib leaves what begins with an underscore out of legends; the space that is put first has no width.
    return f"\u200b{shown}" if shown.startswith("_") else shown
