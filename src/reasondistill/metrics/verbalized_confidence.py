"""Confidence that a system states in words or figures: is it calibrated, and does it tell right from wrong?

Sources: Lin, Hilton & Evans 2022, Teaching Models to Express Their Uncertainty in Words; Xiong et al. 2024, Can LLMs
Express Their Uncertainty? An Empirical Evaluation of Confidence Elicitation in LLMs (ECE and AUROC of what is stated).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reasondistill.metrics.selective import Ranked
from reasondistill.metrics.statistics import FloatArray


def stated_statistics(stated: Sequence[float | None], correct: Sequence[bool | None]) -> tuple[FloatArray, FloatArray]:
    """Which values are stated, and per row and value: whether it was wrong, whether it was right.

    Args:
        stated: the confidence that each row states, or None (n,).
        correct: whether its label is right, or None where that is not known (n,).

    Returns:
        The values, rising (L,), and zeros but for one place in each row that has both (n, 2, L).
    """
    values = np.unique([s for s, c in zip(stated, correct, strict=True) if s is not None and c is not None])
    statistics = np.zeros((len(stated), 2, len(values)))
    for row, (confidence, right) in enumerate(zip(stated, correct, strict=True)):
        if confidence is not None and right is not None:
            statistics[row, int(right), np.searchsorted(values, confidence)] = 1.0
    return values, statistics


def stated_ece(sums: FloatArray, values: FloatArray) -> FloatArray:
    """Expected calibration error with a bin for each stated value: the mean over rows of |accuracy - value|, in [0, 1].

    Args:
        sums: of `stated_statistics` over rows, (…, 2, L).
        values: the stated values, (L,).

    Returns:
        (…,); NaN without rows.
    """
    wrong, right = sums[..., 0, :], sums[..., 1, :]
    n = wrong + right
    with np.errstate(invalid="ignore", divide="ignore"):
        error: FloatArray = np.abs(right - n * values).sum(axis=-1) / n.sum(axis=-1)
    return error


def auroc(sums: FloatArray) -> FloatArray:
    """Area under the ROC curve: how often a right answer is surer than a wrong one, ties counting half.

    The statistic of Mann & Whitney 1947 over the number of pairs (Hanley & McNeil 1982). 0.5 is chance.

    Args:
        sums: wrong and right answers at each confidence, rising, (…, 2, L).

    Returns:
        (…,); NaN where none is right or none wrong.
    """
    wrong, right = sums[..., 0, :], sums[..., 1, :]
    below = wrong.cumsum(axis=-1) - wrong
    pairs = wrong.sum(axis=-1) * right.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        area: FloatArray = (right * (below + 0.5 * wrong)).sum(axis=-1) / np.where(pairs > 0, pairs, np.nan)
    return area


def ranked_auroc(ranked: Ranked, weights: FloatArray | None = None) -> FloatArray:
    """`auroc` of confidences that are (nearly) all different, from `Ranked.counts`.

    Args:
        weights: how often each answer counts, (…, n); once by default.
    """
    answers, right = np.moveaxis(np.diff(ranked.counts(weights), axis=-1, prepend=0.0), -2, 0)
    rising: FloatArray = np.stack([answers - right, right], axis=-2)[..., ::-1]
    return auroc(rising)
