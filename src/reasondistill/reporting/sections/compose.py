"""From sources to a document: which section shows what, and what is left out and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from reasondistill.contracts.comparison import Comparison
from reasondistill.contracts.run import RunInfo
from reasondistill.languages.word_splitting import length
from reasondistill.metrics.registry import headline_metrics
from reasondistill.reporting import figures
from reasondistill.reporting.document import Block, Cards, Document, Facts, Fold, Gallery, Paragraph, Part, Section
from reasondistill.reporting.formatting import flatten, listing, slug
from reasondistill.reporting.inputs import Scored, Source
from reasondistill.reporting.pages.comparison import comparison_sections, panel_drawings
from reasondistill.reporting.sections import compared, tables
from reasondistill.reporting.sections import efficiency as costs
from reasondistill.reporting.sections.abstention import selective_blocks
from reasondistill.reporting.sections.agreement import agreement_section
from reasondistill.reporting.sections.curves import POINTS, compared_curves, learning_curves
from reasondistill.reporting.sections.errors_and_slices import errors_section, slices_section
from reasondistill.reporting.sections.examples import choose_examples
from reasondistill.reporting.sections.faithfulness import trust_section
from reasondistill.reporting.sections.federated_rounds import federation_section
from reasondistill.reporting.sections.first_screen import first_screen, first_shown
from reasondistill.reporting.sections.forgetting import drafted_section as update_section
from reasondistill.reporting.sections.generalisation import drafted_section as generalisation_section
from reasondistill.reporting.sections.headline import left_out, summarise, summarise_several
from reasondistill.reporting.sections.under_shift import drafted_section as shift_section
from reasondistill.reporting.sections.verification import verification_section
from reasondistill.reporting.viewer.rows import explorers, rows_per_table

DETAILS: Final = frozenset(
    (
        *("Learning curves", "Explanation length", "Slices", "Examples", "Efficiency"),
        *("How it was made", "How it was scored"),
    )
)
"""Sections that a page folds."""


def compose(sources: Sequence[Source], comparison: Comparison | None = None) -> Document:
    """The report on one source; or on several: their comparison first, then each on its own, folded.

    Args:
        comparison: of those that were scored on the same rows, where there are two or more.
    """
    limit = rows_per_table(sources)
    if len(sources) == 1:
        (source,) = sources
        part = Part("", "report", tuple(_sections(source, "", limit)))
        return Document(source.name, _standing(source), summarise(source), (part,), first_screen(source))
    parts = [Part("Comparison", "comparison-page", tuple(_compared(sources, comparison)))]
    for number, source in enumerate(sources, start=1):
        prefix = f"{number}-{slug(source.name)}-"
        lead = Section("Summary", f"{prefix}summary", (Paragraph(f"{_standing(source)}. {summarise(source)}"),))
        sections = (replace(section, folded=True) for section in (lead, *_sections(source, prefix, limit)))
        parts.append(Part(source.name, prefix.rstrip("-"), tuple(sections)))
    title = f"{len(sources)} systems compared"
    summary = summarise_several(sources, "" if comparison is None else compared.summary(comparison))
    return Document(title, listing([source.name for source in sources]), summary, tuple(parts))


def _standing(source: Source) -> str:
    scored, run = source.main, source.run
    facts = []
    if scored is not None:
        dataset = scored.results.dataset
        facts.append(f"{dataset.name}, {dataset.split} part" if dataset.split else dataset.name)
        facts.append(f"{dataset.n:,} examples")
    if run is not None and run.student is not None and run.student.parameters is not None:
        facts.append(f"{run.student.parameters / 1e6:,.1f} M parameters")
    if run is not None and run.created is not None:
        facts.append(run.created[:10])
    return " · ".join(facts) or "no results yet"


def _sections(source: Source, prefix: str, limit: int) -> list[Section]:
    """The sections on one source; those whose material is absent are named in a last one.

    A table of rows holds at most ``limit`` of them.
    """
    drafted: list[tuple[str, list[Block], str]] = []  # title, blocks, why there are none
    scored = source.main
    drafted += update_section(source.update, prefix)
    if scored is not None:
        drafted += _scored_sections(source, scored, prefix)
        drafted += generalisation_section(source.generalisation)
        drafted += shift_section(source.shift)
        if tables_of_rows := explorers(source, prefix, limit):
            drafted.append(("Every example", [*tables_of_rows], ""))
    if source.federation is not None and (blocks := federation_section(source.federation, source.rounds, prefix)):
        drafted.append(("Federated training", blocks, ""))
    if source.run is not None:
        why = "metrics.jsonl is absent or empty" if source.log is None else "metrics.jsonl has no rows to draw"
        drafted.insert(1 if scored else 0, ("Learning curves", _curves(source, prefix), f"{why}."))
        facts: list[Block] = [*_status(source.run), *tables.run_facts(source.run)]
        drafted.append(("How it was made", facts, "run.json says nothing of it."))
    if scored is not None and scored.results.settings:
        settings = Facts("Settings of the metrics", tuple(flatten(scored.results.settings)), folded=True)
        drafted.append(("How it was scored", [settings], ""))
    sections = [
        Section(title, f"{prefix}{slug(title)}", tuple(blocks), folded=title in DETAILS)
        for title, blocks, _ in drafted
        if blocks
    ]
    absent = [(title, why) for title, blocks, why in drafted if not blocks]
    if scored is None:
        absent.insert(0, ("Metrics, examples", "there is no results folder; `reasondistill evaluate` makes one."))
    if scored is not None:
        absent += left_out(scored.results)
    if source.run is None:
        absent.append(("Learning curves, configuration, timings", "this is a bare results folder, without run.json."))
    if absent:
        sections.append(Section("Left out", f"{prefix}left-out", (Facts("", tuple(absent)),), folded=True))
    return sections


def _scored_sections(source: Source, scored: Scored, prefix: str) -> list[tuple[str, list[Block], str]]:
    results, rows = scored.results, scored.rows
    no_rows = "per_example.jsonl is absent or empty."
    headline: list[Block | None] = [
        tables.beside_baselines(results),
        _figures(scored, prefix),
        tables.other_parts(source),
        _fold("All metrics, and negative controls", [tables.all_metrics(results), tables.controls(results)]),
    ]
    labels: list[Block | None] = [tables.per_label(results)]
    calibration = _side_by_side([*_calibration(scored, prefix), *selective_blocks(source, scored, prefix)])
    lengths = _lengths(scored, prefix)
    efficiency = costs.efficiency_blocks(results)
    errors = errors_section(results)
    # Not named as left out where they are absent: results of earlier versions, or without teachers, have none.
    analysis = [
        ("Faithfulness", trust_section(results, prefix)),
        ("Agreement with teachers", agreement_section(results, prefix)),
        ("Verified answers", verification_section(results)),
        ("Errors", errors),
        ("Slices", slices_section(results, prefix)),
    ]
    sections: list[tuple[str, list[Block], str]] = [
        ("Results", [b for b in headline if b is not None], ""),
        ("Labels", [b for b in labels if b is not None], "the results hold no figures per label and no confusion."),
        ("Calibration", calibration, "no probabilities were scored."),
        ("Explanation length", lengths, no_rows if rows is None else "no row has an explanation."),
        *((title, blocks, "") for title, blocks in analysis if blocks),
        ("Examples", [*choose_examples(rows or (), shown=_shown(errors) | first_shown(scored))], no_rows),
    ]
    return [*sections, ("Efficiency", efficiency, "")] if efficiency else sections


def _shown(blocks: Sequence[Block]) -> set[str]:
    return {card.id for block in blocks if isinstance(block, Cards) for card in block.cards}


def _side_by_side(blocks: Sequence[Block]) -> list[Block]:
    """The same blocks, all figures in the first gallery: a lone figure leaves half of a row empty."""
    galleries = [block for block in blocks if isinstance(block, Gallery)]
    if len(galleries) < 2:
        return list(blocks)
    together = Gallery(tuple(drawing for gallery in galleries for drawing in gallery.drawings), galleries[0].folder)
    return [
        together if block is galleries[0] else block
        for block in blocks
        if block is galleries[0] or not isinstance(block, Gallery)
    ]


def _fold(title: str, blocks: Sequence[Block | None]) -> Fold | None:
    there = tuple(block for block in blocks if block is not None)
    return Fold(title, there) if there else None


def _figures(scored: Scored, prefix: str) -> Gallery | None:
    """The student beside its baselines, and which labels it takes for which."""
    drawings, results = [], scored.results
    if results.baselines:
        caption = "The student with 95% intervals, and what systems that explain nothing reach on the same examples."
        names = [n for n in headline_metrics() if any(n in v for v in results.baselines.values())]
        drawings.append(
            figures.beside_baselines(f"{prefix}baselines", "Student and baselines", caption, results, names)
        )
    if results.confusion is not None and results.confusion.labels:
        caption = "Counts, and each count's share of its gold label, which the shading follows."
        drawings.append(figures.confusion(f"{prefix}confusion", "Confusion", caption, results.confusion))
    return Gallery(tuple(drawings)) if drawings else None


def _calibration(scored: Scored, prefix: str) -> list[Block]:
    if not any(b.n for b in scored.results.calibration.bins):
        return []
    caption = "Accuracy against mean confidence by bin; below, how many examples each bin holds."
    text = "Confidence is the largest of the probabilities. Points under the diagonal are overconfident."
    drawing = figures.reliability(
        f"{prefix}reliability", "Reliability diagram", caption, scored.results.calibration.bins
    )
    return [Paragraph(text), Gallery((drawing,))]


def _lengths(scored: Scored, prefix: str) -> list[Block]:
    rows = scored.rows or ()
    written = [length(row.explanation) for row in rows if row.explanation is not None]
    references = [length(text) for row in rows for text in row.references or ()]
    if not any(written):
        return []
    groups = {"student": written, **({"references": references} if references else {})}
    means = [f"{name}: {sum(values) / len(values):.1f} words on average" for name, values in groups.items()]
    caption = "Share of explanations by number of words; dashed: the mean."
    drawing = figures.lengths(f"{prefix}lengths", "Words in an explanation", caption, groups)
    return [Paragraph(f"{'; '.join(means)}.".capitalize()), Gallery((drawing,))]


def _curves(source: Source, prefix: str) -> list[Block]:
    drawings = learning_curves(source, prefix)
    if not drawings:
        return []
    sentences = []
    if source.run is not None and source.run.best is not None:
        sentences.append("The dashed line marks the checkpoint that validation selected.")
    if len(source.log or ()) > POINTS:
        sentences.append(f"Training series are averaged over equal stretches of the log, to {POINTS} points.")
    return [*([Paragraph(" ".join(sentences))] if sentences else []), Gallery(tuple(drawings))]


def _status(run: RunInfo) -> list[Block]:
    if run.status == "finished":
        return []
    return [Paragraph(f"This run is marked as {run.status}, not as finished: its figures may still change.")]


def _compared(sources: Sequence[Source], comparison: Comparison | None) -> list[Section]:
    """The page of `compare`, and learning curves; without a comparison the figures side by side, which rank nobody."""
    if comparison is not None:
        sections = comparison_sections(comparison, panel_drawings(comparison))
    else:
        tables_of_all = (tables.systems(sources), costs.compared(sources))
        sections = [
            Section(title, anchor, (table,))
            for title, anchor, table in zip(
                ("Results", "Efficiency"), ("compared-results", "compared-efficiency"), tables_of_all, strict=True
            )
            if table is not None
        ]
    if drawings := compared_curves(sources, "compared-"):
        sections.append(Section("Learning curves", "compared-curves", (Gallery(tuple(drawings)),), folded=True))
    return sections
