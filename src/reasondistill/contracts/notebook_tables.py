"""How a record shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape


def html_table(title: str, rows: Mapping[str, object]) -> str:
    """A small table for a notebook's cell; every text is escaped."""
    lines = (f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table><caption>{escape(title)}</caption>{''.join(lines)}</table>"


def html_rows(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of several columns for a notebook's cell; every text is escaped."""
    lines = (f"<tr>{''.join(f'<td>{escape(str(value))}</td>' for value in row)}</tr>" for row in rows)
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table><caption>{escape(title)}</caption><tr>{names}</tr>{''.join(lines)}</table>"
