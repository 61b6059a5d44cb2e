"""What a system loses on sets of other kinds than the one that it is usually scored on."""

from __future__ import annotations

from reasondistill.contracts.comparison import Gap, Shift
from reasondistill.reporting.document import Block, Cell, Document, Facts, Paragraph, Part, Section, Table
from reasondistill.reporting.formatting import marked_title, metric_title, metric_value
from reasondistill.reporting.signed import difference_value, signed_interval


def drafted_section(shift: Shift | str | None) -> list[tuple[str, list[Block], str]]:
    """The section of a report as ``(title, blocks, why there are none)``; none without such sets."""
    if shift is None:
        return []
    return [("Under shift", [], shift) if isinstance(shift, str) else ("Under shift", blocks(shift), "no metric.")]


def blocks(shift: Shift) -> list[Block]:
    """Each metric on each set as a table, and what has to be known beside it."""
    base = shift.sets[0].first
    names = list(dict.fromkeys(name for part in shift.sets for name in part.metrics))
    rows = []
    for name in names:
        gaps = [part.metrics.get(name) for part in shift.sets]
        known = next(gap for gap in gaps if gap is not None)
        of_base = Cell(metric_value(name, known.first), f"{known.n_first:,} examples")
        rows.append((Cell(marked_title(name)), of_base, *(_cell(name, gap) for gap in gaps)))
    note = (
        f"Beneath each figure: how far it is from that on {base.name}, the 95% interval of that, and how many examples "
        "it is of. ↓: lower is better."
    )
    head = ("Metric", base.name, *(part.second.name for part in shift.sets))
    table = Table(f"{base.name} against other sets", head, tuple(rows), note=note)
    return [table, *(Paragraph(note) for note in dict.fromkeys(note for part in shift.sets for note in part.notes))]


def _cell(name: str, gap: Gap | None) -> Cell:
    if gap is None:
        return Cell("")
    interval = None if gap.ci95 is None else signed_interval(name, (-gap.ci95[1], -gap.ci95[0]))
    difference = difference_value(name, -gap.gap) + (f" ({interval})" if interval else "")
    return Cell(metric_value(name, gap.second), f"{difference}, {gap.n_second:,} examples")


def to_document(shift: Shift) -> Document:
    """The whole of shift.md."""
    base = shift.sets[0].first
    sections = [Section("Gaps", "gaps", tuple(blocks(shift)))]
    for part in shift.sets:
        if part.left_out:
            items = tuple((metric_title(name), reason) for name, reason in part.left_out.items())
            title = f"Not compared on {part.second.name}"
            sections.append(Section(title, f"not-compared-{len(sections)}", (Facts("", items),)))
    parts = [base, *(part.second for part in shift.sets)]
    standing = " · ".join(
        f"{part.name}: {part.dataset.name}, {part.dataset.n:,} examples in {part.groups.n:,} groups" for part in parts
    )
    summary = "Each set is held against the first. Intervals are not corrected for how many there are."
    return Document(f"{base.name} against other sets", standing, summary, (Part("", "gaps", tuple(sections)),))
