"""Answers that a teacher's other samples contradict."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasondistill.teachers.filters.filter_definition import NO_OPINION, Filter, Pool, Verdict, at_least
from reasondistill.teachers.filters.votes import votes_free


class SelfConsistency(Filter):
    """Answers whose label most samples agree on (Wang et al. 2023).

    Attributes:
        min_agreement: least share of a row's free answers that have the same label.
        min_answers: rows with fewer free answers have no say.
    """

    name = "self_consistency"
    title = "Do the samples agree on the label?"
    meaning = (
        "Rejects labels that too few of the row's samples and teachers give. Says nothing where a teacher was told the "
        "label; all samples can be wrong together."
    )
    turn = 100

    min_agreement: Annotated[float, Field(ge=0, le=1)] = 0.5
    min_answers: Annotated[int, Field(ge=2)] = 2

    def left_out(self, pool: Pool) -> str:
        several = (sum(votes_free(answer) for _, answer in rows) for rows in pool.by_example.values())
        if max(several, default=0) < self.min_answers:
            return "no row has several answers whose label the teacher chose"
        return ""

    def verdicts(self, pool: Pool) -> list[Verdict]:
        verdicts = []
        for example, answer in pool.candidates:
            labels = [other.label for _, other in pool.by_example[example.id] if votes_free(other)]
            if len(labels) < self.min_answers or not votes_free(answer):
                verdicts.append(NO_OPINION)
            else:
                share = labels.count(answer.label) / len(labels)
                verdicts.append(at_least(share, self.min_agreement, "samples disagree on the label"))
        return verdicts
