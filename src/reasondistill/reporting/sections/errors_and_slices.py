"""The sections "Errors" and "Slices": what the system gets wrong, how, and on which rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from reasondistill.contracts.error_analysis import ConfusedLabels, ErrorExample, ErrorKind, ErrorSummary, Share
from reasondistill.contracts.results import Results
from reasondistill.contracts.slices import MeasuredSlice
from reasondistill.metrics.registry import evidence_metrics
from reasondistill.reporting.document import Block, Card, Cards, Cell, Facts, Gallery, Paragraph, Table
from reasondistill.reporting.forest import Difference, forest
from reasondistill.reporting.formatting import listing, metric_title, metric_value
from reasondistill.reporting.sections.tables import metric_cell

CELLS: Final = 6
CELL_CARDS: Final = 2
KIND_CARDS: Final = 4
FOREST_ROWS: Final = 18
NAMED: Final = 6
SURE: Final = 0.05
"""Adjusted p below which a slice is called different."""

_KINDS: Final[dict[ErrorKind, str]] = {
    "none": "No error found",
    "label": "{} only",
    "explanation": "Explanation only",
    "both": "Both",
}
_WRONG: Final = {
    "label": "A label is wrong if it is not the gold one.",
    "answer": "An answer is wrong if it is none of the accepted ones.",
    "query": "A query is wrong if it returns other rows than the gold one, or, where no result was to be had, is "
    "another tree.",
}
"""What an error is, by what the system gives beside its explanation."""


def errors_section(results: Results) -> list[Block]:
    """The rule, how many rows are wrong in what, whether label and explanation go together, and examples."""
    errors = results.errors
    if not errors.counts:
        return []
    given = "query" if "queries" in results.settings else "answer" if "answers" in results.settings else "label"
    blocks: list[Block] = [Paragraph(text) for text in (_rule(errors, given), _association(errors, given)) if text]
    blocks.append(_kinds(errors, given))
    cells = errors.confusion[:CELLS]
    if cells:
        shown = [f"{cell.gold} {_given(cell)} ({cell.n:,})" for cell in cells]
        rule = f"{'; '.join(shown)}. Of each up to {CELL_CARDS}, the highest confidence first."
        cards = tuple(_card(example, False) for cell in cells for example in cell.examples[:CELL_CARDS])
        blocks.append(Cards("Wrong labels, the commonest first", rule, cards))
    metric = errors.metric
    examples = errors.examples.get("explanation", ())
    if examples:
        worst = f": empty ones, then the lowest {metric_title(metric)}" if metric else ""
        right = True if "label" in errors.judged else None
        cards = tuple(_card(example, right, metric) for example in examples[:KIND_CARDS])
        # A low score is evidence, no proof: the reader is told what was found, not that it is so.
        title = f"{given.title()} right, explanation wrong by the rule" if right else "Explanation wrong by the rule"
        total = errors.counts["explanation"].n
        blocks.append(Cards(title, f"{_first(len(cards), total)}{worst}.{_below(errors)}", cards))
    return blocks


def _given(cell: ConfusedLabels) -> str:
    return "given no label" if cell.predicted is None else f"taken for {cell.predicted}"


def slices_section(results: Results, prefix: str) -> list[Block]:
    """Forest plots of the ranked slices' differences, and a table of all slices, worst first."""
    slices = results.slices
    metrics = [name for name in ("label_accuracy", *evidence_metrics()) if any(name in part.metrics for part in slices)]
    if not slices or not metrics:
        return []
    settings = results.settings.get("slices") or {}
    ranking = settings.get("ranked_by", metrics[0])
    metrics.sort(key=lambda name: name != ranking)
    return [
        Paragraph(_slices_text(slices, ranking, settings)),
        *_forests(slices, ranking, metrics, prefix),
        _slices_table(slices, ranking, metrics),
        Facts("What the slices are", tuple({part.family: part.rule for part in slices}.items()), folded=True),
    ]


