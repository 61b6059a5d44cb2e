"""Run filters over teachers' answers: what is accepted as examples, what is rejected and why, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reasondistill.contracts.filtering import (
    Coverage,
    Filtering,
    FilterOutcome,
    RejectedAnswer,
    ShownReject,
    TaughtLabels,
)
from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.contracts.teaching import TeacherAnswer
from reasondistill.data.audit.findings import NO_LABEL
from reasondistill.errors import DataError
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.metrics.text import is_empty
from reasondistill.tasks.task import Task
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool
from reasondistill.teachers.filters.filters_config import FiltersConfig
from reasondistill.teachers.filters.votes import Vote, as_predictions, votes_of_rows

SHOWN = 5
"""Rejected answers that each filter shows."""
_LONGEST = 300


@dataclass(frozen=True)
class Filtered:
    """What came of teachers' answers.

    Attributes:
        accepted: examples with the explanations that all filters kept, in the order of the data.
        rejected: answers, in the order of the filters.
        taught_labels: of the rows that had none, with the probability of each label.
        filtering: counts.
    """

    accepted: list[Example]
    rejected: list[RejectedAnswer]
    taught_labels: list[Prediction]
    filtering: Filtering


def filter_answers(
    examples: Iterable[Example],
    answers: Iterable[TeacherAnswer],
    task: Task,
    config: FiltersConfig | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Filtered:
    """Label rows without a label by the votes of their answers, and run the filters, each on what is left.

    Args:
        examples: that were asked about, and others, which are not accepted.
        answers: to them.
        task: of the examples.
        config: which filters; the default ones without it.
        progress: called with a sentence now and then.

    Raises:
        DataError: an answer is about none of the examples; or as the filters raise.
    """
    config = config or FiltersConfig()
    rows = {example.id: example for example in examples}
    by_id: dict[str, list[TeacherAnswer]] = {}
    for answer in answers:
        if answer.id not in rows:
            raise DataError(
                "answers",
                expected="answers to the examples given",
                found=f"one to {answer.id!r}",
                fix="Name their data.",
            )
        by_id.setdefault(answer.id, []).append(answer)
    votes = votes_of_rows((rows[identity] for identity in rows if identity in by_id), by_id, task)
    labelled = {identity: _labelled(rows[identity], votes) for identity in rows if identity in by_id}
    everything = [Candidate(example, answer) for identity, example in labelled.items() for answer in by_id[identity]]
    pool = Pool(everything, everything, task, votes, progress)
    outcomes, rejected = {}, []
    for rule in config.chosen():
        progress(f"filter: {rule.name}")
        outcomes[rule.name], kept, of_filter = _run(rule, pool)
        rejected += of_filter
        pool = pool.of(kept)
    accepted = _accepted(labelled.values(), pool.candidates, rows, config)
    filtering = Filtering(
        task=task.name,
        answers=len(everything),
        coverage=_coverage(everything, pool.candidates),
        by_label=_by(everything, pool.candidates, _label_of),
        teachers=_by(everything, pool.candidates, lambda candidate: candidate.answer.teacher),
        filters=outcomes,
        taught_labels=_taught_labels([rows[identity] for identity in labelled], votes, task),
        accepted=len(accepted),
        label_only=sum(not example.explanations for example in accepted),
    )
    return Filtered(accepted, rejected, as_predictions(votes), filtering)


def _labelled(example: Example, votes: Mapping[str, Vote]) -> Example:
    return example.model_copy(update={"label": votes[example.id].label}) if example.id in votes else example


def _run(rule: Filter, pool: Pool) -> tuple[FilterOutcome, Sequence[Candidate], list[RejectedAnswer]]:
    """What a filter makes of a pool: its counts, what it keeps, and what not."""
    settings = rule.model_dump(mode="json")
    if not pool.candidates or (reason := rule.left_out(pool)):
        reason = "no answer is left" if not pool.candidates else reason
        coverage = _coverage(pool.candidates, pool.candidates)
        outcome = FilterOutcome(title=rule.title, settings=settings, left_out=reason, coverage=coverage)
        return outcome, pool.candidates, []
    kept: list[Candidate] = []
    rejected: list[RejectedAnswer] = []
    shown: dict[str, ShownReject] = {}
    for candidate, verdict in zip(pool.candidates, rule.verdicts(pool), strict=True):
        if not verdict.reason:
            kept.append(candidate)
            continue
        row = RejectedAnswer(answer=candidate.answer, filter=rule.name, reason=verdict.reason, score=verdict.score)
        rejected.append(row)
        if len(shown) < SHOWN:
            shown.setdefault(candidate.example.id, _shown(candidate, row, pool.task))
    outcome = FilterOutcome(
        title=rule.title,
        settings=settings,
        coverage=_coverage(pool.candidates, kept),
        by_label=_by(pool.candidates, kept, _label_of),
        reasons=dict(Counter(row.reason for row in rejected).most_common()),
        shown=list(shown.values()),
    )
    return outcome, kept, rejected


def _shown(candidate: Candidate, row: RejectedAnswer, task: Task) -> ShownReject:
    return ShownReject(
        id=candidate.example.id,
        teacher=candidate.answer.teacher,
        fields={name: _cut(candidate.example.fields[name]) for name in task.fields},
        label=candidate.label,
        explanation=_cut(candidate.answer.explanation),
        reason=row.reason,
        score=row.score,
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _label_of(candidate: Candidate) -> str:
    return candidate.example.label if candidate.example.label is not None else NO_LABEL


def _coverage(before: Sequence[Candidate], after: Sequence[Candidate]) -> Coverage:
    return Coverage(
        answers=len(before),
        kept=len(after),
        examples=len({example.id for example, _ in before}),
        examples_kept=len({example.id for example, _ in after}),
    )


def _by(
    before: Sequence[Candidate], after: Sequence[Candidate], key: Callable[[Candidate], str]
) -> dict[str, Coverage]:
    """The coverage of each label or teacher, by its name."""
    parts: dict[str, tuple[list[Candidate], list[Candidate]]] = {}
    for candidate in before:
        parts.setdefault(key(candidate), ([], []))[0].append(candidate)
    for candidate in after:
        parts[key(candidate)][1].append(candidate)
    return {name: _coverage(*parts[name]) for name in sorted(parts)}


def _accepted(
    labelled: Iterable[Example], kept: Sequence[Candidate], given: Mapping[str, Example], config: FiltersConfig
) -> list[Example]:
    """The examples to learn from: what was kept for each, and the labels of rows whose own label is known."""
    explanations: dict[str, list[Explanation]] = {}
    for candidate in kept:
        of_row = explanations.setdefault(candidate.example.id, [])
        text, argued = candidate.answer.explanation, candidate.label
        if not is_empty(text):
            label = None if argued == candidate.example.label else argued
            of_row.append(Explanation(text=text, source=candidate.answer.teacher, label=label))
    accepted = []
    for example in labelled:
        label_counts = config.unexplained == "keep" and given[example.id].label is not None
        if example.id in explanations or label_counts:
            accepted.append(example.model_copy(update={"explanations": tuple(explanations.get(example.id, ()))}))
    return accepted


def _taught_labels(given: Sequence[Example], votes: Mapping[str, Vote], task: Task) -> TaughtLabels | None:
    unlabelled = [example for example in given if example.label is None]
    if not unlabelled or task.labels == ():
        return None
    voted = [example for example in unlabelled if example.id in votes]
    confidences = [votes[example.id].confidence for example in voted]
    bootstrap = GroupBootstrap([example.cluster for example in voted])
    return TaughtLabels(
        rows=len(unlabelled),
        labelled=len(voted),
        votes=sum(votes[example.id].answers for example in voted),
        confidence=mean(confidences, bootstrap) if voted else None,
        labels=dict(sorted(Counter(votes[example.id].label for example in voted).items())),
    )
