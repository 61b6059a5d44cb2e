"""What people say of a student's answers, as the service keeps it."""

from __future__ import annotations

from typing import Literal

from reasondistill.contracts.base import Block
from reasondistill.contracts.records import Text

Verdict = Literal["right", "wrong"]


class Feedback(Block):
    """One person's verdict on one answer.

    Attributes:
        student: fingerprint of the student that answered.
        task: its name.
        fields: the example's texts.
        choices: what there was to choose from, where each example brings its own.
        label: the label that the student gave.
        explanation: the explanation that it gave.
        verdict: on both.
        corrected_label: what would have been right.
        corrected_explanation: a better one.
        by: who says so.
        why: a remark; it is not learned from.
        group: ties variants of one example, which must not be split apart; by default the example's texts do.
        received: when, in UTC (ISO 8601).
    """

    schema_version: Literal[1] = 1
    student: Text
    task: Text
    fields: dict[Text, Text]
    choices: list[Text] | None = None
    label: Text | None
    explanation: Text
    verdict: Verdict
    corrected_label: Text | None = None
    corrected_explanation: Text | None = None
    by: Text = ""
    why: Text = ""
    group: Text | None = None
    received: Text
