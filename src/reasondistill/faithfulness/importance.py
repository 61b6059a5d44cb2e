"""Feature-importance agreement: do the words that matter for the label matter for its explanation?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from reasondistill.faithfulness.common import average, finite, log_probability, partners, without_both
from reasondistill.faithfulness.editing import places, without
from reasondistill.faithfulness.outcome import Outcome, left_out
from reasondistill.faithfulness.subject import Subject
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.records import Example, Prediction
from reasondistill.results import mean

_FEWEST_WORDS = 4
"""Fewer have hardly an order."""
_QUOTED = 3


def importance_agreement(
    subject: Subject,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    bootstrap: GroupBootstrap,
    *,
    progress: Callable[[str], None] = lambda stage: None,
) -> Outcome:
    """Leave out each word of the input in turn: what does the decided label lose, what its explanation?

    A word's importance is the log-probability (nats) that is lost without it. After the feature importance agreement of
    Wiegreffe, Marasović & Smith 2021, section 5, who attribute by gradients; leaving words out (occlusion: Zeiler &
    Fergus 2014; for words, Li, Monroe & Jurafsky 2016) needs nothing but scores.

    Args:
        subject: scores each example without each of its words, twice, and once more for the control.
        examples: that it has labelled and explained.
        predictions: of ``examples``.
        bootstrap: over ``examples``.
        progress: called with a sentence.
    """
    if reason := without_both(predictions):
        return left_out(reason)
    where = [places(e, subject.task) for e in examples]
    edited = [without(e, place) for e, found in zip(examples, where, strict=True) for place in found]
    bounds = list(pairwise(accumulate((len(found) for found in where), initial=0)))
    labels = [p.label for p in predictions]

    def repeated(values: Sequence[str | None]) -> list[str | None]:
        return [value for value, found in zip(values, where, strict=True) for _ in found]

    def of_explanations(texts: Sequence[str]) -> list[list[float]]:
        whole = subject.explanation_scores(examples, labels, texts)
        parts = subject.explanation_scores(edited, repeated(labels), [t or "" for t in repeated(texts)])
        return [[own - part for part in parts[i:j]] for own, (i, j) in zip(whole, bounds, strict=True)]

    progress(f"importance: leaving out each of {len(edited):,} words, for labels")
    left = subject.probabilities(edited)
    of_labels = [
        [log_probability(p.probabilities, p.label) - log_probability(one, p.label) for one in left[i:j]]
        for p, (i, j) in zip(predictions, bounds, strict=True)
    ]
    progress(f"importance: leaving out each of {len(edited):,} words, for explanations")
    own = of_explanations([p.explanation for p in predictions])
    others = partners(examples, lambda place, other: labels[place] == labels[other])
    progress(f"importance: leaving out each of {len(edited):,} words, for other examples' explanations")
    foreign = of_explanations([predictions[k if k is not None else 0].explanation for k in others])

    agreement = [rank_correlation(a, b) for a, b in zip(of_labels, own, strict=True)]
    kendall = [rank_correlation(a, b, kind="kendall") for a, b in zip(of_labels, own, strict=True)]
    control = [
        None if k is None else rank_correlation(a, b) for k, a, b in zip(others, of_labels, foreign, strict=True)
    ]
    if all(value is None for value in agreement):
        return left_out(f"no example has {_FEWEST_WORDS} words that differ in importance")
    beside = [a if c is not None else None for a, c in zip(agreement, control, strict=True)]
    return Outcome(
        metrics={"importance_agreement": mean(agreement, bootstrap)},
        details={
            "words": len(edited),
            "kendall": mean(kendall, bootstrap).model_dump(),
            "without_an_order": sum(value is None for value in agreement),
            "controls": {
                "explanations of other examples with this label": average(control),
                "own explanations on the same examples": average(beside),
            },
            "examples": [
                {
                    "id": examples[k].id,
                    "label": labels[k],
                    "explanation": predictions[k].explanation,
                    "agreement": agreement[k],
                    "words": [
                        {"field": p.field, "number": p.number, "label": round(a, 4), "explanation": round(b, 4)}
                        for p, a, b in zip(where[k], of_labels[k], own[k], strict=True)
                    ],
                }
                for k in range(min(_QUOTED, len(examples)))
            ],
        },
        per_example={"importance_agreement": agreement},
    )


def rank_correlation(x: Sequence[float], y: Sequence[float], *, kind: str = "spearman") -> float | None:
    """Spearman's rho or Kendall's tau-b; None for fewer than 4 values, or where one side does not vary."""
    from scipy.stats import kendalltau, spearmanr

    if len(x) < _FEWEST_WORDS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a side that does not vary, whose correlation is NaN
        found = (spearmanr if kind == "spearman" else kendalltau)(x, y)
    return finite(float(found.statistic))
