"""Read CSV and TSV files strictly: every cell is text, and a malformed row is named by its line."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from reasondistill.errors import DataError
from reasondistill.storage.files import add_note, read_head, read_lines
from reasondistill.storage.text_encodings import HEAD

DELIMITERS = {".csv": ",", ".tsv": "\t"}

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SEP_LINE = re.compile(r'"?sep=([,;\t|:~^])"?', re.IGNORECASE)
_SAMPLED = 200
"""Records of a table's beginning by which its separator is recognised."""

# The csv module refuses fields of more than 128 KiB unless told otherwise, for the whole process. This is the
# largest limit that fits a C long on every platform.
_LONGEST_FIELD = 2**31 - 1


class Dialect(NamedTuple):
    """What separates a table's columns and its lines, and whether a line ``sep=;`` stands before the header."""

    delimiter: str
    line_end: str = "\n"
    has_sep_line: bool = False


def read_table(
    path: str | Path, notes: list[str] | None = None
) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """Read a table with a header: its column names, and ``(line number, row)`` for each row.

    What separates columns and lines is recognised (`recognise`), and the encoding as in `files.read_lines`. Fields
    may be quoted, and quoted fields may hold line breaks: the number is that of the line on which a row begins. No
    cell is interpreted: ``None``, ``nan`` and ``NA`` are words, and an empty cell is an empty string. Blank lines are
    passed over.

    Args:
        notes: is told what was recognised that the suffix does not say.

    Raises:
        DataError: the file is absent, empty or in an unknown encoding; a column name occurs twice; or, while rows are
            read, a row has too few or too many cells, a NUL character, or quotes that do not match.
    """
    path = Path(path)
    own = DELIMITERS.get(path.suffix.lower(), ",")
    dialect = recognise(read_head(path), own)
    if dialect.delimiter != own:
        named = _NAMES.get(dialect.delimiter, repr(dialect.delimiter))
        add_note(notes, f"columns are separated by {named}")
    if dialect.line_end != "\n":
        add_note(notes, "lines end in carriage returns")
    records = _records(path, dialect, notes)
    first = next(records, None)
    if first is None:
        raise DataError(path, expected="a header with column names", found="blank lines only", fix="Add a header.")
    number, header = first
    doubled = sorted(name for name, times in Counter(header).items() if times > 1)
    if doubled:
        raise DataError(
            f"{path}:{number}",
            expected="column names that occur once",
            found=f"{', '.join(map(repr, doubled[:5]))} more than once",
            fix="Rename or remove a column.",
        )
    return header, _rows(path, header, records)


def recognise(head: str, own: str) -> Dialect:
    """What separates columns and lines in a table that begins with ``head``.

    Lines end at \\r only where the header, outside quotes, ends there. Columns: of comma, semicolon, tab and bar, the
    one that cuts all rows at hand into as many cells as the header, at least two; of several the one with most cells,
    then ``own``. Where none does, one that fits more than half of the rows, so that the others are named; else ``own``.

    Args:
        own: the separator that the file's suffix stands for.
    """
    line_end = "\r" if _ends_in_carriage_return(head) else "\n"
    lines = [f"{line}\n" for line in head.split(line_end)]
    if len(head) * 4 >= HEAD and len(lines) > 1:
        lines.pop()  # the file goes on: this one is cut
    first = next((line.rstrip("\r\n") for line in lines if line.strip()), "")
    if named := _SEP_LINE.fullmatch(first):
        return Dialect(named[1], line_end, has_sep_line=True)
    fits: list[tuple[bool, int, bool, str]] = []
    for delimiter in dict.fromkeys((own, *_NAMES)):
        if delimiter not in first:
            continue  # a header of one column
        cells = _cells(lines, delimiter)
        alike = cells.count(cells[0]) if cells else 0
        if cells and cells[0] > 1 and (2 * alike > len(cells) + 1 or alike == len(cells)):
            fits.append((alike == len(cells), cells[0], delimiter == own, delimiter))
    return Dialect(max(fits)[-1] if fits else own, line_end)


def _cells(lines: Iterable[str], delimiter: str) -> list[int]:
    """How many cells the first records have, the header first; the last one may be cut and is left out."""
    csv.field_size_limit(_LONGEST_FIELD)
    counts: list[int] = []
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        counts.extend(len(record) for record in islice(records, _SAMPLED) if record)
    except csv.Error:  # said, with its line, when the rows are read
        return counts
    return counts


def _ends_in_carriage_return(head: str) -> bool:
    quoted = False
    for mark in re.finditer(r'["\n]|\r+\n?', head):
        if mark[0] == '"':
            quoted = not quoted
        elif not quoted:
            return not mark[0].endswith("\n")
    return False


def _rows(
    path: Path, header: list[str], records: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, dict[str, str]]]:
    for number, cells in records:
        if len(cells) != len(header):
            raise DataError(
                f"{path}:{number}",
                expected=f"{_columns(len(header))}, as the header has",
                found=_columns(len(cells)),
                fix="Quote a field that holds the separator, a quote or a line break, or complete the row.",
            )
        yield number, dict(zip(header, cells, strict=True))


def _records(path: Path, dialect: Dialect, notes: list[str] | None) -> Iterator[tuple[int, list[str]]]:
    """``(line on which it begins, cells)`` of each record that is not a blank line."""
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(_lines(path, dialect, notes), delimiter=dialect.delimiter, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _broken(path, begins, reader.line_num, error, dialect) from error
        if cells is None:
            return
        if cells:
            yield begins, cells


def _lines(path: Path, dialect: Dialect, notes: list[str] | None) -> Iterator[str]:
    before_header = dialect.has_sep_line
    for number, line in read_lines(path, line_end=dialect.line_end, notes=notes):
        if "\0" in line:
            raise DataError(
                f"{path}:{number}",
                expected="text",
                found=f"a NUL character at column {line.index(chr(0)) + 1}",
                fix="Save the table as UTF-8 text: this may be UTF-16, or a binary file.",
            )
        if before_header and line.strip():
            line, before_header = "", False
        yield f"{line.rstrip(chr(13))}\n"  # \r\r\n comes of writing \r\n as text on Windows


def _broken(path: Path, begins: int, reached: int, error: csv.Error, dialect: Dialect) -> DataError:
    message = str(error)
    until = f" (read up to line {reached})" if reached > begins else ""
    fix = 'Write a field that holds a quote as "He said ""yes""".'
    if "unexpected end of data" in message:
        message = f"a quote that is never closed{until}"
    elif "expected after" in message:
        message = f"text right after a closing quote{until}"
    elif "new-line character" in message:
        mark, octal = ("carriage return", "\\r") if dialect.line_end == "\n" else ("line feed", "\\n")
        message = f"a {mark} outside quotes"
        fix = f"Quote the field that holds it, or put spaces in place of all: tr '{octal}' ' ' < OLD > NEW"
    return DataError(
        f"{path}:{begins}",
        expected="fields that are quoted whole, with quotes inside them doubled, or not at all",
        found=message,
        fix=fix,
    )


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
