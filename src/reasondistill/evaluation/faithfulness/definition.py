"""The definition of a faithfulness test, its sample and its outcome; `registered_tests` lists all tests."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.base import MetricValue
from reasondistill.contracts.faithfulness import FaithfulnessDetails
from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject, ask
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, ratio

if TYPE_CHECKING:
    from reasondistill.judges import Judge

T = TypeVar("T")
Scores = list[float | bool | None]
"""A value for each example; None if a test has none for it."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a test.

    Attributes:
        metrics: by name, as in docs/metrics.md; metrics without a case are left out.
        details: everything else for the results.
        per_example: score name -> a value for each given example.
    """

    metrics: dict[str, MetricValue] = field(default_factory=dict)
    details: FaithfulnessDetails = field(default_factory=FaithfulnessDetails)
    per_example: dict[str, Scores] = field(default_factory=dict)


def left_out(reason: str) -> Outcome:
    """The outcome of a test that does not apply."""
    return Outcome(details=FaithfulnessDetails(left_out=reason))


@dataclass(frozen=True)
class Sample:
    """The examples of a test, and the student and judge that it may use.

    Attributes:
        subject: the student.
        examples: (n,).
        answers: the student's answers (n,).
        bootstrap: of their groups (n,).
        judge: of the student's task, if there is one.
        progress: see `Progress`.
        places: of the sample among all examples (n,).
        bootstrap_of_all: of the groups of all examples.
        size_of_all: the number of all examples.
    """

    subject: Subject
    examples: Sequence[Example]
    answers: Sequence[Prediction]
    bootstrap: GroupBootstrap
    judge: Judge | None
    progress: Progress
    places: Sequence[int]
    bootstrap_of_all: GroupBootstrap
    size_of_all: int

    @property
    def labels(self) -> list[str | None]:
        """The student's labels."""
        return [answer.label for answer in self.answers]

    @property
    def explanations(self) -> list[str]:
        """The student's explanations."""
        return [answer.explanation for answer in self.answers]

    def of(self, rows: Sequence[int]) -> Sample:
        """Some of the sample's rows."""
        return replace(
            self,
            examples=[self.examples[k] for k in rows],
            answers=[self.answers[k] for k in rows],
            bootstrap=self.bootstrap.of(rows),
            places=[self.places[k] for k in rows],
        )

    def ask(
        self, question: Callable[[Sequence[Example]], Sequence[T]], examples: Sequence[Example], what: str
    ) -> list[T]:
        """See `model_under_test.ask`."""
        return ask(question, examples, what, self.progress)

    def among_all(self, values: Sequence[float | bool | None]) -> Scores:
        """Values of the sample (n,), with None for every other example."""
        scores: Scores = [None] * self.size_of_all
        for place, value in zip(self.places, values, strict=True):
            scores[place] = value
        return scores

    def pooled(
        self, rows: Sequence[int], statistics: FloatArray, function: Callable[[FloatArray], FloatArray]
    ) -> MetricValue:
        """See `pooled`; ``rows`` are the cases' rows in the sample. Resamples are of the groups of all examples."""
        places = [self.places[k] for k in rows]
        return pooled(places, statistics, function, self.size_of_all, self.bootstrap_of_all)

    def share(self, rows: Sequence[int], true: Sequence[bool]) -> MetricValue:
        """See `share`; ``rows`` are the cases' rows in the sample. Resamples are of the groups of all examples."""
        return share([self.places[k] for k in rows], true, self.size_of_all, self.bootstrap_of_all)


@dataclass(frozen=True, kw_only=True)
class Need:
    """A requirement of a test.

    Attributes:
        what: in a few words.
        of_student: why a student, with or without a judge, lacks it; None if it does not.
        of_row: whether an answer has it; rows without it are dropped and counted.
        of_sample: why a sample lacks it; None if it does not.
        lacking: the reason to report if no row has it.
    """

    what: str
    of_student: Callable[[Subject, Judge | None], str | None] = lambda subject, judge: None
    of_row: Callable[[Prediction], bool] = lambda answer: True
    of_sample: Callable[[Sample], str | None] = lambda sample: None
    lacking: str = ""


