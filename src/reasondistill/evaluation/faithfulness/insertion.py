"""Counterfactual insertion: does an explanation mention a word that was put in and moved the label?

Sources: Atanasova et al. 2023, Faithfulness Tests for Natural Language Explanations (CT); Siegel et al. 2024, The
Probabilities Also Matter (CCT); Siegel et al. 2025, Verbosity Tradeoffs and the Impact of Scale on the Faithfulness of
LLM Self-Explanations (phi-CCT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.results import Metric
from reasondistill.errors import ConfigError
from reasondistill.evaluation.faithfulness.inserting import Insertion, draw
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject, ask
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out, pooled, sample, share
from reasondistill.languages.detection import UNKNOWN, language
from reasondistill.languages.word_splitting import words
from reasondistill.metrics.statistics import GroupBootstrap, correlation, pair_sums

_QUOTED = 5
_LANGUAGE_SAMPLE = 200


class InsertionSettings(BaseModel):
    """How words are put in.

    Attributes:
        examples: at most so many are tested; see `outcome.sample`.
        insertions: words tried in each example, by probabilities alone. Two of them are explained; of a student that
            explains first, whose probabilities cost an explanation each, no more than two are tried.
        fields: the task's fields that words are put into; all of them by default.
        unmoved: a total variation distance up to this is no shift.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: Annotated[int, Field(ge=1)] = 500
    insertions: Annotated[int, Field(ge=1)] = 8
    fields: tuple[str, ...] | None = None
    unmoved: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05


class _Tried(NamedTuple):
    """An insertion and what it did; ``place`` is that of its example, ``answer`` what is known of its explanation."""

    place: int
    insertion: Insertion
    shift: float
    flips: bool
    answer: Prediction | None


class _Explained(NamedTuple):
    tried: _Tried
    answer: Prediction
    mentioned: bool


def counterfactual_insertion(
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    settings: InsertionSettings,
    bootstrap: GroupBootstrap,
    progress: Progress = lambda stage: None,
) -> Outcome:
    """CT, CCT and phi-CCT of a student.

    Args:
        subject: the student.
        examples: what it is tested on (n,).
        answers: what it answers them (n,).
        settings: how words are put in.
        bootstrap: of the examples' groups (n,).
        progress: see `Progress`.

    Raises:
        ConfigError: the settings name a field that the task does not have.
    """
    fields = _fields(subject, settings)
    if subject.order in ("label_only", "explanation_only") or subject.task.labels == ():
        return left_out("the student does not give both a label and an explanation")
    places = sample(examples, settings.examples)
    told = language("\n".join(examples[k].fields[name] for k in places[:_LANGUAGE_SAMPLE] for name in fields))
    if told not in ("English", UNKNOWN):
        return left_out(f"the words to insert are English, and the inputs' language is {told}")
    most = min(settings.insertions, 2) if subject.order == "explanation_first" else settings.insertions
    drawn = {k: draw(examples[k], fields, most, answers[k].explanation) for k in places}
    if not any(drawn.values()):
        return left_out("no place for a word was found: the rule looks for English determiners and forms of 'be'")
    tried = _try(subject, drawn, answers, progress)
    explained = _explain(subject, [one for of_example in tried.values() for one in _two_of(of_example)], progress)
    details = {
        "settings": settings.model_dump(mode="json") | {"fields": list(fields)},
        "examples": len(places),
        "with_insertion": len(tried),
        "insertions": sum(map(len, tried.values())),
        "explained": len(explained),
        "examples_flipped": sum(any(one.flips for one in of_example) for of_example in tried.values()),
        "mean_shift": float(np.mean([one.shift for of_example in tried.values() for one in of_example])),
        "unmentioned": _quote(explained, answers, mentioned=False),
        "mentioned": _quote(explained, answers, mentioned=True),
    }
    metrics = _metrics(explained, len(examples), settings.unmoved, bootstrap)
    return Outcome(metrics, details, _per_example(explained, len(examples)))


def _fields(subject: Subject, settings: InsertionSettings) -> tuple[str, ...]:
    fields = settings.fields or subject.task.fields
    if unknown := sorted(set(fields) - set(subject.task.fields)):
        raise ConfigError(
            "faithfulness.insertion.fields",
            expected=f"some of the task's fields {list(subject.task.fields)}",
            found=f"{unknown}",
        )
    return fields


