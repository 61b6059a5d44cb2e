"""Calibration and abstaining in a report: accuracy at coverage, and what lies in the student's calibration.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reasondistill.contracts.scored_confidence import CoveragePoint, StatedConfidence
from reasondistill.reporting.document import Block, Cell, Fold, Gallery, Paragraph, Table
from reasondistill.reporting.figures import SERIES, drawing
from reasondistill.reporting.inputs import Scored, Source
from reasondistill.students.calibration import Calibration

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def selective_blocks(source: Source, scored: Scored, prefix: str) -> list[Block]:
    """The curve of these results, and the tables of the run's calibration; none where there is neither."""
    confidence = scored.results.calibration
    blocks: list[Block] = []
    if points := confidence.coverage:
        caption = "Accuracy of the surest answers, by the share that is answered; the band is the 95% interval."
        blocks.append(Gallery((coverage_figure(f"{prefix}coverage", "Accuracy at coverage", caption, points),)))
    if confidence.stated is not None:
        blocks.append(_stated_table(confidence.stated))
    return [*blocks, *(_calibration_blocks(source.calibration) if source.calibration is not None else ())]


def _stated_table(stated: StatedConfidence) -> Table:
    """What the system says of its confidence, and how often it is right when it says so."""
    cells = tuple(
        (
            Cell(row.phrase or "–"),
            Cell(f"{row.value:.3f}"),
            Cell(f"{row.accuracy:.3f}", "" if row.ci95 is None else f"{row.ci95[0]:.3f} to {row.ci95[1]:.3f}"),
            Cell(f"{row.n:,}"),
        )
        for row in stated.values
    )
    shuffled = stated.shuffled_auroc
    note = "" if shuffled is None else f"Control: the same values on other rows have an AUROC of {shuffled:.3f}."
    return Table("Confidence in words", ("Words", "States", "Right", "Rows"), cells, note=note)


@drawing()
def coverage_figure(figure: Figure, points: Sequence[CoveragePoint]) -> None:
    """Accuracy against coverage, with its intervals."""
    axes = figure.subplots()
    coverage = [point.coverage for point in points]
    banded = [(point.coverage, *point.ci95) for point in points if point.ci95 is not None]
    if banded:
        at, low, high = zip(*banded, strict=True)
        axes.fill_between(at, low, high, color=SERIES[0], alpha=0.18, linewidth=0)
    axes.plot(coverage, [point.accuracy for point in points], color=SERIES[0], marker="o", markersize=3.6)
    axes.set(xlim=(0, 1.02), ylim=(None, 1.02), xlabel="share answered, the surest first", ylabel="accuracy")


def _calibration_blocks(calibration: Calibration) -> list[Block]:
    data = calibration.data
    part = f"{data.name}, {data.split} part" if data.split is not None else data.name
    lead = f"The student's temperature is {calibration.temperature:.3f}, fitted on {calibration.n:,} rows of {part}."
    text = f"{lead} {calibration.remark}" if calibration.remark is not None else lead
    measures = Table(
        "Calibration on the fitted rows",
        ("", "raw", "calibrated"),
        (
            (Cell("ECE ↓"), Cell(f"{calibration.ece.before:.3f}"), Cell(f"{calibration.ece.after:.3f}")),
            (Cell("NLL, nats ↓"), Cell(f"{calibration.nll.before:.3f}"), Cell(f"{calibration.nll.after:.3f}")),
        ),
    )
    rows = []
    for row in calibration.thresholds:
        figures = (row.threshold, row.coverage, row.observed, row.lower_bound)
        cells = ("–",) * 4 if row.threshold is None else tuple("–" if v is None else f"{v:.3f}" for v in figures)
        rows.append((Cell(f"{row.precision:g}"), *map(Cell, cells)))
    note = (
        f"Chosen on the fitted rows; “at least” holds with {calibration.certainty:.0%} confidence for rows like them. "
        "A dash: no confidence is enough to show that precision."
    )
    head = ("Wanted precision", "Answer from", "Answered", "Right", "At least")
    thresholds = (Table("When to abstain", head, tuple(rows), note=note),) if rows else ()
    return [Paragraph(text), Fold("What the temperature changed, and when to abstain", (measures, *thresholds))]
