"""What systems cost beside what they reach, and what smaller ones keep: sections of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reasondistill.comparison.degradation import ACCURACY
from reasondistill.comparison.system_costs import COSTS
from reasondistill.contracts.tradeoffs import Curve, Estimate, Front, SystemSummary, Tradeoffs
from reasondistill.metrics.registry import evidence_metrics
from reasondistill.reporting.cost_format import COMPRESSION, COST_TITLES, base_text, cost_value, percent_estimate
from reasondistill.reporting.document import Block, Cell, Facts, Gallery, Paragraph, Section, Table
from reasondistill.reporting.figures import Drawing
from reasondistill.reporting.formatting import marked_title, metric_title
from reasondistill.reporting.sections.tables import metric_cell
from reasondistill.reporting.tradeoff_words import answer_text, reservations

MAIN_COSTS: Final = (COMPRESSION, "parameters", "checkpoint_bytes", "latency_ms_p50", "examples_per_second")
"""Those that stand beside the quality; details have the others."""


def costs_section(tradeoffs: Tradeoffs) -> Section:
    """A row for each system: what it costs beside label accuracy and the metrics of its explanations."""
    systems = sorted(tradeoffs.systems, key=lambda system: -system.costs.get("parameters", 0.0))
    metrics = [name for name in (ACCURACY, *evidence_metrics()) if any(name in s.metrics for s in systems)]
    costs = [name for name in MAIN_COSTS if name == COMPRESSION or any(name in system.costs for system in systems)]
    rows = [
        (
            Cell(system.name),
            *(metric_cell(name, system.metrics.get(name), "–") for name in metrics),
            *(_cost(system, name, tradeoffs) for name in costs),
        )
        for system in systems
    ]
    note = f"Scores with 95% intervals. Compression: parameters of {base_text(tradeoffs.base)}, over a system's own."
    if tradeoffs.costs_left_out:
        note += " *: not comparable between these systems, see below."
    head = ("System", *map(marked_title, metrics), *(COST_TITLES[name] for name in costs))
    blocks: list[Block] = [Table("Quality and costs", head, tuple(rows), note=note)]
    if reasons := tuple((COST_TITLES[name], why) for name, why in tradeoffs.costs_left_out.items()):
        blocks.append(Facts("Costs that are not compared", reasons))
    if tradeoffs.left_out:
        blocks.append(Facts("Systems without costs", tuple(tradeoffs.left_out.items())))
    return Section("What they cost", "costs", (*blocks, *map(Paragraph, tradeoffs.notes)))


def kept_section(tradeoffs: Tradeoffs, drawings: Sequence[Drawing]) -> Section:
    """Whether explanations lose less than labels as systems get smaller, in words and in figures."""
    words = [text for text in (answer_text(tradeoffs), reservations(tradeoffs)) if text]
    gallery = (Gallery(tuple(drawings), folder=""),) if drawings else ()
    return Section("What smaller systems keep", "kept", (*map(Paragraph, words), *gallery))


def details(tradeoffs: Tradeoffs, drawings: Sequence[Drawing]) -> list[Section]:
    """Folded: what is kept by metric and label, further curves, all costs, Pareto fronts, and what is in none."""
    overall = [curve for curve in tradeoffs.curves if curve.label is None]
    shown = (ACCURACY, *evidence_metrics())
    by_label = [curve for curve in tradeoffs.curves if curve.label is not None and curve.metric in shown]
    blocks: list[Block] = [_all_costs(tradeoffs)]
    if drawings:
        blocks.append(Gallery(tuple(drawings), folder=""))
    if overall:
        blocks.append(_kept_table(f"Share of {tradeoffs.reference}'s quality that is kept, counted from 0", overall))
    if by_label:
        blocks.append(_kept_table("The same by gold label", by_label))
    if tradeoffs.fronts:
        blocks.append(_fronts_table(tradeoffs.fronts))
    if tradeoffs.metrics_left_out:
        blocks.append(Facts("Scores in neither", tuple(tradeoffs.metrics_left_out.items())))
    return [Section("All costs, and what is kept by metric and label", "kept-details", tuple(blocks), folded=True)]


def _all_costs(tradeoffs: Tradeoffs) -> Table:
    names = [cost.name for cost in COSTS if any(cost.name in system.costs for system in tradeoffs.systems)]
    rows = [(Cell(s.name), *(_cost(s, name, tradeoffs) for name in names)) for s in tradeoffs.systems]
    return Table("All costs", ("System", *(COST_TITLES[name] for name in names)), tuple(rows))


def _cost(system: SystemSummary, name: str, tradeoffs: Tradeoffs) -> Cell:
    value = system.compression if name == COMPRESSION else system.costs.get(name)
    if value is None:
        return Cell("–")
    return Cell(cost_value(name, value) + (" *" if name in tradeoffs.costs_left_out else ""))


def _kept_table(title: str, curves: Sequence[Curve]) -> Table:
    systems = list(dict.fromkeys(point.system for curve in curves for point in curve.points))
    rows = []
    for curve in curves:
        kept = {point.system: point.kept.get("nothing") for point in curve.points}
        name = metric_title(curve.metric) + (f", {curve.label}" if curve.label is not None else "")
        rows.append((Cell(name, f"{curve.n:,} rows"), *(_share(kept.get(system)) for system in systems)))
    return Table(title, ("Metric", *systems), tuple(rows), note="With paired 95% intervals.")


def _share(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell("–")
    text, _, within = percent_estimate(estimate).partition(" (")
    return Cell(text, within.rstrip(")"))


def _fronts_table(fronts: Sequence[Front]) -> Table:
    by_place = {(front.quality, front.cost): ", ".join(front.systems) for front in fronts}
    costs = [cost.name for cost in COSTS if any(front.cost == cost.name for front in fronts)]
    rows = [
        (Cell(metric_title(quality)), *(Cell(by_place.get((quality, cost), "–")) for cost in costs))
        for quality in dict.fromkeys(front.quality for front in fronts)
    ]
    return Table(
        "On the Pareto front, the cheapest first",
        ("Quality", *(COST_TITLES[name] for name in costs)),
        tuple(rows),
        note="No other system is at least as good and as cheap and better in one of the two. comparison.json says in "
        "how many resamples of the rows that holds.",
    )
