"""Which rows a page offers for filtering, sorting and reading: every one, or a sample that it states."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.reporting.document import Cell, Explorer, Table
from reasondistill.reporting.formatting import slug
from reasondistill.reporting.inputs import Source

ROWS_PER_TABLE: Final = 20_000
ROWS_PER_PAGE: Final = 100_000
PLAIN_ROWS: Final = 25
"""How many rows stand in the page itself, for browsers without JavaScript."""
_PLAIN_TEXT: Final = 400  # characters of a text in those rows


def rows_per_table(sources: Sequence[Source]) -> int:
    """How many rows each table may hold, so that a page on many systems still opens."""
    tables = sum(scored.rows is not None for source in sources for scored in source.scored.values())
    return min(ROWS_PER_TABLE, ROWS_PER_PAGE // max(tables, 1))


def explorers(source: Source, prefix: str, limit: int) -> list[Explorer]:
    """A table of rows for each evaluated part that has them; all but the main part's are folded.

    On a page of several systems, which have prefixes, their titles name the system, so that no two are alike.
    """
    main, of = source.main, f" of {source.name}" if prefix else ""
    parts = sorted(source.scored.values(), key=lambda scored: scored is not main)
    return [
        _explorer(
            f"Rows of the {scored.split} part{of}",
            scored.rows,
            f"{prefix}rows-{number}-{slug(scored.split)}",
            limit,
            scored is not main,
        )
        for number, scored in enumerate(parts, start=1)
        if scored.rows
    ]


def sample(rows: Sequence[ScoredRow], limit: int) -> Sequence[ScoredRow]:
    """At most ``limit`` rows, in the order that they came in.

    They are the first by the SHA-256 of their ids: the same ones for every system scored on the same rows.
    """
    if len(rows) <= limit:
        return rows
    by_hash = sorted(range(len(rows)), key=lambda i: hashlib.sha256(rows[i].id.encode("utf-8", "replace")).digest())
    return [rows[i] for i in sorted(by_hash[:limit])]


def _explorer(title: str, rows: Sequence[ScoredRow], anchor: str, limit: int, folded: bool) -> Explorer:
    chosen = sample(rows, limit)
    plain = chosen[:PLAIN_ROWS]
    note = f"All {len(rows):,} rows that were scored."
    if len(chosen) < len(rows):
        note = f"A sample of {len(chosen):,} of {len(rows):,} rows: the first by the SHA-256 of their ids."
    note += " Scores and probabilities are rounded to five decimals; per_example.jsonl has them in full."
    return Explorer(
        title=title,
        anchor=anchor,
        note=note,
        rows=chosen,
        plain=_plain(plain, f"The first {len(plain)}"),
        without_script=f"With JavaScript, these rows can be filtered, sorted and read one by one. Without it, here are"
        f" the first {len(plain):,} of {len(chosen):,}.",
        folded=folded,
    )


def _plain(rows: Sequence[ScoredRow], title: str) -> Table:
    fields = list(dict.fromkeys(name for row in rows for name in row.fields))
    head = ("id", "gold", "label", *fields, "explanation")
    return Table(title, head, tuple(tuple(_plain_cells(row, fields)) for row in rows))


def _plain_cells(row: ScoredRow, fields: Sequence[str]) -> Iterator[Cell]:
    for text in (row.id, row.gold, row.label, *(row.fields.get(name) for name in fields), row.explanation):
        yield Cell("–" if text is None else text if len(text) <= _PLAIN_TEXT else f"{text[:_PLAIN_TEXT]} …")
