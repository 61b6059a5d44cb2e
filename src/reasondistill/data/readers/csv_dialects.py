"""What separates a table's columns and lines, and how it writes quotes: recognised by its first rows.

No library is asked: docs/experiment_log.md has what Python's sniffer and CleverCSV make of the same files.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from reasondistill.storage.text_encodings import HEAD

if TYPE_CHECKING:
    import _csv

NO_DELIMITER = "\x1f"
"""Cuts nothing: it stands for the separator of a table of one column whose texts hold commas."""

_TRIED = ",;\t|^"
_SEP_LINE = re.compile(r'"?sep=([,;\t|:~^])"?', re.IGNORECASE)
_SAMPLED = 200
"""Records of a table's beginning by which its separator is recognised."""

# The csv module refuses fields of more than 128 KiB unless told otherwise, for the whole process. This is the
# largest limit that fits a C long on every platform.
_LONGEST_FIELD = 2**31 - 1


class Dialect(NamedTuple):
    """How a table is written: what separates its columns and its lines, whether a line ``sep=;`` stands before the
    header, and whether a quote inside quotes has a backslash before it instead of being doubled."""

    delimiter: str
    line_end: str = "\n"
    has_sep_line: bool = False
    backslashes: bool = False

    def reader(self, lines: Iterable[str]) -> _csv.Reader:
        csv.field_size_limit(_LONGEST_FIELD)
        escaping: dict[str, Any] = {"escapechar": "\\", "doublequote": False} if self.backslashes else {}
        return csv.reader(lines, delimiter=self.delimiter, strict=True, **escaping)


def recognise(head: str, own: str) -> Dialect:
    """How a table is written that begins with ``head``.

    Lines end at \\r only where the header, outside quotes, ends there. Columns: of comma, semicolon, tab, bar and
    caret, the one that cuts all rows at hand into as many cells as the header, at least two; of several the one with
    most cells, then ``own``. Where none does, one that fits more than half of the rows, so that the others are named;
    else ``own``, or nothing where the header is one cell and rows would be several.

    Args:
        own: the separator that the file's suffix stands for.
    """
    line_end = "\r" if _ends_in_carriage_return(head) else "\n"
    lines = [f"{line}\n" for line in head.split(line_end)]
    if is_cut := len(head) * 4 >= HEAD and len(lines) > 1:
        lines.pop()  # the file goes on: this one is cut
    first = next((line.rstrip("\r\n") for line in lines if line.strip()), "")
    if named := _SEP_LINE.fullmatch(first):
        return Dialect(named[1], line_end, has_sep_line=True)
    fits: list[tuple[bool, bool, int, bool, Dialect]] = []
    for delimiter in (d for d in dict.fromkeys((own, *_TRIED)) if d in first):
        for backslashes in (False, True) if '\\"' in head else (False,):
            dialect = Dialect(delimiter, line_end, backslashes=backslashes)
            cells, to_the_end = _cells(lines, dialect, is_cut=is_cut)
            alike = cells.count(cells[0]) if cells else 0
            if cells and cells[0] > 1 and (2 * alike > len(cells) + 1 or alike == len(cells)):
                whole = to_the_end and alike == len(cells)
                fits.append((whole, not backslashes, cells[0], delimiter == own, dialect))
    if fits:
        return max(fits)[-1]
    plain, _ = _cells(lines, Dialect(own, line_end), is_cut=is_cut)
    return Dialect(NO_DELIMITER if plain and plain[0] == 1 < max(plain) else own, line_end)


def _cells(lines: Iterable[str], dialect: Dialect, *, is_cut: bool) -> tuple[list[int], bool]:
    """How many cells the first records have, the header first, and whether only the cut stopped their reading."""
    counts: list[int] = []
    try:
        counts.extend(len(record) for record in islice(dialect.reader(lines), _SAMPLED) if record)
    except csv.Error as error:  # said, with its line, when the rows are read
        return counts, is_cut and "unexpected end" in str(error)
    return counts, True


def _ends_in_carriage_return(head: str) -> bool:
    quoted = False
    for mark in re.finditer(r'["\n]|\r+\n?', head):
        if mark[0] == '"':
            quoted = not quoted
        elif not quoted:
            return not mark[0].endswith("\n")
    return False
