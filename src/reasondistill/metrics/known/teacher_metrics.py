"""How far a system agrees with the first of its teachers. Computed in `evaluation.agreement`."""

from __future__ import annotations

from functools import partial

from reasondistill.metrics.metric import Metric

_agreement = partial(Metric, family="teachers", needs=("a teacher",), headline=True)

TEACHER_METRICS = (
    _agreement(
        "student_teacher_label_agreement", "Label agreement with the teacher",
        "share of rows given the teacher's label",
        about="labels", score="teacher_label_agreement", score_title="Same label as the teacher",
        depends_on=("teacher",),
    ),
    _agreement(
        "student_teacher_agreement", "Agreement with the teacher (BERTScore F1)",
        "BERTScore F1 of the explanation against the teacher's",
        score="teacher_agreement", score_title="Teacher, BERTScore F1",
        depends_on=("teacher", "aggregate", "bertscore"),
    ),
)  # fmt: skip
