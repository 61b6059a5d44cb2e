"""A budget of time: samples that fit, what a slow student is not asked, and that it is said. No clock is a real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from known_students import Honest
from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.results import Results
from reasondistill.data.scenes import generate
from reasondistill.errors import TaskError
from reasondistill.evaluation.budget import BUDGET_CUT, Budget, largest_that_fits, spoken
from reasondistill.evaluation.efficiency import Efficiency, EfficiencySettings, measure
from reasondistill.evaluation.efficiency.engine_costs import UnknownCosts
from reasondistill.evaluation.efficiency.timing import timed_passes
from reasondistill.evaluation.faithfulness.suite import FaithfulnessSettings, measure_faithfulness
from reasondistill.reporting.sections.faithfulness import trust_section
from reasondistill.students.student import Student


class Clock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


# --- what fits ---


def test_what_is_left_and_shares_of_it() -> None:
    clock = Clock()
    budget = Budget(100, clock)
    clock.work(40)
    assert budget.left == 60
    share = budget.share(0.5)
    clock.work(10)
    assert (share.left, budget.left) == (20, 50)
    clock.work(1000)
    assert (share.left, budget.left) == (0, 0)
    assert Budget(None, clock).share(0.1).left == float("inf")
    assert [str(Budget(s)) for s in (40, 120, 100, None)] == ["40 s", "2 min", "1 min 40 s", "no limit"]
    assert spoken(59.7) == "1 min"


@pytest.mark.parametrize(
    ("fixed", "each", "seconds", "sizes"),
    [
        (0, 0.0, 10, [1, 500]),  # nothing takes time: all of it at once
        (0, 0.01, 10, [1, 500]),
        (0, 1.0, None, [500]),
        (0, 1.0, 0, [1]),
        (0, 100.0, 10, [1]),
        (0, 1.0, 100, [1, 4, 16, 63]),
        (30, 0.1, 100, [1, 2, 500]),  # what is loaded once is no cost of a row
        (0, 1.0, 10_000, [1, 500]),
    ],
)
def test_samples_grow_as_far_as_time_allows(fixed: float, each: float, seconds: float | None, sizes: list[int]) -> None:
    clock, tried = Clock(), []

    def work(size: int) -> str:
        tried.append(size)
        clock.work(fixed * (len(tried) == 1) + each * size)
        return f"of {size}"

    assert largest_that_fits(work, 500, Budget(seconds, clock)) == (sizes[-1], f"of {sizes[-1]}")
    assert tried == sizes


@given(each=st.floats(0, 100), fixed=st.floats(0, 20), most=st.integers(1, 1000), seconds=st.floats(0, 1000))
def test_it_ends_in_time_but_for_one_example(each: float, fixed: float, most: int, seconds: float) -> None:
    clock, sizes = Clock(), []
    budget = Budget(seconds, clock)

    def work(size: int) -> None:
        sizes.append(size)
        clock.work(fixed + each * size)

    size, _ = largest_that_fits(work, most, budget)
    assert sizes[0] == 1
    assert sizes == sorted(set(sizes))
    assert 1 <= size == sizes[-1] <= most
    assert clock.now - 100 <= max(seconds, fixed + each) + 1e-6


# --- tests of faithfulness ---


class Slow(Honest):
    """Takes seconds for each example that it is asked about, by a clock of its own."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.clock = seconds, Clock()

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        self.clock.work(self.seconds * len(examples))
        return super().predict(examples)

    def probabilities(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        self.clock.work(self.seconds * len(examples))
        return super().probabilities(examples)

    def explain_for(self, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
        self.clock.work(self.seconds * len(examples))
        return super().explain_for(examples, labels)

    def explanation_scores(self, examples: Sequence[Example], *rest: Any) -> list[float]:
        self.clock.work(self.seconds * len(examples))
        return super().explanation_scores(examples, *rest)


ROWS = generate(30, seed=9)
FEW = FaithfulnessSettings().limited(12)


def faithful(subject: Slow, budget: float | None, answers: Sequence[Prediction] | None) -> Any:
    return measure_faithfulness(subject, ROWS, answers, settings=FEW, resamples=20, budget=budget, clock=subject.clock)


@pytest.fixture(scope="module")
def answers() -> list[Prediction]:
    return Honest().predict(ROWS)


def test_with_time_enough_everything_is_as_without_a_budget(answers: list[Prediction]) -> None:
    free, generous = faithful(Slow(0.001), None, answers), faithful(Slow(0.001), 10_000, answers)
    assert free.tests == generous.tests
    assert (free.metrics, free.per_example) == (generous.metrics, generous.per_example)


def test_a_slow_student_is_tested_on_fewer_examples_and_that_is_said(answers: list[Prediction]) -> None:
    slow = Slow(1.0)
    found = faithful(slow, 300, answers)
    cut = {name: test for name, test in found.tests.items() if test.shortened}
    assert cut
    for name, test in cut.items():
        n = test.settings["examples"]
        assert test.examples <= n < 12, name
        assert test.shortened == f"{BUDGET_CUT} 5 min allowed {n} of 12 examples"
    # Half as long again as the budget, at most: the one example that each test is done with whatever it takes.
    assert slow.clock.now - 100 < 450
    results = Results(
        dataset=DatasetInfo(name="scenes", fingerprint="x", n=30), settings={}, metrics=found.metrics,
        faithfulness=found.tests,
    )  # fmt: skip
    (facts,) = [block for block in trust_section(results, "") if getattr(block, "title", "") == "Tests cut short"]
    assert len(facts.items) == len(cut)  # type: ignore[union-attr]
    repeated = faithful(Slow(1.0), 300, answers)
    assert repeated.tests == found.tests


def test_without_time_the_other_tests_are_left_out_with_the_reason(answers: list[Prediction]) -> None:
    found = faithful(Slow(500.0), 300, answers)
    reasons = [test.left_out for test in found.tests.values() if test.left_out]
    assert any(reason == f"{BUDGET_CUT} 5 min was used up" for reason in reasons)


def test_answers_that_are_not_given_keep_to_the_budget_too() -> None:
    slow = Slow(10.0)
    found = faithful(slow, 200, None)
    assert slow.clock.now - 100 < 1500
    looked_at = [test.settings["examples"] for test in found.tests.values() if test.settings]
    assert looked_at
    assert max(looked_at) <= 4


def test_what_a_student_cannot_do_is_still_told(answers: list[Prediction]) -> None:
    class Unable(Slow):
        def explain_for(self, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
            raise TaskError("explain_for", expected="the order label_first", found="another")

    found = faithful(Unable(0.001), 300, answers)
    assert "label_first" in found.tests["label_conditioned"].left_out


# --- costs ---


def test_the_first_pass_ends_when_its_time_is_used_up() -> None:
    clock, asked = Clock(), []

    def work(item: int) -> None:
        asked.append(item)
        clock.work(item)

    passes = timed_passes(work, [1, 2, 3, 4], 3, clock=clock, most=3)
    assert asked == [1, 2] * 3
    assert [one.seconds for one in passes] == [(1, 2)] * 3
    assert [len(one.seconds) for one in timed_passes(work, [1, 2], 3, clock=clock)] == [2, 2, 2]


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Efficiency]:
    """Measures a student that takes so many seconds an answer, a third of that for a label alone, by a clock."""

    class Engine:
        def __init__(self, clock: Clock, seconds: float) -> None:
            self.clock, self.seconds = clock, seconds

        def score(self, prompts: Sequence[str], targets: Sequence[Sequence[Any]], of: str = "label") -> Any:
            self.clock.work(self.seconds / 3 * len(prompts))
            return [[0.0] * len(choices) for choices in targets]

        def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Any) -> Any:
            from reasondistill.students.engines import Generated

            self.clock.work(self.seconds * 2 / 3 * len(prompts))
            return [Generated("so it is", False) for _ in prompts]

    class Costs(UnknownCosts):
        def __init__(self, engine: Any) -> None:
            super().__init__(engine)
            self.engine = engine

        def limited(self, max_rows: int) -> Any:
            return self.engine

        def count_flops(self, work: Any) -> Any:
            return work(), 10

    def memory(*_: Any, **__: Any) -> None:
        done.append("memory")

    done: list[str] = []
    monkeypatch.setattr("reasondistill.evaluation.efficiency.measuring.measure_memory", memory)
    monkeypatch.setattr("reasondistill.evaluation.efficiency.measuring.costs_of", Costs)
    plain = Student.load("builtin:scenes", calibrated=False)

    def call(seconds: float, budget: float | None, stages: list[str] | None = None) -> Efficiency:
        clock = Clock()
        student = replace(plain, engine=Engine(clock, seconds))
        done.clear()
        found = measure(
            "builtin:scenes", generate(120, seed=2), EfficiencySettings(batch_sizes=(1, 4, 16)), loaded=student,
            budget=budget, clock=clock, progress=(stages if stages is not None else []).append,
        )  # fmt: skip
        call.took = clock.now - 100  # type: ignore[attr-defined]
        call.done = list(done)  # type: ignore[attr-defined]
        return found

    return call


def test_a_quick_student_is_measured_whole(costs: Any) -> None:
    stages: list[str] = []
    quick, free = costs(0.01, 120.0, stages), costs(0.01, None)
    assert quick.settings == free.settings == EfficiencySettings(batch_sizes=(1, 4, 16))
    assert quick.latency_ms == free.latency_ms
    assert quick.throughput == free.throughput
    assert not any(BUDGET_CUT in why for why in quick.not_measured.values())
    assert stages[0] == "latency, 2 min of 2 min left"
    assert len(stages) == 5


def test_a_slow_student_is_asked_less_and_the_file_says_so(costs: Any, tmp_path: Path) -> None:
    found = costs(2.0, 120.0)
    n = found.settings.examples
    assert 1 <= n < 100
    assert found.latency_ms.n == 3 * n
    assert found.not_measured["examples"] == f"{BUDGET_CUT} 2 min: {n} of 100 were answered"
    assert found.throughput.tried[0].max_rows == 1
    assert costs.took <= 120
    found.save(tmp_path / "costs.json")
    assert Efficiency.load(tmp_path / "costs.json") == found


def test_the_slowest_student_is_timed_on_one_example(costs: Any) -> None:
    found = costs(600.0, 120.0)
    assert (found.settings.examples, found.latency_ms.n) == (1, 3)
    assert found.latency_ms.p50 == pytest.approx(600_000)
    for figure in ("latency_ms.label_only_p50", "flops_per_example", "memory"):
        assert found.not_measured[figure] == f"{BUDGET_CUT} 2 min did not allow it"
    assert costs.done == []
    assert costs.took < 600 * 5


def test_without_a_budget_nothing_is_left_out(costs: Any) -> None:
    found = costs(600.0, None)
    assert found.settings.examples == 100
    assert [one.max_rows for one in found.throughput.tried] == [1, 4, 16]
    assert costs.done == ["memory"]
