"""Explanations that are too short or too long."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from reasondistill.languages.word_splitting import length
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool, Verdict


class ExplanationLength(Filter):
    """Explanations by their number of words.

    Attributes:
        min_words: of those that are kept.
        max_words: of those that are kept.
    """

    name = "length"
    title = "Has it a usual length?"
    meaning = "Rejects explanations of very few or very many words. Says nothing of what they say."
    turn = 30

    min_words: Annotated[int, Field(ge=0)] = 3
    max_words: Annotated[int, Field(ge=1)] = 100

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) is more than max_words ({self.max_words})")
        return self

    def verdict(self, candidate: Candidate, pool: Pool) -> Verdict:
        words = length(candidate.answer.explanation)
        if words < self.min_words:
            return Verdict(f"fewer than {self.min_words} words", -float(words))
        return Verdict(f"more than {self.max_words} words" if words > self.max_words else "", -float(words))
