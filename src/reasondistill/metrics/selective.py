"""Answering only where the confidence is high: accuracy at coverage, the area under the curve, abstain thresholds.

Sources: El-Yaniv & Wiener 2010, On the Foundations of Noise-free Selective Classification (the risk-coverage curve);
Geifman & El-Yaniv 2017, Selective Classification for Deep Neural Networks (thresholds for a wanted risk);
Geifman, Uziel & El-Yaniv 2019, Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers (the area, AURC).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, Interval

COVERAGES = tuple(round(0.05 * k, 2) for k in range(1, 21))
"""The coverages at which a curve is reported."""

CERTAINTY = 0.95
"""The one-sided confidence level of an abstain threshold's precision."""


class Ranked:
    """Answers from the most to the least confident; answers of equal confidence form one level, which is never split.

    Args:
        confidence: of each answer, (n,), n at least 1.
        correct: whether it is right, (n,).
    """

    def __init__(self, confidence: Sequence[float], correct: Sequence[bool]) -> None:
        values = np.asarray(confidence, dtype=np.float64)
        self._order = np.argsort(-values, kind="stable")
        ranked = values[self._order]
        self._correct = np.asarray(correct, dtype=np.float64)[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        self.levels: FloatArray = ranked[self._starts]
        """The distinct confidences, in descending order, (L,)."""

    def counts(self, weights: FloatArray | None = None) -> FloatArray:
        """Answers, and right ones, of each level or a surer one: (…, 2, L).

        Args:
            weights: how often each answer counts, (…, n); once by default.
        """
        times = np.ones(len(self._order)) if weights is None else weights[..., self._order]
        both = [np.add.reduceat(values, self._starts, axis=-1) for values in (times, times * self._correct)]
        return np.stack(both, axis=-2).cumsum(axis=-1)


def aurc(counts: FloatArray) -> FloatArray:
    """Area under the risk-coverage curve, in [0, 1], lower is better.

    The mean over answers of the share of wrong ones among those that are as sure or surer.

    Args:
        counts: of `Ranked.counts`, (…, 2, L).

    Returns:
        (…,)
    """
    answers, right = counts[..., 0, :], counts[..., 1, :]
    of_level = np.diff(answers, axis=-1, prepend=0.0)
    risk = np.divide(answers - right, answers, out=np.zeros_like(answers), where=answers > 0)
    area: FloatArray = (of_level * risk).sum(axis=-1) / answers[..., -1]
    return area


def level_at(counts: FloatArray, coverage: float) -> NDArray[np.intp]:
    """The first level with which at least the share ``coverage`` of all answers is given, (…,)."""
    answers = counts[..., 0, :]
    place: NDArray[np.intp] = (answers >= coverage * answers[..., -1:] * (1 - 1e-12)).argmax(axis=-1)
    return place


def accuracy_at(counts: FloatArray, coverage: float) -> FloatArray:
    """The share of right answers among the surest, of which there are at least ``coverage`` of all, (…,)."""
    place = level_at(counts, coverage)[..., None]
    answers, right = (np.take_along_axis(counts[..., k, :], place, axis=-1)[..., 0] for k in (0, 1))
    return right / answers


class CoveragePoint(NamedTuple):
    """One point of the curve: answering where the confidence is at least ``threshold``.

    ``wanted`` is the coverage that was asked for, ``coverage`` what is reached; they differ where confidences are
    equal or answers few.
    """

    wanted: float
    coverage: float
    threshold: float
    n: int
    accuracy: float
    ci95: Interval | None


def coverage_curve(
    ranked: Ranked, bootstrap: GroupBootstrap, rows: Sequence[int], coverages: Sequence[float] = COVERAGES
) -> tuple[list[CoveragePoint], float, Interval | None]:
    """The curve at fixed coverages, the area under it, and the area's 95% interval.

    In each resample the threshold of a coverage is chosen anew: the intervals are of the accuracy at that coverage.

    Args:
        bootstrap: of all rows of a data set.
        rows: which of them ``ranked`` holds, (n,).
    """
    whole = ranked.counts()
    drawn: list[FloatArray] = []
    for weights in bootstrap.row_weights(rows):
        counts = ranked.counts(weights)
        counts = counts[counts[:, 0, -1] > 0]  # a resample may hold none of these rows
        drawn.append(np.stack([*(accuracy_at(counts, c) for c in coverages), aurc(counts)], axis=-1))
    values = np.concatenate(drawn) if drawn else np.zeros((0, len(coverages) + 1))
    intervals: list[Interval | None] = [None] * (len(coverages) + 1)
    if len(values):
        low, high = np.percentile(values, [2.5, 97.5], axis=0)
        intervals = list(zip(low.tolist(), high.tolist(), strict=True))
    points = []
    for coverage, interval in zip(coverages, intervals, strict=False):
        place = int(level_at(whole, coverage))
        n, right = whole[:, place].tolist()
        threshold = float(ranked.levels[place])
        points.append(CoveragePoint(coverage, n / float(whole[0, -1]), threshold, int(n), right / n, interval))
    return points, float(aurc(whole)), intervals[-1]


class AbstainThreshold(NamedTuple):
    """The confidence below which to abstain, and its results on the rows that it was chosen on.

    ``threshold`` is None where no confidence is enough; then nothing is answered. ``lower_bound`` is the least
    precision that these rows leave open, at `CERTAINTY`.
    """

    threshold: float | None
    n: int
    coverage: float
    precision: float | None
    lower_bound: float | None


def abstain_threshold(ranked: Ranked, precision: float, certainty: float = CERTAINTY) -> AbstainThreshold:
    """The lowest threshold found at which answers are right with at least ``precision``, with a guarantee.

    A binary search over the levels, as SGR in Geifman & El-Yaniv 2017 (algorithm 1): each of its steps tests one
    threshold by the exact one-sided bound of Clopper & Pearson 1934 at 1 - (1 - certainty) / steps, so that all of
    them hold at once (Bonferroni). Of the thresholds that pass, the one that answers most is taken. The guarantee is
    for rows drawn independently from where the student will be used; alike rows, as captions of one image, weaken it.
    """
    counts = ranked.counts()
    total = float(counts[0, -1])
    levels = counts.shape[1]
    delta = (1.0 - certainty) / (math.ceil(math.log2(levels)) + 1)
    best = AbstainThreshold(None, 0, 0.0, None, None)
    low, high = 0, levels - 1
    place = high  # answering everything is tried first
    while low <= high:
        n, right = counts[:, place].tolist()
        bound = precision_bound(int(right), int(n), delta)
        if bound >= precision:
            best = AbstainThreshold(float(ranked.levels[place]), int(n), n / total, right / n, bound)
            low = place + 1
        else:
            high = place - 1
        place = (low + high) // 2
    return best


def precision_bound(right: int, n: int, delta: float) -> float:
    """The smallest precision that ``right`` of ``n`` right answers leave open with a probability of error ``delta``.

    The lower end of the one-sided interval of Clopper & Pearson 1934: the p at which so many or more right answers
    have the probability ``delta``.
    """
    from scipy.stats import beta

    return float(beta.ppf(delta, right, n - right + 1)) if right else 0.0
