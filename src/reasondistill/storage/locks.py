"""File locks that let one process work at a time; the system releases them however the process ends.

The holder of a lock may remove its file: from 3.24 on, filelock takes no lock on a file removed while it waited.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reasondistill.errors import OutputError

_MOMENT = 1.0
"""Seconds to wait for a lock: `is_held` may hold it for a moment."""


class BusyError(OutputError):
    """Another process holds the lock."""


@contextmanager
def held(lock_file: Path, *, of: Path, expected: str, found: str, fix: str) -> Iterator[None]:
    """Hold a lock; its folder is made.

    Args:
        of: the file or folder that it locks, with ``expected``, ``found`` and ``fix``: the error if another process
            holds it.

    Raises:
        BusyError: another process holds it.
        OutputError: the file system does not lock files here.
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
            expected="a file system that locks files, so that two processes do not do the same work at once",
            found=error.strerror or str(error),
            fix="Name a folder on another file system.",
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
