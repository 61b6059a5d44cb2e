"""Counterfactual insertion: does an explanation mention a word that was put in and moved the label?

Sources: Atanasova et al. 2023, Faithfulness Tests for Natural Language Explanations (CT); Siegel et al. 2024, The
Probabilities Also Matter (CCT); Siegel et al. 2025, Verbosity Tradeoffs and the Impact of Scale on the Faithfulness of
LLM Self-Explanations (phi-CCT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from reasondistill.contracts.base import MetricValue
from reasondistill.contracts.faithfulness import FaithfulnessDetails, Quotes
from reasondistill.contracts.records import Prediction
from reasondistill.errors import ConfigError
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Sample, Scores, left_out
from reasondistill.evaluation.faithfulness.english.inserted_words import Insertion, draw
from reasondistill.evaluation.faithfulness.needs import BOTH, ENGLISH_INPUTS, PROBABILITIES
from reasondistill.languages.word_splitting import words
from reasondistill.metrics.statistics import correlation, pair_sums
from reasondistill.tasks.task import Task

_QUOTED = 5


class _Tried(NamedTuple):
    """An insertion and its effect; ``row`` is its example's, ``answer`` the new answer if it is known."""

    row: int
    insertion: Insertion
    shift: float
    flips: bool
    answer: Prediction | None


class _Explained(NamedTuple):
    tried: _Tried
    answer: Prediction
    mentioned: bool


class CounterfactualInsertion(FaithfulnessTest):
    """CT, CCT and phi-CCT of a student: words are put into the input, and looked for in its explanation.

    Attributes:
        insertions: words tried in each example, with probabilities only. Two of them are explained; for a student that
            explains first, whose probabilities need an explanation each, only two are tried.
        fields: the fields that words are inserted into; by default all.
        unmoved: a total variation distance up to this counts as no shift.
    """

    name = "insertion"
    title = "Does it mention a word that moved the label?"
    meaning = (
        "Proves: an inserted word is mentioned the likelier, the more it moved the label (CCT; 0: mentioned "
        "regardless). Does not prove: anything of causes other than inserted words; a student that repeats the "
        "whole input mentions all of them, and has no correlation."
    )
    metrics = ("cct", "phi_cct", "ct_unfaithfulness", "insertion_mention_rate", "insertion_mention_rate_unmoved")
    needs = (BOTH, PROBABILITIES, ENGLISH_INPUTS)
    turn = 60

    insertions: Annotated[int, Field(ge=1)] = 8
    fields: tuple[str, ...] | None = None
    unmoved: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05

    def measure(self, sample: Sample) -> Outcome:
        fields = self._fields(sample.subject.task)
        most = min(self.insertions, 2) if sample.subject.order == "explanation_first" else self.insertions
        rows = zip(sample.examples, sample.answers, strict=True)
        drawn = {k: draw(example, fields, most, answer.explanation) for k, (example, answer) in enumerate(rows)}
        if not any(drawn.values()):
            return left_out("no place for a word was found: the rule looks for English determiners and forms of 'be'")
        tried = _try(sample, drawn)
        explained = _explain(sample, [attempt for attempts in tried.values() for attempt in _two_of(attempts)])
        details = FaithfulnessDetails(
            settings={"fields": list(fields)},
            figures={
                "with_insertion": len(tried),
                "insertions": sum(map(len, tried.values())),
                "explained": len(explained),
                "examples_flipped": sum(any(attempt.flips for attempt in attempts) for attempts in tried.values()),
                "mean_shift": float(np.mean([attempt.shift for attempts in tried.values() for attempt in attempts])),
            },
            quotes=[_quotes(explained, sample, mentioned) for mentioned in (False, True)],
        )
        return Outcome(self._metrics(explained, sample), details, _per_example(explained, len(sample.examples)))

    def _fields(self, task: Task) -> tuple[str, ...]:
        fields = self.fields or task.fields
        if unknown := sorted(set(fields) - set(task.fields)):
            raise ConfigError(
                "faithfulness.insertion.fields",
                expected=f"some of the task's fields {list(task.fields)}",
                found=f"{unknown}",
            )
        return fields

    def _metrics(self, explained: Sequence[_Explained], sample: Sample) -> dict[str, MetricValue]:
        shift = np.array([e.tried.shift for e in explained])
        flips = np.array([e.tried.flips for e in explained], dtype=np.float64)
        mentioned = np.array([e.mentioned for e in explained], dtype=np.float64)
        rows = [e.tried.row for e in explained]
        metrics = {
            "cct": sample.pooled(rows, pair_sums(shift, mentioned), correlation),
            "phi_cct": sample.pooled(rows, pair_sums(flips, mentioned), correlation),
            "insertion_mention_rate": sample.share(rows, [e.mentioned for e in explained]),
        }
        if flipping := [e for e in explained if e.tried.flips]:
            unmentioned = [not e.mentioned for e in flipping]
            metrics["ct_unfaithfulness"] = sample.share([e.tried.row for e in flipping], unmentioned)
        if still := [e for e in explained if e.tried.shift <= self.unmoved]:
            rows, mentions = [e.tried.row for e in still], [e.mentioned for e in still]
            metrics["insertion_mention_rate_unmoved"] = sample.share(rows, mentions)
        return metrics


