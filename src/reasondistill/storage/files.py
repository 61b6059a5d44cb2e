"""Reading and writing files so that a broken one is named by line and a half-written one never appears."""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

from reasondistill.errors import DataError, OutputError
from reasondistill.storage.text_encodings import HEAD, decode_head, is_western, odd_words, readings, wide_encoding

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


def read_head(path: str | Path) -> str:
    """The first megabyte of a text file, for `text_encodings.decode_head`'s uses."""
    with require_file(path).open("rb") as stream:
        return decode_head(stream.read(HEAD))


def real_path(path: str | Path) -> Path:
    """``path`` without the links in it; where they lead in a circle, or no file can have its name, as it is given."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        return Path(path)


def read_lines(path: str | Path, *, line_end: str = "\n", notes: list[str] | None = None) -> Iterator[tuple[int, str]]:
    """Yield ``(line number from 1, line without its end)`` of a text file; a leading byte-order mark is dropped.

    Lines end only at \\n or \\r\\n, or with ``line_end="\\r"`` only at \\r: other separators (U+2028, \\v, …) may stand
    inside a text. The file is UTF-8, or UTF-16 or UTF-32 by its first bytes.

    Args:
        notes: receives a note on any encoding but UTF-8. Given this list, a file that `is_western` may be Windows-1252.

    Raises:
        DataError: the file is absent or empty, or a line is in another encoding.
    """
    path = require_file(path)
    with path.open("rb") as stream:
        head = stream.read(HEAD)
        _require_text(path, head)
        wide = wide_encoding(head)
        stream.seek(0)
        if wide is not None:
            add_note(notes, f"read as {wide[:6].upper()}")
            yield from _wide_lines(stream, wide, line_end, path)
            return
        encoding, only_ascii = "utf-8", True
        for number, raw in enumerate(_pieces(stream, line_end.encode()), start=1):
            if number == 1 and raw.startswith(codecs.BOM_UTF8):
                raw, only_ascii = raw[len(codecs.BOM_UTF8) :], False
            try:
                line = raw.decode(encoding)
            except UnicodeDecodeError as error:
                # What came before is the same text in Windows-1252 if it was ASCII, and only then.
                with path.open("rb") as again:
                    if not only_ascii or notes is None or not is_western(again):
                        raise _no_utf8(path, number, error) from error
                with path.open("rb") as again:
                    words = ", ".join(repr(word.decode("cp1252")) for word in odd_words(again))
                add_note(notes, f"read as Windows-1252, as it is not UTF-8{f' ({words})' if words else ''}")
                encoding = "cp1252"
                line = raw.decode(encoding)
            only_ascii = only_ascii and line.isascii()
            yield number, line.removesuffix(line_end).removesuffix("\r")


_BINARY = {
    b"\x1f\x8b": ("a gzip file", "Unpack it: gunzip -c {old} > {new}"),
    b"BZh": ("a bzip2 file", "Unpack it: bunzip2 -c {old} > {new}"),
    b"\xfd7zXZ": ("an xz file", "Unpack it: xz -dc {old} > {new}"),
    b"\x28\xb5\x2f\xfd": ("a Zstandard file", "Unpack it: zstd -dc {old} > {new}"),
    b"PK\x03\x04": ("a ZIP file or a workbook", "Unpack it; in a spreadsheet program, save it as CSV in UTF-8."),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "Save it as CSV in UTF-8."),
    b"PAR1": ("a Parquet file", "Give its name the suffix .parquet."),
    b"ARROW1": ("an Arrow file", "Save it as Parquet or CSV."),
    b"SQLite format 3\x00": ("an SQLite database", "Save its table as CSV in UTF-8."),
    b"%PDF-": ("a PDF", "Save its table as CSV in UTF-8."),
}
"""How files that are no text begin → what they are, and how to come from them to a text."""


def _require_text(path: Path, head: bytes) -> None:
    for begin, (kind, fix) in _BINARY.items():
        # A text may begin with these letters; a file of such a kind goes on with bytes that no text has.
        if head.startswith(begin) and any(byte < 9 or byte > 127 for byte in head):
            old, new = shlex.quote(str(path)), shlex.quote(str(path.with_name(f"unpacked_{path.name}")))
            raise DataError(path, expected="a text file", found=kind, fix=fix.format(old=old, new=new))


def add_note(notes: list[str] | None, note: str) -> None:
    """Add what was recognised in a file, once."""
    if notes is not None and note not in notes:
        notes.append(note)


def _pieces(stream: IO[bytes], line_end: bytes) -> Iterator[bytes]:
    if line_end == b"\n":
        yield from stream
        return
    begun: list[bytes] = []
    while block := stream.read(HEAD):
        *whole, rest = block.split(line_end)
        for piece in whole:
            yield b"".join([*begun, piece])
            begun = []
        begun.append(rest)
    if last := b"".join(begun):
        yield last


def _wide_lines(stream: IO[bytes], encoding: str, line_end: str, path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        for number, line in enumerate(io.TextIOWrapper(stream, encoding, newline=line_end), start=1):
            text = line.removeprefix("\ufeff") if number == 1 else line
            yield number, text.removesuffix(line_end).removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number + 1}",
            expected=f"text in {encoding[:6].upper()}, in which the file begins",
            found=f"bytes that are none ({error.reason})",
            fix="Save the file as UTF-8.",
        ) from error


def _no_utf8(path: Path, number: int, error: UnicodeDecodeError) -> DataError:
    with path.open("rb") as stream:
        western = is_western(stream)
    with path.open("rb") as stream:
        lines = list(islice((line for line in islice(stream, number - 1, None) if not line.isascii()), 20))
    if western:
        possible = [("cp1252", " ".join(word.decode("cp1252") for word in odd_words(lines)))]
    else:
        possible = readings(lines)[:8]
    encoding = possible[0][0] if possible else "cp1252"
    old, new = shlex.quote(str(path)), shlex.quote(str(path.with_name(f"utf8_{path.name}")))
    as_words = " or ".join(f"{reading!r} in {encoding}" for encoding, reading in possible)
    choose = " with the encoding whose words are right" if len(possible) > 1 else ""
    if other := _first_utf8(path):
        choose += (
            f" (but line {other} is in UTF-8: if the file was joined of several, convert those, or mend line {number})"
        )
    return DataError(
        f"{path}:{number}",
        expected="text in UTF-8",
        found=f"the byte 0x{error.object[error.start]:02x} at column {error.start + 1}"
        + (f": {as_words}" if possible else ""),
        fix=f"Save the file as UTF-8, or convert it{choose}: iconv -f {encoding} -t utf-8 {old} > {new}",
    )


def _first_utf8(path: Path) -> int | None:
    """The first line that is UTF-8 and not ASCII."""
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            if not raw.isascii():
                with contextlib.suppress(UnicodeDecodeError):
                    raw.decode("utf-8")
                    return number
    return None


def read_jsonl(path: str | Path, *, notes: list[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(line number, object)`` of a JSON Lines file; blank lines are passed over.

    ``notes`` is as in `read_lines`.

    Raises:
        DataError: a line is not a JSON object, or holds a key twice.
    """
    # JSON has no line end inside a text, so that the first one is that of a line.
    line_end = "\r" if re.match(r"[^\r\n]*\r(?!\n)", read_head(path)) else "\n"
    for number, line in read_lines(path, line_end=line_end, notes=notes):
        if line.strip():
            row = parse_json_object(line, f"{path}:{number}")
            _refuse_half_pairs(line, row, f"{path}:{number}")
            yield number, row


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
        value = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise DataError(
            where, expected=expected, found=f"{_shorten(text)} ({error})", fix="Mend or remove the line."
        ) from error
    return value


