"""Reading CSV and TSV files strictly: every cell is text, and a row that does not fit is named by its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from reasondistill.errors import DataError
from reasondistill.files import read_lines

DELIMITERS = {".csv": ",", ".tsv": "\t"}

# The csv module refuses fields of more than 128 KiB unless told otherwise, for the whole process. This is the
# largest limit that fits a C long on every platform.
_LONGEST_FIELD = 2**31 - 1


def read_table(path: str | Path) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """Read a table with a header: its column names, and ``(line number, row)`` for each row.

    The suffix says what separates columns: a comma (.csv) or a tab (.tsv). Fields may be quoted, and quoted fields
    may hold line breaks: the number is that of the line on which a row begins. Nothing is guessed: ``None``,
    ``nan`` and ``NA`` are words, and an empty cell is an empty string. Blank lines are passed over.

    Raises:
        DataError: the file is absent, empty or not UTF-8; a column name occurs twice; or, while rows are read, a
            row has too few or too many cells, a NUL character, or quotes that do not match.
    """
    path = Path(path)
    records = _records(path, DELIMITERS.get(path.suffix.lower(), ","))
    first = next(records, None)
    if first is None:
        raise DataError(path, expected="a header with column names", found="blank lines only", fix="Add a header.")
    number, header = first
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise DataError(
            f"{path}:{number}",
            expected="column names that occur once",
            found=f"{', '.join(map(repr, doubled))} more than once",
            fix="Rename or remove a column.",
        )
    return header, _rows(path, header, records)


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


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """``(line on which it begins, cells)`` of each record that is not a blank line."""
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(_lines(path), delimiter=delimiter, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path}:{begins}",
                expected="fields that are quoted whole, with quotes inside them doubled, or not at all",
                found=_in_words(error, begins, reader.line_num),
                fix='Write a field that holds a quote as "He said ""yes""".',
            ) from error
        if cells is None:
            return
        if cells:
            yield begins, cells


def _lines(path: Path) -> Iterator[str]:
    for number, line in read_lines(path):
        if "\0" in line:
            raise DataError(
                f"{path}:{number}",
                expected="text",
                found=f"a NUL character at column {line.index(chr(0)) + 1}",
                fix="Save the table as UTF-8 text: this may be UTF-16, or a binary file.",
            )
        yield f"{line}\n"


def _in_words(error: csv.Error, begins: int, reached: int) -> str:
    message = str(error)
    until = f" (read up to line {reached})" if reached > begins else ""
    if "unexpected end of data" in message:
        return f"a quote that is never closed{until}"
    if "expected after" in message:
        return f"text right after a closing quote{until}"
    if "new-line character" in message:
        return "a carriage return outside quotes"
    return message


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
