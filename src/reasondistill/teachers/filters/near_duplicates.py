"""Explanations that say what another one of the same row says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasondistill.data.audit.duplicates import NEAR
from reasondistill.data.audit.texts import plain
from reasondistill.metrics.text import is_empty
from reasondistill.teachers.filters.filter_definition import NO_OPINION, Filter, Pool, Verdict


class NearDuplicates(Filter):
    """Explanations nearly equal to an earlier one of the same row and label; the first one stays.

    Attributes:
        max_similarity: Jaccard similarity of their words from which two are the same.
    """

    name = "near_duplicates"
    title = "Does it add to the row's other explanations?"
    meaning = "Rejects repeats within a row; the same explanation of different rows is for `templates`."
    turn = 900

    max_similarity: Annotated[float, Field(gt=0, le=1)] = NEAR

    def verdicts(self, pool: Pool) -> list[Verdict]:
        kept: dict[tuple[str, str | None], list[frozenset[str]]] = {}
        verdicts = []
        for candidate in pool.candidates:
            if is_empty(candidate.answer.explanation):
                verdicts.append(NO_OPINION)
                continue
            words = frozenset(plain(candidate.answer.explanation).split())
            earlier = kept.setdefault((candidate.example.id, candidate.label), [])
            nearest = max((_jaccard(words, other) for other in earlier), default=0.0)
            if nearest >= self.max_similarity:
                verdicts.append(Verdict("says what an earlier one says", 1 - nearest))
            else:
                earlier.append(words)
                verdicts.append(Verdict(score=1 - nearest))
        return verdicts


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / len(first | second) if first | second else 1.0
