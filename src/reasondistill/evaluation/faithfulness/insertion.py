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

from reasondistill.contracts.base import Metric
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
    """An insertion and what it did; ``row`` is that of its example, ``answer`` what is known of its explanation."""

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
        insertions: words tried in each example, by probabilities alone. Two of them are explained; of a student that
            explains first, whose probabilities cost an explanation each, no more than two are tried.
        fields: the task's fields that words are put into; all of them by default.
        unmoved: a total variation distance up to this is no shift.
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
        explained = _explain(sample, [one for of_example in tried.values() for one in _two_of(of_example)])
        details = FaithfulnessDetails(
            settings={"fields": list(fields)},
            figures={
                "with_insertion": len(tried),
                "insertions": sum(map(len, tried.values())),
                "explained": len(explained),
                "examples_flipped": sum(any(one.flips for one in of_example) for of_example in tried.values()),
                "mean_shift": float(np.mean([one.shift for of_example in tried.values() for one in of_example])),
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

    def _metrics(self, explained: Sequence[_Explained], sample: Sample) -> dict[str, Metric]:
        shift = np.array([one.tried.shift for one in explained])
        flips = np.array([one.tried.flips for one in explained], dtype=np.float64)
        mentioned = np.array([one.mentioned for one in explained], dtype=np.float64)
        rows = [one.tried.row for one in explained]
        metrics = {
            "cct": sample.pooled(rows, pair_sums(shift, mentioned), correlation),
            "phi_cct": sample.pooled(rows, pair_sums(flips, mentioned), correlation),
            "insertion_mention_rate": sample.share(rows, [one.mentioned for one in explained]),
        }
        if flipping := [one for one in explained if one.tried.flips]:
            unmentioned = [not one.mentioned for one in flipping]
            metrics["ct_unfaithfulness"] = sample.share([one.tried.row for one in flipping], unmentioned)
        if still := [one for one in explained if one.tried.shift <= self.unmoved]:
            rows, mentions = [one.tried.row for one in still], [one.mentioned for one in still]
            metrics["insertion_mention_rate_unmoved"] = sample.share(rows, mentions)
        return metrics


def _try(sample: Sample, drawn: Mapping[int, Sequence[Insertion]]) -> dict[int, list[_Tried]]:
    """What each insertion does to the label; of examples that have any."""
    flat = [(k, one) for k, of_example in drawn.items() for one in of_example]
    edited = [one.example for _, one in flat]
    whole: Sequence[Prediction | None] = [None] * len(edited)
    if sample.subject.order == "explanation_first":
        predicted = sample.ask(sample.subject.predict, edited, "examples with a word inserted")
        shifted, whole = [answer.probabilities for answer in predicted], predicted
    else:
        shifted = sample.ask(sample.subject.probabilities, edited, "labels of examples with a word inserted")
    tried: dict[int, list[_Tried]] = {}
    for (k, one), probabilities, answer in zip(flat, shifted, whole, strict=True):
        shift = total_variation(sample.answers[k].probabilities, probabilities)
        flips = max(probabilities, key=probabilities.__getitem__) != sample.answers[k].label
        tried.setdefault(k, []).append(_Tried(k, one, shift, flips, answer))
    return tried


def total_variation(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    """Total variation distance of two distributions over the same labels: half the sum of differences, in [0, 1]."""
    return sum(abs(p[label] - q[label]) for label in p) / 2


def _two_of(tried: Sequence[_Tried]) -> list[_Tried]:
    """The insertion that does most, one that flips the label first, and a random other: the first of them."""
    strongest = max(tried, key=lambda one: (one.flips, one.shift))
    return [strongest, *[one for one in tried if one is not strongest][:1]]


def _explain(sample: Sample, chosen: Sequence[_Tried]) -> list[_Explained]:
    unknown = [one.insertion.example for one in chosen if one.answer is None]
    new = iter(sample.ask(sample.subject.predict, unknown, "explanations of examples with a word inserted"))
    answers = [one.answer or next(new) for one in chosen]
    return [
        _Explained(one, answer, one.insertion.word in words(answer.explanation))
        for one, answer in zip(chosen, answers, strict=True)
    ]


def _per_example(explained: Sequence[_Explained], n: int) -> dict[str, Scores]:
    """Of each example's strongest insertion, the first of its explained ones."""
    scores: dict[str, Scores] = {
        name: [None] * n for name in ("insertion_shift", "insertion_mentioned", "ct_unfaithful")
    }
    for one in reversed(explained):
        k = one.tried.row
        scores["insertion_shift"][k] = one.tried.shift
        scores["insertion_mentioned"][k] = one.mentioned
        scores["ct_unfaithful"][k] = not one.mentioned if one.tried.flips else None
    return scores


def _quotes(explained: Sequence[_Explained], sample: Sample, mentioned: bool) -> Quotes:
    """The largest shifts whose word was mentioned, or was not."""
    fitting = [one for one in explained if one.mentioned == mentioned]
    fitting.sort(key=lambda one: (-one.tried.shift, one.answer.id))
    return Quotes(
        title=f"Inserted words that are {'' if mentioned else 'not '}mentioned, the largest shifts first",
        cases=[
            {
                "id": one.answer.id,
                "word": one.tried.insertion.word,
                "field": one.tried.insertion.field,
                "text": one.tried.insertion.example.fields[one.tried.insertion.field],
                "label_before": sample.answers[one.tried.row].label,
                "label": one.answer.label,
                "shift": one.tried.shift,
                "explanation": one.answer.explanation,
            }
            for one in fitting[:_QUOTED]
        ],
    )
