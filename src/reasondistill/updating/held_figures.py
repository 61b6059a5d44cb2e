"""What a student has to hold: each kept figure against its margin, by paired intervals.

The question is that of a non-inferiority trial: not whether a fall was found, but whether one that is as large as the
margin can be ruled out. Few rows rule out little, whatever they show.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from reasondistill.comparison import ComparisonSettings, System, compare
from reasondistill.config import Update
from reasondistill.contracts.comparison import Difference
from reasondistill.contracts.update import AnsweredSet, HeldFigure, Verdict
from reasondistill.metrics.registry import metric_of

GATED = ("label_accuracy", "support", "rougeL", "ece")
"""The figures that an update has to hold, as far as they can be had."""

_SETTINGS = ComparisonSettings(resamples=2_000, swaps=1)  # intervals, no tests

_Z = 1.96  # of a 95% interval
_POWER = 0.84
"""Normal quantile of 80%: how likely the rows that are said to be needed are to be enough."""

_MANY = 1_000_000


class Loss(NamedTuple):
    """How much a figure lost, above 0 where it is worse, with its 95% interval over ``groups``."""

    value: float
    low: float
    high: float
    groups: int

    @classmethod
    def of(cls, metric: str, difference: Difference, groups: int) -> Loss:
        """The loss in a paired difference.

        Resampling cannot draw what no row shows: where parent and child answer three rows alike, its interval is a
        point. So the interval is widened as by two rows more, of which one lost all and one gained all: for a binary
        figure that is the interval of Bonett and Price (2012, "Adjusted Wald confidence interval for a difference of
        binomial proportions based on paired data"), for the others, which lie in [0, 1] too, a wider one.
        """
        sign = 1.0 if metric_of(metric).lower_is_better else -1.0
        value = sign * difference.difference
        bounds = difference.ci95 or (difference.difference,) * 2
        low, high = sorted(sign * bound for bound in bounds)
        hidden = _Z * math.sqrt(2) / (groups + 2)
        return cls(
            value,
            value - math.hypot(max(0.0, value - low), hidden),
            value + math.hypot(max(0.0, high - value), hidden),
            groups,
        )

    def verdict(self, margin: float) -> Verdict:
        """Whether the figure held: the whole interval is below the margin."""
        if self.high <= margin:
            return "held"
        return "fell" if self.value > margin and self.low > 0 else "unclear"

    def groups_needed(self, margin: float) -> int | None:
        """About how many groups decide, with a probability of 80%, if the students go on to differ as they do here.

        They show that a loss below the margin is below it, or that one beyond it is none of chance. None for more
        than a million.
        """
        held = self.value < margin
        half = self.high - self.value if held else self.value - self.low
        room = margin - max(self.value, 0.0) if held else self.value
        needed = math.inf if room <= 0 else self.groups * ((1 + _POWER / _Z) * half / room) ** 2
        return math.ceil(needed) if needed <= _MANY else None


def figures(child: System, parent: System, update: Update) -> list[HeldFigure]:
    """Each gated figure of both on the same rows, over all of them and by gold label.

    Raises:
        DataError: they were not scored on the same rows.
    """
    there = [name for name in GATED if name in child.results.metrics and name in parent.results.metrics]
    pair = compare([parent, child], metrics=there, settings=_SETTINGS).pairs[0]
    by_label = {label: differences for label, differences in pair.per_label.items() if len(pair.per_label) > 1}

    def groups(label: str | None) -> int:
        return len({row.group_key for row in child.rows if label in (None, row.gold)})

    return [
        *_figures(pair.metrics, None, update.margin, groups(None)),
        *(
            figure
            for label, differences in by_label.items()
            for figure in _figures(differences, label, update.margin_by_label, groups(label))
        ),
    ]


def _figures(
    differences: Mapping[str, Difference], label: str | None, margin: float, groups: int
) -> Iterator[HeldFigure]:
    for name, difference in differences.items():
        yield held_figure(name, difference, label=label, margin=margin, groups=groups)


def held_figure(metric: str, difference: Difference, *, label: str | None, margin: float, groups: int) -> HeldFigure:
    """A figure with its verdict. ``groups`` of rows were resampled."""
    groups = 1 if difference.ci95 is None else max(1, min(groups, difference.n))  # a metric may lack some of the rows
    loss = Loss.of(metric, difference, groups)
    verdict = loss.verdict(margin)
    needed = loss.groups_needed(margin) if verdict == "unclear" else None
    low, high = (loss.low, loss.high) if metric_of(metric).lower_is_better else (-loss.high, -loss.low)
    low, high = max(-1.0, low), min(1.0, high)  # no two figures in [0, 1] are further apart
    return HeldFigure(
        metric=metric,
        label=label,
        parent=difference.baseline,
        child=difference.system,
        difference=difference.difference,
        ci95=None if difference.ci95 is None else (low, high),
        n=difference.n,
        margin=margin,
        verdict=verdict,
        rows_needed=None if needed is None else math.ceil(needed * difference.n / groups),
    )


def not_shown(sets: Sequence[AnsweredSet]) -> list[tuple[AnsweredSet, HeldFigure]]:
    """What keeps an update from being published: over all rows what is not shown to hold; by label, what fell.

    Labels have few rows and are many, so that some would not be shown to hold by chance alone.
    """
    return [
        (tested, figure)
        for tested in sets
        if tested.decides
        for figure in tested.figures
        if figure.verdict == "fell" or (figure.verdict == "unclear" and figure.label is None)
    ]


def sentence(tested: AnsweredSet, figure: HeldFigure) -> str:
    """What did not hold, or is not decided, in words."""
    title = metric_of(figure.metric).title + (f" of {figure.label!r}" if figure.label is not None else "")
    interval = "" if figure.ci95 is None else f", 95% interval {figure.ci95[0]:+.3f} to {figure.ci95[1]:+.3f}"
    change = f"{figure.parent:.3f} -> {figure.child:.3f} ({figure.difference:+.3f}{interval}, {figure.n:,} rows)"
    if figure.verdict == "fell":
        moved = "rose" if metric_of(figure.metric).lower_is_better else "fell"
        return f"{tested.name}: {title} {moved} by more than the margin of {figure.margin:g}: {change}"
    loss = figure.difference * (1.0 if metric_of(figure.metric).lower_is_better else -1.0)
    what = (
        f"cannot rule out a loss of {figure.margin:g}"
        if loss < figure.margin
        else f"cannot tell a loss beyond {figure.margin:g} from chance"
    )
    needed = figure.rows_needed
    more = "no number of rows is likely to" if needed is None else f"about {_rounded(needed):,} rows can"
    return f"{tested.name}: {title} is not decided: {figure.n:,} rows {what}, {more}: {change}"


def _rounded(number: int) -> int:
    """Two digits: it is an estimate."""
    return round(number, 2 - len(str(number)))
