"""Feature-importance agreement: do the words that matter for the label matter for its explanation?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.common import (
    average,
    explanation_scores,
    finite,
    log_probability,
    over_sample,
    partners,
    without_both,
)
from reasondistill.evaluation.faithfulness.editing import places, without, word_at
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject, ask
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out
from reasondistill.metrics.statistics import GroupBootstrap, mean

T = TypeVar("T")

_FEWEST_WORDS = 4
"""Fewer have hardly an order."""
_DECIMALS = 4
"""Of nats. Words without an effect are alike: how a batch was rounded must not put them into an order."""
_QUOTED = 3


class ImportanceSettings(BaseModel):
    """At most ``examples`` are tested; see `outcome.sample`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: Annotated[int, Field(ge=1)] = 200


def importance_agreement(
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    settings: ImportanceSettings,
    bootstrap: GroupBootstrap,
    progress: Progress = lambda stage: None,
) -> Outcome:
    """Leave out each word of the input in turn: what does the decided label lose, what its explanation?

    A word's importance is the log-probability (nats) that is lost without it. After the feature importance agreement of
    Wiegreffe, Marasović & Smith 2021, who attribute by gradients; leaving words out (Li, Monroe & Jurafsky 2016,
    Understanding Neural Networks through Representation Erasure) needs nothing but scores.

    Args:
        subject: the student; it scores each example without each of its words: labels, its explanation, and for the
            control another example's.
        examples: what it is tested on (n,); where it explains nothing, nothing can be tested.
        answers: what it answers them (n,).
        settings: how many are tested.
        bootstrap: of the examples' groups (n,).
        progress: see `Progress`.
    """
    test = partial(_importance_agreement, subject, settings, progress)
    return over_sample(test, examples, answers, settings.examples, bootstrap, explained=True)


def _importance_agreement(
    subject: Subject,
    settings: ImportanceSettings,
    progress: Progress,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    bootstrap: GroupBootstrap,
) -> Outcome:
    if reason := without_both(answers):
        return left_out(reason)
    where = [places(e, subject.task) for e in examples]
    edited = [without(e, place) for e, found in zip(examples, where, strict=True) for place in found]
    bounds = list(pairwise(accumulate((len(found) for found in where), initial=0)))
    labels = [p.label for p in answers]

    def repeated(values: Sequence[T]) -> list[T]:
        return [value for value, found in zip(values, where, strict=True) for _ in found]

    def lost(texts: Sequence[str], whose: str) -> list[list[float]]:
        """What each of ``texts`` loses without each word of its example."""
        what = f"likelihood of {whose} without each word"
        whole = explanation_scores(subject, examples, labels, texts, what, progress)
        parts = explanation_scores(subject, edited, repeated(labels), repeated(texts), what, progress)
        return [[round(score - p, _DECIMALS) for p in parts[i:j]] for score, (i, j) in zip(whole, bounds, strict=True)]

    left = ask(subject.probabilities, edited, "labels without each word", progress)
    of_labels = [
        [round(log_probability(p.probabilities, p.label) - log_probability(q, p.label), _DECIMALS) for q in left[i:j]]
        for p, (i, j) in zip(answers, bounds, strict=True)
    ]
    own = lost([p.explanation for p in answers], "explanations")
    others = partners(examples, lambda place, other: labels[place] == labels[other])
    foreign = lost([answers[0 if k is None else k].explanation for k in others], "others' explanations")
    agreement = [rank_correlation(a, b) for a, b in zip(of_labels, own, strict=True)]
    kendall = [rank_correlation(a, b, kind="kendall") for a, b in zip(of_labels, own, strict=True)]
    control = [
        None if k is None else rank_correlation(a, b) for k, a, b in zip(others, of_labels, foreign, strict=True)
    ]
    sizes = [[[abs(v) for v in one] for one in side] for side in (of_labels, own, foreign)]
    if all(value is None for value in agreement):
        return left_out(f"no example has {_FEWEST_WORDS} words that differ in importance")
    beside = [a if c is not None else None for a, c in zip(agreement, control, strict=True)]
    return Outcome(
        metrics={"importance_agreement": mean(agreement, bootstrap)},
        details={
            "settings": settings.model_dump(mode="json"),
            "words": len(edited),
            "kendall": mean(kendall, bootstrap).model_dump(),
            "without_an_order": sum(value is None for value in agreement),
            "controls": {"explanations of other examples with this label": average(control)},
            "where_controlled": average(beside),
            "size_agreement": average(rank_correlation(a, b) for a, b in zip(sizes[0], sizes[1], strict=True)),
            "size_agreement_of_the_control": average(
                None if k is None else rank_correlation(a, b)
                for k, a, b in zip(others, sizes[0], sizes[2], strict=True)
            ),
            "quoted": [
                {
                    "id": examples[k].id,
                    "label": labels[k],
                    "explanation": answers[k].explanation,
                    "agreement": agreement[k],
                    "words": [
                        {"word": word_at(examples[k], p), "field": p.field, "label": a, "explanation": b}
                        for p, a, b in zip(where[k], of_labels[k], own[k], strict=True)
                    ],
                }
                for k in range(min(_QUOTED, len(examples)))
            ],
        },
        per_example={"importance_agreement": agreement},
    )


def rank_correlation(
    x: Sequence[float], y: Sequence[float], *, kind: Literal["spearman", "kendall"] = "spearman"
) -> float | None:
    """Spearman's rho or Kendall's tau-b; None for fewer than 4 values, or where one side does not vary."""
    from scipy.stats import kendalltau, spearmanr

    if len(x) < _FEWEST_WORDS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a side that does not vary, whose correlation is NaN
        found = (spearmanr if kind == "spearman" else kendalltau)(x, y)
    return finite(float(found.statistic))
