"""Confidence that predictions state in words: how often, how well it fits, and whether it tells right from wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reasondistill.contracts.results import MetricValue
from reasondistill.contracts.scored_confidence import StatedConfidence, StatedValue
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.scored import Scored
from reasondistill.metrics.selective import Ranked
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, mean, percentile_interval
from reasondistill.metrics.verbalized_confidence import auroc, ranked_auroc, stated_ece, stated_statistics


def score_stated(scored: Scored, rows: Sequence[Row], bootstrap: GroupBootstrap, seed: int) -> None:
    """Add `stated_rate`, `stated_ece` and `stated_auroc` where predictions state a confidence, and beside the last,
    on the same rows, `confidence_auroc` of their probabilities. ``scored.calibration.stated`` has a line for each
    value, and as a control the AUROC of the same values shuffled over the rows.
    """
    stated = [row.prediction.stated_confidence for row in rows]
    if not any(row.prediction.states for row in rows):
        return
    scored.metrics["stated_rate"] = mean([float(value is not None) for value in stated], bootstrap)
    correct = [row.correct for row in rows]
    values, statistics = stated_statistics(stated, correct)
    n = int(statistics.sum())
    if not n:
        return
    flat = statistics.reshape(len(rows), -1)

    def shaped(sums: FloatArray) -> FloatArray:
        return sums.reshape(*sums.shape[:-1], 2, len(values))

    sums = statistics.sum(axis=0)
    interval = bootstrap.interval(flat, lambda drawn: stated_ece(shaped(drawn), values))
    scored.metrics["stated_ece"] = MetricValue(value=float(stated_ece(sums, values)), ci95=interval, n=n)
    listed = StatedConfidence(values=_values(rows, values, statistics, bootstrap))
    scored.calibration = scored.calibration.model_copy(update={"stated": listed})
    if not sums.sum(axis=1).all():
        scored.settings["stated"] = {"left_out": "all answers are right, or all are wrong: there is nothing to rank"}
        return
    interval = bootstrap.interval(flat, lambda drawn: auroc(shaped(drawn)))
    scored.metrics["stated_auroc"] = MetricValue(value=float(auroc(sums)), ci95=interval, n=n)
    places = [k for k in range(len(rows)) if statistics[k].any()]
    listed = listed.model_copy(update={"shuffled_auroc": _shuffled(statistics[places], seed)})
    scored.calibration = scored.calibration.model_copy(update={"stated": listed})
    _score_probabilities(scored, rows, places, bootstrap)


def _shuffled(statistics: FloatArray, seed: int) -> float:
    """The AUROC of the same values, given to the rows in another order."""
    order = np.random.default_rng(seed).permutation(len(statistics))
    stated, right = statistics.sum(axis=1)[order], statistics[:, 1].sum(axis=1)
    return float(auroc(np.stack([((1 - right)[:, None] * stated).sum(axis=0), (right[:, None] * stated).sum(axis=0)])))


def _score_probabilities(scored: Scored, rows: Sequence[Row], places: Sequence[int], bootstrap: GroupBootstrap) -> None:
    """What the probability of the given label gives on the rows that state a confidence, if all have one."""
    sure = [rows[k].prediction.confidence for k in places]
    if any(value is None for value in sure):
        return
    ranked = Ranked([value for value in sure if value is not None], [bool(rows[k].correct) for k in places])
    drawn = [ranked_auroc(ranked, weights) for weights in bootstrap.row_weights(places)]
    interval = percentile_interval(np.concatenate(drawn)) if drawn else None
    scored.metrics["confidence_auroc"] = MetricValue(value=float(ranked_auroc(ranked)), ci95=interval, n=len(places))


def _values(
    rows: Sequence[Row], values: FloatArray, statistics: FloatArray, bootstrap: GroupBootstrap
) -> list[StatedValue]:
    """Each stated value with its words, rows and accuracy."""
    listed: list[StatedValue] = []
    for k, value in enumerate(values.tolist()):
        inside = statistics[:, :, k].sum(axis=1) > 0
        right = [float(s[1]) if here else None for s, here in zip(statistics[:, :, k], inside, strict=True)]
        accuracy = mean(right, bootstrap)
        phrases = {row.prediction.confidence_phrase for row, here in zip(rows, inside, strict=True) if here}
        listed.append(
            StatedValue(
                phrase=next(iter(phrases)) if len(phrases) == 1 else None,
                value=value,
                n=accuracy.n,
                accuracy=accuracy.value,
                ci95=accuracy.ci95,
            )
        )
    return listed
