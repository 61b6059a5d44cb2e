"""From sources to a document: which section shows what, and what is left out and why."""

from __future__ import annotations

from collections.abc import Sequence

from reasondistill.contracts.run import RunInfo
from reasondistill.metrics.registry import headline_metrics
from reasondistill.reporting import figures
from reasondistill.reporting.document import Block, Document, Facts, Gallery, Paragraph, Part, Section
from reasondistill.reporting.formatting import flatten, listing, metric_title, slug
from reasondistill.reporting.inputs import Scored, Source
from reasondistill.reporting.sections import efficiency as costs
from reasondistill.reporting.sections import tables
from reasondistill.reporting.sections.abstention import selective_blocks
from reasondistill.reporting.sections.agreement import agreement_section
from reasondistill.reporting.sections.curves import POINTS, compared_curves, learning_curves
from reasondistill.reporting.sections.errors_and_slices import errors_section, slices_section
from reasondistill.reporting.sections.examples import choose_examples
from reasondistill.reporting.sections.faithfulness import trust_section
from reasondistill.reporting.sections.generalisation import generalisation_blocks
from reasondistill.reporting.sections.headline import left_out, summarise, summarise_several
from reasondistill.reporting.viewer.rows import explorers, rows_per_table


def compose(sources: Sequence[Source]) -> Document:
    """The report on one source, or on several: side by side first, then each on its own."""
    limit = rows_per_table(sources)
    if len(sources) == 1:
        (source,) = sources
        part = Part("", "report", tuple(_sections(source, "", limit)))
        return Document(source.name, _standing(source), summarise(source), (part,))
    parts = [Part("Side by side", "side-by-side", tuple(_compared(sources)))]
    for number, source in enumerate(sources, start=1):
        prefix = f"{number}-{slug(source.name)}-"
        lead = Section("Summary", f"{prefix}summary", (Paragraph(f"{_standing(source)}. {summarise(source)}"),))
        parts.append(Part(source.name, prefix.rstrip("-"), (lead, *_sections(source, prefix, limit))))
    title = f"{len(sources)} systems compared"
    return Document(title, listing([source.name for source in sources]), summarise_several(sources), tuple(parts))


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
    if scored is not None:
        drafted += _scored_sections(source, scored, prefix)
        drafted += generalisation_blocks(source)
        if tables_of_rows := explorers(source, prefix, limit):
            drafted.append(("Every example", [*tables_of_rows], ""))
    if source.run is not None:
        why = "metrics.jsonl is absent or empty" if source.log is None else "metrics.jsonl has no rows to draw"
        drafted.insert(1 if scored else 0, ("Learning curves", _curves(source, prefix), f"{why}."))
        facts: list[Block] = [*_status(source.run), *tables.run_facts(source.run)]
        drafted.append(("How it was made", facts, "run.json says nothing of it."))
    if scored is not None and scored.results.settings:
        settings = Facts("Settings of the metrics", tuple(flatten(scored.results.settings)), folded=True)
        drafted.append(("How it was scored", [settings], ""))
    sections = [Section(title, f"{prefix}{slug(title)}", tuple(blocks)) for title, blocks, _ in drafted if blocks]
    absent = [(title, why) for title, blocks, why in drafted if not blocks]
    if scored is None:
        absent.insert(0, ("Metrics, examples", "there is no results folder; `reasondistill evaluate` makes one."))
    if scored is not None:
        absent += left_out(scored.results)
    if source.run is None:
        absent.append(("Learning curves, configuration, timings", "this is a bare results folder, without run.json."))
    if absent:
        sections.append(Section("Left out", f"{prefix}left-out", (Facts("", tuple(absent)),)))
    return sections


def _scored_sections(source: Source, scored: Scored, prefix: str) -> list[tuple[str, list[Block], str]]:
    results, rows = scored.results, scored.rows
    no_rows = "per_example.jsonl is absent or empty."
    headline: list[Block | None] = [
        tables.beside_floors(results),
        _floors_figure(scored, prefix),
        tables.all_metrics(results),
        tables.other_parts(source),
        tables.controls(results),
    ]
    labels: list[Block | None] = [tables.per_label(results), _label_figures(scored, prefix)]
    calibration = [*_calibration(scored, prefix), *selective_blocks(source, scored, prefix)]
    lengths = _lengths(scored, prefix)
    efficiency = costs.efficiency_blocks(results)
    # Not named as left out where they are absent: results of earlier versions, or without teachers, have none.
    analysis = [
        ("Faithfulness", trust_section(results, prefix)),
        ("Agreement with teachers", agreement_section(results, prefix)),
        ("Errors", errors_section(results)),
        ("Slices", slices_section(results, prefix)),
    ]
    sections: list[tuple[str, list[Block], str]] = [
        ("Results", [b for b in headline if b is not None], ""),
        ("Labels", [b for b in labels if b is not None], "the results hold no figures per label and no confusion."),
        ("Calibration", calibration, "no probabilities were scored."),
        ("Explanation length", lengths, no_rows if rows is None else "no row has an explanation."),
        *((title, blocks, "") for title, blocks in analysis if blocks),
        ("Examples", [*choose_examples(rows or ())], no_rows),
    ]
    return [*sections, ("Efficiency", efficiency, "")] if efficiency else sections


def _floors_figure(scored: Scored, prefix: str) -> Gallery | None:
    if not scored.results.floors:
        return None
    caption = "The student with 95% intervals, and what systems that explain nothing reach on the same examples."
    names = [n for n in headline_metrics() if any(n in v for v in scored.results.floors.values())]
    return Gallery((figures.beside_floors(f"{prefix}floors", "Student and floors", caption, scored.results, names),))


def _label_figures(scored: Scored, prefix: str) -> Gallery | None:
    drawings = []
    results = scored.results
    if results.confusion is not None and results.confusion.labels:
        caption = "Counts, and each count's share of its gold label, which the shading follows."
        drawings.append(figures.confusion(f"{prefix}confusion", "Confusion", caption, results.confusion))
    if names := tables.label_metrics(results):
        caption = f"{listing([metric_title(n) for n in names])} by label, with 95% intervals where they were made."
        drawings.append(figures.per_label(f"{prefix}per-label", "Quality per label", caption, results.per_label, names))
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
    written = [len(row.explanation.split()) for row in rows if row.explanation is not None]
    references = [len(text.split()) for row in rows for text in row.references or ()]
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


def _compared(sources: Sequence[Source]) -> list[Section]:
    sections = []
    if table := tables.systems(sources):
        blocks: list[Block] = [table]
        datasets = {source.main.results.dataset.fingerprint for source in sources if source.main is not None}
        if len(datasets) > 1:
            warning = "These systems were scored on different rows: their figures cannot be compared with each other."
            blocks.insert(0, Paragraph(warning))
        sections.append(Section("Results", "compared-results", tuple(blocks)))
    if table := costs.compared(sources):
        sections.append(Section("Efficiency", "compared-efficiency", (table,)))
    if drawings := compared_curves(sources, "compared-"):
        sections.append(Section("Learning curves", "compared-curves", (Gallery(tuple(drawings)),)))
    return sections
