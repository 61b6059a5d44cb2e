"""What systems cost and what they keep, as a document: final_report.md and report.html."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from reasondistill.comparison import Comparison
from reasondistill.comparison.degradation import ACCURACY, ZEROS
from reasondistill.comparison.system_costs import COSTS
from reasondistill.comparison.tradeoffs import qualities
from reasondistill.contracts.tradeoffs import Curve, Estimate, Front, SystemSummary, Tradeoffs, Verdict
from reasondistill.metrics.registry import evidence_metrics, headline_metrics
from reasondistill.reporting.cost_format import (
    COMPRESSION,
    COST_TITLES,
    ZERO_TITLES,
    base_text,
    cost_value,
    percent,
    percent_estimate,
)
from reasondistill.reporting.document import Block, Cell, Document, Facts, Gallery, Paragraph, Part, Section, Table
from reasondistill.reporting.figures import Drawing
from reasondistill.reporting.formatting import interval, listing, marked_title, metric_title, metric_value
from reasondistill.reporting.tradeoff_words import answer_text, losses_of, reservations

_VERDICTS: Final[dict[Verdict, str]] = {
    "more": "explanations lose less",
    "less": "explanations lose more",
    "untold": "not told apart",
    "undefined": "no share to lose",
}


def to_document(found: Comparison, tradeoffs: Tradeoffs, drawings: Sequence[Drawing], folder: str = "") -> Document:
    """The whole in words and tables, with ``drawings`` of the curves; Markdown finds these in ``folder``."""
    dataset = found.dataset
    part = f"{dataset.name}, {dataset.split} part" if dataset.split else dataset.name
    groups = "1 group" if found.groups.n == 1 else f"{found.groups.n:,} groups"
    standing = f"{part} · {dataset.n:,} examples in {groups} · base: {base_text(tradeoffs.base)}"
    sections = [
        Section("What labels and explanations lose", "losses", tuple(_loss_tables(tradeoffs))),
        Section("What the systems cost", "costs", tuple(_costs(tradeoffs))),
        Section("Quality", "quality", tuple(_quality(tradeoffs))),
        Section("Quality against cost", "fronts", tuple(_fronts(tradeoffs))),
        Section("Degradation curves", "curves", tuple(_curves(tradeoffs, drawings, folder))),
        Section("How to read this", "reading", (_reading(found, tradeoffs),)),
    ]
    names = listing([system.name for system in tradeoffs.systems])
    kept = tuple(section for section in sections if section.blocks)
    return Document(names, standing, answer_text(tradeoffs), (Part("", "tradeoffs", kept),))


def _loss_tables(found: Tradeoffs) -> Iterator[Block]:
    if said := reservations(found):
        yield Paragraph(said)
    systems = dict.fromkeys(loss.system for loss in found.losses)
    for system in systems:
        rows: list[tuple[Cell, ...]] = []
        groups: set[int] = set()
        for zero in reversed(ZEROS):
            for place, loss in enumerate(losses_of(found, system, zero)):
                if not place and rows:
                    groups.add(len(rows))
                rows.append(
                    (
                        Cell(metric_title(loss.metric)),
                        Cell(ZERO_TITLES[zero]),
                        *(_share(e) for e in (loss.label_loss, loss.explanation_loss, loss.difference)),
                        Cell(_VERDICTS[loss.verdict]),
                    )
                )
        yield Table(
            f"{system}: share lost of {found.reference}'s quality",
            (
                "Explanation metric",
                "Counted above",
                "Label accuracy loses",
                "Explanations lose",
                "Difference",
                "Verdict",
            ),
            tuple(rows),
            note="Difference: label accuracy's loss less the explanations'; above 0, explanations degrade more "
            "gracefully. With paired 95% intervals.",
            groups=frozenset(groups),
        )
    reasons = {(loss.reason.partition(": ")[0], loss.zero): loss.reason for loss in found.losses if loss.reason}
    if reasons:
        items = [
            (f"{metric_title(name)}, above {ZERO_TITLES[zero]}", reason.partition(": ")[2])
            for (name, zero), reason in reasons.items()
        ]
        yield Facts("Where there is no share to lose", tuple(items))


def _costs(found: Tradeoffs) -> Iterator[Block]:
    names = [COMPRESSION, *(c.name for c in COSTS if any(c.name in system.costs for system in found.systems))]
    rows = [
        (Cell(system.name), *(_cost(system, name, found) for name in names))
        for system in sorted(found.systems, key=lambda one: -one.costs.get("parameters", 0.0))
    ]
    note = f"Compression: parameters of {base_text(found.base)}, over a system's own. –: not measured."
    if found.costs_left_out:
        note += " *: not comparable between these systems, see below."
    yield Table("Costs", ("System", *(COST_TITLES[name] for name in names)), tuple(rows), note=note)
    reasons = [(COST_TITLES[name], why) for name, why in found.costs_left_out.items()]
    if reasons:
        yield Facts("Costs that are not compared", tuple(reasons))
    if found.left_out:
        yield Facts("Systems without costs, which are in no curve and on no front", tuple(found.left_out.items()))
    yield from (Paragraph(note) for note in found.notes)


def _cost(system: SystemSummary, name: str, found: Tradeoffs) -> Cell:
    value = system.compression if name == COMPRESSION else system.costs.get(name)
    if value is None:
        return Cell("–")
    return Cell(cost_value(name, value) + (" *" if name in found.costs_left_out else ""))


def _quality(found: Tradeoffs) -> Iterator[Block]:
    names = [
        name
        for name in headline_metrics()
        if name in qualities() and any(name in system.metrics for system in found.systems)
    ]
    rows = [
        (
            Cell(system.name),
            *(
                Cell(metric_value(name, m.value), interval(name, m.ci95))
                if (m := system.metrics.get(name))
                else Cell("–")
                for name in names
            ),
        )
        for system in found.systems
    ]
    head = ("System", *(marked_title(name) for name in names))
    yield Table("Scores", head, tuple(rows), note="With 95% intervals. metrics_summary.csv has all, also by label.")
    if found.metrics_left_out:
        yield Facts("Scores that are on no front and in no curve", tuple(found.metrics_left_out.items()))


def _fronts(found: Tradeoffs) -> Iterator[Block]:
    by_place = {(front.quality, front.cost): front for front in found.fronts}
    there = [name for name in qualities() if any(f.quality == name for f in found.fronts)]
    costs = [cost.name for cost in COSTS if any(front.cost == cost.name for front in found.fronts)]
    if not there:
        return
    yield Paragraph(
        "A system is on the Pareto front of a quality and a cost if no other is at least as good and as cheap and "
        "better in one of the two."
    )
    rows = [
        (Cell(metric_title(quality)), *(_front(by_place.get((quality, cost))) for cost in costs)) for quality in there
    ]
    yield Table(
        "On the Pareto front, the cheapest first",
        ("Quality", *(COST_TITLES[name] for name in costs)),
        tuple(rows),
        note="In brackets, where it is not 100%: in how many resamples of the rows the system is on the front.",
    )


def _front(front: Front | None) -> Cell:
    if front is None:
        return Cell("–")
    shares = front.share or {}
    named = [f"{name} ({percent(shares[name])})" if shares.get(name, 1.0) < 0.9995 else name for name in front.systems]
    return Cell(", ".join(named))


def _curves(found: Tradeoffs, drawings: Sequence[Drawing], folder: str) -> Iterator[Block]:
    if drawings:
        yield Gallery(tuple(drawings), folder)
    whole = [curve for curve in found.curves if curve.label is None]
    if whole:
        yield _kept_table(f"Share of {found.reference}'s quality that is kept, counted from 0", whole)
    by_label = [
        curve for curve in found.curves if curve.label is not None and curve.metric in (ACCURACY, *evidence_metrics())
    ]
    if by_label:
        yield _kept_table("The same by gold label", by_label)


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


def _reading(found: Comparison, tradeoffs: Tradeoffs) -> Facts:
    settings, name = found.settings, tradeoffs.reference
    return Facts(
        "",
        (
            ("Share kept", f"(a system's figure − zero point) / ({name}'s figure − zero point)"),
            ("Zero points", f"0; chance: one over the number of labels, and for explanations {name}'s own, shuffled "
             "within their labels; floor: the strongest system that explains or decides nothing. All are "
             f"{name}'s, and fixed."),
            ("Intervals", f"paired bootstrap over {found.groups.n:,} groups of rows, {settings.resamples:,} resamples, "
             "2.5th to 97.5th percentile; not corrected for their number"),
            ("What they do not cover", "other seeds, training rows and recipes; with few sizes a curve between them is "
             "a line drawn by eye"),
            ("Tests between systems", "comparison.md"),
            *((f"Results of {system.name}", system.results) for system in found.systems),
        ),
    )  # fmt: skip
