"""What is right of the labels. Functions: `metrics.label`."""

from __future__ import annotations

from reasondistill.metrics.metric import Metric

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
        depends_on=("task",),
        headline=True,
        weighed=True,
    ),
    Metric(
        name="parse_rate",
        title="Parse rate",
        summary="share of free outputs in which a label was found",
        family="labels",
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
    ),
    Metric(
        name="recall",
        summary="of the rows with this gold label, the share given this label",
        family="labels",
        about="labels",
        needs=("gold labels",),
        per_label_only=True,
    ),
    Metric(
        name="f1",
        title="F1",
        summary="harmonic mean of precision and recall",
        family="labels",
        about="labels",
        needs=("gold labels",),
        per_label_only=True,
    ),
)
