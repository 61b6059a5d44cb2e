"""Reading files so that a broken one is named by line."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeAlias

from reasondistill.errors import DataError
from reasondistill.storage.files.places import require_file
from reasondistill.storage.packed import UNPACK, unpacked
from reasondistill.storage.text_encodings import (
    HEAD,
    decode_head,
    first_words,
    narrow_encoding,
    readings,
    wide_encoding,
)

JsonObject: TypeAlias = dict[str, Any]
"""An object as `json` parses it, before a contract's model has read it."""


def read_head(path: str | Path) -> str:
    """The first megabyte of a text file, for `text_encodings.decode_head`'s uses."""
    with unpacked(require_file(path)) as stream:
        return decode_head(stream.read(HEAD))


def read_lines(path: str | Path, *, line_end: str = "\n", notes: list[str] | None = None) -> Iterator[tuple[int, str]]:
    """Yield ``(line number from 1, line without its end)`` of a text file; a leading byte-order mark is dropped.

    Lines end only at \\n or \\r\\n, or with ``line_end="\\r"`` only at \\r: other separators (U+2028, \\v, …) may stand
    inside a text. The file is UTF-8, or UTF-16 or UTF-32 by its first bytes.

    Args:
        notes: receives a note on any encoding but UTF-8. Given this list, the encoding of a file that has no mark and
            is not UTF-8 is recognised, where `narrow_encoding` is sure of it.

    Raises:
        DataError: the file is absent or empty, or a line is in another encoding.
    """
    path = require_file(path)
    with unpacked(path) as stream:
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
                # What came before is the same text in another encoding if it was ASCII, and only then.
                if not only_ascii or notes is None or (recognised := _narrow(path)) is None:
                    raise _no_utf8(path, number, error) from error
                encoding, line = recognised, raw.decode(recognised)
                add_note(notes, _encoding_note(path, encoding))
            only_ascii = only_ascii and line.isascii()
            yield number, line.removesuffix(line_end).removesuffix("\r")


def _narrow(path: Path) -> str | None:
    with unpacked(path) as stream:
        _pass_mark(stream)
        return narrow_encoding(stream)


def _pass_mark(stream: IO[bytes]) -> bool:
    """Go to what stands behind UTF-8's mark, if a file begins with it."""
    if stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
        return True
    stream.seek(0)
    return False


def _encoding_note(path: Path, encoding: str) -> str:
    with unpacked(path) as stream:
        words = ", ".join(map(repr, first_words(stream, encoding)))
    name = "Windows-1252" if encoding == "cp1252" else encoding
    return f"read as {name}, as it is not UTF-8{f' ({words})' if words else ''}"


_BINARY = {
    b"PK\x03\x04": ("a ZIP file or a workbook", "Give its name the suffix .csv.zip, or .xlsx if it is a workbook."),
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
    recognised = _narrow(path)
    with unpacked(path) as stream:
        is_marked = _pass_mark(stream)
        lines = list(islice((line for line in islice(stream, number - 1, None) if not line.isascii()), 20))
    if recognised is not None:
        possible = [(recognised, " ".join(first_words(lines, recognised)))]
    else:
        possible = readings(lines)[:8]
    encoding = possible[0][0] if possible else "cp1252"
    old, new = shlex.quote(str(path)), shlex.quote(str(path.with_name(f"utf8_{path.name}")))
    convert = f"iconv -f {encoding} -t utf-8 {old} > {new}"
    if is_marked:  # the mark of UTF-8 would become letters
        convert = f"tail -c +{len(codecs.BOM_UTF8) + 1} {old} | iconv -f {encoding} -t utf-8 > {new}"
    if unpack := UNPACK.get(path.suffix.lower()):
        new = shlex.quote(str(path.with_name(f"utf8_{path.stem}")))
        convert = f"{unpack} {old} | iconv -f {encoding} -t utf-8 > {new}"
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
        fix=f"Save the file as UTF-8, or convert it{choose}: {convert}",
    )


def _first_utf8(path: Path) -> int | None:
    """The first line that is UTF-8 and not ASCII."""
    with unpacked(path) as stream:
        _pass_mark(stream)
        for number, raw in enumerate(stream, start=1):
            if not raw.isascii():
                with contextlib.suppress(UnicodeDecodeError):
                    raw.decode("utf-8")
                    return number
    return None


