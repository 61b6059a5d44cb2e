"""Every table of `nasty_tables` reads as what it means, plain and packed, or is refused with advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nasty_tables import NastyTable, encodings, in_language, separators, written
from packers import PACKERS
from reasondistill.data.readers.csv_files import read_table
from reasondistill.errors import DataError


def read(path: Path, notes: list[str] | None = None) -> list[list[str]]:
    header, rows = read_table(path, [] if notes is None else notes)
    return [header, *(list(row.values()) for _, row in rows)]


@pytest.mark.parametrize("table", [*separators(), *encodings()], ids=lambda table: table.name)
def test_a_table_reads_as_what_it_means(tmp_path: Path, table: NastyTable) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(table.content)
    if table.rows is None:
        with pytest.raises(DataError) as refused:
            read(path)
        assert refused.value.where.startswith(f"{path}:")
        assert refused.value.fix
        return
    notes: list[str] = []
    assert read(path, notes) == [list(row) for row in table.rows]
    told = {note for note in notes if "separated" in note}
    assert bool(told) == (table.delimiter != ",")
    if table.encoding not in ("utf-8", "utf-8-sig"):
        assert any(note.startswith("read as ") for note in notes)


@pytest.mark.parametrize(("pack", "suffix"), [(pack, suffix) for suffix, pack in PACKERS.items() if suffix])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift_jis"])
def test_packed_tables_are_the_same_and_torn_ones_are_named(
    tmp_path: Path, pack: Any, suffix: str, encoding: str
) -> None:
    rows = in_language("Japanese")
    content = pack(written(rows, ";").encode(encoding))
    path = tmp_path / f"t.csv{suffix}"
    path.write_bytes(content)
    assert read(path) == [list(row) for row in rows]
    path.write_bytes(content[:-20])
    with pytest.raises(DataError, match="torn"):
        read(path)


def test_one_word_in_another_encoding_is_too_little_to_go_by(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("text,label\nplain,no\nдверь,yes\n".encode("cp1251"))
    with pytest.raises(DataError, match="iconv -f"):
        read(path)


def test_a_later_line_in_utf_8_is_refused_whatever_the_others_are_in(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = written(in_language("Russian"))
    path.write_bytes(rows.encode("cp1251") + "Дверь,yes\n".encode())
    with pytest.raises(DataError, match="is in UTF-8"):
        read(path)