class FaithfulnessTest(BaseModel):
    """A test: its fields are its settings, its class variables describe it.

    Any subclass in a module of this folder is run on every student. Its metrics have titles and directions in
    `metrics.known.faithfulness_metrics`; without an entry there, their names serve as titles.

    Attributes:
        name: in results and settings.
        title: in reports; a question that it answers.
        meaning: what it proves, and what it does not.
        metrics: the names of its metrics.
        controls: names of its controls, if any.
        needs: checked in order before it begins.
        turn: tests run in this order, and each gets an equal share of the time that is left.
        examples: the maximum number of examples; see `sample`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    title: ClassVar[str]
    meaning: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    controls: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[Need, ...]] = ()
    turn: ClassVar[int]

    examples: Annotated[int, Field(ge=1)] = 500

    @abstractmethod
    def measure(self, sample: Sample) -> Outcome:
        """Measure the sample and score its rows; `run` adds settings, size and metrics to the details."""

    def run(
        self,
        subject: Subject,
        examples: Sequence[Example],
        answers: Sequence[Prediction],
        bootstrap: GroupBootstrap,
        *,
        judge: Judge | None = None,
        progress: Progress = lambda stage: None,
    ) -> Outcome:
        """Test a student on a sample of the examples.

        Args:
            subject: the student.
            examples: the sample is drawn from these (n,).
            answers: to ``examples`` (n,).
            bootstrap: of the examples' groups (n,).
            judge: of the student's task; used only by tests that need one.
            progress: see `Progress`.

        Returns:
            The outcome for all examples; ``details.left_out`` says why a test could not be done.

        Raises:
            ConfigError: a setting does not fit the student's task.
        """
        reasons = (need.of_student(subject, judge) for need in self.needs)
        if reason := next(filter(None, reasons), None):
            return left_out(reason)
        everything = Sample(
            subject, examples, answers, bootstrap, judge, progress, range(len(examples)), bootstrap, len(examples)
        )
        chosen, dropped = everything.of(sample(examples, self.examples)), {}
        for need in self.needs:
            having = [k for k, answer in enumerate(chosen.answers) if need.of_row(answer)]
            if not having:
                return left_out(need.lacking)
            if len(having) < len(chosen.answers):
                dropped[need.lacking] = len(chosen.answers) - len(having)
                chosen = chosen.of(having)
            if reason := need.of_sample(chosen):
                return left_out(reason)
        outcome = self.measure(chosen)
        if outcome.details.left_out:
            return outcome
        own = {
            "settings": {**self.model_dump(mode="json"), **outcome.details.settings},
            "metrics": list(outcome.metrics),
            "examples": len(chosen.examples),
            "dropped": dropped,
        }
        scores = {name: chosen.among_all(values) for name, values in outcome.per_example.items()}
        return Outcome(outcome.metrics, outcome.details.model_copy(update=own), scores)


def pooled(
    places: Sequence[int],
    statistics: FloatArray,
    function: Callable[[FloatArray], FloatArray],
    examples: int,
    bootstrap: GroupBootstrap,
) -> MetricValue:
    """A function of sums over cases; an example can have several cases.

    Args:
        places: the example of each case, (cases,).
        statistics: additive statistics of each case, (cases, S).
        function: takes column sums (..., S) to values (...,).
        examples: the number of examples.
        bootstrap: of the examples' groups.
    """
    rows = np.zeros((examples, statistics.shape[1]))
    np.add.at(rows, np.asarray(places, dtype=np.intp), statistics)
    value = float(function(rows.sum(axis=0)))
    return MetricValue(value=value, ci95=bootstrap.interval(rows, function), n=len(places))


def share(places: Sequence[int], true: Sequence[bool], examples: int, bootstrap: GroupBootstrap) -> MetricValue:
    """The share of cases, at least one, in which something is ``true``; see `pooled`."""
    statistics = np.stack([np.array(true, dtype=np.float64), np.ones(len(true))], axis=1)
    return pooled(places, statistics, ratio, examples, bootstrap)


def sample(examples: Sequence[Example], most: int) -> list[int]:
    """Places of at most ``most`` examples, in order; the choice of a group does not depend on the other examples.

    Whole groups are taken, in the order of their names' SHA-256, until one does not fit; if the first does not fit, its
    beginning is taken. Rows of a group stay together because some tests compare them.
    """
    clusters: dict[tuple[str, str], list[int]] = {}
    for place, example in enumerate(examples):
        clusters.setdefault(example.cluster, []).append(place)
    chosen: list[int] = []
    for cluster in sorted(clusters, key=lambda cluster: hashlib.sha256(cluster[1].encode("utf-8")).digest()):
        if len(chosen) + len(clusters[cluster]) > most:
            return sorted(chosen or clusters[cluster][:most])
        chosen += clusters[cluster]
    return sorted(chosen)
