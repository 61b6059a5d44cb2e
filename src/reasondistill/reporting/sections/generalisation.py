"""What a system loses from one part of the data to another: in a run's report, and as a file of its own."""

from __future__ import annotations

from reasondistill.comparison import ComparisonSettings, Generalisation, generalisation
from reasondistill.comparison.systems import load_system
from reasondistill.contracts.scored_rows import SCORED_ROWS_FILE
from reasondistill.errors import DataError
from reasondistill.reporting.document import Block, Cell, Document, Facts, Paragraph, Part, Section, Table
from reasondistill.reporting.formatting import marked_title, metric_title, metric_value
from reasondistill.reporting.inputs import Source
from reasondistill.reporting.signed import difference_value, signed_interval

_EARLIER, _LATER = "train", "test"
# A report must not take minutes on a large training part; `compare --parts` counts n-grams and resamples more.
_NOT_IN_REPORTS = ("bleu", "chrf")
_SETTINGS = ComparisonSettings(resamples=1_000)


def generalisation_blocks(source: Source) -> list[tuple[str, list[Block], str]]:
    """A drafted section ``(title, blocks, why there are none)``, for a source with both a train and a test part."""
    parts = [source.scored.get(name) for name in (_EARLIER, _LATER)]
    folders = [part.folder for part in parts if part is not None and part.folder is not None]
    if len(folders) < 2:
        return []
    title = "Generalisation"
    if missing := [folder for folder in folders if not (folder / SCORED_ROWS_FILE).is_file()]:
        return [(title, [], f"{missing[0].name} has no {SCORED_ROWS_FILE}.")]
    try:
        systems = [load_system(folder) for folder in folders]
        there = {name for system in systems for name in system.results.metrics}
        found = generalisation(systems[0], systems[1], metrics=there - {*_NOT_IN_REPORTS}, settings=_SETTINGS)
    except DataError as error:  # a report shows what it can: parts that overlap are a finding, not its end
        return [(title, [], f"the parts cannot be compared. {error}.")]
    return [(title, blocks(found), "no metric can be compared between the parts.")]


def blocks(found: Generalisation) -> list[Block]:
    """The gaps as a table, and what has to be known beside them."""
    if not found.metrics:
        return []
    first, second = found.first.name, found.second.name
    rows = [
        (
            Cell(marked_title(name)),
            Cell(metric_value(name, gap.first), f"{gap.n_first:,} examples"),
            Cell(metric_value(name, gap.second), f"{gap.n_second:,} examples"),
            Cell(difference_value(name, gap.gap)),
            Cell(signed_interval(name, gap.ci95) or "–"),
        )
        for name, gap in found.metrics.items()
    ]
    note = (
        f"Gap: {first} minus {second}. ↓: lower is better, and a gap below 0 speaks for {first}. The interval takes "
        "the two parts as independent samples and resamples the groups of each."
    )
    table = Table(f"{first} against {second}", ("Metric", first, second, "Gap", "95% interval"), tuple(rows), note=note)
    return [table, *(Paragraph(note) for note in found.notes)]


def to_document(found: Generalisation) -> Document:
    """The whole of generalisation.md."""
    first, second = found.first, found.second
    sections = [Section("Gaps", "gaps", tuple(blocks(found)))]
    if found.left_out:
        items = tuple((metric_title(name), reason) for name, reason in found.left_out.items())
        sections.append(Section("Not compared", "not-compared", (Facts("", items),)))
    standing = " · ".join(
        f"{part.name}: {part.dataset.name}, {part.dataset.n:,} examples in {part.groups.n:,} groups"
        for part in (first, second)
    )
    beyond = [name for name, gap in found.metrics.items() if gap.ci95 and (gap.ci95[0] > 0 or gap.ci95[1] < 0)]
    summary = (
        f"The interval of the gap leaves 0 out for {len(beyond)} of {len(found.metrics)} metrics"
        + (f": {', '.join(metric_title(name) for name in beyond)}. " if beyond else ". ")
        + "Intervals are not corrected for how many there are."
    )
    return Document(f"{first.name} against {second.name}", standing, summary, (Part("", "gaps", tuple(sections)),))
