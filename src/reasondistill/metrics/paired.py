"""Two systems on the same rows: is their difference more than chance, and how large is it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from reasondistill.metrics.statistics import FloatArray

_DIGITS = 12  # beyond them two ways of adding the same numbers differ, and values that are equal no longer tie
_SIGNS_PER_BATCH = 2_000_000  # bounds memory to some tens of megabytes


class SwapTest(NamedTuple):
    """Two-sided p-values, one per difference; ``exact`` if all swaps were tried, not a sample of them."""

    p: list[float]
    exact: bool


def swap_test(
    first: FloatArray,
    second: FloatArray,
    difference: Callable[[FloatArray, FloatArray], FloatArray],
    *,
    resamples: int = 9_999,
    seed: int = 0,
) -> SwapTest:
    """Paired permutation test that swaps the two systems group by group.

    If the systems do not differ, it is chance which of the two gave which answers. So the answers of whole groups are
    swapped between them, by a coin for each group, and p is how often a difference at least as large comes about. The
    rows of a group stay together, as they are not independent. For a difference of means this is the sign-flip test
    of the groups' sums; for a metric over a corpus it is approximate randomisation.

    Source: Fisher 1935, The Design of Experiments, §21; Noreen 1989; Yeh 2000 and Riezler & Maxwell 2005 (for NLP).
    ``scipy.stats.permutation_test`` enumerates or draws: a drawn p counts the observed difference too, so it is at
    least 2 / (resamples + 1); an enumerated one is at least 2 / 2^groups.

    Args:
        first: additive statistics of the first system, summed within each group, (groups, S); two groups at least.
        second: the same of the second.
        difference: takes column sums of both systems, (…, S) each, to M differences, (…, M).
        resamples: swaps to draw; where there are no more than these in all, each is tried once.
        seed: of the draws.

    Returns:
        M p-values from the same swaps.
    """
    from scipy.stats import permutation_test

    half_sum, half_apart = (first + second).sum(axis=0) / 2, (first - second) / 2

    def statistic(signs: FloatArray, axis: int = -1) -> FloatArray:  # scipy wants to be able to name the axis
        moved = signs @ half_apart
        return np.round(difference(half_sum + moved, half_sum - moved), _DIGITS)

    # With one sample of ones, scipy's "samples" flips their signs: a sign says which system gets a group's answers.
    test = permutation_test(
        (np.ones(len(first)),),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _SIGNS_PER_BATCH // len(first)),
        rng=np.random.default_rng(seed),
    )
    p = np.minimum(1.0, np.atleast_1d(test.pvalue))
    # The same condition as scipy's, without a large power of two: 2^groups <= resamples.
    return SwapTest([float(value) for value in p], exact=len(first) < resamples.bit_length())


class McNemarTest(NamedTuple):
    """Rows that only one of two systems has right, with their test.

    ``odds_ratio`` is first_only / second_only, None where that is infinite or neither occurs; ``odds_ratio_ci95`` its
    exact 95% interval, whose upper bound is None where it is infinite, and None without discordant rows.
    """

    first_only: int
    second_only: int
    p: float
    odds_ratio: float | None
    odds_ratio_ci95: tuple[float, float | None] | None


def mcnemar(first_only: int, second_only: int) -> McNemarTest:
    """The exact McNemar test: of the rows that only one system has right, is each system's share one half?

    It takes rows as independent. The odds ratio is the conditional estimate for matched pairs; its interval is that
    of Clopper and Pearson for first_only of all discordant rows, taken from shares to odds.

    Source: McNemar 1947; Agresti 2002, Categorical Data Analysis, ch. 10.
    """
    from scipy.stats import binomtest

    n = first_only + second_only
    if n == 0:
        return McNemarTest(0, 0, 1.0, None, None)
    test = binomtest(first_only, n, 0.5)
    share = test.proportion_ci(0.95, method="exact")
    high = float(share.high / (1 - share.high)) if share.high < 1 else None
    return McNemarTest(
        first_only,
        second_only,
        float(test.pvalue),
        first_only / second_only if second_only else None,
        (float(share.low / (1 - share.low)), high),
    )


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false alarm in the family at the level they are held to.

    The k-th smallest of m, from 0, is multiplied by m - k; none may be smaller than the one before it, or exceed 1.
    Holds under any dependence of the tests. Source: Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.
    """
    adjusted = [0.0] * len(p)
    highest = 0.0
    for place, k in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - place) * p[k]))
        adjusted[k] = highest
    return adjusted


def cohens_d_z(sums: FloatArray) -> FloatArray:
    """The mean of the rows' differences over their standard deviation.

    Source: Cohen 1988, Statistical Power Analysis, §2.3.5; Lakens 2013.

    Args:
        sums: of the differences, of their squares, and the number of rows, (…, 3).

    Returns:
        (…,); 0 where all rows differ by 0, NaN where they all differ by the same otherwise, or where there is one row.
    """
    total, squares, n = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        variance = (squares - n * mean**2) / (n - 1)
        # A difference of nearly equal numbers: below this, it is rounding.
        spread = variance > 1e-12 * squares / n
        d_z = np.where(spread, mean / np.sqrt(np.where(spread, variance, 1.0)), np.nan)
    return np.where((squares == 0) & (n > 1), 0.0, d_z)


def cohens_g(sums: FloatArray) -> FloatArray:
    """How far the first system's share of the discordant rows is from a half, in [-0.5, 0.5].

    Source: Cohen 1988, Statistical Power Analysis, ch. 5. Cohen calls 0.05 small, 0.15 medium and 0.25 large.

    Args:
        sums: rows that the first system alone, and that the second alone, has at 1 and not at 0, (…, 2).

    Returns:
        (…,); 0 without discordant rows.
    """
    discordant = sums.sum(axis=-1)
    return np.where(discordant > 0, sums[..., 0] / np.maximum(discordant, 1) - 0.5, 0.0)
