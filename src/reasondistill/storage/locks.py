"""File locks that let one process work at a time; the system releases them however the process ends.

Who holds a lock may remove its file: filelock, from 3.24 on, takes no lock on a file that was removed while it waited.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reasondistill.errors import OutputError

_MOMENT = 1.0
"""Seconds to wait for a lock: `is_held` may hold it for a moment."""


class BusyError(OutputError):
    """Another process is at work there."""


@contextmanager
def held(lock_file: Path, *, of: Path, expected: str, found: str, fix: str) -> Iterator[None]:
    """Hold a lock, whose folder is made.

    Args:
        of: what it is the lock of, and ``expected``, ``found``, ``fix``: what to say where another process holds it.

    Raises:
        BusyError: another process holds it.
        OutputError: the file system locks no files, or not here.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file, timeout=_MOMENT)
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise BusyError(of, expected=expected, found=found, fix=fix) from error
    except OSError as error:
        raise OutputError(
            lock_file,
            expected="a file system that locks files, so that two processes do not do the same at once",
            found=error.strerror or str(error),
            fix="Name a folder on another one.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_held(lock_file: Path, *, unsure: bool) -> bool:
    """Whether a process holds the lock; ``unsure`` where the file cannot be locked here, or not by this user."""
    from filelock import FileLock, Timeout

    if not lock_file.exists():
        return False
    try:
        with FileLock(lock_file, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return unsure
