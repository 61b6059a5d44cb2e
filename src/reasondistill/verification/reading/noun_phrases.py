"""Noun phrases: determiner, number, adjectives, noun; a word is taken in where it is likelier a noun than a verb."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from reasondistill.verification.lexicon import Lexicon
from reasondistill.verification.reading import closed_classes as closed
from reasondistill.verification.reading.drafts import Draft, LookalikeError
from reasondistill.verification.reading.word_forms import WordForms, forms_of

_NOT_OPEN = (
    closed.BE
    | closed.DETERMINERS
    | closed.PREPOSITIONS
    | closed.CONJUNCTIONS
    | closed.SUBORDINATORS
    | closed.RELATIVES
    | closed.ADVERBS
    | closed.UNIVERSAL
    | closed.NEGATIVE
    | closed.STOPPING
    | frozenset(
        {
            "at-least",
            "kind-of",
            "they",
            "them",
            "it",
            "'s",
            ",",
            ";",
            ":",
            "himself",
            "herself",
            "themselves",
            "itself",
            "'",
        }
    )
    | frozenset(closed.PRONOUNS)
)


class Phrase(NamedTuple):
    """A noun phrase that was read: its words' place in the sentence, and what it says of its participant."""

    end: int
    noun: str
    plural: bool
    number: int
    modifiers: tuple[str, ...]
    name: str
    collective: str = ""
    exact: int = 0


def is_open(word: str) -> bool:
    """Whether a word is of an open class: a noun, a verb, an adjective."""
    return word not in _NOT_OPEN


