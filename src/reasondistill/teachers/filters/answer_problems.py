"""Answers that cannot be read."""

from __future__ import annotations

from reasondistill.metrics.text import is_empty
from reasondistill.teachers.filters.filter_definition import Filter, Pool, Verdict


class AnswerProblems(Filter):
    """Answers that could not be read, and those without the explanation that was asked for."""

    name = "problems"
    title = "Can the answer be read?"
    meaning = (
        "Rejects answers that are marked with a problem (JSON that breaks off, an unknown label), and answers without "
        "the explanation that was asked for. Does not look at what they say."
    )
    required = True
    turn = 10

    def verdicts(self, pool: Pool) -> list[Verdict]:
        verdicts = []
        for _, answer in pool.candidates:
            empty = answer.mode != "label_only" and is_empty(answer.explanation)
            verdicts.append(Verdict(answer.problem or ("no explanation" if empty else "")))
        return verdicts
