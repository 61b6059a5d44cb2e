"""What a system loses from one part of the data to another: in a run's report, and as a file of its own."""

from __future__ import annotations

from reasondistill.contracts.comparison import Generalisation
from reasondistill.reporting.document import Block, Cell, Document, Facts, Paragraph, Part, Section, Table
from reasondistill.reporting.formatting import marked_title, metric_title, metric_value
from reasondistill.reporting.signed import difference_value, signed_interval


def drafted_section(generalisation: Generalisation | str | None) -> list[tuple[str, list[Block], str]]:
    """The section of a report as ``(title, blocks, why there are none)``; none for a source without two parts."""
    if generalisation is None:
        return []
    why = generalisation if isinstance(generalisation, str) else "no metric can be compared between the parts."
    return [("Generalisation", [] if isinstance(generalisation, str) else blocks(generalisation), why)]


def blocks(generalisation: Generalisation) -> list[Block]:
    """The gaps as a table, and what has to be known beside them."""
    if not generalisation.metrics:
        return []
    first, second = generalisation.first.name, generalisation.second.name
    rows = [
        (
            Cell(marked_title(name)),
            Cell(metric_value(name, gap.first), f"{gap.n_first:,} examples"),
            Cell(metric_value(name, gap.second), f"{gap.n_second:,} examples"),
            Cell(difference_value(name, gap.gap)),
            Cell(signed_interval(name, gap.ci95) or "–"),
        )
        for name, gap in generalisation.metrics.items()
    ]
    note = (
        f"Gap: {first} minus {second}. ↓: lower is better, and a gap below 0 speaks for {first}. The interval takes "
        "the two parts as independent samples and resamples the groups of each."
    )
    table = Table(f"{first} against {second}", ("Metric", first, second, "Gap", "95% interval"), tuple(rows), note=note)
    return [table, *(Paragraph(note) for note in generalisation.notes)]


def to_document(generalisation: Generalisation) -> Document:
    """The whole of generalisation.md."""
    first, second = generalisation.first, generalisation.second
    sections = [Section("Gaps", "gaps", tuple(blocks(generalisation)))]
    if generalisation.left_out:
        items = tuple((metric_title(name), reason) for name, reason in generalisation.left_out.items())
        sections.append(Section("Not compared", "not-compared", (Facts("", items),)))
    standing = " · ".join(
        f"{part.name}: {part.dataset.name}, {part.dataset.n:,} examples in {part.groups.n:,} groups"
        for part in (first, second)
    )
    beyond = [name for name, gap in generalisation.metrics.items() if gap.ci95 and (gap.ci95[0] > 0 or gap.ci95[1] < 0)]
    summary = (
        f"The interval of the gap leaves 0 out for {len(beyond)} of {len(generalisation.metrics)} metrics"
        + (f": {', '.join(metric_title(name) for name in beyond)}. " if beyond else ". ")
        + "Intervals are not corrected for how many there are."
    )
    return Document(f"{first.name} against {second.name}", standing, summary, (Part("", "gaps", tuple(sections)),))
