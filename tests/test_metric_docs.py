"""docs/metrics.md and the metric objects say the same."""

from __future__ import annotations

import re

from reference_pages import metric_table

from metric_table import PAGE, parts
from reasondistill import metrics
from reasondistill.metrics.registry import known_metrics

BEFORE, TABLE, AFTER = parts(PAGE.read_text(encoding="utf-8"))
ENTRY_TABLES = ("| metric | definition |",)


def entries(page: str) -> set[str]:
    """Names in the first column of the tables that define metrics; those of a block's figures say which block."""
    names: set[str] = set()
    inside = False
    for line in page.splitlines():
        inside = line.startswith("|") and (inside or line.startswith(ENTRY_TABLES))
        if inside and "(in `" not in (first := line.split(" | ")[0]):
            names |= set(re.findall(r"`(\w+)`", first))
    return names


def test_the_table_is_made_from_the_objects() -> None:
    assert metric_table() == TABLE, "python tests/metric_table.py writes it anew"


def test_every_metric_has_its_entry_and_every_entry_its_metric() -> None:
    assert entries(BEFORE + AFTER) == {metric.name for metric in known_metrics() if metric.family != "own"}


def test_entries_are_found_in_tables_that_define() -> None:
    defining = "| metric | definition |\n|---|---|\n| `a`, `b` | c |\n| `k` (in `agreement`) | x |\n"
    assert entries(f"{defining}\n| figure |\n|---|\n| `d` |\n") == {"a", "b"}


def test_every_metric_says_what_it_is() -> None:
    shipped = [metric for metric in known_metrics() if metric.family != "own"]
    assert len(shipped) > 40
    for metric in shipped:
        assert metric.summary, metric.name
        assert not metric.summary.endswith("."), metric.name
        assert metric.range[0] < metric.range[1], metric.name
        assert metric.title.strip() == metric.title, metric.name
    assert len({metric.title for metric in shipped}) == len(shipped)


def test_the_example_of_a_metric_of_ones_own_works() -> None:
    (code,) = re.findall(r"```python\n(from reasondistill import metrics\n.*?)```", AFTER, re.S)
    known = {metric.name for metric in known_metrics()}
    try:
        exec(code, {})
        new = {metric.name for metric in known_metrics()} - known
        assert len(new) == 2
    finally:
        for name in {metric.name for metric in known_metrics()} - known:
            metrics.forget(name)
