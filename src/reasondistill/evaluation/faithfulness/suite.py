"""All tests of faithfulness of one student, on samples of one part of a data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

from reasondistill.contracts.records import Example, Prediction
from reasondistill.errors import UserError
from reasondistill.evaluation.budget import BUDGET_CUT, Budget, largest_that_fits
from reasondistill.evaluation.faithfulness.arguing import ArguingSettings, label_consistency
from reasondistill.evaluation.faithfulness.conditioned import ConditionedSettings, label_conditioned
from reasondistill.evaluation.faithfulness.importance import ImportanceSettings, importance_agreement
from reasondistill.evaluation.faithfulness.inconsistency import InconsistencySettings, contradicting_explanations
from reasondistill.evaluation.faithfulness.insertion import InsertionSettings, counterfactual_insertion
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject, ask
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out, sample
from reasondistill.evaluation.faithfulness.reconstruction import ReconstructionSettings, input_reconstruction
from reasondistill.evaluation.faithfulness.robustness import RobustnessSettings, robustness
from reasondistill.evaluation.faithfulness.simulatability import SimulatabilitySettings, simulatability
from reasondistill.metrics.statistics import GroupBootstrap

if TYPE_CHECKING:
    from reasondistill.judges import Judge


class FaithfulnessSettings(BaseModel):
    """How each test is done; the names are those of ``results.faithfulness``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label_consistency: ArguingSettings = ArguingSettings()
    simulatability: SimulatabilitySettings = SimulatabilitySettings()
    label_conditioned: ConditionedSettings = ConditionedSettings()
    robustness: RobustnessSettings = RobustnessSettings()
    importance: ImportanceSettings = ImportanceSettings()
    insertion: InsertionSettings = InsertionSettings()
    reconstruction: ReconstructionSettings = ReconstructionSettings()
    inconsistency: InconsistencySettings = InconsistencySettings()

    def limited(self, most: int) -> Self:
        """The same with at most ``most`` examples in each test."""
        parts = {name: getattr(self, name) for name in type(self).model_fields}
        return self.model_copy(
            update={name: p.model_copy(update={"examples": min(p.examples, most)}) for name, p in parts.items()}
        )


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
) -> Outcome:
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
        All metrics and scores, and as details those of each test under its name: ``metrics``, the names of those that
        it gave, its ``settings``, with the number of examples that it was done with, ``shortened`` where the budget
        has cut that number, and ``left_out`` instead where it does not apply or no time was left.

    Raises:
        DataError: the judge is of another task, or was trained on some of the examples.
    """
    settings = settings or FaithfulnessSettings()
    if judge is not None:
        judge.refuse_task(subject.task)
        judge.refuse_seen(examples, subject.task)
    time_for_all, whole = Budget(budget, clock), settings
    tell = progress if budget is None else lambda stage: progress(f"{stage}, {time_for_all.spoken_left} left")
    if answers is None:
        settings, answers = _answers(subject, examples, settings, time_for_all, tell)
    bootstrap = GroupBootstrap([e.cluster for e in examples], resamples=resamples, seed=seed)
    tests: dict[str, Callable[..., Outcome]] = {
        "label_consistency": partial(label_consistency, judge=judge),
        "simulatability": simulatability,
        "label_conditioned": partial(label_conditioned, judge=judge),
        "robustness": robustness,
        "importance": importance_agreement,
        "insertion": counterfactual_insertion,
        "reconstruction": input_reconstruction,
        "inconsistency": contradicting_explanations,
    }
    found: dict[str, Outcome] = {}
    for turn, (name, test) in enumerate(tests.items()):
        if not time_for_all.left:
            found[name] = left_out(f"{BUDGET_CUT} {time_for_all} was used up")
            continue
        share = time_for_all.share(1 / (len(tests) - turn))
        run = partial(_limited, test, subject, examples, answers, getattr(settings, name), bootstrap, tell)
        try:
            asked, wanted = (getattr(one, name).examples for one in (settings, whole))
            found[name] = _in_time(run, asked, min(wanted, len(examples)), share, time_for_all)
        except UserError as error:  # what this student cannot do is no reason to lose the other tests
            found[name] = left_out(str(error))
    return Outcome(
        metrics={name: metric for one in found.values() for name, metric in one.metrics.items()},
        details={name: one.details | {"metrics": list(one.metrics)} for name, one in found.items()},
        per_example={name: scores for one in found.values() for name, scores in one.per_example.items()},
    )


def _limited(
    test: Callable[..., Outcome],
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    settings: BaseModel,
    bootstrap: GroupBootstrap,
    progress: Progress,
    most: int,
) -> Outcome:
    return test(subject, examples, answers, settings.model_copy(update={"examples": most}), bootstrap, progress)


def _in_time(run: Callable[[int], Outcome], asked: int, wanted: int, share: Budget, whole: Budget) -> Outcome:
    """A test on as many examples as its share of the time allows, and no more than ``asked``; best on ``wanted``."""
    most = min(asked, wanted)
    size, found = largest_that_fits(lambda n: run(asked if n == most else n), most, share)
    if size == wanted:
        return found
    cut = f"{BUDGET_CUT} {whole} allowed {size:,} of {wanted:,} examples"
    if (reason := found.details.get("left_out")) is not None:
        return left_out(f"{reason} ({cut})")
    return Outcome(found.metrics, found.details | {"shortened": cut}, found.per_example)


def _answers(
    subject: Subject,
    examples: Sequence[Example],
    settings: FaithfulnessSettings,
    budget: Budget,
    progress: Progress,
) -> tuple[FaithfulnessSettings, list[Prediction]]:
    """Answers to the largest sample, in which all smaller ones lie; the others have none that anyone reads.

    With the settings limited to that sample, where a quarter of the time does not allow more answers.
    """
    most = min(len(examples), max(getattr(settings, name).examples for name in FaithfulnessSettings.model_fields))

    def answered(size: int) -> dict[int, Prediction]:
        places = sample(examples, size)
        return dict(zip(places, ask(subject.predict, [examples[k] for k in places], "answers", progress), strict=True))

    size, known = largest_that_fits(answered, most, budget.share(1 / 4))
    limited = settings if size == most else settings.limited(size)
    return limited, [known.get(k) or Prediction(id=e.id, label=None) for k, e in enumerate(examples)]
