"""Paired statistics: published and hand-worked values, properties, and p-values that are uniform under the null."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasondistill.metrics import label_statistics, macro_f1
from reasondistill.metrics.paired import cohens_d_z, cohens_g, holm, mcnemar, swap_test
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap


def apart(first: FloatArray, second: FloatArray) -> FloatArray:
    return first - second


def swapped(differences: list[float], resamples: int = 9_999) -> tuple[float, bool]:
    """p of one metric whose groups' sums differ by ``differences``."""
    sums = np.array(differences, dtype=float)[:, None]
    found = swap_test(sums, np.zeros_like(sums), apart, resamples=resamples)
    return found.p[0], found.exact


# --- the permutation test ---


def test_fishers_analysis_of_darwins_plants() -> None:
    """The Design of Experiments, §21: in 863 of 2^15 ways the sum of differences is 314 or more."""
    plants = [49.0, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert sum(plants) == 314
    assert swapped(plants, resamples=2**15) == (2 * 863 / 2**15, True)
    p, exact = swapped(plants)
    assert not exact
    assert p == pytest.approx(2 * 863 / 2**15, abs=0.01)  # four standard errors of 9,999 draws


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 2, 3], 2 / 8),  # only +++ and --- are as far from 0
        ([3, -1, 1], 6 / 8),  # 5, 3, 3 and their opposites reach 3
        ([0, 0, 0], 1.0),
        ([0.1, 0.2, -0.3], 1.0),  # a sum of 5.6e-17, which is rounding
        ([5, 4], 2 / 4),
        ([1, 1, 1, 1, 1], 2 / 32),
        ([1, 1, 1, 1, 1, 1], 2 / 64),
    ],
)
def test_every_swap_of_few_groups(differences: list[float], p: float) -> None:
    assert list(swapped(differences)) == [pytest.approx(p), True]


def test_sums_that_tie_are_counted_as_ties() -> None:
    """0.1 + 0.2 is not 0.3 in floating point: without rounding, half of the ties would be missed."""
    differences = [0.1, 0.2, 0.3, 0.4]  # 1.0; as far: only all of one sign
    assert swapped(differences) == (2 / 16, True)
    differences = [0.1, 0.2, 0.3, -0.3]
    of_tenths = [np.dot(signs, (1, 2, 3, -3)) for signs in itertools.product((1, -1), repeat=4)]
    assert swapped(differences) == (sum(abs(total) >= 3 for total in of_tenths) / 16, True)


def test_exactness_begins_where_all_swaps_are_affordable() -> None:
    ones = [1.0] * 5
    assert swapped(ones, resamples=31)[1] is False
    assert swapped(ones, resamples=32)[1] is True


def test_a_corpus_metric_is_computed_anew_in_each_swap() -> None:
    """Macro-F1 against an enumeration that swaps the answers themselves."""
    gold = ["a", "a", "b", "b", "b", "a"]
    first, second = ["a", "b", "b", "b", "b", "a"], ["b", "b", "a", "b", "a", "a"]
    groups = [0, 0, 1, 2, 2, 3]

    def f1(answers: list[str]) -> float:
        return float(macro_f1(label_statistics(gold, answers, ["a", "b"]).sum(axis=0)))

    observed = f1(first) - f1(second)
    outcomes = []
    for swap in itertools.product((False, True), repeat=4):
        one = [y if swap[g] else x for x, y, g in zip(first, second, groups, strict=True)]
        other = [x if swap[g] else y for x, y, g in zip(first, second, groups, strict=True)]
        outcomes.append(f1(one) - f1(other))
    high = sum(x >= observed - 1e-12 for x in outcomes) / 16
    low = sum(x <= observed + 1e-12 for x in outcomes) / 16

    def difference(a: FloatArray, b: FloatArray) -> FloatArray:
        ours, theirs = (macro_f1(x.reshape(*x.shape[:-1], 3, 2)) for x in (a, b))
        return (ours - theirs)[..., None]

    bootstrap = GroupBootstrap(groups)
    sums = [bootstrap.per_group(label_statistics(gold, x, ["a", "b"]).reshape(6, -1)) for x in (first, second)]
    assert swap_test(sums[0], sums[1], difference).p == [pytest.approx(min(1, 2 * min(high, low)))]


def test_several_metrics_share_their_swaps() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.normal(size=(30, 2)), generator.normal(size=(30, 2))
    together = swap_test(first, second, apart, resamples=500).p
    alone = [swap_test(first[:, [k]], second[:, [k]], apart, resamples=500).p[0] for k in range(2)]
    assert together == alone


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=8))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_systems_does_not_matter(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(x, dtype=float)[:, None] for x in zip(*pairs, strict=True))
    p = swap_test(first, second, apart).p[0]
    assert p == swap_test(second, first, apart).p[0]
    assert 2 / 2 ** len(pairs) <= p <= 1


