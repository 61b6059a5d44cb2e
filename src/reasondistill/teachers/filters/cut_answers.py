"""Answers that break off."""

from __future__ import annotations

import re
from typing import Final

from reasondistill.languages.english import NEVER_LAST
from reasondistill.languages.word_splitting import tokens
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool, Verdict

_OPEN_END: Final = re.compile(r"[,;:(\[{\-–—/&+]\s*$")
_BRACKETS: Final = ("()", "[]", "“”", "«»")


class CutAnswers(Filter):
    """Explanations that stop in the middle of a sentence."""

    name = "cut"
    title = "Is the explanation whole?"
    meaning = (
        "Rejects answers that the server cut (finish reason length), and texts that end in a comma, an open bracket or "
        "an English word that ends no sentence (the, and, because). A text cut elsewhere passes."
    )
    turn = 20

    def verdict(self, candidate: Candidate, pool: Pool) -> Verdict:
        text = candidate.answer.explanation.rstrip()
        if candidate.answer.finish_reason == "length":
            return Verdict("cut at the limit of tokens", 0.0)
        if _OPEN_END.search(text) or any(text.count(a) > text.count(b) for a, b in _BRACKETS):
            return Verdict("ends with an open mark", 0.0)
        words = tokens(text)
        if words and words[-1] in NEVER_LAST and text[-1].isalnum():
            return Verdict("ends in the middle of a sentence", 0.0)
        return Verdict(score=1.0)
