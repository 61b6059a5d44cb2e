"""What a filter of teachers' answers is, what it looks at, and what it says of each answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from reasondistill.contracts.records import Example
from reasondistill.contracts.teaching import TeacherAnswer
from reasondistill.metrics.text import is_empty
from reasondistill.tasks.task import Task
from reasondistill.teachers.filters.votes import Vote


class Candidate(NamedTuple):
    """An answer, and the example that it is about."""

    example: Example
    answer: TeacherAnswer

    @property
    def label(self) -> str | None:
        """The label that its explanation argues for."""
        answer = self.answer
        return answer.argued_label if answer.argued_label is not None else answer.label


class Verdict(NamedTuple):
    """What a filter says of an answer: why it rejects it ("" where it keeps it), and its score, higher is better."""

    reason: str = ""
    score: float | None = None


NO_OPINION: Final = Verdict()
"""Of an answer that a filter can say nothing about; it is kept."""


@dataclass(frozen=True)
class Pool:
    """The answers that a filter looks at, and what it may look at beside them.

    Attributes:
        candidates: that the filters before it kept, (n,).
        everything: all candidates there were, for filters that compare samples.
        task: of the examples.
        votes: the labels that teachers gave to rows without one, by the row's id.
        progress: called with a sentence now and then.
    """

    candidates: Sequence[Candidate]
    everything: Sequence[Candidate]
    task: Task
    votes: Mapping[str, Vote] = field(default_factory=dict)
    progress: Callable[[str], None] = lambda stage: None

    def of(self, candidates: Sequence[Candidate]) -> Pool:
        """The same with other candidates."""
        return replace(self, candidates=candidates)

    @cached_property
    def by_example(self) -> dict[str, list[Candidate]]:
        """Everything, by the example's id."""
        rows: dict[str, list[Candidate]] = {}
        for candidate in self.everything:
            rows.setdefault(candidate.example.id, []).append(candidate)
        return rows


class Filter(BaseModel):
    """A filter: its fields are its settings, its class variables what is known of it.

    A subclass in a module of this folder can be named in every configuration, and needs nothing else but its row in
    docs/filters.md. It gives `verdict` of a single answer with an explanation, or `verdicts` of all answers together.

    Attributes:
        name: in configurations and results.
        title: a question that it answers.
        meaning: what it rejects, and what it does not see.
        on: whether it is run where a configuration does not name it.
        required: whether it cannot be left out.
        turn: filters run in this order, each on what those before it kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    title: ClassVar[str]
    meaning: ClassVar[str]
    on: ClassVar[bool] = True
    required: ClassVar[bool] = False
    turn: ClassVar[int]

    def prepare(self, task: Task) -> None:
        """Make sure that it can be run, before a teacher is paid.

        Raises:
            UserError: it cannot, as a file that it needs is not there.
        """

    def left_out(self, pool: Pool) -> str:
        """Why it has nothing to say of these answers; empty where it has."""
        return ""

    def verdict(self, candidate: Candidate, pool: Pool) -> Verdict:
        """Of one answer that has an explanation."""
        raise NotImplementedError(f"{type(self).__name__} gives neither verdict nor verdicts")

    def verdicts(self, pool: Pool) -> list[Verdict]:
        """Of each of the pool's candidates, (n,); by default `verdict`, and no opinion of an empty explanation."""
        return [
            NO_OPINION if is_empty(candidate.answer.explanation) else self.verdict(candidate, pool)
            for candidate in pool.candidates
        ]


def at_least(score: float, least: float, reason: str) -> Verdict:
    """Reject a score below a limit."""
    return Verdict("" if score >= least else reason, score)
