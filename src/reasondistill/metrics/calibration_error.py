"""Do probabilities mean what they say: expected calibration error, Brier score, reliability diagram.

Both take probabilities as a mapping from label to probability, so that rows may differ in their choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reasondistill.metrics.statistics import FloatArray

ECE_BINS = 15


def brier(probabilities: Mapping[str, float], gold: str) -> float:
    """Half the squared distance of ``probabilities`` from certainty of the gold label, in [0, 1].

    Brier 1950 sums over the labels without the half and so lies in [0, 2]; with two labels, the half is the usual
    binary Brier score.
    """
    return 0.5 * sum((p - (label == gold)) ** 2 for label, p in probabilities.items())


def calibration_statistics(
    probabilities: Sequence[Mapping[str, float] | None], gold: Sequence[str | None], bins: int = ECE_BINS
) -> FloatArray:
    """Per row and bin: one, the confidence, whether it was right; shape (n, 3, bins), zeros for rows to leave out.

    The confidence is the largest probability, and its label is what is judged. Bin m of M holds confidences in
    ((m - 1) / M, m / M], as in Guo et al. 2017.

    Args:
        probabilities: label -> probability of each row, or None (n,).
        gold: the gold label of each row, or None (n,).
    """
    statistics = np.zeros((len(gold), 3, bins))
    for row, (distribution, label) in enumerate(zip(probabilities, gold, strict=True)):
        if distribution and label is not None:
            top = max(distribution, key=distribution.__getitem__)
            confidence = distribution[top]
            place = min(bins - 1, max(0, int(np.ceil(confidence * bins)) - 1))
            statistics[row, :, place] = 1.0, confidence, top == label
    return statistics


def ece(counts: FloatArray) -> FloatArray:
    """Expected calibration error: the mean over rows of their bin's ``|accuracy - mean confidence|``, in [0, 1].

    Source: Naeini et al. 2015; Guo et al. 2017, On Calibration of Modern Neural Networks, eq. 3.

    Args:
        counts: sums of `calibration_statistics` over rows, (…, 3, bins).

    Returns:
        (…,); NaN without rows.
    """
    total = counts[..., 0, :].sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        error: FloatArray = np.abs(counts[..., 2, :] - counts[..., 1, :]).sum(axis=-1) / total
    return error


def reliability_bins(counts: FloatArray) -> list[dict[str, float | int | None]]:
    """The bins of a reliability diagram: bounds, rows, mean confidence and accuracy (None in an empty bin).

    Args:
        counts: sums of `calibration_statistics` over rows, (3, bins).
    """
    bins = counts.shape[1]
    return [
        {
            "low": m / bins,
            "high": (m + 1) / bins,
            "n": int(n),
            "confidence": confidence / n if n else None,
            "accuracy": correct / n if n else None,
        }
        for m, (n, confidence, correct) in enumerate(counts.T.tolist())
    ]
