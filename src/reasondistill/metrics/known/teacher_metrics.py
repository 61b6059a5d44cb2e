"""How far a system agrees with the first of its teachers. Computed in `evaluation.agreement`."""

from __future__ import annotations

from reasondistill.metrics.metric import Metric

TEACHER_METRICS = (
    Metric(
        name="student_teacher_label_agreement",
        title="Label agreement with the teacher",
        summary="share of rows given the teacher's label",
        family="teachers",
        about="labels",
        needs=("a teacher",),
        score="teacher_label_agreement",
        score_title="Same label as the teacher",
        depends_on=("teacher",),
        headline=True,
    ),
    Metric(
        name="student_teacher_agreement",
        title="Agreement with the teacher (BERTScore F1)",
        summary="BERTScore F1 of the explanation against the teacher's",
        family="teachers",
        needs=("a teacher",),
        score="teacher_agreement",
        score_title="Teacher, BERTScore F1",
        depends_on=("teacher", "aggregate", "bertscore"),
        headline=True,
    ),
)
