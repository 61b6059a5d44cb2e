"""Trade-offs: Pareto fronts, shares above a zero point, degradation, costs that can be compared, and mistakes."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costed import HARDWARE, MEASURED, change, efficiency, three_sizes
from make import mistake
from reasondistill.comparison import Comparison, ComparisonSettings, compare, load_systems
from reasondistill.comparison.degradation import answer, curve, losses, zero_points
from reasondistill.comparison.pareto import dominates, on_front
from reasondistill.comparison.resampled import Draws, Panel
from reasondistill.comparison.system_costs import costs_of, unlike_costs
from reasondistill.comparison.systems import System, load_system
from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.efficiency import Efficiency
from reasondistill.contracts.results import Confusion, Results
from reasondistill.contracts.tradeoffs import Front, Loss, Tradeoffs, Verdict
from reasondistill.data.scenes import generate
from reasondistill.errors import DataError
from reasondistill.metrics.statistics import GroupBootstrap, percentile_interval

QUICK = ComparisonSettings(resamples=200, swaps=99)
FEW = ("label_accuracy", "rougeL", "brier")


# --- Pareto fronts ---


def test_a_front_worked_by_hand() -> None:
    """Of qualities 0.9, 0.8, 0.7, 0.8 at costs 10, 5, 7, 6 the second beats the third and the fourth."""
    quality, cost = np.array([0.9, 0.8, 0.7, 0.8]), np.array([10.0, 5.0, 7.0, 6.0])
    assert on_front(quality, cost).tolist() == [True, True, False, False]
    assert np.argwhere(dominates(quality, cost)).tolist() == [[1, 2], [1, 3], [3, 2]]


def test_equal_systems_do_not_beat_each_other_and_one_without_a_figure_stays() -> None:
    assert on_front(np.array([0.8, 0.8, 0.5]), np.array([1.0, 1.0, 1.0])).tolist() == [True, True, False]
    assert on_front(np.array([0.8, math.nan]), np.array([1.0, 5.0])).tolist() == [True, True]


def test_fronts_of_many_resamples_are_those_of_each() -> None:
    quality, cost = np.random.default_rng(0).random((50, 5)), np.arange(5.0)
    assert on_front(quality, cost).tolist() == [on_front(row, cost).tolist() for row in quality]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=9))
def test_nothing_on_a_front_is_beaten_and_all_else_is(points: list[tuple[int, int]]) -> None:
    quality, cost = (np.array(values, dtype=float) for values in zip(*points, strict=True))
    front = on_front(quality, cost)

    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one[0] >= other[0] and one[1] <= other[1] and one != other

    kept = [point for point, stays in zip(points, front, strict=True) if stays]
    assert kept
    for point, stays in zip(points, front, strict=True):
        assert any(beats(other, point) for other in points) != stays
        assert stays or any(beats(other, point) for other in kept)


# --- shares above a zero point ---


def draws(value: float, *resampled: float) -> Draws:
    return Draws(value, np.array(resampled))


def test_a_share_is_counted_above_its_zero_point() -> None:
    """From 0.4, 0.6 is two fifths of 0.9; where the whole does not reach 0.4 there is no share."""
    share = draws(0.6, 0.5, 0.7, 0.6).share_of(draws(0.9, 0.8, 1.0, 0.3), 0.4)
    assert share.value == pytest.approx(0.4)
    assert share.resampled.tolist() == pytest.approx([0.25, 0.5, math.nan], nan_ok=True)
    assert share.estimate().ci95 == pytest.approx((0.25625, 0.49375))


def test_only_what_is_shown_to_lie_above_a_zero_point_does() -> None:
    assert draws(0.5, 0.45, 0.55).above(0.4)
    assert not draws(0.5, 0.35, 0.55).above(0.4)
    assert not draws(0.4, 0.45, 0.55).above(0.4)
    assert draws(0.5).above(0.4)  # one group: there is only the figure


def made_results(**blocks: Any) -> Results:
    dataset = DatasetInfo(name="x", fingerprint="f", n=1)
    return Results(dataset=dataset, settings={}, metrics={}, **blocks)


def test_zero_points_are_nothing_chance_and_the_strongest_baseline() -> None:
    results = made_results(
        confusion=Confusion(labels=["a", "b", "c", "d", "(no label)"], counts=[]),
        baselines={
            "majority_label": {"label_accuracy": 0.4},
            "copied_hypothesis": {"rougeL": 0.3},
            "template": {"rougeL": 0.35},
            "references": {"rougeL": 0.9},
            "student_fewer_references": {"rougeL": 0.8},
        },
        controls={"shuffled_within_label": {"rougeL": 0.2}, "other_label": {"rougeL": 0.25}},
    )
    assert zero_points("label_accuracy", results) == {"nothing": 0, "chance": 0.25, "baseline": 0.4}
    assert zero_points("rougeL", results) == {"nothing": 0, "chance": 0.2, "baseline": 0.35}
    assert zero_points("support", results) == {"nothing": 0}
    weak = results.model_copy(update={"baselines": {"majority_label": {"label_accuracy": 0.2}}})
    assert zero_points("label_accuracy", weak)["baseline"] == 0.25  # guessing is open to everyone


LABELS_PANEL = {"big": draws(0.9, 0.88, 0.92), "tiny": draws(0.8, 0.79, 0.81)}
ROUGE_PANEL = {"big": draws(0.5, 0.5, 0.5), "tiny": draws(0.45, 0.44, 0.46)}


def lost(rouge_baseline: float = 0.3) -> Loss:
    panels = [Panel("label_accuracy", None, 10, LABELS_PANEL), Panel("rougeL", None, 10, ROUGE_PANEL)]
    (loss,) = losses(
        panels, "big", ["tiny"], {"label_accuracy": {"baseline": 0.4}, "rougeL": {"baseline": rouge_baseline}}
    )
    return loss


def test_losses_worked_by_hand() -> None:
    """Labels keep 0.4 of 0.5 above their baseline, explanations 0.15 of 0.2: they lose 0.2 and 0.25."""
    loss = lost()
    assert (loss.system, loss.metric, loss.zero) == ("tiny", "rougeL", "baseline")
    assert loss.label_loss is not None
    assert loss.explanation_loss is not None
    assert loss.difference is not None
    assert loss.label_loss.value == pytest.approx(0.2)
    assert loss.explanation_loss.value == pytest.approx(0.25)
    assert loss.difference.value == pytest.approx(-0.05)
    resampled = [1 - 0.39 / 0.48 - (1 - 0.14 / 0.2), 1 - 0.41 / 0.52 - (1 - 0.16 / 0.2)]
    assert loss.difference.ci95 == pytest.approx(percentile_interval(np.array(resampled)))
    assert loss.verdict == "untold"  # below 0 in the first resample, above it in the second


def test_who_is_not_above_the_baseline_has_no_share_to_lose() -> None:
    loss = lost(rouge_baseline=0.5)
    assert (loss.verdict, loss.difference) == ("undefined", None)
    assert loss.reason.startswith("rougeL: big has 0.500")
    assert lost(rouge_baseline=0.0).verdict == "more"  # of a figure of 0, a tenth is lost of it, and a fifth of labels
    whole = curve(Panel("rougeL", None, 10, ROUGE_PANEL), "big", {"nothing": 0.0, "baseline": 0.5}, SIZES)
    assert list(whole.undefined) == ["baseline"]
    assert [(p.system, list(p.kept)) for p in whole.points] == [("big", ["nothing"]), ("tiny", ["nothing"])]
    assert whole.points[1].kept["nothing"].value == pytest.approx(0.9)


SIZES = {"tiny": (1e6, 8.0), "big": (8e6, 1.0)}


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        (["more", "untold"], "more"),
        (["less", "undefined"], "less"),
        (["more", "less"], "mixed"),
        (["untold", "undefined"], "untold"),
        (["undefined"], "undefined"),
    ],
)
def test_metrics_that_tell_nothing_do_not_count(verdicts: list[Verdict], together: str) -> None:
    assert answer(verdicts) == together


# --- three systems ---


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sizes")
    three_sizes(folder, generate(90))
    return folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "results"))


def systems(folder: Path) -> list[System]:
    return load_systems([folder / name for name in ("small", "large", "middle")])


def weigh(folder: Path, base: str | None = None, metrics: tuple[str, ...] = FEW) -> Tradeoffs:
    found = compare(systems(folder), base=base, metrics=metrics, settings=QUICK).tradeoffs
    assert found is not None
    return found


@pytest.fixture(scope="module")
def weighed(made: Path) -> Tradeoffs:
    return weigh(made)


def test_compression_is_counted_from_the_largest(weighed: Tradeoffs) -> None:
    assert (weighed.base.name, weighed.base.parameters, weighed.base.compared) == ("large", 80e6, True)
    assert (weighed.reference, weighed.smallest) == ("large", "small")
    compression = {system.name: system.compression for system in weighed.systems}
    assert compression == {"small": pytest.approx(80 / 6), "large": 1, "middle": pytest.approx(80 / 24)}
    assert weighed.systems[0].costs == {
        "parameters": 6e6, "checkpoint_bytes": 24e6, "rest_memory_bytes": 24e6, "peak_memory_bytes": 336e6,
        "latency_ms_p50": 12, "examples_per_second": 250, "flops_per_example": 1.8e9,
    }  # fmt: skip


def front(found: Tradeoffs, quality: str, cost: str) -> Front:
    return next(one for one in found.fronts if (one.quality, one.cost) == (quality, cost))


def test_fronts_know_which_way_is_better(results: Path) -> None:
    """The middle one is made as dear as the large one, which is better: it is off that front alone."""
    change(results / "middle", efficiency=efficiency(24_000_000, 95.0))
    found = weigh(results)
    for cost in ("latency_ms_p50", "examples_per_second"):
        slow = front(found, "rougeL", cost)
        assert slow.systems == ["small", "large"]
        assert slow.dominated == {"middle": "large"}
    assert front(found, "rougeL", "parameters").systems == ["small", "middle", "large"]
    assert front(found, "brier", "parameters").systems[-1] == "large"  # lower is better
    shares = front(found, "rougeL", "latency_ms_p50").share
    assert shares is not None
    assert shares["small"] == shares["large"] == 1
    assert shares["middle"] < 0.05


def test_a_loss_and_its_interval_are_those_of_the_rows(weighed: Tradeoffs, made: Path) -> None:
    """The same groups are drawn for both systems and both metrics."""
    by_name = {system.name: system for system in systems(made)}
    scores: tuple[Callable[[Any], Any], ...] = (lambda row: row.correct, lambda row: row.model_extra["rougeL"])
    columns = [[float(score(row)) for row in by_name[name].rows] for name in ("large", "small") for score in scores]
    rows = np.column_stack([*columns, np.ones(len(columns[0]))])
    sums = GroupBootstrap([row.group_key for row in by_name["small"].rows], resamples=200).sums(rows)
    zeros = {m: zero_points(m, by_name["large"].results)["baseline"] for m in ("label_accuracy", "rougeL")}

    def difference(total: Any) -> Any:
        big_label, big_rouge, label, rouge = (total[..., k] / total[..., 4] for k in range(4))
        return (big_label - label) / (big_label - zeros["label_accuracy"]) - (big_rouge - rouge) / (
            big_rouge - zeros["rougeL"]
        )

    found = next(one for one in weighed.losses if (one.system, one.metric, one.zero) == ("small", "rougeL", "baseline"))
    assert found.difference is not None
    assert found.difference.value == pytest.approx(difference(rows.sum(axis=0)))
    assert found.difference.ci95 == pytest.approx(percentile_interval(difference(sums)))
    assert found.verdict == "less"
    assert weighed.answers == {"nothing": "less", "chance": "less", "baseline": "less"}


def test_curves_run_from_large_to_small_overall_and_by_label(weighed: Tradeoffs) -> None:
    assert {(c.metric, c.label) for c in weighed.curves} == {
        (metric, label)
        for metric in ("label_accuracy", "rougeL")
        for label in (None, "entailment", "neutral", "contradiction")
    }
    for one in weighed.curves:
        assert [point.system for point in one.points] == ["large", "middle", "small"]
        assert one.points[0].kept["nothing"].value == 1
        assert one.points[0].kept["nothing"].ci95 == pytest.approx((1, 1))
        assert one.label is None or list(one.zeros) == ["nothing"]
    overall = next(c for c in weighed.curves if c.metric == "rougeL" and c.label is None)
    by_label = [c for c in weighed.curves if c.metric == "rougeL" and c.label is not None]
    assert sum(c.n for c in by_label) == overall.n
    assert sum(c.n * c.points[2].quality.value for c in by_label) == pytest.approx(
        overall.n * overall.points[2].quality.value
    )


def test_a_base_may_be_named_or_have_no_results(made: Path) -> None:
    named = weigh(made, "middle")
    assert (named.reference, named.base.compared, named.smallest) == ("middle", True, "small")
    assert {s.name: s.compression for s in named.systems}["large"] == pytest.approx(0.3)
    assert {loss.system for loss in named.losses} == {"small"}
    outside = weigh(made, "a teacher=1.2e9")
    assert (outside.base.name, outside.base.parameters, outside.base.compared) == ("a teacher", 1.2e9, False)
    assert (outside.reference, outside.systems[0].compression) == ("large", 200)
    smallest = weigh(made, "small")
    assert (smallest.smallest, smallest.losses) == (None, [])
    assert "No system has fewer parameters than small" in smallest.notes[0]


def test_bases_that_are_none(results: Path) -> None:
    mistake(lambda: weigh(results, "huge"), "--base", "'huge'", "NAME=PARAMETERS", "small, large, middle")
    for number in ("many", "0", "-5", "nan", "inf", ""):
        mistake(partial(weigh, results, f"huge={number}"), "--base", "number of parameters", number)
    mistake(lambda: weigh(results, "=5"), "'=5'")
    mistake(lambda: weigh(results, "large=5"), "large has parameters of its own")
    change(results / "large", efficiency={})
    mistake(lambda: weigh(results, "large"), "not measured", "large=NUMBER")
    change(results / "middle", efficiency={})
    mistake(lambda: weigh(results, "huge=5"), "at least two systems", "found it in those of 1")


def test_systems_without_costs_are_named_and_in_nothing(results: Path) -> None:
    change(results / "large", efficiency={})
    found = weigh(results)
    assert found.reference == "middle"
    assert "not measured" in found.left_out["large"]
    assert {s.name: (s.compression, s.costs) for s in found.systems}["large"] == (None, {})
    assert all(point.system != "large" for one in found.curves for point in one.points)
    assert all("large" not in one.systems for one in found.fronts)
    change(results / "middle", efficiency={})
    one = compare(systems(results), metrics=FEW, settings=QUICK)
    assert one.tradeoffs is None
    assert "Trade-offs need the costs of two systems; without them: large, middle." in one.notes
    change(results / "small", efficiency={})
    none = compare(systems(results), metrics=FEW, settings=QUICK)
    assert (none.tradeoffs, [note for note in none.notes if "costs" in note]) == (None, [])


def test_costs_may_lie_in_a_file_beside_the_results_or_in_the_run(results: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(results / "small", run / "results" / "test")
    (run / "run.json").write_text('{"schema_version": 1, "name": "small", "status": "finished"}', encoding="utf-8")
    change(run / "results" / "test", efficiency={})
    (run / "efficiency.json").write_text(json.dumps(efficiency(5_000_000, 12.0)), encoding="utf-8")
    change(results / "middle", efficiency={})
    (results / "middle" / "efficiency.json").write_text(json.dumps(efficiency(7_000_000, 35.0)), encoding="utf-8")
    (results / "large" / "efficiency.json").write_text(json.dumps(efficiency(9, 1.0)), encoding="utf-8")
    loaded = load_systems([run, results / "middle", results / "large"])
    assert [costs_of(system)["parameters"] for system in loaded] == [5e6, 7e6, 80e6]  # the results' own count first


def test_costs_of_another_student_are_refused(results: Path) -> None:
    place = results / "small"
    written = json.loads((place / "results.json").read_text(encoding="utf-8"))
    change(place, efficiency={}, settings={**written["settings"], "student": "0123456789abcdef"})
    for student, fits in (("0123456789abcdef", True), ("fedcba9876543210", False)):
        costs = efficiency(5_000_000, 12.0, measured={**MEASURED, "student": student})
        (place / "efficiency.json").write_text(json.dumps(costs), encoding="utf-8")
        if fits:
            assert load_system(place).results.efficiency == Efficiency.model_validate(costs)
        else:
            with pytest.raises(DataError, match=r"costs of the student.*0123456789abcdef.*fedcba9876543210"):
                load_system(place)


# --- costs ---


def block(**changed: Any) -> System:
    results = made_results(efficiency={**efficiency(1_000_000, 10.0), **changed})
    return System("one", Path("one"), results, ())


def test_costs_that_were_not_measured_are_left_out() -> None:
    few = costs_of(block(parameters=None, memory=None, flops_per_example=None))
    assert list(few) == ["checkpoint_bytes", "latency_ms_p50", "examples_per_second"]
    assert costs_of(block(energy_joules_per_example=0.25))["joules_per_example"] == 0.25


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"checkpoint_bytes": "many"}, "efficiency.checkpoint_bytes"),
        ({"throughput": []}, "efficiency.throughput"),
        ({"energy_joules_per_example": -1}, "efficiency.energy_joules_per_example"),
        ({"latency_ms": {"p50": math.nan}}, "efficiency.latency_ms.p50"),
    ],
)
def test_costs_that_are_no_numbers_are_refused(results: Path, changed: dict[str, Any], named: str) -> None:
    change(results / "small", efficiency=efficiency(6_000_000, 12.0, **changed))
    mistake(lambda: load_system(results / "small"), "results.json", named)


@pytest.mark.parametrize(
    ("changed", "unlike"),
    [
        ({}, set()),
        ({"hardware": {**HARDWARE, "threads": 2}}, {"latency_ms_p50", "examples_per_second", "peak_memory_bytes"}),
        ({"measured": {**MEASURED, "device": "cuda"}}, {"latency_ms_p50", "rest_memory_bytes"}),
        ({"measured": {**MEASURED, "precision": "int8"}}, set()),  # a property of the system, not of the measuring
        ({"settings": {"examples": 50, "repeats": 3}}, {"latency_ms_p50", "flops_per_example"}),
        ({"settings": {"examples": 100, "repeats": 5}}, {"latency_ms_p50"}),
        ({"dataset": {"name": "scenes", "fingerprint": "other", "n": 100}}, {"flops_per_example", "latency_ms_p50"}),
    ],
)
def test_costs_measured_in_other_ways_are_not_compared(changed: dict[str, Any], unlike: set[str]) -> None:
    found = unlike_costs([block(), block(), block(**changed)])
    assert unlike <= set(found)
    assert bool(unlike) == bool(found)
    assert not {"parameters", "checkpoint_bytes"} & set(found)
    assert all("different conditions" in reason for reason in found.values())
    if "hardware" in changed:
        assert "flops_per_example" not in found
        assert "hardware.threads is 1 for one, 2 for one" in found["latency_ms_p50"]


def test_unlike_costs_have_no_front_and_a_busy_machine_is_said(results: Path) -> None:
    other = efficiency(6_000_000, 12.0, hardware={**HARDWARE, "cpu": "another"}, load_average=1.9)
    change(results / "small", efficiency={**other, "versions": {"torch": "2.0"}})
    found = weigh(results)
    assert "hardware.cpu is another for small, a processor for large" in found.costs_left_out["latency_ms_p50"]
    assert {one.cost for one in found.fronts} == {"parameters", "checkpoint_bytes", "flops_per_example"}
    assert found.systems[0].costs["latency_ms_p50"] == 12  # still told
    assert any("not idle" in note and "small (1.9)" in note for note in found.notes)
    assert any("versions.torch" in note for note in found.notes)


def test_a_cost_that_one_lacks_is_weighed_among_the_others(results: Path) -> None:
    change(results / "middle", efficiency={**efficiency(24_000_000, 35.0), "flops_per_example": None})
    found = front(weigh(results), "rougeL", "flops_per_example")
    assert (found.systems, found.without) == (["small", "large"], ["middle"])


def test_metrics_measured_otherwise_leave_their_curve(results: Path) -> None:
    value = json.loads((results / "middle" / "results.json").read_text(encoding="utf-8"))
    change(results / "middle", settings={**value["settings"], "aggregate": "mean"})
    found = weigh(results)
    assert list(found.metrics_left_out) == ["middle: rougeL"]
    assert "measured with different settings" in found.metrics_left_out["middle: rougeL"]
    whole = next(c for c in found.curves if c.metric == "rougeL" and c.label is None)
    assert [point.system for point in whole.points] == ["large", "small"]


def test_systems_of_one_size_are_said_to_be(results: Path) -> None:
    change(results / "middle", efficiency=efficiency(80_000_000, 35.0))
    found = weigh(results)
    assert "large, middle have the same number of parameters: what sets them apart is not size." in found.notes
    assert {loss.system for loss in found.losses} == {"small"}


def test_one_group_gives_figures_without_intervals(results: Path) -> None:
    for name in ("small", "large", "middle"):
        path = results / name / "per_example.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        path.write_text("".join(json.dumps({**row, "group": "one"}) + "\n" for row in rows), encoding="utf-8")
    found = weigh(results, metrics=(*FEW, "bleu", "label_macro_f1"))
    assert all(point.quality.ci95 is None for one in found.curves for point in one.points)
    assert {loss.verdict for loss in found.losses} == {"untold"}
    assert all(one.share is None for one in found.fronts)


def test_a_comparison_from_before_trade_offs_still_opens(made: Path, tmp_path: Path) -> None:
    found = compare(systems(made), metrics=FEW, settings=QUICK)
    found.save(tmp_path / "new.json")
    assert Comparison.load(tmp_path / "new.json") == found
    old = json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))
    del old["tradeoffs"]
    (tmp_path / "old.json").write_text(json.dumps(old), encoding="utf-8")
    assert Comparison.load(tmp_path / "old.json") == found.model_copy(update={"tradeoffs": None})
