"""Explanations that go round in circles, as small models write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasondistill.languages.word_splitting import words
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool, Verdict, at_least

_N = 3


class Repetition(Filter):
    """Explanations that repeat themselves.

    Attributes:
        min_new: least share of groups of three words that are met for the first time.
    """

    name = "repetition"
    title = "Does it go on, or go round in circles?"
    meaning = "Rejects texts most of whose groups of three words came before. Says nothing of one good sentence."
    turn = 60

    min_new: Annotated[float, Field(ge=0, le=1)] = 0.6

    def verdict(self, candidate: Candidate, pool: Pool) -> Verdict:
        sequence = words(candidate.answer.explanation)
        groups = [tuple(sequence[k : k + _N]) for k in range(max(1, len(sequence) - _N + 1))]
        return at_least(len(set(groups)) / len(groups), self.min_new, "repeats itself")
