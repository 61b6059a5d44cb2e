"""Writing files and folders so that a half-written one never appears."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from reasondistill.errors import OutputError
from reasondistill.storage.files.places import FULL_DISK, require_new_folder, writing


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[str]]:
    """Open a text file that appears at ``path`` whole, or not at all.

    Raises:
        OutputError: the folder cannot be written to, a device or a pipe is there, or the disk is full.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):  # renaming would put a file in a device's place
        raise OutputError(path, expected="a file, or nothing", found="a device or a pipe", fix="Name a file.")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=_hidden(path), suffix=".part", dir=path.parent)
    try:
        # A byte of a path that is not UTF-8 becomes \udcXX, which is also how JSON writes it.
        with (
            _room(path),
            os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
        ):
            yield stream
        with writing(path):
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Fill a temporary folder next to ``path`` and rename it to ``path`` only on success.

    Raises:
        OutputError: ``path`` exists already and is not an empty folder, cannot be written to, or the disk is full.
    """
    path = require_new_folder(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_hidden(path), suffix=".part", dir=path.parent))
    try:
        with _room(path):
            yield temporary
        with writing(path):
            temporary.chmod(0o777 & ~_umask())
            if path.exists():
                path.rmdir()  # empty, or require_new_folder would have refused it
            temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextlib.contextmanager
def _room(path: Path) -> Iterator[None]:
    """Name ``path`` where it does not fit on the disk; other errors may be of something else that is read inside."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise OutputError(path, expected="room to write it", found=str(error), fix="Make room.") from error


def _hidden(path: Path) -> str:
    """How the name of what is not finished begins: a name that is as long as can be leaves it no room."""
    return f".{path.name[:50]}."


def write_json(path: str | Path, value: object) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic_write(path) as stream:
        stream.write(json_text(value))


def json_text(value: object) -> str:
    """What `write_json` writes."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write one JSON object a line, atomically."""
    with atomic_write(path) as stream:
        for row in rows:
            stream.write(json_line(row))


def json_line(row: Mapping[str, object]) -> str:
    """One line of a JSON Lines file, with its end."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
