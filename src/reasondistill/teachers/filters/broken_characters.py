"""Explanations with remains of markup or a wrong encoding."""

from __future__ import annotations

from typing import Final

from reasondistill.data.audit.texts import FLAWS, flaws
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool, Verdict

_BROKEN: Final = ("unprintable", "mojibake", "html")


class BrokenCharacters(Filter):
    """Explanations with characters that nobody wrote."""

    name = "characters"
    title = "Are its characters sound?"
    meaning = "Rejects control characters, text of a wrong encoding and remains of HTML, as the audit counts them."
    turn = 50

    def verdict(self, candidate: Candidate, pool: Pool) -> Verdict:
        broken = [flaw for flaw in flaws(candidate.answer.explanation) if flaw in _BROKEN]
        return Verdict(FLAWS[broken[0]] if broken else "", float(not broken))
