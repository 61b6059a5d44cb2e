"""The table of all metrics in docs/metrics.md, from their objects; `python tests/metric_table.py` writes it anew."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs"))

from reference_pages import metric_table  # where the site's page of metrics is made, too

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
BEGIN, END = "<!-- metrics: begin -->\n", "<!-- metrics: end -->\n"


def parts(page: str) -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands after it."""
    before, rest = page.split(BEGIN)
    inside, after = rest.split(END)
    return before + BEGIN, inside, END + after


if __name__ == "__main__":
    first, _, last = parts(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(first + metric_table() + last, encoding="utf-8")
