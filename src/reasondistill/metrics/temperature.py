"""Temperature scaling: one number that makes probabilities mean what they say, and changes no answer.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from reasondistill.metrics.statistics import FloatArray

BOUNDS = (0.05, 20.0)
"""Between which temperatures the fit looks."""

_TOLERANCE = 1e-7  # of log T


class Fit(NamedTuple):
    """A temperature, and the mean negative log likelihood (nats a row) at T = 1 and at that temperature.

    ``at_bound``: the likelihood grew up to that end of `BOUNDS`. At the ``lower`` one 1 is kept: a student that is
    right on every row shows no error to measure its confidence by, and to sharpen it further would promise what so
    many rows cannot show. At the ``upper`` one the bound is kept: scores that tell nothing make nearly equal
    probabilities.
    """

    temperature: float
    nll_before: float
    nll_after: float
    at_bound: Literal["lower", "upper"] | None


def negative_log_likelihood(scores: FloatArray, gold: Sequence[int], temperature: float) -> float:
    """The mean over rows of -log softmax(scores / temperature) at the gold label, in nats.

    Args:
        scores: log-probabilities of each row's labels, (n, C); -inf where a row has fewer than C.
        gold: the column of each row's gold label, (n,).
    """
    from scipy.special import logsumexp

    scaled = scores / temperature
    return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(scaled)), list(gold)]))


def fit_temperature(scores: Sequence[Sequence[float]], gold: Sequence[int]) -> Fit:
    """The temperature of the smallest negative log likelihood; rows may differ in how many labels they have.

    The likelihood is convex in 1 / T, so it has one minimum in log T, which Brent's method finds between `BOUNDS`.

    Args:
        scores: finite log-probabilities of each row's labels, n rows.
        gold: the place of each row's gold label, (n,).
    """
    from scipy.optimize import minimize_scalar

    padded = padded_scores(scores)

    def nll(log_temperature: float) -> float:
        return negative_log_likelihood(padded, gold, math.exp(log_temperature))

    low, high = map(math.log, BOUNDS)
    found = minimize_scalar(nll, bounds=(low, high), method="bounded", options={"xatol": _TOLERANCE})
    before, after = nll(0.0), float(found.fun)
    if before <= min(nll(low), after):  # where the likelihood is flat, too
        return Fit(1.0, before, before, "lower" if nll(low) <= after else None)
    if nll(low) <= after:
        return Fit(1.0, before, before, "lower")
    if nll(high) <= after:
        return Fit(BOUNDS[1], before, nll(high), "upper")
    return Fit(math.exp(found.x), before, after, None)


def padded_scores(scores: Sequence[Sequence[float]]) -> FloatArray:
    """Rows of different lengths as one table (n, C), filled up with -inf, the score of a label that cannot be."""
    table = np.full((len(scores), max(map(len, scores))), -np.inf)
    for row, values in zip(table, scores, strict=True):
        row[: len(values)] = values
    return table
