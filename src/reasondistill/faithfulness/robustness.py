"""Robustness equivalence: does noise in the input move the label and the explanation together?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from reasondistill.faithfulness.common import finite, log_probability, partners, similarity, without_both
from reasondistill.faithfulness.editing import noised, places, word_at
from reasondistill.faithfulness.outcome import Outcome, left_out
from reasondistill.faithfulness.subject import Subject
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, correlation, correlation_statistics
from reasondistill.metrics.text import Rouge
from reasondistill.records import Example, Prediction
from reasondistill.results import Metric, mean

LEVELS = (0.1, 0.2, 0.35, 0.5)
"""Shares of words that are replaced."""


def robustness(
    subject: Subject,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    bootstrap: GroupBootstrap,
    *,
    levels: Sequence[float] = LEVELS,
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> Outcome:
    """Replace growing shares of the input's words by random ones, and see what label and explanation lose.

    After the robustness equivalence of Wiegreffe, Marasović & Smith 2021, section 4, whose noise is in the embeddings;
    words can be replaced whatever runs the student.

    Args:
        subject: answers the noised inputs; one prediction for each example and level.
        examples: that it has labelled and explained.
        predictions: of ``examples`` as they are.
        bootstrap: over ``examples``.
        levels: shares of words, increasing.
        seed: of the noise.
        progress: called with a sentence.
    """
    if reason := without_both(predictions):
        return left_out(reason)
    pool = [word_at(e, place) for e in examples for place in places(e, subject.task)]
    if not pool:
        return left_out("no example has a word to replace")
    edited = [one for e in examples for one in noised(e, subject.task, levels, pool, seed)]
    progress(f"robustness: answering {len(edited):,} inputs with noise")
    after = subject.predict(edited)
    times = len(levels)
    labels = [p.label for p in predictions for _ in levels]
    said = [p.explanation for p in predictions for _ in levels]
    plain = subject.explanation_scores(examples, labels[::times], said[::times])
    noisy = subject.explanation_scores(edited, labels, said)
    before = [log_probability(p.probabilities, p.label) for p in predictions]
    then = [log_probability(p.probabilities, label) for p, label in zip(after, labels, strict=True)]
    rouge = Rouge()

    def shaped(values: Sequence[float]) -> FloatArray:
        return np.array(values, dtype=np.float64).reshape(len(examples), times)

    label_drop = np.array(before)[:, None] - shaped(then)
    explanation_drop = np.array(plain)[:, None] - shaped(noisy)
    kept = shaped([float(p.label == label) for p, label in zip(after, labels, strict=True)])
    alike = shaped([similarity(rouge, p.explanation, text) for p, text in zip(after, said, strict=True)])
    agreement = _agreement(label_drop, explanation_drop)
    stability = kept.mean(axis=1).tolist()
    explanation_stability = alike.mean(axis=1).tolist()
    value = finite(float(correlation(agreement.sum(axis=0))))
    metrics = {
        "label_stability": mean(stability, bootstrap),
        "explanation_stability": mean(explanation_stability, bootstrap),
    }
    if value is not None:
        interval = bootstrap.interval(agreement, correlation)
        metrics["robustness_agreement"] = Metric(value=value, ci95=interval, n=len(examples))
    pooled = correlation(correlation_statistics(rankdata(label_drop), rankdata(explanation_drop)).sum(axis=0))
    return Outcome(
        metrics=metrics,
        details={
            "levels": list(levels),
            "seed": seed,
            "curves": _curves(
                levels, examples, [*predictions, *after], [kept, alike, label_drop, explanation_drop], bootstrap
            ),
            "agreement_pooled_over_levels": finite(float(pooled)),
            "controls": {"explanations of other examples": _control(examples, label_drop, explanation_drop)},
        },
        per_example={"label_stability": stability, "explanation_stability": explanation_stability},
    )


def _agreement(label_drop: FloatArray, explanation_drop: FloatArray) -> FloatArray:
    """Statistics of each example, (n, 6), for Spearman's correlation of drops (n, levels) ranked within each level."""
    x, y = rankdata(label_drop, axis=0), rankdata(explanation_drop, axis=0)
    statistics = correlation_statistics(x, y).reshape(*label_drop.shape, 6)
    return np.asarray(statistics.sum(axis=1))


def _control(examples: Sequence[Example], label_drop: FloatArray, explanation_drop: FloatArray) -> float | None:
    """The same correlation beside another example's explanation: what is left of it was no agreement."""
    others = partners(examples)
    here = [k for k, other in enumerate(others) if other is not None]
    there = [other for other in others if other is not None]
    if not here:
        return None
    return finite(float(correlation(_agreement(label_drop[here], explanation_drop[there]).sum(axis=0))))


def _curves(
    levels: Sequence[float],
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    columns: Sequence[FloatArray],
    bootstrap: GroupBootstrap,
) -> list[dict[str, Any]]:
    """A row for each level, the one without noise first.

    Args:
        answers: those without noise, then those of the first example at each level, of the second …
        columns: label kept, explanation kept, drop of the label, drop of the explanation: (n, levels) each.
    """
    n, times = len(examples), len(levels)
    names = ("label_stability", "explanation_stability", "label_drop", "explanation_drop")
    untouched = (1.0, 1.0, 0.0, 0.0)
    rows = []
    for k, share in enumerate((0.0, *levels)):
        given = answers[:n] if k == 0 else answers[n + k - 1 :: times]
        right = [None if e.label is None else float(e.label == p.label) for e, p in zip(examples, given, strict=True)]
        figures = [[u] * n if k == 0 else c[:, k - 1].tolist() for u, c in zip(untouched, columns, strict=True)]
        if any(r is not None for r in right):
            figures.append(right)
        row = zip((*names, "label_accuracy"), figures, strict=False)
        rows.append({"share": share, **{name: mean(values, bootstrap).model_dump() for name, values in row}})
    return rows