class NounPhrases:
    """Reads noun phrases of one sentence."""

    def __init__(self, words: list[str], lexicon: Lexicon) -> None:
        self.words = words
        self.lexicon = lexicon
        self.coordinated = False

    def forms(self, place: int) -> WordForms:
        """The readings of the word at a place; none behind the end or of a closed class."""
        if place >= len(self.words) or not is_open(self.words[place]):
            return WordForms()
        return forms_of(self.words[place], self.lexicon)

    def animate(self, noun: str) -> bool:
        """Whether a noun is of people or animals."""
        return self.is_of([noun], ("noun person", "noun animal"))

    def is_of(self, nouns: Iterable[str], wide: Sequence[str]) -> bool:
        """Whether one of the nouns is of one of these predicates."""
        return any(self.lexicon.path(f"noun {noun}", predicate) for noun in nouns for predicate in wide)

    def phrase(self, start: int) -> Phrase | None:
        """The noun phrase that begins at a place; None where none does.

        Raises:
            LookalikeError: it holds what may turn a thing into one that only looks so.
        """
        place, number, exact, determined = self._determiners(start)
        words = self.words
        if place < len(words) and words[place] in closed.PRONOUNS and not determined:
            return Phrase(place + 1, closed.PRONOUNS[words[place]], False, number, (), words[place])
        if (of := self._collective(place)) is not None:
            inner = self.phrase(place + 2)
            if inner is not None and (inner.plural or inner.number > 1):
                name = " ".join(words[start : inner.end])
                return inner._replace(number=max(inner.number, of), name=name, collective=words[place])
        if place < len(words) and words[place] == "two-people":
            return Phrase(place + 1, "person", True, 2, (), "a couple", exact=2)
        end, modifiers = self._modifiers(place)
        end, nouns = self._nouns(end, determined or bool(modifiers))
        if not nouns:
            return None
        head = self.forms(end - 1)
        self._refuse_lookalikes([*modifiers, *nouns[:-1]], head.noun, self.words[end : end + 1] == ["of"])
        nouns, noun = self._compound(nouns, head)
        singular = bool({"a", "an"} & set(words[start:end])) and not number  # "a women"
        number = max(number, 2 if head.plural and not singular else closed.PLURAL_NOUNS.get(noun, 0))
        return Phrase(end, noun, head.plural, number, (*modifiers, *nouns), " ".join(words[start:end]), exact=exact)

    def _determiners(self, place: int) -> tuple[int, int, int, bool]:
        number, exact, determined, words = 0, 0, False, self.words
        while place < len(words):
            word = words[place]
            if word in ("at-least", "kind-of"):
                place += 1
                determined = True
                continue
            if word in closed.NUMBERS and (word not in ("couple", "pair") or not determined):
                number = max(number, closed.NUMBERS[word])
                exact = exact if word in closed.VAGUE else number
            elif word.isdigit():
                number = exact = max(number, int(word))
            elif word not in closed.DETERMINERS:
                break
            determined = True
            place += 1
        return place, number, 0 if "at-least" in words[:place] else exact, determined

    def _collective(self, place: int) -> int | None:
        """How many at least "group of" means."""
        while place < len(self.words) and self.forms(place).adjective and not self.forms(place).noun:
            place += 1
        if self.words[place : place + 1] and self.words[place + 1 : place + 2] == ["of"]:
            return closed.COLLECTIVES.get(self.words[place])
        return None

    def _modifiers(self, place: int) -> tuple[int, list[str]]:
        """Adjectives, and participles before a noun; "and" and commas between them."""
        found: list[str] = []
        words = self.words
        while place < len(words):
            forms, word = self.forms(place), words[place]
            joined = 2 if words[place : place + 2] == [",", "and"] else 1
            if word in (",", "and") and found and self._is_modifier(place + joined):
                place += joined
                continue
            if word in ("very", "really") or (forms.adverb and not forms.noun and self._is_modifier(place + 1)):
                place += 1
                continue
            if not self._is_modifier(place):
                break
            found.append(word)
            place += 1
        return place, found

    def _is_modifier(self, place: int) -> bool:
        forms, after = self.forms(place), self.forms(place + 1)
        word = self.words[place] if place < len(self.words) else ""
        follows = bool(after.noun or after.adjective or (after.form in ("ing", "ed") and after.verb))
        if forms.noun and after.form == "s" and after.mostly_verb:
            return False
        if not after.known and place + 1 < len(self.words) and is_open(self.words[place + 1]):
            follows = True
        if self.words[place + 1 : place + 2] and self.words[place + 1] in (",", "and") and forms.adjective:
            follows = self._more_modifiers(place + 1)
        if not follows or not word:
            return False
        if forms.adjective and (not forms.noun or forms.adjective_count >= forms.noun_count):
            return True
        if "-" in word and not forms.noun:
            return bool(after.noun)
        return forms.form in ("ing", "ed") and bool(forms.verb) and bool(after.noun) and not forms.noun_count

    def _more_modifiers(self, place: int) -> bool:
        """Whether adjectives with commas and "and" between them go on up to a noun: "black, white, and red dog"."""
        while place < len(self.words):
            while self.words[place : place + 1] and self.words[place] in (",", "and"):
                place += 1
            if not self.forms(place).adjective:
                return False
            place += 1
            if self.forms(place).noun:
                return True
            if place >= len(self.words) or self.words[place] not in (",", "and"):
                return False
        return False

    def _nouns(self, place: int, determined: bool) -> tuple[int, list[str]]:
        nouns: list[str] = []
        words = self.words
        while place < len(words):
            forms = self.forms(place)
            if not forms.noun and not (is_open(words[place]) and not forms.known and (determined or nouns)):
                break
            if nouns and self._is_verb(place, nouns[-1]):
                if not self._modifies(place, nouns[-1]):
                    break
                nouns.append(words[place])
                place += 1
                continue
            if not nouns and not determined and forms.verb and forms.form == "ing" and forms.verb_count:
                break
            nouns.append(words[place])
            place += 1
        return place, nouns

    def _modifies(self, place: int, before: str) -> bool:
        """Whether a participle after a thing belongs to the noun behind it: "snow covered mountain"."""
        forms, after = self.forms(place), self.forms(place + 1)
        head = forms_of(before, self.lexicon)
        return forms.form == "ed" and bool(after.noun) and not after.verb and not self.animate(head.noun)

    def _is_verb(self, place: int, before: str) -> bool:
        """Whether the word after a noun is a verb of it, not the next part of a compound."""
        forms, head = self.forms(place), forms_of(before, self.lexicon)
        if not forms.verb:
            return False
        after = self.words[place + 1] if place + 1 < len(self.words) else ""
        if after in closed.DETERMINERS or after in closed.NUMBERS:
            return True
        if forms.form in ("ing", "ed"):
            return not (forms.noun_count > 3 * forms.verb_count and not self.animate(head.noun))
        if after in closed.BE or not forms.verb_count:
            return False
        animate = self.animate(head.noun)
        agrees = (head.plural or self.coordinated) == (forms.form == "base")
        if forms.form == "s" and forms.mostly_verb:
            return True
        return agrees and (animate or forms.mostly_verb)

    def _compound(self, nouns: list[str], head: WordForms) -> tuple[list[str], str]:
        """What is left of the modifying nouns, and the head, which may be a compound that WordNet has."""
        noun = head.noun or nouns[-1]
        if len(nouns) > 1:
            both = f"{nouns[-2]} {noun}"
            if self.lexicon.count(both, "n") is not None:
                return nouns[:-2], both
        return nouns[:-1], noun

    def _refuse_lookalikes(self, modifiers: list[str], noun: str, of: bool) -> None:
        for word in modifiers:
            if word in closed.NOT_INTERSECTIVE or (word in closed.MATERIALS and self.animate(noun)):
                raise LookalikeError(f"“{word}” may make a thing that only looks like one")
        if of and noun in closed.DEPICTIONS:
            raise LookalikeError(f"“{noun}” shows what need not be there")

    def claim(self, draft: Draft, phrase: Phrase, participant: int | None = None) -> int:
        """Put what a phrase says into the draft, of a new participant or of one that is there."""
        of = draft.participant(phrase.name) if participant is None else participant
        if phrase.noun:
            draft.claim("noun", phrase.noun, of)
        for modifier in phrase.modifiers:
            forms = forms_of(modifier, self.lexicon)
            if forms.verb and forms.form == "ing" and forms.verb_count > forms.adjective_count:
                draft.claim("verb", forms.verb, of)
            else:
                draft.claim("adjective", modifier, of)
        if phrase.number > 1:
            draft.claim("number", str(phrase.number), of)
        if phrase.exact:
            draft.claim("number", f"exactly {phrase.exact}", of)
        return of
