"""A forest plot: differences with their intervals, a row each, around a line at zero."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from reasondistill.reporting.figures import MUTED, SERIES, Drawing, drawing
from reasondistill.reporting.formatting import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW, _MARGIN = 0.21, 0.95  # inches
_COLOURS: Final = {"worse": SERIES[1], "level": MUTED, "better": SERIES[2]}
_MARKERS: Final = {"worse": "s", "level": "o", "better": "D"}  # colour is not the only sign
_WIDEST = 36.0  # widths of a small letter; a longer label would leave the axes no room


class Difference(NamedTuple):
    """A row; ``verdict`` is ``worse``, ``level`` or ``better``, whatever test it comes from."""

    label: str
    value: float | None
    ci95: tuple[float, float] | None
    verdict: str = "level"


def forest(name: str, title: str, caption: str, rows: Sequence[Difference]) -> Drawing:
    """The figure; as high as it has rows."""
    return drawing(height=_MARGIN + _ROW * max(len(rows), 3))(_draw)(name, title, caption, rows)


def _draw(figure: Figure, rows: Sequence[Difference]) -> None:
    axes = figure.subplots()
    axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    for verdict, colour in _COLOURS.items():
        for y, row in enumerate(rows):
            if row.verdict == verdict and row.value is not None:
                if row.ci95 is not None:
                    axes.plot(row.ci95, [y, y], color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="butt")
                axes.plot([row.value], [y], _MARKERS[verdict], color=colour, markersize=4.4)
        if any(row.verdict == verdict and row.value is not None for row in rows):
            words = {"worse": "worse", "level": "not told apart", "better": "better"}[verdict]
            axes.plot([], [], _MARKERS[verdict], color=colour, markersize=4.4, label=words)
    axes.set_yticks(range(len(rows)), [_fitted(printable(row.label)) for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("difference")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.2f}".replace("-", "−") if value else "0")
    figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)


def _fitted(label: str) -> str:
    """``label``, cut where it grows too wide: capitals are wider than small letters, Chinese ones twice as wide."""
    width = 0.0
    for place, character in enumerate(label):
        width += 2.0 if unicodedata.east_asian_width(character) in "WF" else 1.5 if character.isupper() else 1.0
        if width > _WIDEST:
            return label[:place] + "…"
    return label
