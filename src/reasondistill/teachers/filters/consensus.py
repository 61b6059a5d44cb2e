"""Explanations that no other sample resembles."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import Field

from reasondistill.metrics.text import Rouge, is_empty, likeness
from reasondistill.teachers.filters.filter_definition import NO_OPINION, Filter, Pool, Verdict, at_least


class Consensus(Filter):
    """Explanations by how much the other samples for the same row and label resemble them.

    Attributes:
        min_likeness: least mean ROUGE-L with the others, in [0, 1].
    """

    name = "consensus"
    title = "Do other samples say the same?"
    meaning = (
        "Rejects outliers among several explanations of one row and label. Several samples can make the same mistake, "
        "and a good one in other words is an outlier."
    )
    on = False
    turn = 170

    min_likeness: Annotated[float, Field(ge=0, le=1)] = 0.2

    def left_out(self, pool: Pool) -> str:
        rows = Counter((candidate.example.id, candidate.label) for candidate in pool.everything)
        return "" if max(rows.values(), default=0) > 1 else "no row has two explanations of one label"

    def verdicts(self, pool: Pool) -> list[Verdict]:
        rouge = Rouge()
        verdicts = []
        for candidate in pool.candidates:
            text = candidate.answer.explanation
            others = [
                other.answer.explanation
                for other in pool.by_example[candidate.example.id]
                if other.answer != candidate.answer and other.label == candidate.label
            ]
            others = [other for other in others if not is_empty(other)]
            if not others or is_empty(text):
                verdicts.append(NO_OPINION)
            else:
                mean = sum(likeness(rouge, text, other) for other in others) / len(others)
                verdicts.append(at_least(mean, self.min_likeness, "no other sample says it"))
        return verdicts