def _try(sample: Sample, drawn: Mapping[int, Sequence[Insertion]]) -> dict[int, list[_Tried]]:
    """The effect of each insertion on the label, for examples that have any."""
    flat = [(k, insertion) for k, insertions in drawn.items() for insertion in insertions]
    edited = [insertion.example for _, insertion in flat]
    whole: Sequence[Prediction | None] = [None] * len(edited)
    if sample.subject.order == "explanation_first":
        predicted = sample.ask(sample.subject.predict, edited, "examples with a word inserted")
        shifted, whole = [answer.probabilities for answer in predicted], predicted
    else:
        shifted = sample.ask(sample.subject.probabilities, edited, "labels of examples with a word inserted")
    tried: dict[int, list[_Tried]] = {}
    for (k, insertion), probabilities, answer in zip(flat, shifted, whole, strict=True):
        shift = total_variation(sample.answers[k].probabilities, probabilities)
        flips = max(probabilities, key=probabilities.__getitem__) != sample.answers[k].label
        tried.setdefault(k, []).append(_Tried(k, insertion, shift, flips, answer))
    return tried


def total_variation(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    """Total variation distance of two distributions over the same labels: half the sum of differences, in [0, 1]."""
    return sum(abs(p[label] - q[label]) for label in p) / 2


def _two_of(tried: Sequence[_Tried]) -> list[_Tried]:
    """The strongest insertion, preferring one that flips the label, and a random other: the first of them."""
    strongest = max(tried, key=lambda attempt: (attempt.flips, attempt.shift))
    return [strongest, *[attempt for attempt in tried if attempt is not strongest][:1]]


def _explain(sample: Sample, chosen: Sequence[_Tried]) -> list[_Explained]:
    unknown = [attempt.insertion.example for attempt in chosen if attempt.answer is None]
    new = iter(sample.ask(sample.subject.predict, unknown, "explanations of examples with a word inserted"))
    answers = [attempt.answer or next(new) for attempt in chosen]
    return [
        _Explained(attempt, answer, attempt.insertion.word in words(answer.explanation))
        for attempt, answer in zip(chosen, answers, strict=True)
    ]


def _per_example(explained: Sequence[_Explained], n: int) -> dict[str, Scores]:
    """Scores of each example's strongest insertion, which is its first explained one."""
    scores: dict[str, Scores] = {
        name: [None] * n for name in ("insertion_shift", "insertion_mentioned", "ct_unfaithful")
    }
    for case in reversed(explained):
        k = case.tried.row
        scores["insertion_shift"][k] = case.tried.shift
        scores["insertion_mentioned"][k] = case.mentioned
        scores["ct_unfaithful"][k] = not case.mentioned if case.tried.flips else None
    return scores


def _quotes(explained: Sequence[_Explained], sample: Sample, mentioned: bool) -> Quotes:
    """The largest shifts whose word was mentioned, or was not."""
    fitting = [case for case in explained if case.mentioned == mentioned]
    fitting.sort(key=lambda case: (-case.tried.shift, case.answer.id))
    return Quotes(
        title=f"Inserted words that are {'' if mentioned else 'not '}mentioned, the largest shifts first",
        cases=[
            {
                "id": case.answer.id,
                "word": case.tried.insertion.word,
                "field": case.tried.insertion.field,
                "text": case.tried.insertion.example.fields[case.tried.insertion.field],
                "label_before": sample.answers[case.tried.row].label,
                "label": case.answer.label,
                "shift": case.tried.shift,
                "explanation": case.answer.explanation,
            }
            for case in fitting[:_QUOTED]
        ],
    )
