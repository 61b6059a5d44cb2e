"""What is right of the labels. Functions: `metrics.label`."""

from __future__ import annotations

from collections.abc import Sequence

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


LABEL_METRICS = (
    Metric(
        name="label_accuracy",
        title="Label accuracy",
        summary="share of rows whose label is the gold one",
        family="labels",
        about="labels",
        needs=("gold labels",),
        score="correct",
        headline=True,
        weighed=True,
    ),
    Metric(
        name="label_macro_f1",
        title="Label macro-F1",
        summary="unweighted mean over labels of F1",
        family="labels",
        about="labels",
        needs=("gold labels",),
        columns=_macro_f1,
        depends_on=("task",),
        headline=True,
        weighed=True,
    ),
    Metric(
        name="parse_rate",
        title="Parse rate",
        summary="share of free outputs in which a label was found",
        family="labels",
        not_resampled=NO_ROW_SCORE,
    ),
)

PER_LABEL_METRICS = (
    Metric(
        name="precision",
        summary="of the rows given this label, the share with this gold label",
        family="labels",
        about="labels",
        needs=("gold labels",),
        per_label_only=True,
        not_resampled="it stands in per_label alone",
    ),
    Metric(
        name="recall",
        summary="of the rows with this gold label, the share given this label",
        family="labels",
        about="labels",
        needs=("gold labels",),
        per_label_only=True,
        not_resampled="it stands in per_label alone",
    ),
    Metric(
        name="f1",
        title="F1",
        summary="harmonic mean of precision and recall",
        family="labels",
        about="labels",
        needs=("gold labels",),
        per_label_only=True,
        not_resampled="it stands in per_label alone",
    ),
)
