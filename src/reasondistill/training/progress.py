"""What can be seen of a training while it runs: how it began, and how far each of its phases is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Begun:
    """What a training begins with.

    Attributes:
        data: the names of its sources.
        labels: split → label → how many rows; ``""`` counts rows without one.
        parameters: of the student.
        step: that it goes on from; 0 for a new one.
        batch: rows of an optimizer step, in words, where several processes share them.
        restart: how often its launcher has started all processes again, as one of them had ended.
    """

    data: str
    labels: Mapping[str, Mapping[str, int]]
    student: str
    parameters: int
    folder: str
    step: int = 0
    batch: str = ""
    restart: int = 0

    def __str__(self) -> str:
        rows = "; ".join(f"{split} {sum(n.values()):,} rows{_by_label(n)}" for split, n in self.labels.items())
        student = f"{self.student}, {self.parameters:,} parameters"
        again = [f"restart {self.restart}, as a process had ended"] if self.restart else []
        again += [f"from step {self.step:,}"] if self.step else []
        onwards = f" ({'; '.join(again)})" if again else ""
        batch = f" | {self.batch}" if self.batch else ""
        return f"{self.data}: {rows} | {student}{batch} | {self.folder}{onwards}"


_MOST_NAMED = 6
"""Labels that the opening line counts one by one."""


def _by_label(counts: Mapping[str, int]) -> str:
    if not counts or len(counts) > _MOST_NAMED or set(counts) == {""}:
        return ""
    named = (f"{label or 'no label'} {n:,}" for label, n in counts.items())
    return f" ({', '.join(named)})"


@dataclass(frozen=True)
class Progress:
    """How far a phase is.

    Attributes:
        phase: ``loading``, ``denoising``, ``training`` or ``calibrating``.
        done, total: optimizer steps; a total of 0 where there are none to count.
        loss: of the last logged steps.
        scores: the last validation's, by name.
        rate: rows a second, of the time since the phase began.
        seconds: since the phase began; ``left`` until it ends.
        ended: nothing more comes of this phase.
    """

    phase: str
    done: int = 0
    total: int = 0
    loss: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    rate: float | None = None
    seconds: float = 0.0
    left: float | None = None
    validating: bool = False
    ended: bool = False

    @property
    def figures(self) -> str:
        """Loss, validation and rate, in words."""
        words = [] if self.loss is None else [f"loss {self.loss:.3f}"]
        words += [f"{name.replace('_', ' ')} {value:.3f}" for name, value in self.scores.items()]
        words += [f"{self.rate:,.0f} rows/s"] if self.rate else []
        words += ["validating"] if self.validating else []
        return ", ".join(words)

    def __str__(self) -> str:
        words = [self.phase, f"{self.done:,}/{self.total:,} steps" if self.total else "", self.figures]
        words.append(f"{duration(self.seconds)}" if self.ended else f"{duration(self.left)} left" if self.left else "")
        return "  ".join(filter(None, words))


Watcher: TypeAlias = Callable[[Begun | Progress], None]
"""Is called as a training begins, and after each of its steps."""


def unwatched(event: Begun | Progress) -> None:
    """Watch nothing."""


def duration(seconds: float | None) -> str:
    """A time in words, as rough as it is long: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
