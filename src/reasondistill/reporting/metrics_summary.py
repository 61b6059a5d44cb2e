"""metrics_summary.csv: a row for each system and gold label, with every metric and every cost. Read by spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from reasondistill.comparison import Comparison
from reasondistill.comparison.system_costs import COSTS
from reasondistill.contracts.results import MetricValue
from reasondistill.contracts.tradeoffs import SystemSummary, Tradeoffs

ALL_ROWS = ""
"""What stands for the gold label in the row over all labels."""


def metrics_summary(comparison: Comparison, tradeoffs: Tradeoffs) -> str:
    """The table as CSV text; an absent figure is an empty cell. Its columns: docs/data_formats.md."""
    tables = [table for system in tradeoffs.systems for table in (system.metrics, *system.per_label.values())]
    names = list(dict.fromkeys(name for table in tables for name in table))
    head = ["system", "dataset", "split", "label", "n", "compression", *(cost.name for cost in COSTS)]
    head += [column for name in names for column in (name, f"{name}_low", f"{name}_high", f"{name}_n")]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, head, lineterminator="\n")
    writer.writeheader()
    for system in tradeoffs.systems:
        standing = {"system": system.name, "dataset": comparison.dataset.name, "split": comparison.dataset.split}
        standing |= {"compression": system.compression, **system.costs}  # type: ignore[dict-item]
        writer.writerows({**standing, **row} for row in _rows(system))
    return stream.getvalue()


def _rows(system: SystemSummary) -> Iterator[dict[str, object]]:
    yield {"label": ALL_ROWS, "n": system.n, **_figures(system.metrics)}
    for label, metrics in system.per_label.items():
        n = max((metric.n for metric in metrics.values()), default=0)
        yield {"label": label, "n": n, **_figures(metrics)}


def _figures(metrics: Mapping[str, MetricValue]) -> dict[str, object]:
    figures: dict[str, object] = {}
    for name, metric in metrics.items():
        low, high = metric.ci95 or (None, None)
        figures |= {name: metric.value, f"{name}_low": low, f"{name}_high": high, f"{name}_n": metric.n}
    return figures
