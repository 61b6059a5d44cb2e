"""Temperature scaling: one number that makes probabilities match accuracies, and changes no answer.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from reasondistill.metrics.statistics import FloatArray

BOUNDS = (0.05, 20.0)
"""The range of temperatures for the fit."""

_TOLERANCE = 1e-7  # of log T
_AT_BOUND = 1e-3  # of log T
_SUREST = -1e-9  # log-probability of an answer that is as good as certain: the logarithm of its complement is finite


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
    optimum = minimize_scalar(nll, bounds=(low, high), method="bounded", options={"xatol": _TOLERANCE})
    before, after = nll(0.0), float(optimum.fun)
    if before <= min(nll(low), after):  # where the likelihood is flat, too
        return Fit(1.0, before, before, "lower" if nll(low) <= after else None)
    if nll(low) <= after:
        return Fit(1.0, before, before, "lower")
    if nll(high) <= after:
        return Fit(BOUNDS[1], before, nll(high), "upper")
    return Fit(math.exp(optimum.x), before, after, None)


def fit_sequence_temperature(scores: Sequence[float], right: Sequence[bool]) -> Fit:
    """The temperature T at which exp(score / T) comes nearest to the share of right answers.

    Of written answers, whose probabilities belong to no table that adds up to 1: log loss of each answer's probability
    against whether it is right. Where all answers are right, or all wrong, there is nothing to fit, and 1 is kept.

    Args:
        scores: log-probabilities of the answers, at most 0, (n,).
        right: (n,).
    """
    from scipy.optimize import minimize_scalar

    values, verdicts = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=bool)

    def nll(log_temperature: float) -> float:
        logs = np.minimum(values / math.exp(log_temperature), _SUREST)
        return float(-np.where(verdicts, logs, np.log(-np.expm1(logs))).mean())

    before = nll(0.0)
    if verdicts.all() or not verdicts.any():
        return Fit(1.0, before, before, "lower" if verdicts.all() else None)
    low, high = map(math.log, BOUNDS)
    optimum = minimize_scalar(nll, bounds=(low, high), method="bounded", options={"xatol": _TOLERANCE})
    if before <= optimum.fun:
        return Fit(1.0, before, before, None)
    at_upper = high - optimum.x < _AT_BOUND
    return Fit(math.exp(optimum.x), before, float(optimum.fun), "upper" if at_upper else None)


def padded_scores(scores: Sequence[Sequence[float]]) -> FloatArray:
    """Rows of different lengths as one table (n, C), padded with -inf, the score of an impossible label."""
    table = np.full((len(scores), max(map(len, scores))), -np.inf)
    for row, values in zip(table, scores, strict=True):
        row[: len(values)] = values
    return table