_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
"""Either half of a surrogate pair; most are followed by the other one."""


def _refuse_half_pairs(text: str, row: dict[str, Any], where: str) -> None:
    """Refuse a row, with the text that it was parsed from, that no file in UTF-8 could hold."""
    if half := _HALF_PAIR.search(text):
        try:
            json.dumps(row, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                where,
                expected="characters",
                found=f"half of a surrogate pair ({half[0]} or another), which is none: a text that was cut inside it",
                fix="Remove it, or write \\ufffd in its place.",
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


def read_json_list(path: str | Path, *, notes: list[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(number from 1, object)`` of a JSON file that holds a list of objects. The whole file is read at once.

    ``notes`` is as in `read_lines`.

    Raises:
        DataError: the file is no JSON, no list, or an item is no object.
    """
    text = "\n".join(line for _, line in read_lines(path, notes=notes))
    value = _parse_json(text, str(path), "a list of JSON objects")
    if not isinstance(value, list):
        raise _no_list(path, value, text)
    half_pairs = _HALF_PAIR.search(text) is not None
    for number, row in enumerate(value, start=1):
        if not isinstance(row, dict):
            raise DataError(
                f"{path}: item {number}", expected="an object", found=_shorten(repr(row)), fix="Mend or remove it."
            )
        if half_pairs:
            _refuse_half_pairs(json.dumps(row), row, f"{path}: item {number}")
        yield number, row


def _no_list(path: str | Path, value: Any, text: str) -> DataError:
    lists = [key for key, inner in value.items() if isinstance(inner, list)] if isinstance(value, dict) else []
    fix = "Write [{…}, {…}]."
    if lists:
        new = shlex.quote(str(Path(path).with_name(f"list_{Path(path).name}")))
        take = f"import json, sys; json.dump(json.load(sys.stdin)[{lists[0]!r}], sys.stdout)"
        code = f'"{take}"' if lists[0].isidentifier() else shlex.quote(take)
        fix = f"Take the list out of it: python -c {code} < {shlex.quote(str(path))} > {new}"
    found = f"an object with the keys {_shorten(', '.join(value))}" if isinstance(value, dict) else _shorten(text)
    return DataError(path, expected="a list of objects", found=found, fix=fix)


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[str]]:
    """Open a text file that appears at ``path`` whole, or not at all.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
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
def writing(path: Path) -> Iterator[None]:
    """Name ``path`` in what the system says of making or renaming it.

    Raises:
        OutputError: whatever that is.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unwritable(path, error) from error


@contextlib.contextmanager
def _room(path: Path) -> Iterator[None]:
    """Name ``path`` where it does not fit on the disk; other errors may be of something else that is read inside."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OutputError(path, expected="room to write it", found=str(error), fix="Make room.") from error


def _unwritable(path: str | Path, error: Exception) -> OutputError:
    what = (error.strerror if isinstance(error, OSError) else None) or str(error)
    fix = "Make room." if isinstance(error, OSError) and error.errno in _FULL else "Name another place."
    return OutputError(path, expected="a place to write to", found=what, fix=fix)


def _hidden(path: Path) -> str:
    """How the name of what is not finished begins: a name that is as long as can be leaves it no room."""
    return f".{path.name[:50]}."


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