def read_jsonl(path: str | Path, *, notes: list[str] | None = None) -> Iterator[tuple[int, JsonObject]]:
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


def parse_json_object(text: str, where: str) -> JsonObject:
    """Parse a JSON object strictly.

    Raises:
        DataError: ``text`` is no JSON, no object, nests too deeply, or has a key twice.
    """
    value = _parse_json(text, where, "a JSON object")
    if not isinstance(value, dict):
        raise DataError(where, expected="a JSON object", found=_shorten(text), fix="Mend or remove the line.")
    return value


def _parse_json(text: str, where: str, expected: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_with_keys_once(where))
    except (ValueError, RecursionError) as error:
        raise DataError(
            where, expected=expected, found=f"{_shorten(text)} ({error})", fix="Mend or remove the line."
        ) from error


def _with_keys_once(where: str) -> Callable[[list[tuple[str, object]]], dict[str, object]]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(where, expected="each key once", found=f"the key {twice!r} twice", fix="Keep one of them.")
        return result

    return unique


_SPACE = re.compile(r"[ \t\r\n]*")


def _one_after_another(text: str, where: str) -> list[object] | None:
    """Objects that stand one after another, as jq prints them; None where there are not several of them."""
    decoder = json.JSONDecoder(object_pairs_hook=_with_keys_once(where))
    objects: list[object] = []
    place = _space_behind(text, 0)
    while place < len(text) and text[place] == "{":
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None
        objects.append(value)
        place = _space_behind(text, place)
    return objects if place == len(text) and len(objects) > 1 else None


def _space_behind(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    return place if space is None else space.end()


_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
"""Either half of a surrogate pair; most are followed by the other one."""


def _refuse_half_pairs(text: str, row: JsonObject, where: str) -> None:
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


def read_json(path: str | Path) -> JsonObject:
    """Read one JSON object from a file, with the errors of `parse_json_object`."""
    return parse_json_object("\n".join(line for _, line in read_lines(path)), str(path))


def read_json_list(
    path: str | Path,
    *,
    notes: list[str] | None = None,
    rows_in: Callable[[object, list[str] | None], list[object] | None] = lambda value, notes: None,
) -> Iterator[tuple[int, JsonObject]]:
    """Yield ``(number from 1, object)`` of a JSON file that holds a list of objects. The whole file is read at once.

    ``notes`` is as in `read_lines`.

    Args:
        rows_in: finds the list in a value of another form; None where there is none.

    Raises:
        DataError: the file is no JSON, no list, or an item is no object.
    """
    text = "\n".join(line for _, line in read_lines(path, notes=notes))
    value: object = _one_after_another(text, str(path))
    if value is None:
        value = _parse_json(text, str(path), "a list of JSON objects")
    if not isinstance(value, list):
        rows = rows_in(value, notes)
        if rows is None:
            raise _no_list(path, value, text)
        value = rows
    half_pairs = _HALF_PAIR.search(text) is not None
    for number, row in enumerate(value, start=1):
        if not isinstance(row, dict):
            raise DataError(
                f"{path}: item {number}", expected="an object", found=_shorten(repr(row)), fix="Mend or remove it."
            )
        if half_pairs:
            _refuse_half_pairs(json.dumps(row), row, f"{path}: item {number}")
        yield number, row


def _no_list(path: str | Path, value: object, text: str) -> DataError:
    lists = [key for key, inner in value.items() if isinstance(inner, list)] if isinstance(value, dict) else []
    fix = "Write [{…}, {…}]."
    if lists:
        new = shlex.quote(str(Path(path).with_name(f"list_{Path(path).name}")))
        take = f"import json, sys; json.dump(json.load(sys.stdin)[{lists[0]!r}], sys.stdout)"
        code = f'"{take}"' if lists[0].isidentifier() else shlex.quote(take)
        fix = f"Take the list out of it: python -c {code} < {shlex.quote(str(path))} > {new}"
    found = _shorten(text)
    if isinstance(value, dict):
        found = f"an object with the keys {_shorten(', '.join(value))}" if value else "an empty object"
    return DataError(path, expected="a list of objects", found=found, fix=fix)


def _shorten(text: str, length: int = 60) -> str:
    return repr(text if len(text) <= length else text[: length - 1] + "…")
