"""Answers of which the teacher itself is not sure."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasondistill.contracts.teaching import TeacherAnswer
from reasondistill.teachers.filters.filter_definition import NO_OPINION, Filter, Pool, Verdict, at_least


def confidence_of(answer: TeacherAnswer) -> float | None:
    """The probability that a teacher gives its own label; None where it gives none."""
    if answer.confidence is not None or answer.label is None:
        return answer.confidence
    return answer.probabilities.get(answer.label)


class TeacherConfidence(Filter):
    """Answers by the probability that the teacher gives its label.

    Attributes:
        min_confidence: least probability.
    """

    name = "teacher_confidence"
    title = "Is the teacher sure?"
    meaning = (
        "Rejects answers of a low probability. Most language models say too high ones; a calibrated classifier's are "
        "worth more. Says nothing of answers without one."
    )
    on = False
    turn = 130

    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.8

    def left_out(self, pool: Pool) -> str:
        if all(confidence_of(answer) is None for _, answer in pool.candidates):
            return "no answer has a probability"
        return ""

    def verdicts(self, pool: Pool) -> list[Verdict]:
        confidences = [confidence_of(answer) for _, answer in pool.candidates]
        return [
            NO_OPINION if value is None else at_least(value, self.min_confidence, "the teacher is not sure")
            for value in confidences
        ]
