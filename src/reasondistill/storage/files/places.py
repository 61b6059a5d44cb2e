"""Paths that can be read, and places that can be written to."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from reasondistill.errors import DataError, OutputError

FULL_DISK = frozenset({errno.ENOSPC, errno.EFBIG, *([errno.EDQUOT] if hasattr(errno, "EDQUOT") else [])})


def require_file(path: str | Path, *, what: str = "a file") -> Path:
    """Return ``path`` as a Path if it is a readable, non-empty file.

    Raises:
        DataError: it is absent, a folder, or empty.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(path, expected=what, found="a folder", fix="Name a file inside it.")
    if not path.exists():
        raise DataError(path, expected=what, found="nothing at this path", fix="Check the spelling.")
    if path.stat().st_size == 0:
        raise DataError(path, expected=what, found="an empty file", fix="Write the data to it first.")
    return path


def real_path(path: str | Path) -> Path:
    """``path`` without the links in it; where they lead in a circle, or no file can have its name, as it is given."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        return Path(path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name ``path`` in what the system says of making or renaming it.

    Raises:
        OutputError: whatever that is.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unwritable(path, error) from error


def _unwritable(path: str | Path, error: Exception) -> OutputError:
    what = (error.strerror if isinstance(error, OSError) else None) or str(error)
    fix = "Make room." if isinstance(error, OSError) and error.errno in FULL_DISK else "Name another place."
    return OutputError(path, expected="a place to write to", found=what, fix=fix)


def require_new_file(path: str | Path) -> Path:
    """Return ``path`` if nothing is there.

    Raises:
        OutputError: something is there.
    """
    path = require_place(path)
    if path.exists():
        found = "a folder" if path.is_dir() else "a file"
        raise OutputError(path, expected="a new file", found=found, fix="Name another one: nothing is overwritten.")
    return path


def require_new_folder(path: str | Path) -> Path:
    """Return ``path`` if nothing, or only an empty folder, is there.

    Raises:
        OutputError: something is there.
    """
    path = require_place(path)
    if path.exists() and not path.is_dir():
        raise OutputError(path, expected="a new folder", found="a file", fix="Name another folder.")
    if path.is_dir() and any(path.iterdir()):
        raise OutputError(
            path,
            expected="a new or empty folder",
            found="a folder with files in it",
            fix="Name another folder, or move this one away: nothing is overwritten.",
        )
    return path


def require_place(path: str | Path) -> Path:
    """``path``, if something could stand there: commands look before they do what takes long.

    Raises:
        OutputError: the name cannot be, or what is above it takes no new files.
    """
    path = Path(path)
    try:
        os.lstat(path)
        if path.exists():
            return path
        raise OutputError(path, expected="a new name", found="a link that leads nowhere", fix="Name another place.")
    except FileNotFoundError:
        above = next((folder for folder in path.absolute().parents if folder.exists()), path.absolute().parent)
        if not above.is_dir():
            problem = OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            raise _unwritable(path, problem) from None
        with writing(path), tempfile.TemporaryFile(dir=above):
            return path
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
