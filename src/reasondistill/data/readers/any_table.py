"""Any source of rows as one table: files by their suffix, packed or not, saved and published sets, rows in memory.

A new kind of file is a module with a function from a path to column names and rows, and a line in `_opened`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from shlex import quote

from reasondistill.data.readers import json_files, workbooks
from reasondistill.data.readers.csv_files import DELIMITERS, read_table
from reasondistill.data.readers.exports import export_of
from reasondistill.data.readers.flat_rows import Cells, Row, flat, is_example
from reasondistill.data.readers.in_memory import NAME, dataset_rows, is_of_datasets
from reasondistill.data.readers.json_files import read_objects
from reasondistill.data.readers.parquet_files import read_parquet
from reasondistill.data.readers.workbooks import read_workbook
from reasondistill.errors import DataError
from reasondistill.storage.files import add_note, require_file
from reasondistill.storage.packed import is_packed, plain_stem, plain_suffix

SUFFIXES = (*DELIMITERS, *json_files.SUFFIXES, ".parquet", *workbooks.SUFFIXES)
"""What the names of files end in that are read; those of packed ones go on with a suffix of `packed.UNPACK`."""

_CONVERT = {
    ".xls": "In a spreadsheet program, save it as .xlsx, or as CSV in UTF-8.",
    ".ods": "In a spreadsheet program, save it as .xlsx, or as CSV in UTF-8.",
}
"""Suffix of what is not read → how to come from there to a file that is."""


_LOOKED_AT = 200
"""Rows of an export by which its columns are known before all are read."""


@dataclass(frozen=True)
class Table:
    """Rows of a source, with the columns of nested objects by dotted names.

    Attributes:
        where: the source, as messages name it; ids of rows without one begin with its last part.
        name: of the data set.
        header: the columns; where rows say themselves what they hold (JSON), those of the first row.
        fixed: whether every row has them.
        first: the first row; an empty one where there is none.
        read: begins to read the rows anew, and counts those that it leaves out.
    """

    where: Path
    name: str
    header: tuple[str, ...]
    fixed: bool
    first: Cells
    read: Callable[[Counter[str]], Iterator[Row]]

    def rows(self) -> Iterator[Row]:
        return self.read(Counter())


def open_table(source: str | Path, notes: list[str] | None = None) -> Table:
    """The rows of a file, of a folder that `datasets` saved, or of a set on the hub.

    Args:
        notes: receives what was recognised, such as an encoding; it is recognised without that list, too.

    Raises:
        DataError: the source is absent, of an unknown kind, or cannot be read.
        MissingExtraError: its kind needs an optional part of the installation.
    """
    notes = [] if notes is None else notes
    if is_of_datasets(source):
        rows = dataset_rows(source)
        path = Path(str(source).split("#")[0])
        return _table(path, path.name, None, lambda: enumerate(rows(), start=1), notes)
    path, sheet = sheet_of(source)
    require_known(path)
    header, read = _opened(path, sheet, notes)
    return _table(path, plain_stem(path), header, read, notes)


def table_of_rows(rows: Sequence[Mapping[str, object]], notes: list[str] | None = None) -> Table:
    """Rows in memory."""
    # Frames and sets have all columns in each row; dictionaries of a person's may not.
    header = list(dict.fromkeys(chain.from_iterable(rows)))
    return _table(Path(NAME), NAME, header, lambda: enumerate(rows, start=1), notes)


def sheet_of(source: str | Path) -> tuple[Path, str]:
    """A file, and the sheet of it that a source names behind ``#``; "" where it names none."""
    path = Path(source)
    file, mark, sheet = str(source).rpartition("#")
    is_sheet = bool(mark) and not path.exists() and plain_suffix(file) in workbooks.SUFFIXES
    return (Path(file), sheet) if is_sheet else (path, "")


def require_known(path: Path, names: Sequence[str] = ()) -> Path:
    """A file that can be read.

    Args:
        names: what else a source may be, for the message.

    Raises:
        DataError: there is none, or none of a known kind.
    """
    suffix = plain_suffix(path)
    if suffix not in SUFFIXES and is_packed(path):
        raise DataError(
            path,
            expected=f"a name that says what is packed: {', '.join(f'{s}{path.suffix}' for s in SUFFIXES)}",
            found=path.name,
            fix=f"Rename it after what is in it, as {path.stem}.csv{path.suffix}, or unpack it.",
        )
    if suffix not in SUFFIXES and not path.is_dir():
        registered = f"a registered name ({', '.join(names)}) or " if names else ""
        raise DataError(
            path,
            expected=f"{registered}a file that ends in {', '.join(SUFFIXES)}",
            found=f"the suffix {suffix!r}" if suffix else "a name that is not registered",
            fix=_CONVERT.get(suffix, "Check the spelling, or convert the file.").format(
                old=quote(str(path)), new=quote(str(path.with_suffix("")))
            ),
        )
    try:
        path.stem.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            path,
            expected="a file with a name in UTF-8, as it names the data set and rows without an id",
            found="bytes in its name that are none",
            fix="Rename the file.",
        ) from error
    return require_file(path, what="a data file")


def _opened(path: Path, sheet: str, notes: list[str] | None) -> tuple[list[str] | None, Callable[[], Iterator[Row]]]:
    """Column names, None where the rows have them, and what begins to read the rows anew."""
    suffix = plain_suffix(path)
    if suffix == ".parquet":
        return read_parquet(path)
    if suffix in workbooks.SUFFIXES:
        return read_workbook(path, sheet, notes)
    if suffix in DELIMITERS:
        return read_table(path, notes)[0], lambda: read_table(path, notes)[1]
    return None, lambda: read_objects(path, notes)


def _table(
    where: Path, name: str, header: list[str] | None, read: Callable[[], Iterator[Row]], notes: list[str] | None
) -> Table:
    first = next(read(), (0, {}))[1]
    export = export_of(first)
    if export is not None:
        add_note(notes, f"read as {export.name}")
        rows = export.reader(where.name, read)
        some = [row for _, row in islice(_flat(rows(Counter())), _LOOKED_AT)]
        columns = dict.fromkeys(chain.from_iterable(some))
        return Table(where, name, tuple(columns), False, some[0] if some else {}, lambda counts: _flat(rows(counts)))
    plain = first if is_example(first) else flat(first)
    names = header if header is not None and plain is first else [*plain]
    # Where a first row's cell is null, a later row may hold an object there.
    fixed = names is header and None not in first.values()
    return Table(where, name, tuple(names), fixed, plain, lambda _: _flat(read()))


def _flat(rows: Iterator[Row]) -> Iterator[Row]:
    for number, row in rows:
        yield number, row if is_example(row) else flat(row)
