"""Figures that only the notebooks draw, those of the package's reports, and how a notebook shows figures and tables.

The notebooks import nothing but this and ``reasondistill`` itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from reasondistill.cli.shared import quiet_libraries as quiet_libraries
from reasondistill.contracts.tradeoffs import Tradeoffs
from reasondistill.reporting.cost_format import cost_value
from reasondistill.reporting.degradation_figure import degradation_figure as degradation_figure
from reasondistill.reporting.degradation_figure import degradation_panels as degradation_panels
from reasondistill.reporting.document import Block, Gallery
from reasondistill.reporting.figures import CARD, INK, MUTED, RULE, SERIES, Drawing, drawing, short_label, with_interval
from reasondistill.reporting.figures import beside_baselines as beside_baselines
from reasondistill.reporting.figures import confusion as confusion
from reasondistill.reporting.figures import lengths as lengths
from reasondistill.reporting.figures import reliability as reliability
from reasondistill.reporting.formatting import baseline_title as baseline_title
from reasondistill.reporting.formatting import metric_title as metric_title
from reasondistill.reporting.formatting import printable
from reasondistill.reporting.formatting import slug as slug
from reasondistill.reporting.inputs import load_source
from reasondistill.reporting.markdown import block_lines, escape
from reasondistill.reporting.pages import audit as audit_page
from reasondistill.reporting.pages import sweep as sweep_page
from reasondistill.reporting.sections.curves import learning_curves
from reasondistill.reporting.sections.errors_and_slices import errors_section as errors_section
from reasondistill.reporting.sections.faithfulness import test_title as test_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reasondistill import Run
    from reasondistill.contracts.base import MetricValue
    from reasondistill.inspection import CrossAttention, PartGradient, Plane

ROLE_COLOURS: Final = (MUTED, SERIES[0], SERIES[1])
"""Of context, label and explanation, in the order of `features`."""
ROLE_WORDS: Final = ("no loss", "label loss", "explanation loss")
_LINE = 62  # characters of tokens in a line
_PLACES = 0.075  # inches of a character
_MAP: Final = "cividis"  # even in lightness, and the same to every eye
_SIDES: Final = {"embeddings": 4, "encoder": 0, "decoder": 1, "norms": 3, "head": 2}
_BANDS: Final = 12
_CONFIDENCES: Final = 20
_PIXELS = 620
"""As wide as a figure is shown at least; drawings are made for half a page, and a notebook's cell is wider."""


# --- showing ---


def show(*blocks: Drawing | Block) -> None:
    """Show them one below another, a drawing under its title and caption."""
    from IPython.display import Markdown, display

    for block in blocks:
        if isinstance(block, Drawing):
            _show_drawing(block)
        elif isinstance(block, Gallery):
            for picture in block.drawings:
                _show_drawing(picture)
        else:
            display(Markdown("\n".join(block_lines(block))))  # type: ignore[no-untyped-call]


def _show_drawing(picture: Drawing) -> None:
    from IPython.display import Image, Markdown, display

    display(Markdown(f"**{escape(picture.title)}.** {escape(picture.caption)}"))  # type: ignore[no-untyped-call]
    display(Image(picture.png, width=_PIXELS))  # type: ignore[no-untyped-call]


audit_document = audit_page.compose  # as the page that `data audit` writes
sweep_document = sweep_page.to_document  # as the page that `sweep` writes


def curves_of(run: Run) -> dict[str, Drawing]:
    """A run's learning curves, by name."""
    return {picture.name: picture for picture in learning_curves(load_source(run.folder), "")}


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """One name a row, with neither ticks nor lines between the rows."""
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)


# --- data on their way to a student ---


def bars(
    name: str, title: str, caption: str, values: Mapping[str, Mapping[str, float]], *, unit: str = "",
    percent: bool = True,
) -> Drawing:  # fmt: skip
    """Rows with a bar for each series: ``values`` is row → series → value; a missing one has no bar."""
    series = list(dict.fromkeys(name for of in values.values() for name in of))
    height = 0.75 + max(0.13 * len(values) * len(series), 0.24 * len(values), 0.8)
    return drawing(height=height)(_bars)(name, title, caption, values, series, unit, percent)


def _bars(
    figure: Figure, values: Mapping[str, Mapping[str, float]], series: Sequence[str], unit: str, percent: bool
) -> None:
    axes = figure.subplots()
    thick = 0.8 / len(series)
    for index, name in enumerate(series):
        places = [y + (index - (len(series) - 1) / 2) * thick for y in range(len(values))]
        drawn = [(y, of[name]) for y, of in zip(places, values.values(), strict=True) if name in of]
        axes.barh([y for y, _ in drawn], [value for _, value in drawn], thick * 0.9,
                  color=SERIES[index % len(SERIES)], label=printable(short_label(name, 30)))  # fmt: skip
    _name_rows(axes, [printable(short_label(row, 34)) for row in values])
    axes.set_ylim(len(values) - 0.45, -0.55)
    axes.set_xlim(left=0)
    axes.set_xlabel(unit)
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%" if percent else f"{value:,.6g}")
    if len(series) > 1:
        figure.legend(loc="outside upper left", ncols=3, handlelength=1.0, columnspacing=1.2)


