"""Rows without a label to which teachers gave none that is sure enough."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasondistill.teachers.filters.filter_definition import Filter, Pool, Verdict, at_least


class TaughtLabel(Filter):
    """Rows whose label comes from teachers, by how sure their vote is.

    Attributes:
        min_confidence: least probability of the label that won the vote of teachers and samples.
    """

    name = "taught_label"
    title = "Is the label that teachers gave sure enough?"
    meaning = (
        "Rejects rows without a label on which teachers did not vote, or did not agree enough. Says nothing of rows "
        "that came with a label; teachers can agree on a wrong one."
    )
    turn = 110

    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.5

    def left_out(self, pool: Pool) -> str:
        if pool.task.labels == ():
            return "the task has no labels"
        if not any(self._unlabelled(pool, example.id) for example, _ in pool.candidates):
            return "every row came with a label"
        return ""

    @staticmethod
    def _unlabelled(pool: Pool, identity: str) -> bool:
        return identity in pool.votes or pool.by_example[identity][0].example.label is None

    def verdicts(self, pool: Pool) -> list[Verdict]:
        verdicts = []
        for example, _ in pool.candidates:
            if example.id in pool.votes:
                confidence = pool.votes[example.id].confidence
                verdicts.append(at_least(confidence, self.min_confidence, "teachers are not sure of the label"))
            else:
                verdicts.append(Verdict("" if example.label is not None else "no teacher gave a label"))
        return verdicts
