"""How many nasty tables are read right: by the readers here, the sniffer, CleverCSV, chardet, charset-normalizer.

    python benchmarks/table_recognition.py

The tables are those of tests/nasty_tables.py. Libraries that are not installed are left out.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from nasty_tables import NastyTable, encodings, separators
from reasondistill.data.readers.csv_files import read_table
from reasondistill.errors import DataError

Answer = Sequence[Sequence[str]] | str | None
"""Rows, or a whole text; None where the reader gives up."""


def ours(table: NastyTable) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(table.content)
        try:
            header, rows = read_table(path, [])
            return [header, *(list(row.values()) for _, row in rows)]
        except DataError:
            return None


def sniffer(table: NastyTable) -> Answer:
    text = table.content.decode(table.encoding)
    try:
        dialect = csv.Sniffer().sniff(text[:100_000])
        return [row for row in csv.reader(io.StringIO(text, newline=""), dialect) if row]
    except csv.Error:
        return None


def clevercsv(table: NastyTable) -> Answer:
    import clevercsv

    text = table.content.decode(table.encoding)
    dialect = clevercsv.Detector().detect(text)
    if dialect is None:
        return None
    return [row for row in clevercsv.reader(io.StringIO(text, newline=""), dialect) if row not in ([], [""])]


def chardet(table: NastyTable) -> Answer:
    import chardet

    encoding = chardet.detect(table.content)["encoding"]
    return None if encoding is None else table.content.decode(encoding, errors="replace")


def charset_normalizer(table: NastyTable) -> Answer:
    import charset_normalizer

    best = charset_normalizer.from_bytes(table.content).best()
    return None if best is None else str(best)


def outcome(table: NastyTable, answer: Answer) -> str:
    if answer is None:
        return "right" if table.rows is None else "refused"
    if isinstance(answer, str):
        right = answer.removeprefix("\ufeff") == table.content.decode(table.encoding).removeprefix("\ufeff")
    elif table.rows is None:
        right = len({len(row) for row in answer}) > 1  # rows of several lengths can be refused by who reads them
    else:
        right = [list(row) for row in answer] == [list(row) for row in table.rows]
    return "right" if right else "wrong"


def measure(what: str, tables: Sequence[NastyTable], readers: Sequence[Callable[[NastyTable], Answer]]) -> None:
    for reader in readers:
        if reader is not ours and reader is not sniffer and importlib.util.find_spec(reader.__name__) is None:
            continue
        begin = time.process_time()
        outcomes = Counter(outcome(table, reader(table)) for table in tables)
        seconds = time.process_time() - begin
        counts = "  ".join(f"{name} {outcomes[name]:2}" for name in ("right", "wrong", "refused"))
        print(f"{what:12} {reader.__name__:20} {counts}  of {len(tables)}, {seconds:.2f} s")


def main() -> None:
    measure("separators", separators(), [ours, clevercsv, sniffer])
    measure("encodings", encodings(), [ours, chardet, charset_normalizer])


if __name__ == "__main__":
    main()
