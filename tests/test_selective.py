"""Temperature and abstaining as pure functions: hand-worked values, and what must hold for any numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from reasondistill.metrics.selective import (
    Ranked,
    abstain_threshold,
    accuracy_at,
    aurc,
    coverage_curve,
    level_at,
    precision_bound,
)
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.metrics.temperature import BOUNDS, fit_temperature, negative_log_likelihood, padded_scores

# --- temperature ---


def test_the_likelihood_of_a_row_worked_by_hand() -> None:
    scores = padded_scores([[0.0, math.log(3)], [0.0, 0.0, 0.0, 0.0]])
    assert scores.shape == (2, 4)
    # -log(3/4) and -log(1/4) at T = 1; at T = 1/2 the first is -log(9/10).
    assert negative_log_likelihood(scores, [1, 2], 1.0) == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)
    assert negative_log_likelihood(scores, [1, 2], 0.5) == pytest.approx((math.log(10 / 9) + math.log(4)) / 2)


@pytest.mark.parametrize("margin", [0.5, 2.0, 11.0])
def test_the_temperature_of_three_right_and_one_wrong(margin: float) -> None:
    """All rows have one margin d: the likelihood is greatest where 1 / (1 + exp(-d / T)) is the share of right ones."""
    fit = fit_temperature([[0.0, -margin]] * 4, [0, 0, 0, 1])
    assert fit.temperature == pytest.approx(margin / math.log(3), rel=1e-5)
    assert fit.nll_after == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4)
    assert fit.at_bound is None


@given(st.floats(0.4, 5.0), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_a_known_temperature_is_found_again(temperature: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = temperature * rng.normal(scale=2.0, size=(4000, 3))
    noise = rng.gumbel(size=scores.shape)  # the argmax of scores / T + noise is drawn from their softmax
    gold = (scores / temperature + noise).argmax(axis=1)
    assert fit_temperature(scores.tolist(), gold.tolist()).temperature == pytest.approx(temperature, rel=0.2)


SCORES = st.lists(
    st.tuples(st.lists(st.floats(-60, 0), min_size=2, max_size=5), st.integers(0, 4)), min_size=1, max_size=12
)


@given(SCORES)
@settings(deadline=None)
def test_the_fit_is_never_worse_than_no_fit_and_within_bounds(rows: list[tuple[list[float], int]]) -> None:
    scores, gold = [row for row, _ in rows], [place % len(row) for row, place in rows]
    fit = fit_temperature(scores, gold)
    assert BOUNDS[0] <= fit.temperature <= BOUNDS[1]
    assert fit.nll_after <= fit.nll_before
    padded = padded_scores(scores)
    assert fit.nll_before == negative_log_likelihood(padded, gold, 1.0)
    if fit.at_bound is None:
        for other in (0.1, 0.5, 1.0, 2.0, 10.0):
            assert fit.nll_after <= negative_log_likelihood(padded, gold, other) + 1e-9


@pytest.mark.parametrize(
    ("scores", "gold", "temperature", "bound"),
    [
        ([[0.0, -1.0], [-3.0, 0.0, -0.5]], [0, 1], 1.0, "lower"),  # all right: no least likelihood, left at 1
        ([[0.0, -900.0]], [0], 1.0, "lower"),  # all right and sure
        ([[0.0, -1.0], [-3.0, 0.0]], [1, 0], BOUNDS[1], "upper"),  # all wrong: nearly equal probabilities
        ([[0.0, -1.0]] * 4, [0, 0, 1, 1], BOUNDS[1], "upper"),  # the scores tell nothing
    ],
)
def test_where_the_likelihood_has_no_maximum(
    scores: list[list[float]], gold: list[int], temperature: float, bound: str
) -> None:
    fit = fit_temperature(scores, gold)
    assert (fit.temperature, fit.at_bound) == (temperature, bound)


# --- coverage ---


def test_a_curve_worked_by_hand() -> None:
    ranked = Ranked([0.6, 0.9, 0.7, 0.8], [True, True, False, True])
    counts = ranked.counts()
    assert ranked.levels.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert counts.tolist() == [[1, 2, 3, 4], [1, 2, 2, 3]]
    assert aurc(counts) == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    assert [float(accuracy_at(counts, c)) for c in (0.1, 0.5, 0.51, 0.75, 1.0)] == [1.0, 1.0, 2 / 3, 2 / 3, 0.75]
    assert [int(level_at(counts, c)) for c in (0.25, 0.26, 1.0)] == [0, 1, 3]


def test_equal_confidences_are_answered_together() -> None:
    for correct in ([True, False, True, False], [False, True, False, True]):
        counts = Ranked([0.9, 0.9, 0.5, 0.5], correct).counts()
        assert counts.tolist() == [[2, 4], [1, 2]]
        assert aurc(counts) == pytest.approx(0.5)
        assert accuracy_at(counts, 0.25) == 0.5  # half of the answers are the fewest that can be given


ANSWERS = st.lists(st.tuples(st.sampled_from([0.4, 0.5, 0.7, 0.9, 1.0]), st.booleans()), min_size=1, max_size=12)


@given(ANSWERS, st.data())
@settings(deadline=None)
def test_weights_count_as_repeated_rows(answers: list[tuple[float, bool]], data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(answers), max_size=len(answers)).filter(any))
    confidence, correct = zip(*answers, strict=True)
    weighted = Ranked(confidence, correct).counts(np.array([times], dtype=float))
    again = [row for row, n in zip(answers, times, strict=True) for _ in range(n)]
    repeated = Ranked([c for c, _ in again], [r for _, r in again]).counts()
    assert aurc(weighted)[0] == pytest.approx(float(aurc(repeated)))
    for coverage in (0.1, 0.5, 1.0):
        assert accuracy_at(weighted, coverage)[0] == pytest.approx(float(accuracy_at(repeated, coverage)))


@given(ANSWERS)
@settings(deadline=None)
def test_the_order_of_rows_does_not_matter(answers: list[tuple[float, bool]]) -> None:
    forward, back = (Ranked([c for c, _ in rows], [r for _, r in rows]) for rows in (answers, answers[::-1]))
    assert forward.counts().tolist() == back.counts().tolist()
    assert 0.0 <= float(aurc(forward.counts())) <= 1.0
    assert accuracy_at(forward.counts(), 1.0) == pytest.approx(sum(r for _, r in answers) / len(answers))


def test_confidence_that_tells_nothing_has_the_area_of_the_error_rate() -> None:
    """The metric's control: random confidences; and sound ones, which must do better."""
    rng = np.random.default_rng(2)
    correct = rng.uniform(size=20_000) < 0.8
    error = 1 - correct.mean()
    assert aurc(Ranked(rng.uniform(size=20_000).tolist(), correct.tolist()).counts()) == pytest.approx(error, abs=0.02)
    assert aurc(Ranked([0.7] * 20_000, correct.tolist()).counts()) == pytest.approx(error)
    best = aurc(Ranked(correct.astype(float).tolist(), correct.tolist()).counts())
    assert best == pytest.approx(error**2)  # wrong ones come last, as one level: at risk only there