class Strip(NamedTuple):
    """A text token by token: ``roles`` says which loss term each belongs to, as in `features.EncodedTarget`."""

    name: str
    tokens: Sequence[str]
    roles: Sequence[int]


def token_strips(name: str, title: str, caption: str, strips: Sequence[Strip]) -> Drawing:
    """Tokens as boxes in the colour of their loss term, a strip below another."""
    lines = sum(1 + len(_lines(strip)) for strip in strips)
    return drawing(height=0.45 + 0.235 * lines, width=_PLACES * _LINE + 0.3)(_strips)(name, title, caption, strips)


def _lines(strip: Strip) -> list[list[tuple[str, int]]]:
    """The tokens with their roles, broken into lines."""
    lines: list[list[tuple[str, int]]] = [[]]
    filled = 0
    for token, role in zip(strip.tokens, strip.roles, strict=True):
        text = printable(token.strip() or "␣")
        if filled and filled + len(text) + 1 > _LINE:
            lines.append([])
            filled = 0
        lines[-1].append((text, role))
        filled += len(text) + 1
    return lines


def _strips(figure: Figure, strips: Sequence[Strip]) -> None:
    from matplotlib.patches import Patch, Rectangle

    axes = figure.subplots()
    y = 0
    for strip in strips:
        axes.text(0, y + 0.55, printable(strip.name), fontsize=8.5, color=INK, va="center", fontweight="bold")
        y += 1
        for line in _lines(strip):
            x = 0.0
            for text, role in line:
                width = len(text) + 0.7
                axes.add_patch(Rectangle((x, y + 0.06), width, 0.88, facecolor=ROLE_COLOURS[role], alpha=0.2, lw=0))
                axes.add_patch(Rectangle((x, y + 0.86), width, 0.08, facecolor=ROLE_COLOURS[role], lw=0))
                axes.text(x + width / 2, y + 0.47, text, fontsize=7, family="DejaVu Sans Mono", ha="center",
                          va="center")  # fmt: skip
                x += width + 0.3
            y += 1
    axes.set(xlim=(0, _LINE + 1), ylim=(y, 0))
    axes.axis("off")
    used = sorted({role for strip in strips for role in strip.roles})
    patches = [Patch(color=ROLE_COLOURS[role], alpha=0.6, label=ROLE_WORDS[role]) for role in used]
    figure.legend(handles=patches, loc="outside upper left", ncols=3, handlelength=1.0)


class Filled(NamedTuple):
    """Rows of a batch: of each, the lengths of the texts in it, in tokens; the rest of its width is padding."""

    name: str
    rows: Sequence[Sequence[int]]

    @property
    def padding(self) -> float:
        """The share of cells that hold no token."""
        width = max(map(sum, self.rows))
        return 1 - sum(map(sum, self.rows)) / (width * len(self.rows))


def filled_rows(name: str, title: str, caption: str, batches: Sequence[Filled]) -> Drawing:
    """Batches one above another to one scale: texts in alternating colours, padding in grey."""
    rows = sum(len(batch.rows) for batch in batches)
    return drawing(height=0.6 + 0.35 * len(batches) + 0.055 * rows)(_filled)(name, title, caption, batches)


