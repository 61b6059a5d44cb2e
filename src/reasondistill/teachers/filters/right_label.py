"""Answers with another label than the row's."""

from __future__ import annotations

from reasondistill.teachers.filters.filter_definition import NO_OPINION, Filter, Pool, Verdict
from reasondistill.teachers.filters.votes import votes_free


class RightLabel(Filter):
    """Answers whose label is the row's own, or that which teachers voted for (rejection sampling)."""

    name = "right_label"
    title = "Is its label the row's?"
    meaning = (
        "Rejects explanations of a wrong label. A right label can stand on a wrong explanation; says nothing where the "
        "teacher was told the label."
    )
    turn = 120

    def left_out(self, pool: Pool) -> str:
        return "the task has no labels" if pool.task.labels == () else ""

    def verdicts(self, pool: Pool) -> list[Verdict]:
        verdicts = []
        for example, answer in pool.candidates:
            if example.label is None or not votes_free(answer):
                verdicts.append(NO_OPINION)
            elif answer.label == example.label:
                verdicts.append(Verdict(score=1.0))
            else:
                voted = example.id in pool.votes
                verdicts.append(Verdict("not the label voted for" if voted else "not the right label", 0.0))
        return verdicts
