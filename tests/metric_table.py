"""The table of all metrics in docs/metrics.md, from their objects; `python tests/metric_table.py` writes it anew."""

from __future__ import annotations

import math
from pathlib import Path

from reasondistill.metrics import Metric
from reasondistill.metrics.registry import known_metrics

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
BEGIN, END = "<!-- metrics: begin -->\n", "<!-- metrics: end -->\n"
_BETTER = {True: "higher", False: "lower", None: "–"}


def table() -> str:
    """A row for each metric of the package."""
    head = "| metric | what it is | range | better | needs | compared |\n| --- | --- | --- | --- | --- | --- |\n"
    return head + "".join(_row(metric) for metric in known_metrics() if metric.family != "own")


def _row(metric: Metric) -> str:
    low, high = (f"{bound:g}" for bound in metric.range)
    span = f"{low} to {high}" if math.isfinite(metric.range[1]) else f"from {low}"
    compared = "–" if metric.not_resampled else "yes"
    cells = (
        f"`{metric.name}`",
        metric.summary,
        f"{span} {metric.unit}".strip(),
        _BETTER[metric.higher_is_better],
        ", ".join(metric.needs) or "–",
        compared,
    )
    return f"| {' | '.join(cells)} |\n"


def parts(page: str) -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands after it."""
    before, rest = page.split(BEGIN)
    inside, after = rest.split(END)
    return before + BEGIN, inside, END + after


if __name__ == "__main__":
    first, _, last = parts(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(first + table() + last, encoding="utf-8")
