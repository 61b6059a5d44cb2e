"""Explanations that restate an input field."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasondistill.metrics.text import COPY_THRESHOLD, copied_share
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool, Verdict


class Copies(Filter):
    """Explanations whose words stand in one field in the same order.

    Attributes:
        max_copied: share of words from which an explanation is a copy; 0.9 is what `copy_rate` counts.
    """

    name = "copies"
    title = "Does it say more than one of the fields?"
    meaning = "Rejects restated fields, as `copy_rate` counts them. A field in other words passes."
    turn = 70

    max_copied: Annotated[float, Field(gt=0, le=1)] = COPY_THRESHOLD

    def verdict(self, candidate: Candidate, pool: Pool) -> Verdict:
        fields = {name: candidate.example.fields[name] for name in pool.task.fields}
        share = copied_share(candidate.answer.explanation, fields)
        return Verdict("restates a field" if share >= self.max_copied else "", 1 - share)
