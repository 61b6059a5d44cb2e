"""What stands at a place of a sentence that is not read yet: a noun phrase, a clause, an adverb."""

from __future__ import annotations

from reasondistill.verification.reading import closed_classes as closed
from reasondistill.verification.reading.noun_phrases import NounPhrases, is_open

POINTERS = frozenset(["them", "it", "him", "himself", "herself", "themselves", "itself"])
"""Objects that a premise can do without; what they stand for is not searched for."""

_BEFORE_NOUNS = frozenset({"at-least", "kind-of"})


class Lookahead:
    """Asks about places of one sentence; nothing is read by it."""

    def __init__(self, words: list[str], phrases: NounPhrases) -> None:
        self.words = words
        self.phrases = phrases

    def word(self, place: int) -> str:
        """The word at a place; nothing behind the end."""
        return self.words[place] if place < len(self.words) else ""

    def begins_phrase(self, place: int) -> bool:
        """Whether a noun phrase begins there."""
        if self._before_noun(place):
            return True
        forms, after = self.phrases.forms(place), self.word(place + 1)
        if forms.verb and (after in closed.DETERMINERS or after in closed.NUMBERS):
            return False
        if forms.verb and forms.form in ("ing", "s", "ed") and forms.verb_count >= max(forms.noun_count, 1):
            return bool(forms.form == "ed" and forms.adjective and self.phrases.forms(place + 1).noun)
        return self._nominal(place)

    def begins_object(self, place: int) -> bool:
        """Whether the object of a verb begins there."""
        is_other = self.word(place) in closed.PREPOSITIONS or self.is_adverb(place)
        return bool(self.word(place)) and self.begins_phrase(place) and not is_other

    def is_preposition(self, place: int) -> bool:
        """Whether a noun phrase follows a preposition that stands there, so that it is one."""
        forms = self.phrases.forms(place + 1)
        if self.word(place + 1) in POINTERS or self._before_noun(place + 1):
            return True
        return not (forms.form in ("ing", "s") and forms.mostly_verb) and self._nominal(place + 1)

    def begins_clause(self, place: int) -> bool:
        """Whether a verb stands there."""
        return self.word(place) in closed.BE or bool(self.phrases.forms(place).verb)

    def goes_on(self, place: int) -> bool:
        """Whether a clause of its own goes on there: with a verb that is no noun."""
        return self.begins_clause(place) and not self.phrases.forms(place).noun

    def is_perfect(self, place: int) -> bool:
        """Whether "has" there helps another verb: "has been", "have gathered"."""
        forms = self.phrases.forms(place + 1)
        return self.word(place + 1) in closed.BE or (forms.form == "ed" and bool(forms.verb) and not forms.noun)

    def is_adverb(self, place: int) -> bool:
        """Whether the word there is an adverb; one that may be a preposition too is where no noun phrase follows."""
        word, forms = self.word(place), self.phrases.forms(place)
        if word in closed.PREPOSITIONS:
            return word in closed.ADVERBS and not self.is_preposition(place)
        return word in closed.ADVERBS or (forms.adverb and not forms.noun and not forms.verb)

    def _before_noun(self, place: int) -> bool:
        word = self.word(place)
        return word in _BEFORE_NOUNS or any(
            word in kind for kind in (closed.DETERMINERS, closed.NUMBERS, closed.PRONOUNS)
        )

    def _nominal(self, place: int) -> bool:
        forms, word = self.phrases.forms(place), self.word(place)
        return bool(forms.noun or forms.adjective) or (bool(word) and is_open(word) and not forms.known)