# --- errors ---


def _rule(errors: ErrorSummary, given: str) -> str:
    parts = []
    if "label" in errors.judged:
        parts.append(_WRONG[given])
    if errors.rule:
        parts.append(errors.rule)
        parts.append("This marks the worst explanations; that the others are good does not follow.")
    return " ".join(parts)


def _association(errors: ErrorSummary, given: str) -> str:
    together = errors.association
    if together is None:
        return ""
    right, wrong, difference = together.label_right, together.label_wrong, together.difference
    text = (
        f"The explanation is wrong for {wrong.share:.1%} of the {wrong.n:,} rows with a wrong {given} and for "
        f"{right.share:.1%} of the {right.n:,} with the right one: a difference of "
        f"{_points(difference.value)} points"
    )
    if bounds := difference.ci95:
        text += f" (95% interval {_points(bounds[0])} to {_points(bounds[1])})"
        if bounds[0] <= 0 <= bounds[1]:
            text += ", which may be none"
    text += "."
    if errors.metric not in (None, "support"):
        text += f" References argue for the gold {given}: part of such a difference is theirs."
    return text


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _kinds(errors: ErrorSummary, given: str) -> Table:
    judged, counts, per_label = errors.judged, errors.counts, errors.per_label
    names = [k for k in _KINDS if k in ("none", *judged) or (k == "both" and len(judged) == 2)]
    labels = list(per_label)[:8]
    of_what = "" if "label" in judged else " in the explanation"
    rows = tuple(
        (
            Cell(_KINDS[kind].format(given.title()) + (of_what if kind == "none" else "")),
            Cell(f"{counts[kind].n:,}"),
            _share(counts[kind]),
            *(_share(per_label[label][kind]) for label in labels),
        )
        for kind in names
    )
    head = ("In error", "Examples", "Share", *(f"of {label}" for label in labels))
    note = f"Beneath each share: its 95% interval. Over {errors.n:,} examples" + (
        "; the columns on the right are by gold label." if labels else "."
    )
    return Table("What is wrong", head, rows, note=note)


def _share(count: Share) -> Cell:
    if count.share is None:
        return Cell("–")
    bounds = count.ci95
    return Cell(f"{count.share:.1%}", f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}%" if bounds else "")


def _below(errors: ErrorSummary) -> str:
    """What the scores on the cards are held to."""
    metric, threshold = errors.metric, errors.threshold
    if metric is None or threshold is None:
        return ""
    return f" The rule's threshold is {metric_value(metric, threshold)}; a sound explanation can lie below it."


def _first(shown: int, total: int) -> str:
    return f"{shown} of {total:,}" if shown < total else "The only one" if total == 1 else f"All {total:,}"


def _card(example: ErrorExample, right: bool | None, metric: str | None = None) -> Card:
    label, confidence = example.label, example.confidence
    score = None if metric is None else example.score
    return Card(
        id=example.id,
        fields=example.fields,
        gold=example.gold,
        label=label,
        correct=right,
        probabilities=() if confidence is None or label is None else ((label, confidence),),
        explanation=example.explanation,
        references=tuple(text for text in example.references if text),
        scores=() if metric is None or score is None else ((metric_title(metric), metric_value(metric, score)),),
    )


# --- slices ---


def _slices_text(slices: Sequence[MeasuredSlice], ranking: str, settings: Mapping[str, object]) -> str:
    ranked = [part for part in slices if part.ranked]
    title = _lower(metric_title(ranking))
    if not ranked:
        return "No slice has enough rows, and enough beside it, to be ranked."
    worse = [part.name for part in ranked if _verdict(part, ranking) == "worse"]
    text = (
        f"Each slice is compared with the rest of the rows. They stand in the order of the upper bound of their "
        f"difference in {title}, the lowest first. "
    )
    if worse:
        named = [f"“{name}”" for name in worse[:NAMED]] + ([f"{len(worse) - NAMED} more"] if worse[NAMED:] else [])
        text += f"After correction for {len(ranked)} slices these lie below the rest: {listing(named)}. "
    else:
        text += f"After correction for {len(ranked)} slices none is shown to lie below the rest. "
    chance = settings.get("below_by_chance", 0.025 * len(ranked))
    text += f"Of {len(ranked)} uncorrected intervals about {chance:.1f} would lie below zero by chance alone."
    return text


