"""Handle Ctrl-C and SIGTERM within a context. Works in the main thread only; elsewhere it changes nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def handled_by(handler: Handler, *numbers: int) -> Iterator[None]:
    """While it lasts, ``handler`` is called for these signals: SIGINT and SIGTERM, where none is named."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers or (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def terminating_like_ctrl_c() -> Iterator[None]:
    """While it lasts, SIGTERM raises KeyboardInterrupt, so that what is under way can say how it ended."""
    with handled_by(signal.default_int_handler, signal.SIGTERM):
        yield
