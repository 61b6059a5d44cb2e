"""Accuracy, precision, recall, F1 and confusion of labels.

A prediction of None (no label given) is wrong: it counts against accuracy and against the gold label's recall, and
is no class of its own. Everything but the confusion matrix comes from three counts a label, which add up over rows,
so that the bootstrap can use the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reasondistill.metrics.statistics import FloatArray

NO_LABEL = "(no label)"
"""The name of answers without a label in a confusion matrix."""


def accuracy(gold: Sequence[str], predicted: Sequence[str | None]) -> float:
    """The share of rows whose label is the gold one, in [0, 1]; 0 without rows."""
    return sum(g == p for g, p in zip(gold, predicted, strict=True)) / len(gold) if gold else 0.0


def label_statistics(gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> FloatArray:
    """Per row and label: is it correctly predicted, predicted, gold (0 or 1); shape (n, 3, labels).

    Rows whose gold label is none of ``labels`` (the bootstrap passes "" for rows without one) count nothing.
    """
    number = {label: k for k, label in enumerate(labels)}
    statistics = np.zeros((len(gold), 3, len(labels)))
    for row, (g, p) in enumerate(zip(gold, predicted, strict=True)):
        if g not in number:
            continue
        statistics[row, 2, number[g]] = 1
        if p in number:
            statistics[row, 1, number[p]] = 1
            statistics[row, 0, number[p]] = g == p
    return statistics


def precision(counts: FloatArray) -> FloatArray:
    """Correct among predicted; counts (…, 3, labels) -> (…, labels), 0 where a label is never predicted."""
    return _divide(counts[..., 0, :], counts[..., 1, :])


def recall(counts: FloatArray) -> FloatArray:
    """Correct among gold; counts (…, 3, labels) -> (…, labels), 0 where a label is never gold."""
    return _divide(counts[..., 0, :], counts[..., 2, :])


def f1(counts: FloatArray) -> FloatArray:
    """The harmonic mean of precision and recall; counts (…, 3, labels) -> (…, labels), 0 where undefined."""
    return _divide(2 * counts[..., 0, :], counts[..., 1, :] + counts[..., 2, :])


def macro_f1(counts: FloatArray) -> FloatArray:
    """The unweighted mean of F1 over the labels that are gold or predicted at all, as scikit-learn's default.

    Args:
        counts: sums of `label_statistics` over rows, (…, 3, labels).

    Returns:
        (…,), in [0, 1]; NaN without rows.
    """
    occurs = counts[..., 1, :] + counts[..., 2, :] > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: FloatArray = f1(counts).sum(axis=-1) / occurs.sum(axis=-1)
    return mean


def confusion(
    gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]
) -> tuple[list[str], list[list[int]]]:
    """The confusion matrix: ``counts[i][j]`` rows of gold label ``names[i]`` were given ``names[j]``.

    Returns:
        ``names`` and ``counts``. Where predictions without a label occur, `NO_LABEL` is added to the labels, so that
        each gold label's row still adds up to its number.
    """
    names = [*labels, NO_LABEL] if None in predicted else list(labels)
    number = {name: k for k, name in enumerate(names)}
    counts: NDArray[np.int64] = np.zeros((len(names), len(names)), dtype=np.int64)
    for g, p in zip(gold, predicted, strict=True):
        counts[number[g], number[NO_LABEL if p is None else p]] += 1
    return names, counts.tolist()


def cohen_kappa(counts: FloatArray) -> FloatArray:
    """Agreement of two labellings beyond what their label frequencies give by chance (Cohen 1960).

    (observed − expected) / (1 − expected), where *expected* is how often two labellers with these frequencies agree if
    they know nothing of each other.

    Args:
        counts: rows that the first gave label i and the second label j, (…, K, K).

    Returns:
        (…,), at most 1; NaN without rows, and where both only ever give one and the same label.
    """
    total = counts.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.trace(counts, axis1=-2, axis2=-1) / total
        expected = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1) / total**2
        return np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)


def _divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