def _filled(figure: Figure, batches: Sequence[Filled]) -> None:
    heights = [len(batch.rows) + 1 for batch in batches]
    panels = figure.subplots(len(batches), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
    for batch, axes in zip(batches, panels, strict=True):
        width = max(map(sum, batch.rows))
        for y, row in enumerate(batch.rows):
            _row(axes, y, row, width)
        title = f"{batch.name}: {len(batch.rows)} rows of {width} tokens, {batch.padding:.0%} padding"
        axes.set_title(title, fontsize=8.5, loc="left", pad=2)
        axes.set_ylim(len(batch.rows) - 0.4, -0.6)
        axes.set_yticks([])
        axes.grid(False)
        axes.spines["left"].set_visible(False)
    panels[-1].set_xlabel("tokens")


def _row(axes: Axes, y: int, lengths: Sequence[int], width: int) -> None:
    axes.barh(y, width, 0.8, color=RULE)
    left = 0
    for place, length in enumerate(lengths):
        axes.barh(y, length, 0.8, left=left, color=SERIES[place % 2])
        left += length


# --- students ---


def parts(name: str, title: str, caption: str, students: Mapping[str, Mapping[str, int]]) -> Drawing:
    """Parameters of each student as one bar, divided into its parts."""
    return drawing(height=0.9 + 0.42 * len(students), width=5.4)(_parts)(name, title, caption, students)


def _parts(figure: Figure, students: Mapping[str, Mapping[str, int]]) -> None:
    axes = figure.subplots()
    in_legend: set[str] = set()
    for y, counts in enumerate(students.values()):
        left = 0
        for part, count in counts.items():
            side = part.split(" ")[0]
            axes.barh(y, count, 0.6, left=left, color=SERIES[_SIDES[side]], edgecolor=CARD, linewidth=1.2,
                      label=None if side in in_legend else side)  # fmt: skip
            in_legend.add(side)
            left += count
    _name_rows(axes, [printable(short_label(student, 26)) for student in students])
    axes.invert_yaxis()
    axes.set_xlabel("parameters")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.locator_params(axis="x", nbins=5)
    figure.legend(loc="outside upper left", ncols=5, handlelength=1.0, columnspacing=1.2)


@drawing(height=3.2)
def per_label(figure: Figure, table: Mapping[str, Mapping[str, MetricValue]], metrics: Sequence[str]) -> None:
    """Each label's figures with their intervals, one row a metric; the axis is [0, 1]."""
    axes = figure.subplots()
    spread = 0.5 / max(len(table), 1)
    for index, (label, values) in enumerate(table.items()):
        shift = (index - (len(table) - 1) / 2) * spread
        for y, name in enumerate(metrics):
            if name in values:
                legend = printable(short_label(label)) if name == next(n for n in metrics if n in values) else None
                with_interval(axes, values[name], y + shift, SERIES[index % len(SERIES)], label=legend)
    _name_rows(axes, [metric_title(n) for n in metrics])
    axes.set_ylim(len(metrics) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)


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


def attention(name: str, title: str, caption: str, weights: CrossAttention) -> Drawing:
    """Target tokens in rows, prompt tokens in columns; a cell is the mean weight over layers and heads."""
    height, width = 1.5 + 0.17 * len(weights.target), 1.6 + 0.17 * len(weights.prompt)
    return drawing(height=height, width=width)(_attention)(name, title, caption, weights)


def _attention(figure: Figure, weights: CrossAttention) -> None:
    axes = figure.subplots()
    picture = axes.imshow(weights.mean, cmap=_MAP, vmin=0, aspect="auto")
    prompt, target = ([printable(token.strip()) for token in tokens] for tokens in (weights.prompt, weights.target))
    axes.set_xticks(range(len(prompt)), prompt, rotation=90, fontsize=8)
    axes.set_yticks(range(len(target)), target, fontsize=8)
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
    for y, part in enumerate(flow):
        norms.plot([part.label, part.explanation], [y, y], color=MUTED, linewidth=1, zorder=1)
    norms.plot([part.label for part in flow], rows, "o", color=SERIES[0], label="label loss")
    norms.plot([part.explanation for part in flow], rows, "s", color=SERIES[1], label="explanation loss")
    if all(part.label > 0 and part.explanation > 0 for part in flow):
        _plain_logarithmic(norms)
    norms.set_yticks(rows, [part.part for part in flow])
    norms.set_xlabel("norm of the gradient")
    cosines = [(y, part.cosine) for y, part in enumerate(flow) if part.cosine is not None]
    angles.axvline(0, color=MUTED, linewidth=1)
    angles.barh([y for y, _ in cosines], [value for _, value in cosines], 0.6,
                color=[SERIES[2] if value > 0 else SERIES[3] for _, value in cosines])  # fmt: skip
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
    name: str, title: str, caption: str, tradeoffs: Tradeoffs, qualities: Sequence[str], cost: str = "parameters"
) -> Drawing:
    """Quality against cost, a panel for each quality; a line joins the systems that no other beats on both."""
    draw = drawing(height=2.9, width=2.7 * len(qualities) + 0.3)(_fronts)
    return draw(name, title, caption, tradeoffs, qualities, cost)


def _fronts(figure: Figure, tradeoffs: Tradeoffs, qualities: Sequence[str], cost: str) -> None:
    panels = figure.subplots(1, len(qualities), squeeze=False)[0]
    for axes, quality in zip(panels, qualities, strict=True):
        _front(axes, tradeoffs, quality, cost)
        axes.set_xlabel(cost.replace("_", " "))
        axes.set_ylabel(metric_title(quality))


def _front(axes: Axes, tradeoffs: Tradeoffs, quality: str, cost: str) -> None:
    front = next((f for f in tradeoffs.fronts if (f.quality, f.cost) == (quality, cost)), None)
    placed = {s.name: (s.costs[cost], s.metrics[quality]) for s in tradeoffs.systems
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
