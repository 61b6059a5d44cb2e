"""The section "Faithfulness": what each test of `evaluate --student` gave, what that proves, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from reasondistill.contracts.base import MetricValue
from reasondistill.contracts.faithfulness import DetailTable, Entry, FaithfulnessDetails
from reasondistill.contracts.results import Results
from reasondistill.evaluation.faithfulness.registered_tests import faithfulness_test, faithfulness_tests
from reasondistill.reporting.document import Block, Cell, Facts, Fold, Gallery, Paragraph, Table
from reasondistill.reporting.figures import SERIES, drawing
from reasondistill.reporting.formatting import flatten, interval, metric_title, metric_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: Final = ("-", "-", "--")  # the third line often lies on the first: dashes let it show


def trust_section(results: Results, prefix: str) -> list[Block]:
    """Every test: figures with intervals, what they mean, controls, coverage, quoted examples."""
    order = [test.name for test in faithfulness_tests()]
    tests = dict(sorted(results.faithfulness.items(), key=lambda item: ([*order, item[0]].index(item[0]), item[0])))
    if not tests:
        return []
    done = {name: details for name, details in tests.items() if not details.left_out}
    blocks: list[Block] = [
        Paragraph(
            f"{len(done)} of {len(tests)} tests were done. Each looks at a sample of whole groups of "
            "examples, chosen by hash. No single one proves faithfulness, but a student that fails one is not to be "
            "trusted in that respect."
        )
    ]
    if done:
        blocks.append(_overview(done, results.metrics))
    for name, details in done.items():
        blocks.append(Fold(test_title(name), tuple(_test(name, details, results.metrics, prefix))))
    cut = [(test_title(name), details.shortened) for name, details in tests.items() if details.shortened]
    reasons = [(test_title(name), details.left_out) for name, details in tests.items() if details.left_out]
    reasons += [(metric_title(name), why) for details in done.values() for name, why in details.not_measured.items()]
    lists = (("Tests cut short", cut), ("Tests that were not done", reasons))
    return [*blocks, *(Facts(title, tuple(items), folded=True) for title, items in lists if items)]


def test_title(name: str) -> str:
    """The question that a test answers; its name, if it is not known here."""
    kind = faithfulness_test(name)
    return metric_title(name) if kind is None else kind.title


def _overview(done: Mapping[str, FaithfulnessDetails], metrics: Mapping[str, MetricValue]) -> Table:
    """A row for each test: its first figure, and the same of its first control."""
    rows = []
    for name, details in done.items():
        metric = next((metric for metric in details.metrics if metric in metrics), None)
        if metric is None:
            continue
        figure = metrics[metric]
        controls = ((control, values[metric]) for control, values in details.controls.items() if metric in values)
        control, control_value = next(controls, ("", None))
        beside = Cell("–") if control_value is None else Cell(metric_value(metric, float(control_value)), control)
        value = Cell(metric_value(metric, figure.value), interval(metric, figure.ci95))
        rows.append((Cell(test_title(name), metric_title(metric)), value, beside))
    note = "With 95% intervals. What each test proves and what it does not is in its details."
    return Table("The tests", ("Question", "Student", "Negative control"), tuple(rows), note=note)


def _test(name: str, details: FaithfulnessDetails, metrics: Mapping[str, MetricValue], prefix: str) -> Iterator[Block]:
    kind = faithfulness_test(name)
    rows = [_row(metric_title(metric), metrics[metric], metric) for metric in details.metrics if metric in metrics]
    beside = [*_beside(details)]
    yield Table(
        test_title(name),
        ("", "Value", "95% interval", "n"),
        (*rows, *beside),
        note="" if kind is None else kind.meaning,
        groups=frozenset({len(rows)} if rows and beside else ()),
    )
    drawn = [table for table in details.tables if table.drawn]
    if drawn:
        figures = (
            curves_figure(f"{prefix}{name}-{k}", table.title, table.note, table) for k, table in enumerate(drawn)
        )
        yield Gallery(tuple(figures))
    for table in details.tables:
        if not table.drawn:
            cells = tuple(tuple(map(_cell, row)) for row in table.rows)
            yield Table(table.title, ("", *table.columns[1:]), cells, note=table.note)
    for quotes in details.quotes:
        if quotes.cases:
            yield Facts(quotes.title, tuple(map(_quote, quotes.cases)), folded=True)


def _beside(details: FaithfulnessDetails) -> Iterator[tuple[Cell, ...]]:
    """Controls, sizes, and what was dropped: all that stands beside the metrics of a test."""
    for control, values in details.controls.items():
        for name, value in values.items():
            if value is not None:
                of_metric = f" ({metric_title(name)})" if len(values) > 1 else ""
                yield _row(f"Control: {control}{of_metric}", float(value))
    sizes = {} if details.examples is None else {"examples": details.examples}
    for name, figure in {**sizes, **details.figures}.items():
        yield _row(metric_title(name), figure)
    for reason, dropped in details.dropped.items():
        yield _row(f"Dropped examples: {reason}", dropped)


def _row(title: str, figure: MetricValue | int | float, metric: str = "") -> tuple[Cell, ...]:
    if isinstance(figure, MetricValue):
        value, n = metric_value(metric, figure.value), f"{figure.n:,}"
        return Cell(title), Cell(value), Cell(interval(metric, figure.ci95) or ("–" if metric else "")), Cell(n)
    return Cell(title), _cell(figure), Cell(""), Cell("")


def _cell(entry: Entry) -> Cell:
    if isinstance(entry, MetricValue):
        return Cell(f"{entry.value:.3f}", interval("", entry.ci95))
    if isinstance(entry, float):
        return Cell(f"{entry:.3f}")
    if isinstance(entry, int):
        return Cell(f"{entry:,}")
    return Cell("–" if entry is None else entry)


def _quote(case: Mapping[str, object]) -> tuple[str, str]:
    (_, first), *others = flatten(case)
    return first, "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in others)


@drawing()
def curves_figure(figure: Figure, table: DetailTable) -> None:
    """The columns of a table that are to be drawn, over its first one, with their intervals as bands."""
    axes = figure.subplots()
    shares = [float(row[0]) for row in table.rows if isinstance(row[0], int | float)]
    for colour, style, name in zip(SERIES, _STYLES, table.drawn, strict=False):
        column = table.columns.index(name)
        points = [(x, row[column]) for x, row in zip(shares, table.rows, strict=True)]
        _line(axes, [(x, y) for x, y in points if isinstance(y, MetricValue)], colour, style, name)
    axes.set(xlabel=table.columns[0], ylim=(-0.02, 1.02))
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    figure.legend(loc="outside upper left", ncols=3, handlelength=1.6)


def _line(axes: Axes, points: Sequence[tuple[float, MetricValue]], colour: str, style: str, name: str) -> None:
    banded = [(x, *metric.ci95) for x, metric in points if metric.ci95 is not None]
    if banded:
        x, low, high = zip(*banded, strict=True)
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    if points:
        x, values = zip(*((x, metric.value) for x, metric in points), strict=True)
        axes.plot(x, values, color=colour, linestyle=style, marker="o", markersize=3.6, label=name)