def test_row_weights_are_those_of_the_sums() -> None:
    bootstrap = GroupBootstrap(["a", "b", "a", "c", "b"], resamples=50, seed=3)
    values = np.array([[1.0, 2.0], [3.0, 5.0], [7.0, 11.0], [13.0, 17.0], [19.0, 23.0]])
    weights = np.concatenate(list(bootstrap.row_weights(range(5))))
    assert weights.shape == (50, 5)
    assert (weights[:, 0] == weights[:, 2]).all()  # one group is drawn together
    np.testing.assert_allclose(weights @ values, bootstrap.sums(values))
    assert np.concatenate(list(bootstrap.row_weights([3, 1]))).tolist() == weights[:, [3, 1]].tolist()
    assert list(GroupBootstrap(["a", "a"]).row_weights([0])) == []


def test_the_draws_do_not_depend_on_how_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap = GroupBootstrap(range(7), resamples=40, seed=1)
    whole = np.concatenate(list(bootstrap.row_weights(range(7))))
    monkeypatch.setattr("reasondistill.metrics.statistics._DRAWS_PER_CHUNK", 30)
    cut = list(bootstrap.row_weights(range(7)))
    assert len(cut) == 10
    assert np.concatenate(cut).tolist() == whole.tolist()


def test_a_curve_has_intervals_by_group() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.4, 1.0, size=600)
    correct = rng.uniform(size=600) < confidence
    ranked = Ranked(confidence.tolist(), correct.tolist())
    by_row, by_group = (
        coverage_curve(ranked, GroupBootstrap(groups, resamples=300), range(600), (0.5, 1.0))
        for groups in (range(600), np.repeat(np.arange(10), 60).tolist())
    )
    points, area, interval = by_row
    assert [(p.wanted, p.n) for p in points] == [(0.5, 300), (1.0, 600)]
    assert points[0].threshold == sorted(confidence, reverse=True)[299]
    assert points[0].accuracy > points[1].accuracy == correct.mean()
    for value, bounds in [(area, interval), *((p.accuracy, p.ci95) for p in points)]:
        assert bounds is not None
        assert bounds[0] < value < bounds[1]
    # Of accuracy at full coverage this is the interval of a mean.
    plain = GroupBootstrap(range(600), resamples=300).mean_interval(correct.astype(float).tolist())
    assert points[1].ci95 == pytest.approx(plain)
    assert by_group[0] != points


