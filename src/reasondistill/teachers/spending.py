"""The budget: what was spent, what requests on their way can cost at most, and whether another one may be sent."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from reasondistill.contracts.teacher_replies import TokenUsage
from reasondistill.teachers.teach_settings import Prices

_MILLION = 1_000_000


def cost_of(usage: TokenUsage, prices: Prices | None) -> float:
    """What tokens cost; 0 without prices."""
    if prices is None:
        return 0.0
    cached = min(usage.cached, usage.input)
    cached_price = prices.input if prices.cached_input is None else prices.cached_input
    total = (usage.input - cached) * prices.input + cached * cached_price + usage.output * prices.output
    return total / _MILLION


def most_cost(most_input_tokens: int, max_tokens: int, prices: Prices | None) -> float:
    """What a request can cost at most."""
    if prices is None:
        return 0.0
    dearest = max(prices.input, prices.cached_input or 0.0)
    return (most_input_tokens * dearest + max_tokens * prices.output) / _MILLION


class Ledger:
    """Reservations against a budget, by any number of threads.

    Args:
        budget: that spent and reserved amounts may not pass together; None for no limit.
        spent: before.
    """

    def __init__(self, budget: float | None, spent: float = 0.0) -> None:
        self.budget = budget
        self._spent = spent
        self._reserved: list[float] = []
        self._changed = threading.Condition()

    @property
    def spent(self) -> float:
        return self._spent

    def fits(self, most: float) -> bool:
        """Whether ``most`` fits beside what is spent and reserved now."""
        return self.budget is None or self._spent + math.fsum(self._reserved) + most <= self.budget

    def reserve(self, most: float, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Reserve ``most``; wait for others to settle where it does not fit beside them.

        Returns:
            False where it does not fit and nothing is left to wait for, or ``stopped`` says so.
        """
        with self._changed:
            while not stopped():
                if self.fits(most):
                    self._reserved.append(most)
                    return True
                if not self._reserved:
                    return False
                self._changed.wait(0.1)
            return False

    def settle(self, most: float, spent: float) -> None:
        """Give a reservation back for what was spent in the end."""
        with self._changed:
            self._reserved.remove(most)
            self._spent += spent
            self._changed.notify_all()
