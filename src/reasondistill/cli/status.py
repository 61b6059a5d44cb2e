"""One line that says what goes on: it changes in place on a terminal; in a file or pipe each stage has its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reasondistill.cli.shared import plain, say


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """What to call with each stage; the line is gone when it is done."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda stage: say(f"[dim]{plain(stage)}[/]")
        return
    with console.status("") as status:
        yield lambda stage: status.update(f"[dim]{plain(stage)}[/]")
