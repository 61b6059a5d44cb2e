"""A comparison's files: who is better at what, by how much, and how sure that is, as one page and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from reasondistill.contracts.comparison import Comparison, Generalisation, Shift
from reasondistill.reporting.degradation_figure import NAME, degradation_figure, degradation_panels, panel_figure
from reasondistill.reporting.document import Document, Part, Section
from reasondistill.reporting.figures import Drawing
from reasondistill.reporting.formatting import listing
from reasondistill.reporting.html import to_html
from reasondistill.reporting.markdown import to_markdown
from reasondistill.reporting.metrics_summary import metrics_summary
from reasondistill.reporting.sections import compared, generalisation, under_shift, weighed
from reasondistill.storage.files import atomic_folder, atomic_write

GENERATOR = "reasondistill compare"
KICKER = "Comparison"
IN_A_ROW = 2
"""So many figures fill a row of the page."""
_SUMMARY, _FIGURE, _REPORT, _PAGE = "metrics_summary.csv", f"{NAME}.png", "final_report.md", "report.html"
_FOOTER = (
    "Made by reasondistill from the results alone; the same results give the same page. Every figure is in "
    "comparison.json."
)


class ComparisonFiles(NamedTuple):
    """Where a comparison lies; ``page`` is None for two parts, the rest where there are no costs to weigh."""

    json: Path
    markdown: Path
    page: Path | None = None
    summary: Path | None = None
    figure: Path | None = None


def write_comparison(comparison: Comparison | Generalisation | Shift, out: str | Path) -> ComparisonFiles:
    """Write a comparison into the new folder ``out``, all or nothing.

    A comparison of systems is comparison.json, report.html and, the same in Markdown, final_report.md; where systems
    have costs, metrics_summary.csv and degradation_curves.png (if there are curves) join them. That of two parts is
    generalisation.json and generalisation.md, that of a shift shift.json and shift.md.

    Raises:
        OutputError: ``out`` is there already and holds something.
    """
    out = Path(out)
    texts, pictures = _systems_files(comparison) if isinstance(comparison, Comparison) else _parts_files(comparison)
    with atomic_folder(out) as folder:
        comparison.save(folder / f"{comparison.kind}.json")
        for name, text in texts.items():
            with atomic_write(folder / name) as stream:
                stream.write(text)
        for name, content in pictures.items():
            (folder / name).write_bytes(content)
    there = {name: out / name for name in (*texts, *pictures)}
    markdown = next(path for name, path in there.items() if name.endswith(".md"))
    return ComparisonFiles(out / f"{comparison.kind}.json", markdown, *map(there.get, (_PAGE, _SUMMARY, _FIGURE)))


def _parts_files(gaps: Generalisation | Shift) -> tuple[dict[str, str], dict[str, bytes]]:
    document = under_shift.to_document(gaps) if isinstance(gaps, Shift) else generalisation.to_document(gaps)
    return {f"{gaps.kind}.md": to_markdown(document, f"<!-- {GENERATOR} -->")}, {}


def _systems_files(comparison: Comparison) -> tuple[dict[str, str], dict[str, bytes]]:
    """Texts and pictures by file name; without curves there is no picture."""
    tradeoffs = comparison.tradeoffs
    panels = [] if tradeoffs is None else degradation_panels(tradeoffs)
    whole = [degradation_figure(tradeoffs, panels)] if tradeoffs is not None and panels else []
    page = to_document(comparison, panel_drawings(comparison))
    texts = {
        _REPORT: to_markdown(to_document(comparison, whole), f"<!-- {GENERATOR} -->"),
        _PAGE: to_html(page, generator=GENERATOR, kicker=KICKER, footer=_FOOTER),
    }
    if tradeoffs is not None:
        texts[_SUMMARY] = metrics_summary(comparison, tradeoffs)
    return texts, {_FIGURE: whole[0].png} if whole else {}


def panel_drawings(comparison: Comparison) -> list[Drawing]:
    """The degradation curves, a figure each, where there are any."""
    tradeoffs = comparison.tradeoffs
    return [] if tradeoffs is None else [panel_figure(tradeoffs, panel) for panel in degradation_panels(tradeoffs)]


def to_document(comparison: Comparison, drawings: Sequence[Drawing]) -> Document:
    """The verdict in words, the comparison, costs beside quality, and folded details."""
    return Document(
        listing([system.name for system in comparison.systems]),
        standing(comparison),
        compared.summary(comparison),
        (Part("", "comparison-page", tuple(comparison_sections(comparison, drawings))),),
    )


def standing(comparison: Comparison) -> str:
    """Which rows were compared."""
    dataset, groups = comparison.dataset, comparison.groups
    part = f"{dataset.name}, {dataset.split} part" if dataset.split else dataset.name
    in_groups = "1 group" if groups.n == 1 else f"{groups.n:,} groups"
    return f"{part} · {dataset.n:,} examples in {in_groups}"


def comparison_sections(comparison: Comparison, drawings: Sequence[Drawing]) -> list[Section]:
    """All sections, the details last."""
    tradeoffs = comparison.tradeoffs
    sections = [compared.comparison_section(comparison)]
    if tradeoffs is not None:
        first, others = drawings[:IN_A_ROW], drawings[IN_A_ROW:]
        sections += [weighed.costs_section(tradeoffs), weighed.kept_section(tradeoffs, first)]
        sections += weighed.details(tradeoffs, others)
    return [section for section in (*sections, *compared.details(comparison)) if section.blocks]
