"""What a student has to hold: each kept figure against its margin, by paired intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reasondistill.comparison import ComparisonSettings, System, compare
from reasondistill.config import Update
from reasondistill.contracts.comparison import Difference
from reasondistill.contracts.update import AnsweredSet, HeldFigure, Verdict
from reasondistill.metrics.registry import metric_of

GATED = ("label_accuracy", "support", "rougeL", "ece")
"""The figures that an update has to hold, as far as they can be had."""

_SETTINGS = ComparisonSettings(resamples=2_000, swaps=1)  # intervals, no tests


def figures(child: System, parent: System, update: Update) -> list[HeldFigure]:
    """Each gated figure of both on the same rows, over all of them and by gold label.

    Raises:
        DataError: they were not scored on the same rows.
    """
    there = [name for name in GATED if name in child.results.metrics and name in parent.results.metrics]
    pair = compare([parent, child], metrics=there, settings=_SETTINGS).pairs[0]
    by_label = {label: differences for label, differences in pair.per_label.items() if len(pair.per_label) > 1}
    return [
        *_figures(pair.metrics, None, update.margin),
        *(figure for label, of in by_label.items() for figure in _figures(of, label, update.margin_by_label)),
    ]


def _figures(differences: Mapping[str, Difference], label: str | None, margin: float) -> Iterator[HeldFigure]:
    for name, difference in differences.items():
        yield HeldFigure(
            metric=name,
            label=label,
            parent=difference.baseline,
            child=difference.system,
            difference=difference.difference,
            ci95=difference.ci95,
            n=difference.n,
            margin=margin,
            verdict=verdict(name, difference, margin),
        )


def verdict(metric: str, difference: Difference, margin: float) -> Verdict:
    """Whether a figure held: its loss, in the direction that is worse, is below the margin with its whole interval."""
    sign = 1.0 if metric_of(metric).lower_is_better else -1.0
    loss = sign * difference.difference
    low, high = sorted(sign * bound for bound in difference.ci95 or (difference.difference,) * 2)
    if high <= margin:
        return "held"
    return "fell" if loss > margin and low > 0 else "unclear"


def refusals(sets: Sequence[AnsweredSet]) -> list[str]:
    """Why an update is not published: over all rows a figure has to be shown to hold; by label, no fall may be shown.

    Labels have few rows and are many, so that some would not be shown to hold by chance alone.
    """
    return [
        sentence(tested, figure)
        for tested in sets
        if tested.decides
        for figure in tested.figures
        if figure.verdict == "fell" or (figure.verdict == "unclear" and figure.label is None)
    ]


def sentence(tested: AnsweredSet, figure: HeldFigure) -> str:
    """What did not hold, in words."""
    title = metric_of(figure.metric).title + (f" of {figure.label!r}" if figure.label is not None else "")
    interval = "" if figure.ci95 is None else f", 95% interval {figure.ci95[0]:+.3f} to {figure.ci95[1]:+.3f}"
    what = "fell by more than the margin" if figure.verdict == "fell" else "cannot be shown to hold within the margin"
    return (
        f"{tested.name}: {title} {what} of {figure.margin:g}: {figure.parent:.3f} -> {figure.child:.3f} "
        f"({figure.difference:+.3f}{interval}, {figure.n:,} rows)"
    )
