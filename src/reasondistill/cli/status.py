"""One line that says what goes on: it changes in place on a terminal; in a file or pipe each stage has its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reasondistill.cli.terminal import console, stage, visible


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """What to call with each stage; the line is gone when it is done."""
    from rich.text import Text

    terminal = console(stderr=True)
    if not terminal.is_terminal:
        yield stage
        return
    with terminal.status("") as status:
        yield lambda text: status.update(Text(visible(text), "dim"))