def clustered(generator: np.random.Generator, groups: FloatArray) -> FloatArray:
    """Differences that are 0 on average, where the rows of a group have most of theirs in common."""
    of_groups: FloatArray = generator.normal(size=int(groups.max()) + 1)[groups.astype(int)]
    return of_groups + 0.5 * generator.normal(size=len(groups))


def test_p_values_are_uniform_under_the_null_with_clustered_rows() -> None:
    from scipy.stats import kstest

    generator = np.random.default_rng(7)
    groups = np.repeat(np.arange(25.0), generator.integers(1, 9, size=25))
    by_group: list[float] = []
    by_row: list[float] = []
    for _ in range(300):
        differences = clustered(generator, groups)[:, None]
        sums = GroupBootstrap(groups.tolist()).per_group(differences)
        for found, statistics in ((by_group, sums), (by_row, differences)):
            seed = int(generator.integers(2**31))
            found += swap_test(statistics, np.zeros_like(statistics), apart, resamples=199, seed=seed).p
    assert kstest(by_group, "uniform").pvalue > 0.01
    # 5% ± 3.3 standard errors; rows taken as independent are far beyond that, so this test can fail.
    assert 0.01 <= np.mean(np.array(by_group) <= 0.05) <= 0.09
    assert np.mean(np.array(by_row) <= 0.05) > 0.2


# --- McNemar ---


def test_mcnemar_by_hand() -> None:
    one = mcnemar(1, 7)
    assert one.p == pytest.approx(2 * (1 + 8) / 2**8)
    assert one.odds_ratio == pytest.approx(1 / 7)
    assert mcnemar(7, 1).p == one.p
    assert mcnemar(5, 5).p == 1
    assert mcnemar(0, 0) == (0, 0, 1.0, None, None)


def test_mcnemar_where_one_system_is_never_alone_right() -> None:
    """Clopper and Pearson's bounds have a closed form there: the share is at least (0.025)^(1/6)."""
    found = mcnemar(6, 0)
    assert found.p == pytest.approx(2 / 2**6)
    assert found.odds_ratio is None
    assert found.odds_ratio_ci95 is not None
    share = 0.025 ** (1 / 6)
    assert list(found.odds_ratio_ci95) == [pytest.approx(share / (1 - share)), None]
    other = mcnemar(0, 6)
    assert other.odds_ratio == 0
    assert list(other.odds_ratio_ci95 or ()) == [0, pytest.approx((1 - share) / share)]


def test_mcnemar_on_agrestis_approval_ratings() -> None:
    """Categorical Data Analysis (2002), table 10.1: 150 and 86 changed their minds; z² = 17.36."""
    found = mcnemar(86, 150)
    assert found.odds_ratio == pytest.approx(0.573, abs=0.001)
    z = (86 - 150) / math.sqrt(86 + 150)
    assert z**2 == pytest.approx(17.36, abs=0.01)
    assert found.p == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), rel=0.5)  # the exact one is a little larger
    assert found.p > math.erfc(abs(z) / math.sqrt(2))
    assert found.odds_ratio_ci95 is not None
    low, high = found.odds_ratio_ci95
    assert high is not None
    assert low < 0.573 < high < 1


# --- Holm ---


def test_holm_on_a_known_example() -> None:
    """R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.4]) == [0.4]


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_monotone_and_never_below_the_raw(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(raw <= new <= 1 for raw, new in zip(p, adjusted, strict=True))
    assert all(new <= min(1, len(p) * raw) for raw, new in zip(p, adjusted, strict=True))  # Bonferroni's are larger
    for i, k in itertools.permutations(range(len(p)), 2):
        if p[i] <= p[k]:
            assert adjusted[i] <= adjusted[k]


# --- effect sizes ---


def d_z(differences: list[float]) -> float:
    x = np.array(differences)
    return float(cohens_d_z(np.array([x.sum(), (x**2).sum(), len(x)])))


def test_cohens_d_z_by_hand() -> None:
    assert d_z([1, 3]) == pytest.approx(2 / math.sqrt(2))
    assert d_z([-1, -3]) == pytest.approx(-2 / math.sqrt(2))
    assert d_z([0, 0, 0]) == 0
    assert math.isnan(d_z([0.1, 0.1, 0.1]))
    assert math.isnan(d_z([1]))


def test_cohens_d_z_is_t_over_the_root_of_n() -> None:
    from scipy.stats import ttest_1samp

    x = np.random.default_rng(0).normal(0.3, 2, size=50)
    assert d_z(x.tolist()) == pytest.approx(ttest_1samp(x, 0).statistic / math.sqrt(50))


def test_cohens_g_by_hand() -> None:
    sums = np.array([[3.0, 1], [1, 3], [0, 0], [0, 4]])
    assert cohens_g(sums).tolist() == [0.25, -0.25, 0, -0.5]
