"""What a server's refusals mean: which are tried again, after how long, and whether they can have cost something."""

from __future__ import annotations

import email.utils
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from reasondistill.errors import UserError

logging.getLogger("stamina").addHandler(logging.NullHandler())  # its warnings would stand among the progress line

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_AGAIN = {408, 409, 429}
_LONGEST_PAUSE = 3600.0


class FailedAttemptError(Exception):
    """An attempt that brought no reply.

    Attributes:
        problem: in a few words that are the same for the same cause.
        again: whether another attempt can help.
        after: seconds for which the server asks not to be asked.
        may_have_cost: whether the server can have worked, and charged, without our seeing its reply.
        fatal: a mistake of the user's that every request would meet.
        detail: what the server says of it, without the key.
    """

    def __init__(
        self,
        problem: str,
        *,
        again: bool = False,
        after: float | None = None,
        may_have_cost: bool = False,
        fatal: UserError | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(problem)
        self.problem, self.again, self.after = problem, again, after
        self.may_have_cost, self.fatal, self.detail = may_have_cost, fatal, detail


def tried_again(status: int) -> bool:
    """Whether a request with this HTTP status is sent again."""
    return status in _AGAIN or status >= 500


def asked_pause(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds that ``Retry-After`` (also in milliseconds) asks for; None where it does not."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return _bounded(milliseconds / 1000)
    value = headers.get("retry-after")
    if (seconds := _number(value)) is not None:
        return _bounded(seconds)
    if not value:
        return None
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return _bounded((date - datetime.fromtimestamp(now(), UTC)).total_seconds())


def used_up(headers: Mapping[str, str]) -> float | None:
    """Seconds until a limit is renewed of which ``x-ratelimit-remaining-…`` says that nothing is left."""
    pauses = [
        _span(headers.get(f"x-ratelimit-reset-{what}"))
        for what in ("requests", "tokens")
        if _number(headers.get(f"x-ratelimit-remaining-{what}")) == 0
    ]
    return max((pause for pause in pauses if pause is not None), default=None)


def _span(text: str | None) -> float | None:
    """``6m0s``, ``20ms`` or ``1.5`` in seconds."""
    if (seconds := _number(text)) is not None:
        return _bounded(seconds)
    parts = _SPAN.findall(text or "")
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return _bounded(sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text.strip()) else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_PAUSE)


def attempts(
    retry_for: float, on_failure: Callable[[FailedAttemptError], None]
) -> Iterator[AbstractContextManager[object]]:
    """Contexts for one attempt each, until one does not fail, for ``retry_for`` seconds in all.

    A pause that the server asks for is not slept here: it holds for all threads, so ``on_failure`` has to see to it.
    """
    import stamina

    begun = time.monotonic()

    def decide(error: Exception) -> bool | float:
        if not isinstance(error, FailedAttemptError):
            return False
        on_failure(error)
        if not error.again or time.monotonic() - begun + (error.after or 0.0) > retry_for:
            return False
        return True if error.after is None else 0.0

    yield from stamina.retry_context(
        on=decide, attempts=None, timeout=retry_for, wait_initial=0.2, wait_max=10.0, wait_jitter=0.5
    )
