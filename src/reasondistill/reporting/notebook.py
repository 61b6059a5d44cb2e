"""Drawings and blocks of a report, shown in a notebook: tables as Markdown, figures as pictures of a few kilobytes."""

from __future__ import annotations

from reasondistill.reporting.document import Block, Gallery
from reasondistill.reporting.figures import Drawing
from reasondistill.reporting.markdown import block_lines, escape

_PIXELS = 620
"""As wide as a figure is shown at least; drawings are made for half a page, and a notebook's cell is wider."""


def show(*shown: Drawing | Block) -> None:
    """Show them one below another, a drawing under its title and caption."""
    from IPython.display import Markdown, display

    for one in shown:
        if isinstance(one, Drawing):
            _show_drawing(one)
        elif isinstance(one, Gallery):
            for drawing in one.drawings:
                _show_drawing(drawing)
        else:
            display(Markdown("\n".join(block_lines(one))))  # type: ignore[no-untyped-call]


def _show_drawing(drawing: Drawing) -> None:
    from IPython.display import Image, Markdown, display

    display(Markdown(f"**{escape(drawing.title)}.** {escape(drawing.caption)}"))  # type: ignore[no-untyped-call]
    display(Image(drawing.png, width=_PIXELS))  # type: ignore[no-untyped-call]
