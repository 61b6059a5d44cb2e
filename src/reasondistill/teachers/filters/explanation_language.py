"""Explanations in another language than the inputs."""

from __future__ import annotations

from typing import Final

from reasondistill.languages.detection import UNKNOWN, language
from reasondistill.teachers.filters.filter_definition import Filter, Pool, Verdict

_SAMPLE: Final = 200


class ExplanationLanguage(Filter):
    """Explanations whose stop words or script are those of another language.

    Attributes:
        language: that explanations are to be in, as "English"; by default that of the inputs.
    """

    name = "language"
    title = "Is it in the right language?"
    meaning = (
        "Rejects explanations that a light guess (script, stop words) puts into another language. A text too short to "
        "tell passes."
    )
    turn = 40

    language: str | None = None

    def left_out(self, pool: Pool) -> str:
        return "the language of the inputs is not known" if self._expected(pool) == UNKNOWN else ""

    def _expected(self, pool: Pool) -> str:
        if self.language is not None:
            return self.language
        examples = [candidate.example for candidate in pool.everything[:_SAMPLE]]
        return language("\n".join(e.fields.get(name, "") for e in examples for name in pool.task.fields))

    def verdicts(self, pool: Pool) -> list[Verdict]:
        expected = self._expected(pool)
        guesses = [language(candidate.answer.explanation) for candidate in pool.candidates]
        return [
            Verdict("" if guess in (expected, UNKNOWN) else f"{guess} instead of {expected}", float(guess == expected))
            for guess in guesses
        ]
