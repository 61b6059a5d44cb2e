"""A budget of time: how much is left, and how many examples a piece of work can look at in its share of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from reasondistill.config import BUDGET as BUDGET

T = TypeVar("T")

BUDGET_CUT = "the time budget of"
"""How every reason begins that names a budget."""

_GROWTH = 4
"""How much larger than the last one a sample may be that is not sure to fit."""
_MARGIN = 0.8
"""Of the time that is left, what is planned with: times are guessed from smaller samples."""


@dataclass(frozen=True)
class Budget:
    """Seconds from now on; None has no end.

    What is to be done with it is not stopped when it is used up, but planned so that it ends in time.
    """

    seconds: float | None
    clock: Callable[[], float] = time.monotonic
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "begun", self.clock())

    @property
    def left(self) -> float:
        """Seconds that are left, not below 0; infinite without an end."""
        return math.inf if self.seconds is None else max(0.0, self.seconds - (self.clock() - self.begun))

    @property
    def spoken_left(self) -> str:
        """``1 min 40 s of 2 min``."""
        return f"{spoken(self.left)} of {self}"

    def share(self, part: float) -> Budget:
        """A part, from 0 to 1, of what is left, as a budget of its own that begins now."""
        return Budget(None if self.seconds is None else self.left * part, self.clock)

    def __str__(self) -> str:
        return "no limit" if self.seconds is None else spoken(self.seconds)


def spoken(seconds: float) -> str:
    """``40 s``, ``2 min``, ``1 min 40 s``."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def largest_that_fits(work: Callable[[int], T], most: int, budget: Budget) -> tuple[int, T]:
    """Do ``work`` on ``most`` examples, or on as many as the budget allows; at least on one.

    Samples grow: the first has one example, and what it took tells how many the next may have, so that a slow student
    is never asked for all before anybody knows how long that takes. Where all are likely to fit they are the next
    step. Without an end ``most`` is the first and only one.

    Args:
        work: on so many examples, the same ones first whatever the number; done anew for each number.

    Returns:
        How many it was, and what ``work`` made of them.
    """
    if budget.seconds is None:
        return most, work(most)
    size = 1
    done, took = _timed(work, size, budget)
    while size < most:
        left = budget.left
        fitting = math.inf if took <= 0 else _MARGIN * left * size / took
        following = most if fitting >= most else min(int(fitting), _GROWTH * size)
        if following < 2 * size and 2 * took <= left:
            following = min(2 * size, most)  # part of the time may not hang on the number: twice as many take no more
        if following <= size:
            break
        size = following
        done, took = _timed(work, size, budget)
    return size, done


def _timed(work: Callable[[int], T], size: int, budget: Budget) -> tuple[T, float]:
    begun = budget.clock()
    done = work(size)
    return done, budget.clock() - begun
