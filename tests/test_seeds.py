"""Several trainings of one recipe: their mean, and how sure it is over rows and over seeds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from reasondistill.comparison.measures import labels_of, measures
from reasondistill.comparison.pairs import Measured, compare_pair
from reasondistill.comparison.seeds import mean_of, over_rows_and_seeds, row_interval, seed_margin
from reasondistill.comparison.systems import System
from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.comparison import ComparisonSettings
from reasondistill.contracts.results import MetricValue, Results
from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.statistics import GroupBootstrap

GOLD = ["a", "b", "a", "b"]
SETTINGS = ComparisonSettings(resamples=200, swaps=99)


def run(name: str, labels: list[str], scores: list[float]) -> Measured:
    """One training with its labels and a score for each of four rows, each a group of its own."""
    rows = tuple(
        ScoredRow(id=str(k), gold=gold, label=label, correct=gold == label, rougeL=score)
        for k, (gold, label, score) in enumerate(zip(GOLD, labels, scores, strict=True))
    )
    right = sum(row.correct or False for row in rows) / 4
    f1: dict[tuple[str, ...], float] = {
        ("a", "b", "a", "b"): 1.0,
        ("a", "a", "a", "a"): (2 * 2 / 6 + 0) / 2,
        ("a", "b", "a", "a"): (0.8 + 2 / 3) / 2,
    }
    metrics = {
        "label_accuracy": MetricValue(value=right, n=4),
        "label_macro_f1": MetricValue(value=f1[tuple(labels)], n=4),
        "rougeL": MetricValue(value=sum(scores) / 4, n=4),
    }
    results = Results(dataset=DatasetInfo(name="d", fingerprint="f", n=4), settings={"task": "t"}, metrics=metrics)
    system = System(name, Path(name), results, rows)
    return Measured(system, *measures(system, labels_of([system])))


WHOLE = run("s1", ["a", "b", "a", "b"], [1.0, 0.5, 0.0, 0.5])
HALF = run("s2", ["a", "a", "a", "a"], [0.0, 0.5, 0.0, 0.1])
OTHER = run("s3", ["a", "b", "a", "a"], [0.2, 0.2, 0.2, 0.2])


def test_the_mean_of_trainings_is_the_mean_of_their_figures() -> None:
    both = mean_of([WHOLE, HALF], "recipe")
    assert both.system.name == "recipe"
    assert both.measures["label_accuracy"].value() == pytest.approx(0.75)
    assert both.measures["rougeL"].value() == pytest.approx((0.5 + 0.15) / 2)
    assert both.measures["label_macro_f1"].value() == pytest.approx((1.0 + 1 / 3) / 2)
    assert {n: m.value for n, m in both.system.results.metrics.items()} == pytest.approx(
        {"label_accuracy": 0.75, "label_macro_f1": 2 / 3, "rougeL": 0.325}
    )


def test_in_a_resample_too_it_is_the_mean_of_what_each_training_has_there() -> None:
    both = mean_of([WHOLE, HALF], "recipe")
    for name in ("label_accuracy", "label_macro_f1", "rougeL"):
        drawn = np.array([0, 0, 1, 3])
        separate = [m.measures[name] for m in (WHOLE, HALF)]
        values = [float(one.function(one.statistics[drawn].sum(axis=0))) for one in separate]
        measure = both.measures[name]
        assert float(measure.function(measure.statistics[drawn].sum(axis=0))) == pytest.approx(sum(values) / 2)


def test_one_training_stays_as_it_is() -> None:
    alone = mean_of([WHOLE], "recipe")
    assert alone.measures == WHOLE.measures
    assert alone.measures["label_accuracy"].kind == "binary"
    assert mean_of([WHOLE, HALF], "recipe").measures["label_accuracy"].kind == "score"


def test_a_metric_that_a_training_lacks_is_left_out_with_the_reason() -> None:
    lacking = Measured(HALF.system, {"rougeL": HALF.measures["rougeL"]}, {"label_accuracy": "no labels"})
    both = mean_of([WHOLE, lacking], "recipe")
    assert list(both.measures) == ["rougeL"]
    assert both.left_out == {
        "label_accuracy": "no labels",
        "label_macro_f1": "some of its seeds have no figure of it",
    }


def test_means_are_compared_in_pairs_and_mcnemar_wants_single_trainings() -> None:
    bootstrap = GroupBootstrap(["0", "1", "2", "3"], resamples=200)
    pair, _ = compare_pair(mean_of([WHOLE, HALF], "x"), mean_of([OTHER, OTHER], "y"), bootstrap, SETTINGS)
    assert pair.metrics["label_accuracy"].difference == pytest.approx(0.75 - 0.75)
    assert pair.metrics["label_macro_f1"].difference == pytest.approx(2 / 3 - (0.8 + 2 / 3) / 2)
    assert pair.mcnemar is None
    effect = pair.metrics["label_accuracy"].effect
    assert effect is not None
    assert effect.name == "cohens_d_z"
    single, _ = compare_pair(WHOLE, OTHER, bootstrap, SETTINGS)
    assert single.mcnemar is not None
    assert single.mcnemar.system_only == 1


def test_half_an_interval_of_seeds_by_students_t() -> None:
    # Two values: t is tan(0.475 pi) = 12.7062 with one degree of freedom, and the mean's error half their distance.
    assert seed_margin([0.5, 0.7]) == pytest.approx(math.tan(0.475 * math.pi) * 0.1)
    # Three: t is 4.3027; 1, 2, 3 have the standard deviation 1.
    assert seed_margin([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert seed_margin([0.5]) is None
    assert seed_margin([0.5, 0.5]) == 0


def test_rows_and_seeds_add_as_squares() -> None:
    margin = seed_margin([1.0, 2.0, 3.0])
    assert margin is not None
    low, high = over_rows_and_seeds(2.0, (1.5, 2.2), [1.0, 2.0, 3.0]) or (0.0, 0.0)
    assert low == pytest.approx(2.0 - math.sqrt(0.5**2 + margin**2))
    assert high == pytest.approx(2.0 + math.sqrt(0.2**2 + margin**2))
    assert over_rows_and_seeds(2.0, (1.5, 2.2), [2.0, 2.0]) == (1.5, 2.2)  # seeds that agree add nothing
    assert over_rows_and_seeds(2.0, None, [1.0, 2.0]) is over_rows_and_seeds(2.0, (1.0, 3.0), [2.0]) is None


def test_the_interval_of_rows_and_seeds_covers_what_it_says() -> None:
    """Trainings with an effect of their own on rows with one of theirs: the true mean is in about 95% of intervals."""
    generator = np.random.default_rng(0)
    inside = 0
    trials = 400
    for _ in range(trials):
        rows = generator.normal(0.6, 0.2, size=200)
        seeds = [rows + effect for effect in generator.normal(0.0, 0.02, size=4)]
        values = [float(seed.mean()) for seed in seeds]
        mean = np.mean(seeds, axis=0)
        error = 1.96 * mean.std(ddof=1) / math.sqrt(len(mean))  # what a bootstrap of the rows comes to
        low, high = over_rows_and_seeds(float(mean.mean()), (mean.mean() - error, mean.mean() + error), values) or (
            0,
            0,
        )
        inside += low < 0.6 < high
    assert 0.93 < inside / trials < 0.995


def test_the_interval_of_rows_is_the_bootstraps() -> None:
    bootstrap = GroupBootstrap(["0", "1", "2", "3"], resamples=300, seed=1)
    both = mean_of([WHOLE, HALF], "x")
    assert row_interval(both, "rougeL", bootstrap) == bootstrap.mean_interval([0.5, 0.5, 0.0, 0.3])
