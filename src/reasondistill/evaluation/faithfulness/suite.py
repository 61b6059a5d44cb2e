"""All tests of faithfulness of one student, on samples of one part of a data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reasondistill.contracts.base import MetricValue
from reasondistill.contracts.faithfulness import FaithfulnessDetails
from reasondistill.contracts.records import Example, Prediction
from reasondistill.counted import with_note
from reasondistill.errors import ConfigError, UserError
from reasondistill.evaluation.budget import BUDGET_CUT, Budget, largest_that_fits
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Scores, left_out, sample
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject, ask
from reasondistill.evaluation.faithfulness.registered_tests import faithfulness_tests
from reasondistill.metrics.statistics import GroupBootstrap

if TYPE_CHECKING:
    from reasondistill.judges import Judge


@dataclass(frozen=True, init=False)
class FaithfulnessSettings:
    """Every test with its settings, by the names of ``results.faithfulness``.

    Args:
        tests: a test, or a mapping of its settings, for those that are not to be done with their defaults.

    Raises:
        ConfigError: there is no test of a name.
    """

    tests: Mapping[str, FaithfulnessTest]

    def __init__(self, **tests: FaithfulnessTest | Mapping[str, object]) -> None:
        kinds = {kind.name: kind for kind in faithfulness_tests()}
        if unknown := sorted(tests.keys() - kinds.keys()):
            raise ConfigError(
                "faithfulness", expected=f"some of the tests {', '.join(kinds)}", found=", ".join(unknown)
            )
        chosen = {name: kind.model_validate(tests.get(name, {})) for name, kind in kinds.items()}
        object.__setattr__(self, "tests", chosen)

    def limited(self, most: int) -> FaithfulnessSettings:
        """The same with at most ``most`` examples in each test."""
        return FaithfulnessSettings(
            **{
                name: test.model_copy(update={"examples": min(test.examples, most)})
                for name, test in self.tests.items()
            }
        )


@dataclass(frozen=True)
class SuiteOutcome:
    """What all tests give.

    Attributes:
        metrics: of all tests, by name.
        tests: the details of each, by its name.
        per_example: score name -> a value for each of the examples given.
    """

    metrics: dict[str, MetricValue] = field(default_factory=dict)
    tests: dict[str, FaithfulnessDetails] = field(default_factory=dict)
    per_example: dict[str, Scores] = field(default_factory=dict)


def measure_faithfulness(
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction] | None = None,
    *,
    settings: FaithfulnessSettings | None = None,
    judge: Judge | None = None,
    resamples: int = 1000,
    seed: int = 0,
    budget: float | None = None,
    progress: Progress = lambda stage: None,
    clock: Callable[[], float] = time.monotonic,
) -> SuiteOutcome:
    """Run every test that applies to a student, each on its sample of the examples.

    Args:
        subject: the student.
        examples: of its task (n,).
        answers: what it answers them (n,); without them it is asked about those that some test looks at.
        settings: of each test.
        judge: of the same task, not trained on any of the examples; without one, tests that need one are left out.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        budget: seconds for all tests; None has no end. Each test gets an equal share of what is left, and looks at
            fewer examples where it would take longer, at one if need be. What it leaves the next ones get.
        progress: see `Progress`.
        clock: tells seconds.

    Returns:
        All metrics, details and scores. A test's settings have the number of examples that it was done with;
        ``shortened`` says where the budget has cut it, ``left_out`` why it does not apply, or that no time was left.

    Raises:
        DataError: the judge is of another task, or was trained on some of the examples.
    """
    tests = (settings or FaithfulnessSettings()).tests
    if judge is not None:
        judge.refuse_task(subject.task)
        judge.refuse_seen(examples, subject.task)
    whole = Budget(budget, clock)
    tell = progress if budget is None else lambda stage: progress(with_note(stage, f"{whole.spoken_left} left"))
    most = min(len(examples), max(test.examples for test in tests.values()))
    given = answers
    if given is None:
        most, given = _answers(subject, examples, most, whole, tell)
    bootstrap = GroupBootstrap([e.cluster for e in examples], resamples=resamples, seed=seed)
    outcomes: dict[str, Outcome] = {}
    for turn, (name, test) in enumerate(tests.items()):

        def run(size: int, test: FaithfulnessTest = test) -> Outcome:
            limited = test if size == len(examples) else test.model_copy(update={"examples": size})
            return limited.run(subject, examples, given, bootstrap, judge=judge, progress=tell)

        outcomes[name] = _in_time(run, most, min(test.examples, len(examples)), whole, len(tests) - turn)
    return SuiteOutcome(
        metrics={name: metric for outcome in outcomes.values() for name, metric in outcome.metrics.items()},
        tests={name: outcome.details for name, outcome in outcomes.items()},
        per_example={name: scores for outcome in outcomes.values() for name, scores in outcome.per_example.items()},
    )


def _in_time(run: Callable[[int], Outcome], most: int, wanted: int, whole: Budget, tests_left: int) -> Outcome:
    """A test on as many examples as its share of the time allows, and no more than ``most``; best on ``wanted``."""
    if not whole.left:
        return left_out(f"{BUDGET_CUT} {whole} was used up")
    try:
        size, outcome = largest_that_fits(run, min(most, wanted), whole.share(1 / tests_left))
    except UserError as error:  # what this student cannot do is no reason to lose the other tests
        return left_out(str(error))
    if size == wanted:
        return outcome
    cut = f"{BUDGET_CUT} {whole} allowed {size:,} of {wanted:,} examples"
    if reason := outcome.details.left_out:
        return left_out(f"{reason} ({cut})")
    return replace(outcome, details=outcome.details.model_copy(update={"shortened": cut}))


def _answers(
    subject: Subject, examples: Sequence[Example], most: int, budget: Budget, progress: Progress
) -> tuple[int, list[Prediction]]:
    """How many examples were answered, and the answers; the other examples have none that anyone reads.

    These are the largest sample, in which all smaller ones lie, where a quarter of the time allows that many.
    """

    def answered(size: int) -> dict[int, Prediction]:
        places = sample(examples, size)
        return dict(zip(places, ask(subject.predict, [examples[k] for k in places], "answers", progress), strict=True))

    size, known = largest_that_fits(answered, most, budget.share(1 / 4))
    return size, [known.get(k) or Prediction(id=e.id, label=None) for k, e in enumerate(examples)]
