"""What goes on inside a command: a line for each piece of work that can be counted, and one for what else is done.

On a terminal the line has a bar and the time left, and stays when its work is done, as those of a training do. In a
file or pipe it is written as the work ends, if that took a while.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from reasondistill.cli.terminal import complain, console, progress_bar, stage, visible
from reasondistill.counted import Counted

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_WORTH_A_LINE = 5.0
"""Seconds: shorter work leaves no line in a file or pipe."""


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """What to call with a sentence as each stage begins, and with a `Counted` as often as it is further."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    if not console(stderr=True).is_terminal:
        lines = _PlainLines()
        yield lines
        lines.end()
        return
    counts = TextColumn("{task.fields[counts]}", markup=False)
    with progress_bar(BarColumn(bar_width=20), counts, TimeElapsedColumn(), TimeRemainingColumn()) as bar:
        bars = _Bars(bar)
        yield bars
        bars.end()


class _Pieces(ABC):
    """Tells one piece of work from the next: another name, or the same one from its beginning."""

    def __init__(self) -> None:
        self.current: Counted | None = None

    def __call__(self, text: str) -> None:
        if not isinstance(text, Counted):
            self.end()
            self.say(text)
            return
        if self.current is None or text.work != self.current.work or text.done < self.current.done:
            self.end()
            self.begin(text)
        self.current = text
        self.advance(text)

    def end(self) -> None:
        """The current piece of work is done."""
        if self.current is not None:
            self.finish(self.current)
            self.current = None

    @abstractmethod
    def say(self, text: str) -> None: ...

    @abstractmethod
    def begin(self, counted: Counted) -> None: ...

    @abstractmethod
    def advance(self, counted: Counted) -> None: ...

    @abstractmethod
    def finish(self, counted: Counted) -> None: ...


class _PlainLines(_Pieces):
    """A line when a piece of work has ended that took a while, with its seconds."""

    def say(self, text: str) -> None:
        stage(text)

    def begin(self, counted: Counted) -> None:
        self._begun = time.monotonic()

    def advance(self, counted: Counted) -> None:
        pass

    def finish(self, counted: Counted) -> None:
        seconds = time.monotonic() - self._begun
        if seconds >= _WORTH_A_LINE:
            complain(f"{counted.work}  {f'{counted.total:,} {counted.unit}'.rstrip()}  {seconds:.0f} s")


class _Bars(_Pieces):
    """A bar for each piece of work; what cannot be counted is named in a line that goes with the next."""

    def __init__(self, bar: RichProgress) -> None:
        super().__init__()
        self._bar = bar
        self._job: Any = None
        self._uncounted = bar.add_task("", total=None, counts="")

    def say(self, text: str) -> None:
        self._bar.update(self._uncounted, description=visible(text), visible=True)

    def begin(self, counted: Counted) -> None:
        self._bar.update(self._uncounted, visible=False)
        self._job = self._bar.add_task(visible(counted.work), total=counted.total, counts="")

    def advance(self, counted: Counted) -> None:
        counts = f"{counted.done:,}/{counted.total:,} {counted.unit}".rstrip()
        words = f"{counts}  {counted.note}" if counted.note else counts
        self._bar.update(self._job, completed=counted.done, counts=visible(words))

    def finish(self, counted: Counted) -> None:
        counts = f"{counted.total:,}/{counted.total:,} {counted.unit}".rstrip()
        self._bar.update(self._job, completed=counted.total, counts=visible(counts))

    def end(self) -> None:
        super().end()
        self._bar.update(self._uncounted, visible=False)
