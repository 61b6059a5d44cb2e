"""What smaller systems keep of the reference's quality, and whether explanations keep more of it than labels do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from reasondistill.comparison.resampled import Draws, Panel
from reasondistill.contracts.results import Results
from reasondistill.contracts.tradeoffs import Answer, Curve, CurvePoint, Estimate, Loss, Verdict, Zero
from reasondistill.metrics.label import NO_LABEL
from reasondistill.metrics.registry import evidence_metrics, known_metrics

ACCURACY: Final = "label_accuracy"
CHANCE_OF_EXPLANATIONS: Final = "shuffled_within_label"
"""The negative control that is to explanations what guessing is to labels: one's own, dealt out again."""
ZEROS: Final[tuple[Zero, ...]] = ("nothing", "chance", "baseline")


def curved() -> tuple[str, ...]:
    """The metrics with degradation curves: more is better in them, and something counts as nothing."""
    return tuple(metric.name for metric in known_metrics() if metric.weighed and metric.higher_is_better)


def zero_points(metric: str, reference: Results) -> dict[Zero, float]:
    """The figures of ``metric`` that count as no quality: 0, chance, and the strongest baseline; those that are known.

    Chance is one over the number of labels, or the reference's own explanations shuffled within their labels. The
    baseline is the strongest system that explains, or decides, nothing; for label accuracy no weaker than chance.
    """
    points: dict[Zero, float] = {"nothing": 0.0}
    labels = [name for name in (reference.confusion.labels if reference.confusion else ()) if name != NO_LABEL]
    chance = reference.controls.get(CHANCE_OF_EXPLANATIONS, {}).get(metric)
    if metric == ACCURACY and labels:
        chance = 1 / len(labels)
    if chance is not None:
        points["chance"] = chance
    if (strongest := reference.strongest_baseline(metric)) is not None:
        guessed = chance if chance is not None and metric == ACCURACY else strongest[1]
        points["baseline"] = max(strongest[1], guessed)
    return points


def curve(panel: Panel, reference: str, zeros: Mapping[Zero, float], sizes: Mapping[str, tuple[float, float]]) -> Curve:
    """A panel as a curve, from the most parameters to the fewest.

    Args:
        zeros: as `zero_points` gives them.
        sizes: parameters and compression of each system.
    """
    whole = panel.draws[reference]
    undefined = {zero: _not_above(reference, whole, value) for zero, value in zeros.items() if not whole.above(value)}
    points = [
        CurvePoint(
            system=name,
            parameters=sizes[name][0],
            compression=sizes[name][1],
            quality=draws.estimate(),
            kept={
                zero: draws.share_of(whole, value).estimate() for zero, value in zeros.items() if zero not in undefined
            },
        )
        for name, draws in sorted(panel.draws.items(), key=lambda item: -sizes[item[0]][0])
    ]
    return Curve(
        metric=panel.metric, label=panel.label, n=panel.n, zeros=dict(zeros), points=points, undefined=undefined
    )


def losses(
    panels: Sequence[Panel], reference: str, smaller: Sequence[str], zeros: Mapping[str, Mapping[Zero, float]]
) -> list[Loss]:
    """For each smaller system, explanation metric and zero point: which lost the larger share, labels or explanations?

    Args:
        panels: those of all rows; the first system of each is compared with ``reference``.
        smaller: systems with fewer parameters than the reference, the smallest first.
        zeros: of each metric, as `zero_points` gives them.
    """
    overall = {panel.metric: panel.draws for panel in panels if panel.label is None}
    if ACCURACY not in overall:
        return []
    return [
        _loss(system, metric, zero, overall, reference, zeros)
        for system in smaller
        for metric in evidence_metrics()
        if system in overall.get(metric, {}) and system in overall[ACCURACY]
        for zero in ZEROS
        if zero in zeros[metric] and zero in zeros[ACCURACY]
    ]


def answer(verdicts: Collection[Verdict]) -> Answer:
    """One answer out of the verdicts on several metrics: those that tell nothing do not count."""
    directions = set(verdicts) & {"more", "less"}
    if len(directions) == 2:
        return "mixed"
    if directions:
        return "more" if "more" in directions else "less"
    return "untold" if "untold" in verdicts else "undefined"


def _loss(
    system: str,
    metric: str,
    zero: Zero,
    overall: Mapping[str, Mapping[str, Draws]],
    reference: str,
    zeros: Mapping[str, Mapping[Zero, float]],
) -> Loss:
    lost: dict[str, Draws] = {}
    for name in (ACCURACY, metric):
        whole, point = overall[name][reference], zeros[name][zero]
        if not whole.above(point):
            reason = f"{name}: {_not_above(reference, whole, point)}"
            return Loss(system=system, metric=metric, zero=zero, verdict="undefined", reason=reason)
        kept = overall[name][system].share_of(whole, point)
        lost[name] = Draws(1 - kept.value, 1 - kept.resampled)
    difference = lost[ACCURACY].minus(lost[metric]).estimate()
    return Loss(
        system=system,
        metric=metric,
        zero=zero,
        verdict=_verdict(difference),
        label_loss=lost[ACCURACY].estimate(),
        explanation_loss=lost[metric].estimate(),
        difference=difference,
    )


def _verdict(difference: Estimate) -> Verdict:
    if difference.ci95 is None or difference.ci95[0] <= 0 <= difference.ci95[1]:
        return "untold"
    return "more" if difference.value > 0 else "less"


def _not_above(reference: str, whole: Draws, zero: float) -> str:
    interval = whole.estimate().ci95
    within = "" if interval is None else f" (95% interval {interval[0]:.3f} to {interval[1]:.3f})"
    return f"{reference} has {whole.value:.3f}{within}, which is not shown to lie above {zero:.3f}: no share to keep"
