"""Figures of data on their way to a student: shares by group, tokens with their loss terms, how batches are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from reasondistill.reporting.figures import INK, MUTED, RULE, SERIES, Drawing, drawing, short_label
from reasondistill.reporting.formatting import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROLE_COLOURS: Final = (MUTED, SERIES[0], SERIES[1])
"""Of context, label and explanation, in the order of `features`."""
ROLE_WORDS: Final = ("no loss", "label loss", "explanation loss")
_LINE = 62  # characters of tokens in a line
_PLACES = 0.075  # inches of a character


def bars(
    name: str, title: str, caption: str, values: Mapping[str, Mapping[str, float]], *, unit: str = "",
    percent: bool = True,
) -> Drawing:  # fmt: skip
    """Rows with a bar for each series: ``values`` is row → series → value; a missing one has no bar."""
    series = list(dict.fromkeys(one for of in values.values() for one in of))
    height = 0.75 + max(0.13 * len(values) * len(series), 0.24 * len(values), 0.8)
    return drawing(height=height)(_bars)(name, title, caption, values, series, unit, percent)


def _bars(
    figure: Figure, values: Mapping[str, Mapping[str, float]], series: Sequence[str], unit: str, percent: bool
) -> None:
    axes = figure.subplots()
    thick = 0.8 / len(series)
    for index, one in enumerate(series):
        places = [y + (index - (len(series) - 1) / 2) * thick for y in range(len(values))]
        drawn = [(y, of[one]) for y, of in zip(places, values.values(), strict=True) if one in of]
        axes.barh([y for y, _ in drawn], [value for _, value in drawn], thick * 0.9,
                  color=SERIES[index % len(SERIES)], label=printable(short_label(one, 30)))  # fmt: skip
    axes.set_yticks(range(len(values)), [printable(short_label(row, 34)) for row in values])
    axes.set_ylim(len(values) - 0.45, -0.55)
    axes.set_xlim(left=0)
    axes.set_xlabel(unit)
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)
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
        told = f"{batch.name}: {len(batch.rows)} rows of {width} tokens, {batch.padding:.0%} padding"
        axes.set_title(told, fontsize=8.5, loc="left", pad=2)
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