def test_one_group_has_no_interval() -> None:
    points, area, interval = coverage_curve(Ranked([0.9, 0.8], [True, False]), GroupBootstrap("aa"), [0, 1], (1.0,))
    assert (points[0].ci95, interval) == (None, None)
    assert area == 0.25


# --- abstaining ---


@pytest.mark.parametrize(("right", "n"), [(0, 5), (3, 5), (5, 5), (180, 200)])
def test_the_bound_is_clopper_and_pearsons(right: int, n: int) -> None:
    exact = binomtest(right, n, alternative="greater").proportion_ci(confidence_level=0.95, method="exact").low
    assert precision_bound(right, n, 0.05) == pytest.approx(exact)
    if right == n:
        assert precision_bound(n, n, 0.05) == pytest.approx(0.05 ** (1 / n))


def test_a_threshold_worked_by_hand() -> None:
    """100 sure answers, all right, and 100 unsure ones, half right: two levels, so two tests at 0.05 / 2."""
    ranked = Ranked([0.9] * 100 + [0.6] * 100, [True] * 150 + [False] * 50)
    sure = abstain_threshold(ranked, 0.95)
    assert sure[:4] == (0.9, 100, 0.5, 1.0)
    assert sure.lower_bound == pytest.approx(0.025 ** (1 / 100))
    everything = abstain_threshold(ranked, 0.6)
    assert everything[:4] == (0.6, 200, 1.0, 0.75)
    assert abstain_threshold(ranked, 0.99) == (None, 0, 0.0, None, None)  # 100 of 100 do not show as much


@given(ANSWERS, st.floats(0.05, 0.95))
@settings(deadline=None)
def test_a_threshold_keeps_what_it_says(answers: list[tuple[float, bool]], precision: float) -> None:
    found = abstain_threshold(Ranked([c for c, _ in answers], [r for _, r in answers]), precision)
    if found.threshold is None:
        return
    given_ = [right for confidence, right in answers if confidence >= found.threshold]
    assert (found.n, found.coverage) == (len(given_), len(given_) / len(answers))
    assert found.precision == pytest.approx(sum(given_) / len(given_))
    assert found.lower_bound is not None
    assert found.precision is not None
    assert precision <= found.lower_bound <= found.precision


def test_the_precision_holds_on_new_rows_as_often_as_is_said() -> None:
    """Confidence is uniform in [0.5, 1] and right as often as it says: from t on, the precision is (1 + t) / 2."""
    rng = np.random.default_rng(7)
    kept = 0
    for _ in range(200):
        confidence = rng.uniform(0.5, 1.0, size=300)
        found = abstain_threshold(Ranked(confidence.tolist(), (rng.uniform(size=300) < confidence).tolist()), 0.85)
        kept += found.threshold is None or (1 + found.threshold) / 2 >= 0.85
    assert kept >= 190
