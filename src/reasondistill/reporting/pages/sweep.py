"""The files of a finished sweep: summary.json, summary.md with its figures, and a comparison for each part."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reasondistill.contracts.sweep import Against, Curve, Scores, SweepSummary, Variant
from reasondistill.metrics.registry import metric_of
from reasondistill.metrics.statistics import Interval
from reasondistill.reporting.document import Block, Cell, Document, Facts, Gallery, Paragraph, Part, Section, Table
from reasondistill.reporting.figures import SERIES, Drawing, drawing, short_label
from reasondistill.reporting.forest import Difference, forest
from reasondistill.reporting.formatting import (
    duration,
    interval,
    marked_title,
    metric_title,
    metric_value,
    printable,
    scalar,
    slug,
)
from reasondistill.reporting.markdown import to_markdown
from reasondistill.reporting.pages.comparison import write_comparison
from reasondistill.reporting.sections.compared import effect_text
from reasondistill.reporting.signed import difference_value, p_value, signed_interval
from reasondistill.storage.files import atomic_write
from reasondistill.sweeps.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GENERATOR: Final = "<!-- reasondistill sweep -->"
_LEVEL = 0.05
_LOGARITHMIC_FROM = 8  # times the smallest value
_LINES = 6  # no more lines in a figure than there are colours
_MARKERS: Final = ("o", "s", "D", "^", "v", "P")


def write_summary(results: Summary, out: Path) -> Path:
    """Write summary.json, summary.md, ``figures/`` and a folder with the comparison of each part.

    All of it is made of the trials' results, so that a summary that is there is replaced.

    Returns:
        The Markdown file.
    """
    document = to_document(results.sweep)
    out.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        new.chmod(0o755)
        results.sweep.save(new / "summary.json")
        with atomic_write(new / "summary.md") as stream:
            stream.write(to_markdown(document, GENERATOR))
        if document.drawings:
            (new / "figures").mkdir()
        for figure in document.drawings:
            (new / "figures" / f"{figure.name}.png").write_bytes(figure.png)
        for part, comparison in results.comparisons.items():
            write_comparison(comparison, new / f"comparison_{part}")
        _replace(out, new)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return out / "summary.md"


def _replace(out: Path, new: Path) -> None:
    """Put ``new`` in the place of ``out``, which held an earlier summary."""
    if not out.exists():
        new.rename(out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    out.rename(old / "summary")
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def to_document(sweep: SweepSummary) -> Document:
    """A part for each part of the data, after what became of the trials."""
    states = [trial.state for trial in sweep.trials]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    unfinished = [
        (trial.name, f"{trial.state}{f': {trial.error}' if trial.error else ''}")
        for trial in sweep.trials
        if trial.state != "finished"
    ]
    parts = [_part(scores) for scores in sweep.parts]
    if unfinished:
        section = Section("Trials without a result", "unfinished", (Facts("", tuple(unfinished)),))
        parts.append(Part("Not finished", "not-finished", (section,)))
    return Document(f"Sweep {sweep.name}", f"{len(sweep.trials)} trials: {counts}", _summary(sweep), tuple(parts))


def _summary(sweep: SweepSummary) -> str:
    """What the corrected tests show, a sentence each part."""
    sentences = []
    for scores in sweep.parts:
        shown = [e for e in scores.effects if e.p_holm is not None and e.p_holm < _LEVEL]
        tested = sum(e.p_holm is not None for e in scores.effects)
        phrases = [
            f"{e.variant} {difference_value(e.metric, e.difference)} on {metric_title(e.metric)}"
            for e in shown[:_LINES]
        ]
        more = f" and {len(shown) - _LINES} more" if len(shown) > _LINES else ""
        text = f"{'; '.join(phrases)}{more}" if phrases else "none"
        sentences.append(
            f"On {scores.part}, {len(shown)} of {tested} differences from {scores.baseline} have p < {_LEVEL} after "
            f"Holm: {text}."
        )
    return " ".join(sentences) or "No trial has a result."


def _part(scores: Scores) -> Part:
    figures = [*_forests(scores), *_drawn_curves(scores)]
    sections = [
        Section("Means over seeds", f"{slug(scores.part)}-means", tuple(_means(scores))),
        Section("Effects, the largest first", f"{slug(scores.part)}-effects", tuple(_effects(scores))),
    ]
    if figures:
        sections.append(Section("Figures", f"{slug(scores.part)}-figures", (Gallery(tuple(figures)),)))
    return Part(f"{scores.dataset.name}, {scores.part}", f"part-{slug(scores.part)}", tuple(sections))


def _means(scores: Scores) -> Iterator[Block]:
    metrics = list(dict.fromkeys(metric for variant in scores.variants for metric in variant.figures))
    head = ("Variant", "Seeds", "Parameters", "Training rows", "Training", *map(marked_title, metrics))
    yield Table(
        "Means",
        head,
        tuple(tuple(_row(variant, metrics, scores.baseline)) for variant in scores.variants),
        note="In brackets the 95% interval: of rows and seeds together where there are several seeds, of rows alone "
        "(r) where there is one; cut at the ends of the metric's scale. ↓: lower is better. Training: mean time of one "
        "seed, on whatever machine ran it.",
    )
    yield Facts("What each changes", tuple((v.name, _changes(v)) for v in scores.variants))
    for note in scores.notes:
        yield Paragraph(note)


def _row(variant: Variant, metrics: Sequence[str], baseline: str) -> Iterator[Cell]:
    yield Cell(variant.name + (" (baseline)" if variant.name == baseline else ""))
    yield Cell(str(len(variant.seeds)))
    yield Cell("–" if variant.parameters is None else f"{variant.parameters:,}")
    yield Cell("–" if variant.training_rows is None else f"{variant.training_rows:,}")
    yield Cell("–" if variant.training_seconds is None else duration(variant.training_seconds))
    for metric in metrics:
        figure = variant.figures.get(metric)
        if figure is None:
            yield Cell("–")
        elif figure.ci95 is not None:
            yield Cell(metric_value(metric, figure.mean), interval(metric, _within(metric, figure.ci95)))
        else:
            rows = interval(metric, figure.rows_ci95)
            yield Cell(metric_value(metric, figure.mean), f"r {rows}" if rows else "")


def _within(metric: str, ci95: Interval) -> Interval:
    """An interval without what lies outside the metric's scale: with two seeds Student's t goes far beyond it."""
    low, high = metric_of(metric).range
    return max(ci95[0], low), min(ci95[1], high)


def _changes(variant: Variant) -> str:
    changes = [f"{key}: {_value(value)}" for key, value in variant.changes.items()]
    return ", ".join([*changes, *([f"goes on from {variant.after}"] if variant.after else [])]) or "nothing"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return scalar(value)


def _effects(scores: Scores) -> Iterator[Block]:
    head = ("Variant", "Difference", "95%, rows and seeds", "95%, rows", "p", "p (Holm)", "Effect", "Seeds")
    for metric in dict.fromkeys(effect.metric for effect in scores.effects):
        rows = [
            (
                Cell(e.variant),
                Cell(difference_value(metric, e.difference)),
                Cell(signed_interval(metric, e.ci95) or "–"),
                Cell(signed_interval(metric, e.rows_ci95) or "–"),
                Cell(p_value(e.p)),
                Cell(p_value(e.p_holm)),
                Cell(effect_text(e.effect)),
                Cell(str(len(e.seeds))),
            )
            for e in scores.effects
            if e.metric == metric
        ]
        yield Table(f"{marked_title(metric)} against {scores.baseline}", head, tuple(rows))
    if scores.effects:
        yield Paragraph(
            f"p: paired permutation test over groups of rows, with these trainings; Holm's correction over "
            f"{scores.family.tests} tests of this part. Where there are several seeds, both sides are means over those "
            "that both have."
        )
    left_out = [(f"{who}: {metric_title(m)}", why) for who, of in scores.left_out.items() for m, why in of.items()]
    if left_out:
        yield Facts("Not compared", tuple(left_out))


def _forests(scores: Scores) -> Iterator[Drawing]:
    for metric in dict.fromkeys(effect.metric for effect in scores.effects):
        rows = [
            Difference(e.variant, e.difference, e.ci95 or e.rows_ci95, _verdict(e))
            for e in scores.effects
            if e.metric == metric
        ]
        caption = (
            f"{metric_title(metric)} of each variant minus {scores.baseline}'s, with 95% intervals over rows and, "
            f"where there are several, seeds; marked where p < {_LEVEL} after Holm."
        )
        yield forest(f"effects-{slug(scores.part)}-{slug(metric)}", f"Effects on {metric_title(metric)}", caption, rows)


def _verdict(effect: Against) -> str:
    if effect.p_holm is None or effect.p_holm >= _LEVEL:
        return "level"
    return "better" if (effect.difference > 0) != metric_of(effect.metric).lower_is_better else "worse"


def _drawn_curves(scores: Scores) -> Iterator[Drawing]:
    by_place: dict[tuple[str, str], list[Curve]] = {}
    for curve in scores.curves:
        by_place.setdefault((curve.key, curve.metric), []).append(curve)
    for (key, metric), curves in by_place.items():
        caption = f"{metric_title(metric)} over {key}, means over seeds with 95% intervals."
        name = f"curve-{slug(scores.part)}-{slug(key)}-{slug(metric)}"
        yield drawing()(_draw_curves)(name, f"{metric_title(metric)} over {key}", caption, key, metric, curves[:_LINES])


def _draw_curves(figure: Figure, key: str, metric: str, curves: Sequence[Curve]) -> None:
    axes = figure.subplots()
    for index, curve in enumerate(curves):
        colour = SERIES[index]
        x, y = [p.value for p in curve.points], [p.mean for p in curve.points]
        bounds = [_within(metric, p.ci95) if p.ci95 else (p.mean, p.mean) for p in curve.points]
        low, high = [low for low, _ in bounds], [high for _, high in bounds]
        label = printable(short_label(curve.others or "otherwise the base", 32))
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(x, y, marker=_MARKERS[index], markersize=4.4, color=colour, label=label)
    values = sorted({point.value for curve in curves for point in curve.points})
    if values[0] > 0 and values[-1] >= _LOGARITHMIC_FROM * values[0]:
        axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
    axes.set_xlabel(printable(key))
    axes.set_ylabel(metric_title(metric))
    if len(curves) > 1:
        axes.legend(loc="best", fontsize=8.2)
