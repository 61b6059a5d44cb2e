"""Read CSV and TSV files strictly: every cell is text, and a malformed row is named by its line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from reasondistill.data.readers.csv_dialects import NO_DELIMITER, Dialect, recognise
from reasondistill.errors import DataError
from reasondistill.storage.files import add_note, read_head, read_lines
from reasondistill.storage.packed import plain_suffix

DELIMITERS = {".csv": ",", ".tsv": "\t"}

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", "^": "carets"}


def read_table(
    path: str | Path, notes: list[str] | None = None
) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """Read a table with a header: its column names, and ``(line number, row)`` for each row.

    What separates columns and lines is recognised (`csv_dialects.recognise`), and the encoding as in
    `files.read_lines`. Fields may be quoted, and quoted fields may hold line breaks: the number is that of the line on
    which a row begins. No cell is interpreted: ``None``, ``nan`` and ``NA`` are words, and an empty cell is an empty
    string. Blank lines are passed over.

    Args:
        notes: is told what was recognised that the suffix does not say.

    Raises:
        DataError: the file is absent, empty or in an unknown encoding; a column name occurs twice; or, while rows are
            read, a row has too few or too many cells, a NUL character, or quotes that do not match.
    """
    path = Path(path)
    own = DELIMITERS.get(plain_suffix(path), ",")
    dialect = recognise(read_head(path), own)
    _say(dialect, own, notes)
    records = _records(path, dialect, notes)
    first = next(records, None)
    if first is None:
        raise DataError(path, expected="a header with column names", found="blank lines only", fix="Add a header.")
    number, header = first
    nameless = [place for place, name in enumerate(header) if not name.strip()]
    if len(nameless) > 1:  # a spreadsheet writes separators for cells that were once used
        header = [name for name in header if name.strip()]
        records = _without_empty_cells(records, nameless, path)
        add_note(notes, f"{len(nameless)} empty columns without a name, passed over")
    doubled = sorted(name for name, times in Counter(header).items() if times > 1)
    if doubled:
        raise DataError(
            f"{path}:{number}",
            expected="column names that occur once",
            found=f"{', '.join(map(repr, doubled[:5]))} more than once",
            fix="Rename or remove a column.",
        )
    return header, _rows(path, header, records)


def _say(dialect: Dialect, own: str, notes: list[str] | None) -> None:
    if dialect.delimiter == NO_DELIMITER:
        add_note(notes, "one column, as its header has: separators belong to the texts")
    elif dialect.delimiter != own:
        add_note(notes, f"columns are separated by {_NAMES.get(dialect.delimiter, repr(dialect.delimiter))}")
    if dialect.backslashes:
        add_note(notes, "quotes inside quotes are written with a backslash")
    if dialect.line_end != "\n":
        add_note(notes, "lines end in carriage returns")


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


def _without_empty_cells(
    records: Iterator[tuple[int, list[str]]], places: list[int], path: Path
) -> Iterator[tuple[int, list[str]]]:
    """The records without the cells at some places, which have to be empty, and without those of empty cells only."""
    dropped = {*places}
    for number, cells in records:
        if any(cells[place].strip() for place in places if place < len(cells)):
            filled = next(place for place in places if place < len(cells) and cells[place].strip())
            raise DataError(
                f"{path}:{number}",
                expected="a name in the header for each column with cells in it",
                found=f"none for column {filled + 1}, which holds {cells[filled][:40]!r}",
                fix="Name the column in the first line, or empty the cell.",
            )
        if any(cell.strip() for cell in cells):
            yield number, [cell for place, cell in enumerate(cells) if place not in dropped]


def _records(path: Path, dialect: Dialect, notes: list[str] | None) -> Iterator[tuple[int, list[str]]]:
    """``(line on which it begins, cells)`` of each record that is not a blank line."""
    reader = dialect.reader(_lines(path, dialect, notes))
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
