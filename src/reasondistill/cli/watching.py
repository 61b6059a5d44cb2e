"""A training on the terminal: one opening line, one line a phase. In a file or pipe, a line as a phase ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from reasondistill.cli.terminal import complain, console, progress_bar, visible

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from reasondistill.training.progress import Begun, Progress, Watcher

_SILENCE = 300.0
"""Seconds after which a file or pipe gets a line before the phase ends: build servers stop jobs that say nothing."""


@contextmanager
def watching() -> Iterator[Watcher]:
    """Gives a watcher of trainings, which writes to standard error."""
    if not console(stderr=True).is_terminal:
        yield _plain_lines()
        return
    from rich.progress import BarColumn, TextColumn

    with progress_bar(BarColumn(bar_width=20), TextColumn("{task.fields[words]}", markup=False)) as bar:
        yield _Bars(bar)


def _plain_lines() -> Callable[[Begun | Progress], None]:
    from reasondistill.training.progress import Begun

    last = time.monotonic()

    def watch(event: Begun | Progress) -> None:
        nonlocal last
        silent = time.monotonic() - last >= _SILENCE
        if isinstance(event, Begun) or event.ended or (silent and event.done < event.total):
            complain(str(event))
            last = time.monotonic()

    return watch


class _Bars:
    """A line for each phase, which stays when it has ended; what has no steps to count leaves no line."""

    def __init__(self, bar: RichProgress) -> None:
        self._bar = bar
        self._job: Any = None
        self._phase = ""

    def __call__(self, event: Begun | Progress) -> None:
        from reasondistill.training.progress import Begun

        if isinstance(event, Begun):
            self._leave()
            self._bar.console.print(visible(str(event)), soft_wrap=True)
            return
        if event.phase != self._phase:
            self._leave()
            self._phase = event.phase
            self._job = self._bar.add_task(visible(event.phase), total=event.total or None, words="")
        words = str(event).removeprefix(event.phase).strip()
        self._bar.update(self._job, completed=event.done, words=words)
        if event.ended:  # at a step before the last one too, where validation stopped it
            self._bar.update(self._job, total=event.done)
            self._job = None

    def _leave(self) -> None:
        if self._job is not None:
            self._bar.remove_task(self._job)
        self._job, self._phase = None, ""
