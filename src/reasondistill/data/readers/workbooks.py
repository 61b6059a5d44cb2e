"""Read Excel workbooks (.xlsx): the first sheet, or the one that is named, as in ``tickets.xlsx#March``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from itertools import zip_longest
from pathlib import Path

from reasondistill.data.readers.flat_rows import Row
from reasondistill.errors import DataError, importing
from reasondistill.storage.packed import BROKEN, unpacked

SUFFIXES = (".xlsx", ".xlsm")


def read_workbook(
    path: Path, sheet: str = "", notes: list[str] | None = None
) -> tuple[list[str], Callable[[], Iterator[Row]]]:
    """The column names of a sheet, and what begins to read its rows anew, numbered as in the workbook.

    The first row that is not empty is the header. Empty rows are passed over. Numbers and truth values stay what they
    are, dates become ISO text, and of formulas the values are read that the workbook was saved with.

    Raises:
        MissingExtraError: openpyxl is not installed.
        DataError: the file is no workbook, has no such sheet, or no header; a column name is empty or occurs twice.
    """
    where = f"{path}#{sheet}" if sheet else f"{path}"
    records = _records(path, sheet, notes)
    number, first = next(((number, row) for number, row in records if _filled(row)), (0, ()))
    while first and first[-1] is None:
        first = first[:-1]
    header = [str(_value(cell)).strip() if cell is not None else "" for cell in first]
    if not header:
        raise DataError(where, expected="a header with column names", found="an empty sheet", fix="Name another sheet: "
                        f"{path.name}#SHEET.")  # fmt: skip
    odd = sorted(name for name, times in Counter(header).items() if times > 1 or not name)
    if odd:
        found = "a column without a name" if odd[0] == "" else f"{odd[0]!r} more than once"
        raise DataError(f"{where}:{number}", expected="column names that occur once", found=found, fix="Name it.")

    def rows() -> Iterator[Row]:
        for place, cells in _records(path, sheet, None):
            if place <= number or not _filled(cells):
                continue
            if any(cell is not None for cell in cells[len(header) :]):
                raise DataError(
                    f"{where}:{place}",
                    expected=f"{len(header)} columns, as the header has",
                    found="a cell to the right of them",
                    fix="Name its column, or remove the cell.",
                )
            yield place, {name: _value(cell) for name, cell in zip_longest(header, cells[: len(header)])}

    return header, rows


def _records(path: Path, sheet: str, notes: list[str] | None) -> Iterator[tuple[int, tuple[object, ...]]]:
    with importing(f"reading {path}", "excel"):
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException

    with unpacked(path) as stream:
        try:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        except (InvalidFileException, KeyError, *BROKEN) as error:
            raise DataError(
                path,
                expected="an Excel workbook",
                found=f"none that can be read ({error})",
                fix="Save it again as .xlsx.",
            ) from error
        names = [page.title for page in book.worksheets]
        if sheet and sheet not in names:
            raise DataError(path, expected=f"one of the sheets {', '.join(names)}", found=repr(sheet), fix="Name one.")
        chosen = sheet or names[0]
        if notes is not None and not sheet and len(names) > 1:
            notes.append(f"the sheet {chosen!r}; others are {', '.join(names[1:])}: {path.name}#{names[1]}")
        try:
            yield from enumerate(book[chosen].iter_rows(values_only=True), start=1)
        finally:
            book.close()


def _filled(cells: tuple[object, ...]) -> bool:
    return any(cell is not None and cell != "" for cell in cells)


def _value(cell: object) -> object:
    return (
        cell.isoformat(sep=" ") if isinstance(cell, datetime) else str(cell) if isinstance(cell, date | time) else cell
    )