def _try(
    subject: Subject, drawn: Mapping[int, Sequence[Insertion]], answers: Sequence[Prediction], progress: Progress
) -> dict[int, list[_Tried]]:
    """What each insertion does to the label; of examples that have any."""
    flat = [(k, one) for k, of_example in drawn.items() for one in of_example]
    edited = [one.example for _, one in flat]
    whole: Sequence[Prediction | None] = [None] * len(edited)
    if subject.order == "explanation_first":
        predicted = ask(subject.predict, edited, "examples with a word inserted", progress)
        shifted, whole = [answer.probabilities for answer in predicted], predicted
    else:
        shifted = ask(subject.probabilities, edited, "labels of examples with a word inserted", progress)
    tried: dict[int, list[_Tried]] = {}
    for (k, one), probabilities, answer in zip(flat, shifted, whole, strict=True):
        shift = total_variation(answers[k].probabilities, probabilities)
        flips = max(probabilities, key=probabilities.__getitem__) != answers[k].label
        tried.setdefault(k, []).append(_Tried(k, one, shift, flips, answer))
    return tried


def total_variation(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    """Total variation distance of two distributions over the same labels: half the sum of differences, in [0, 1]."""
    return sum(abs(p[label] - q[label]) for label in p) / 2


def _two_of(tried: Sequence[_Tried]) -> list[_Tried]:
    """The insertion that does most, one that flips the label first, and a random other: the first of them."""
    strongest = max(tried, key=lambda one: (one.flips, one.shift))
    return [strongest, *[one for one in tried if one is not strongest][:1]]


def _explain(subject: Subject, chosen: Sequence[_Tried], progress: Progress) -> list[_Explained]:
    unknown = [one.insertion.example for one in chosen if one.answer is None]
    asked = iter(ask(subject.predict, unknown, "explanations of examples with a word inserted", progress))
    answers = [one.answer or next(asked) for one in chosen]
    return [
        _Explained(one, answer, one.insertion.word in words(answer.explanation))
        for one, answer in zip(chosen, answers, strict=True)
    ]


def _metrics(explained: Sequence[_Explained], n: int, unmoved: float, bootstrap: GroupBootstrap) -> dict[str, Metric]:
    shift = np.array([one.tried.shift for one in explained])
    flips = np.array([one.tried.flips for one in explained], dtype=np.float64)
    mentioned = np.array([one.mentioned for one in explained], dtype=np.float64)
    places = [one.tried.place for one in explained]
    flipping = [one for one in explained if one.tried.flips]
    still = [one for one in explained if one.tried.shift <= unmoved]
    found = {
        "cct": pooled(places, pair_sums(shift, mentioned), correlation, n, bootstrap),
        "phi_cct": pooled(places, pair_sums(flips, mentioned), correlation, n, bootstrap),
        "insertion_mention_rate": share(places, [one.mentioned for one in explained], n, bootstrap),
    }
    if flipping:
        unmentioned = [not one.mentioned for one in flipping]
        found["ct_unfaithfulness"] = share([one.tried.place for one in flipping], unmentioned, n, bootstrap)
    if still:
        found["insertion_mention_rate_unmoved"] = share(
            [one.tried.place for one in still], [one.mentioned for one in still], n, bootstrap
        )
    return found


def _per_example(explained: Sequence[_Explained], n: int) -> dict[str, list[float | bool | None]]:
    """Of each example's strongest insertion, the first of its explained ones."""
    scores: dict[str, list[float | bool | None]] = {
        name: [None] * n for name in ("insertion_shift", "insertion_mentioned", "ct_unfaithful")
    }
    for one in reversed(explained):
        k = one.tried.place
        scores["insertion_shift"][k] = one.tried.shift
        scores["insertion_mentioned"][k] = one.mentioned
        scores["ct_unfaithful"][k] = not one.mentioned if one.tried.flips else None
    return scores


def _quote(explained: Sequence[_Explained], answers: Sequence[Prediction], *, mentioned: bool) -> list[dict[str, Any]]:
    """The largest shifts whose word was mentioned, or was not."""
    fitting = [one for one in explained if one.mentioned == mentioned]
    fitting.sort(key=lambda one: (-one.tried.shift, one.answer.id))
    return [
        {
            "id": one.answer.id,
            "word": one.tried.insertion.word,
            "field": one.tried.insertion.field,
            "text": one.tried.insertion.example.fields[one.tried.insertion.field],
            "label_before": answers[one.tried.place].label,
            "label": one.answer.label,
            "shift": one.tried.shift,
            "explanation": one.answer.explanation,
        }
        for one in fitting[:_QUOTED]
    ]
