"""Reading and writing files so that a broken one is named by line and a half-written one never appears."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from reasondistill.errors import DataError, OutputError

_FULL = frozenset({errno.ENOSPC, errno.EFBIG, *([errno.EDQUOT] if hasattr(errno, "EDQUOT") else [])})


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


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield ``(line number from 1, line without its end)`` of a UTF-8 file; a leading byte-order mark is dropped.

    Lines end only at \\n or \\r\\n: other separators (U+2028, \\v, …) may stand inside a text.

    Raises:
        DataError: the file is absent or empty, or a line is not valid UTF-8.
    """
    path = require_file(path)
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}:{number}",
                    expected="text in UTF-8",
                    found=f"the byte 0x{raw[error.start]:02x} at column {error.start + 1}",
                    fix="Save the file as UTF-8 (for example: iconv -f latin1 -t utf-8).",
                ) from error
            yield number, line.removesuffix("\n").removesuffix("\r")


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(line number, object)`` of a JSON Lines file; blank lines are passed over.

    Raises:
        DataError: a line is not a JSON object, or holds a key twice.
    """
    for number, line in read_lines(path):
        if line.strip():
            yield number, parse_json_object(line, f"{path}:{number}")


def parse_json_object(text: str, where: str) -> dict[str, Any]:
    """Parse a JSON object strictly.

    Raises:
        DataError: ``text`` is no JSON, no object, nests too deeply, or has a key twice.
    """
    value = _parse_json(text, where, "a JSON object")
    if not isinstance(value, dict):
        raise DataError(where, expected="a JSON object", found=_shorten(text), fix="Mend or remove the line.")
    return value


def _parse_json(text: str, where: str, expected: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(where, expected="each key once", found=f"the key {twice!r} twice", fix="Keep one of them.")
        return result

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise DataError(
            where, expected=expected, found=f"{_shorten(text)} ({error})", fix="Mend or remove the line."
        ) from error


def read_json(path: str | Path) -> dict[str, Any]:
    """Read one JSON object from a file, with the errors of `parse_json_object`."""
    return parse_json_object("\n".join(line for _, line in read_lines(path)), str(path))


def read_versioned_json(
    path: str | Path, version: int | tuple[int, ...], *, what: str, fix: str = ""
) -> dict[str, Any]:
    """Read one JSON object that says under ``schema_version`` which form it has.

    Args:
        version: the one that is read, or all of them.

    Raises:
        DataError: as `read_json`, or it has another version.
    """
    value = read_json(path)
    versions = version if isinstance(version, tuple) else (version,)
    if value.get("schema_version") not in versions:
        found = f"version {value.get('schema_version')!r}"
        raise DataError(path, expected=f"{what}schema version {' or '.join(map(str, versions))}", found=found, fix=fix)
    return value


def read_json_list(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(number from 1, object)`` of a JSON file that holds a list of objects. The whole file is read at once.

    Raises:
        DataError: the file is no JSON, no list, or an item is no object.
    """
    text = "\n".join(line for _, line in read_lines(path))
    found = _parse_json(text, str(path), "a list of JSON objects")
    if not isinstance(found, list):
        raise DataError(path, expected="a list of objects", found=_shorten(text), fix="Write [{…}, {…}].")
    for number, row in enumerate(found, start=1):
        if not isinstance(row, dict):
            raise DataError(
                f"{path}: item {number}", expected="an object", found=_shorten(repr(row)), fix="Mend or remove it."
            )
        yield number, row


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[str]]:
    """Open a text file that appears at ``path`` whole, or not at all.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OutputError(path, expected="a place to write to", found=str(error)) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            yield stream
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise OutputError(path, expected="room to write it", found=str(error), fix="Make room.") from error
        raise


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Fill a new folder beside ``path``; it takes the name ``path`` only when all went well.

    Raises:
        OutputError: ``path`` exists already and is not an empty folder.
    """
    path = require_new_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            path.rmdir()  # empty: require_new_folder let it pass
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def require_new_file(path: str | Path) -> Path:
    """Return ``path`` if nothing is there.

    Raises:
        OutputError: something is there.
    """
    path = Path(path)
    if path.exists():
        found = "a folder" if path.is_dir() else "a file"
        raise OutputError(path, expected="a new file", found=found, fix="Name another one: nothing is overwritten.")
    return path


def require_new_folder(path: str | Path) -> Path:
    """Return ``path`` if nothing, or only an empty folder, is there.

    Raises:
        OutputError: something is there.
    """
    path = Path(path)
    if path.is_file():
        raise OutputError(path, expected="a new folder", found="a file", fix="Name another folder.")
    if path.is_dir() and any(path.iterdir()):
        raise OutputError(
            path,
            expected="a new or empty folder",
            found="a folder with files in it",
            fix="Name another folder, or move this one away: nothing is overwritten.",
        )
    return path


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic_write(path) as stream:
        stream.write(json_text(value))


def json_text(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with atomic_write(path) as stream:
        for row in rows:
            stream.write(json_line(row))


def json_line(row: Mapping[str, Any]) -> str:
    """One line of a JSON Lines file, with its end."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def fingerprint(*parts: object) -> str:
    """A short content hash (16 hex digits of SHA-256) of values that JSON can hold."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def fingerprint_of_texts(texts: Iterable[str]) -> str:
    """The `fingerprint` of texts that come one after the other and are not kept."""
    digest = hashlib.sha256(b"[")
    for place, text in enumerate(texts):
        digest.update((", " if place else "").encode())
        digest.update(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    digest.update(b"]")
    return digest.hexdigest()[:16]


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_fingerprint(path: str | Path) -> str:
    """A short content hash (16 hex digits of SHA-256) of a file's bytes."""
    return file_sha256(path)[:16]


def seal_of(path: Path) -> dict[str, Any]:
    """Size and hash of a file, by which `broken_seal` knows it again."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def seal_of_bytes(content: bytes) -> dict[str, Any]:
    """The `seal_of` a file that is yet to be written."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def broken_seal(path: Path, seal: Mapping[str, Any]) -> str | None:
    """What became of a file since its seal was taken, in words; None where it is the same."""
    if not path.is_file():
        return f"{path.name} is not there"
    if path.stat().st_size != seal["bytes"]:
        return f"{path.name} has {path.stat().st_size} bytes instead of {seal['bytes']}"
    if file_sha256(path) != seal["sha256"]:
        return f"{path.name} has another content than was written"
    return None


def _shorten(text: str, length: int = 60) -> str:
    return repr(text if len(text) <= length else text[: length - 1] + "…")


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
