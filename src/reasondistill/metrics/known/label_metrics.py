"""What is right of the labels. Functions: `metrics.label`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics import label
from reasondistill.metrics.measure import Given, Measure
from reasondistill.metrics.metric import NO_ROW_SCORE, Metric
from reasondistill.metrics.statistics import FloatArray


def _macro_f1(rows: Sequence[ScoredRow], given: Given) -> Measure | None:
    present = np.array([row.gold is not None for row in rows])
    if not present.any():
        return None
    labels = given.labels
    statistics = label.label_statistics([row.gold or "" for row in rows], [row.label for row in rows], labels)

    def function(sums: FloatArray) -> FloatArray:
        return label.macro_f1(sums.reshape(*sums.shape[:-1], 3, len(labels)))

    return Measure("corpus", statistics.reshape(len(rows), -1), present, function)


_labels = partial(Metric, family="labels", about="labels", needs=("gold labels",))
_of_a_label = partial(_labels, per_label_only=True, not_resampled="it stands in per_label alone")

LABEL_METRICS = (
    _labels(
        "label_accuracy", "Label accuracy", "share of rows whose label is the gold one",
        score="correct", headline=True, weighed=True,
    ),
    _labels(
        "label_macro_f1", "Label macro-F1", "unweighted mean over labels of F1",
        columns=_macro_f1, depends_on=("task",), headline=True, weighed=True,
    ),
    Metric(
        "parse_rate", "Parse rate", "share of free outputs in which a label was found",
        family="labels", not_resampled=NO_ROW_SCORE,
    ),
)  # fmt: skip

PER_LABEL_METRICS = (
    _of_a_label("precision", "Precision", "of the rows given this label, the share with this gold label"),
    _of_a_label("recall", "Recall", "of the rows with this gold label, the share given this label"),
    _of_a_label("f1", "F1", "harmonic mean of precision and recall"),
)
