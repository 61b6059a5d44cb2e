"""Requests and tokens per minute: when the next request may be sent, and pauses that a server asks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from reasondistill.teachers.teach_settings import Limits


class Pace:
    """Spreads requests evenly: each waits until the ones before it have used up their share of a minute.

    Tokens are estimated before and corrected after, so that the mean over minutes is the limit and not the estimate.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_request = 60.0 / limits.requests_per_minute if limits.requests_per_minute else 0.0
        self._per_token = 60.0 / limits.tokens_per_minute if limits.tokens_per_minute else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._next_request = self._next_token = self._held_until = 0.0

    def wait(self, tokens: int, stop: threading.Event) -> bool:
        """Wait for this request's turn. False where ``stop`` came first."""
        with self._lock:
            now = self._clock()
            begin = max(now, self._next_request, self._next_token)
            self._next_request = begin + self._per_request
            self._next_token = begin + tokens * self._per_token
        while True:
            with self._lock:
                delay = max(begin, self._held_until) - self._clock()
            if delay <= 0:
                return not stop.is_set()
            if stop.wait(delay):
                return False

    def correct(self, estimated: int, used: int) -> None:
        """Say how many tokens a request used in the end."""
        with self._lock:
            self._next_token += (used - estimated) * self._per_token

    def hold(self, seconds: float) -> None:
        """Send nothing for so long: a server asked for it."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)
