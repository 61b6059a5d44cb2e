"""Feature-importance agreement: do the words that matter for the label matter for its explanation?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from reasondistill.contracts.faithfulness import FaithfulnessDetails, Quotes
from reasondistill.contracts.records import Example
from reasondistill.evaluation.faithfulness.common import (
    average,
    explanation_scores,
    finite,
    log_probability,
    partners,
)
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Sample, left_out
from reasondistill.evaluation.faithfulness.editing import Place, places, without, word_at
from reasondistill.evaluation.faithfulness.needs import EXPLANATIONS, PROBABILITIES
from reasondistill.metrics.statistics import mean

_FEWEST_WORDS = 4
"""Fewer words hardly have an order."""
_DECIMALS = 4
"""Of nats. Words without an effect are tied: rounding within a batch must not order them."""
_QUOTED = 3
_CONTROL = "explanations of other examples with this label"


class Importance(FaithfulnessTest):
    """Leave out each word of the input in turn: how much do the decided label and its explanation lose?

    A word's importance is the log-probability (nats) lost without it. After the feature importance agreement of
    Wiegreffe, Marasović & Smith 2021, who attribute by gradients; leaving words out (Li, Monroe & Jurafsky 2016,
    Understanding Neural Networks through Representation Erasure) needs nothing but scores. The student scores each
    example without each of its words: labels, its explanation, and for the control another example's.
    """

    name = "importance"
    title = "Do the same words matter for both?"
    meaning = (
        "Proves: the words without which the label loses most are those without which its explanation does (1: the "
        "same order; 0: unrelated). Necessary, not sufficient. Does not prove that the explanation mentions them."
    )
    metrics = ("importance_agreement",)
    controls = (_CONTROL,)
    needs = (EXPLANATIONS, PROBABILITIES)
    turn = 50

    examples: Annotated[int, Field(ge=1)] = 200

    def measure(self, sample: Sample) -> Outcome:
        labels = sample.labels
        words = _Words.of(sample)
        of_labels = words.lost_by_labels()
        own = words.lost_by(sample.explanations, "explanations")
        others = partners(sample.examples, lambda place, other: labels[place] == labels[other])
        texts = [sample.explanations[0 if k is None else k] for k in others]
        foreign = words.lost_by(texts, "others' explanations")
        agreement = [rank_correlation(a, b) for a, b in zip(of_labels, own, strict=True)]
        if all(value is None for value in agreement):
            return left_out(f"no example has {_FEWEST_WORDS} words that differ in importance")
        kendall = [rank_correlation(a, b, kind="kendall") for a, b in zip(of_labels, own, strict=True)]
        sizes = [[[abs(v) for v in values] for values in side] for side in (of_labels, own, foreign)]

        def controlled(label_side: Sequence[list[float]], text_side: Sequence[list[float]]) -> list[float | None]:
            rows = zip(others, label_side, text_side, strict=True)
            return [None if k is None else rank_correlation(a, b) for k, a, b in rows]

        control = controlled(of_labels, foreign)
        figures = {
            "words": len(words.edited),
            "kendall": mean(kendall, sample.bootstrap),
            "without_an_order": sum(value is None for value in agreement),
            "where_controlled": average(a if c is not None else None for a, c in zip(agreement, control, strict=True)),
            "size_agreement": average(rank_correlation(a, b) for a, b in zip(sizes[0], sizes[1], strict=True)),
            "size_agreement_of_the_control": average(controlled(sizes[0], sizes[2])),
        }
        return Outcome(
            {"importance_agreement": mean(agreement, sample.bootstrap)},
            FaithfulnessDetails(
                figures={name: value for name, value in figures.items() if value is not None},
                controls={_CONTROL: {"importance_agreement": average(control)}},
                quotes=[words.quote(k, agreement[k], of_labels[k], own[k]) for k in range(min(_QUOTED, len(labels)))],
            ),
            {"importance_agreement": [*agreement]},
        )


class _Words(NamedTuple):
    """Every word of every example; ``edited`` holds examples without one word, ``bounds`` their range by example."""

    sample: Sample
    places: list[list[Place]]
    edited: list[Example]
    bounds: list[tuple[int, int]]

    @classmethod
    def of(cls, sample: Sample) -> _Words:
        of_example = [places(e, sample.subject.task) for e in sample.examples]
        edited = [without(e, place) for e, own in zip(sample.examples, of_example, strict=True) for place in own]
        return cls(sample, of_example, edited, list(pairwise(accumulate(map(len, of_example), initial=0))))

    def lost_by_labels(self) -> list[list[float]]:
        """What each answer's label loses without each word of its example."""
        left = self.sample.ask(self.sample.subject.probabilities, self.edited, "labels without each word")
        return [
            [
                round(log_probability(p.probabilities, p.label) - log_probability(q, p.label), _DECIMALS)
                for q in left[i:j]
            ]
            for p, (i, j) in zip(self.sample.answers, self.bounds, strict=True)
        ]

    def lost_by(self, texts: Sequence[str], whose: str) -> list[list[float]]:
        """What each of ``texts``, one per example, loses without each word of its example."""
        sample, what = self.sample, f"likelihood of {whose} without each word"
        labels = [label for label, own in zip(sample.labels, self.places, strict=True) for _ in own]
        repeated = [text for text, own in zip(texts, self.places, strict=True) for _ in own]
        whole = explanation_scores(sample.subject, sample.examples, sample.labels, texts, what, sample.progress)
        parts = explanation_scores(sample.subject, self.edited, labels, repeated, what, sample.progress)
        return [
            [round(score - part, _DECIMALS) for part in parts[i:j]]
            for score, (i, j) in zip(whole, self.bounds, strict=True)
        ]

    def quote(self, k: int, agreement: float | None, of_label: list[float], of_explanation: list[float]) -> Quotes:
        """The words of an example with the losses of label and explanation."""
        answer, example = self.sample.answers[k], self.sample.examples[k]
        order = "no order" if agreement is None else f"agreement {agreement:.2f}"
        return Quotes(
            title=f"Nats lost without each word ({order}): {answer.label}. {answer.explanation}",
            cases=[
                {"word": word_at(example, place), "field": place.field, "label": a, "explanation": b}
                for place, a, b in zip(self.places[k], of_label, of_explanation, strict=True)
            ],
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
        result = (spearmanr if kind == "spearman" else kendalltau)(x, y)
    return finite(float(result.statistic))