def _forests(slices: Sequence[MeasuredSlice], ranking: str, metrics: Sequence[str], prefix: str) -> list[Gallery]:
    """The ranking metric, and beside it the first explanation metric, the same slices in the same order."""
    shown = [part for part in slices if part.ranked]
    cut = len(shown) - FOREST_ROWS
    if cut > 0:
        shown = shown[:FOREST_ROWS]
    drawings = []
    for name in metrics[:2]:
        rows = [_difference(part, name) for part in shown]
        if not any(row.value is not None for row in rows):
            continue
        caption = f"{metric_title(name)} on each slice less that on the rest, with 95% intervals."
        if cut > 0:
            caption += f" The {FOREST_ROWS} worst by {_lower(metric_title(ranking))}; the table has {cut} more."
        title = f"Slices: {_lower(metric_title(name))}"
        drawings.append(forest(f"{prefix}slices-{name.lower().replace('_', '-')}", title, caption, rows))
    return [Gallery(tuple(drawings))] if drawings else []


def _difference(part: MeasuredSlice, metric: str) -> Difference:
    figures = part.metrics.get(metric)
    difference, bounds = (None, None) if figures is None else (figures.difference, figures.difference_ci95)
    return Difference(part.name, difference, bounds, _verdict(part, metric))


def _verdict(part: MeasuredSlice, metric: str) -> str:
    """``worse`` or ``better`` where the difference holds after correction, else ``level``."""
    figures = part.metrics.get(metric)
    p, difference = (None, None) if figures is None else (figures.p_adjusted, figures.difference)
    if p is None or difference is None or p >= SURE:
        return "level"
    return "worse" if difference < 0 else "better"


def _slices_table(slices: Sequence[MeasuredSlice], ranking: str, metrics: Sequence[str]) -> Table:
    others = [name for name in metrics if name != ranking]
    rows = tuple(
        (
            Cell(part.name, "" if part.ranked else "too few to rank"),
            Cell(f"{part.n:,}", f"{part.share:.0%}"),
            metric_cell(ranking, part.metrics.get(ranking), "–"),
            _gap(part, ranking),
            Cell(_p(part, ranking)),
            *(_gap(part, name) for name in others),
        )
        for part in slices
    )
    small = next((k for k, part in enumerate(slices) if not part.ranked), None)
    gaps = [f"Δ {_lower(metric_title(name))}" for name in (ranking, *others)]
    head = ("Slice", "Examples", metric_title(ranking), gaps[0], "Adjusted p", *gaps[1:])
    note = (
        "Δ: the slice less the rest of the rows. Beneath each figure: its 95% interval. Adjusted p: Benjamini-Hochberg "
        "over the ranked slices. A slice of low confidence is meant to be less accurate; slices overlap, and one may "
        "stand in for another."
    )
    groups = frozenset({small}) if small else frozenset[int]()
    return Table("All slices, worst first", head, rows, note=note, groups=groups)


def _gap(part: MeasuredSlice, metric: str) -> Cell:
    figures = part.metrics.get(metric)
    if figures is None or figures.difference is None:
        return Cell("–")
    bounds = figures.difference_ci95
    return Cell(_signed(figures.difference), " to ".join(map(_signed, bounds)) if bounds else "")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−") if abs(value) >= 0.0005 else "0.000"


def _p(part: MeasuredSlice, metric: str) -> str:
    figures = part.metrics.get(metric)
    p = None if figures is None else figures.p_adjusted
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _lower(title: str) -> str:
    """A metric's title within a sentence: acronyms keep their capitals."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]
