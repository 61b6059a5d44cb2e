"""Clauses: a subject, what it does, to what, and where; one moment, so that verbs need no events of their own."""

from __future__ import annotations

from reasondistill.contracts.proofs import Form
from reasondistill.verification.lexicon import Lexicon
from reasondistill.verification.reading import closed_classes as closed
from reasondistill.verification.reading.drafts import Draft, LookalikeError, OutsideError, words_of
from reasondistill.verification.reading.lookahead import POINTERS, Lookahead
from reasondistill.verification.reading.noun_phrases import NounPhrases, is_open

_CLOTHES = ("noun clothing", "noun glasses", "noun goggles", "noun sunglasses", "noun tutu", "noun polo", "noun makeup")
_BORNE = ("noun body part", "noun hair", "noun clothing")
"""What one wears, and what belongs to whom it is named with."""


class _StopError(Exception):
    """What follows is not read; a premise ends here, a hypothesis is outside."""


def read(text: str, lexicon: Lexicon, *, whole: bool) -> Form:
    """The form of a caption.

    Args:
        whole: every word has to be read, as for a hypothesis; else the sentence may be read up to some place.

    Raises:
        OutsideError: the sentence is outside the fragment.
    """
    words = words_of(text)
    for word in words:
        if word in closed.OUTSIDE or (whole and (word in closed.STOPPING or word.endswith("n't"))):
            raise OutsideError(f"“{word}”")
    return _Clauses(words, lexicon, whole).form()


class _Clauses:
    """Reads one sentence from left to right: ``subjects`` act in the clause, ``last`` is the noun phrase before."""

    def __init__(self, words: list[str], lexicon: Lexicon, whole: bool) -> None:
        self.words = words
        self.lexicon = lexicon
        self.whole = whole
        self.phrases = NounPhrases(words, lexicon)
        self.ahead = Lookahead(words, self.phrases)
        self.draft = Draft()
        self.place = 0
        self.subjects: list[int] = []
        self.first_subjects: list[int] = []
        self.last: list[int] = []
        self.verbs = 0

    def form(self) -> Form:
        self._quantifier()
        try:
            self._clause()
            while self.place < len(self.words):
                self._next()
        except (_StopError, LookalikeError) as stop:
            if self.whole or self.draft.quantifier != "some":
                raise OutsideError(str(stop)) from stop
            self.draft.skipped += self.words[self.place :]
        if not self.draft.conditions:
            raise OutsideError("nothing that was read")
        return self.draft.form()

    def _word(self, ahead: int = 0) -> str:
        return self.ahead.word(self.place + ahead)

    def _skip(self, n: int) -> None:
        """Leave out some words of a premise.

        Raises:
            _StopError: the sentence has to be read whole.
        """
        if self.whole or self.draft.quantifier != "some":
            raise _StopError(" ".join(self.words[self.place : self.place + n]).join("“”"))
        self.draft.skipped += self.words[self.place : self.place + n]
        self.place += n

    def _quantifier(self) -> None:
        word = self._word()
        if word in closed.NEGATIVE or word in closed.UNIVERSAL:
            self.draft.quantifier = "no" if word in closed.NEGATIVE else "every"
            if word in ("nobody", "everyone", "everybody"):
                self.words[0] = "someone"
            else:
                self.place = 1
        for word in self.words[self.place :]:
            if (word in closed.NEGATIVE or word in closed.UNIVERSAL) and (
                self.whole or self.draft.quantifier != "some"
            ):
                raise OutsideError(f"“{word}” inside the sentence")

    def _clause(self) -> None:
        """The subject of the sentence, after "there is" if it begins so."""
        if self._word() in ("there", "here") and self._word(1) in closed.BE:
            self.place += 2
        if self._word() in ("they", "it"):
            self.place += 1
            self.subjects = [self.draft.participant("they" if self.words[self.place - 1] == "they" else "it")]
        elif self._word() in closed.PREPOSITIONS:
            raise _StopError(f"begins with “{self._word()}”")
        else:
            self.subjects = self._noun_phrases()
            self._group(self.subjects)
        self.first_subjects = self.last = self.subjects

    def _group(self, members: list[int]) -> None:
        """Those who do something together are a group of their number; a premise speaks of that, too."""
        counts = [self.draft.count(member) for member in members]
        if not self.whole and self.draft.quantifier == "some" and len(members) > 1:
            group = self.draft.participant(" and ".join(self.draft.names[member] for member in members))
            self.draft.claim("number", str(sum(counts)), group)
            if all(self.draft.is_counted(member) for member in members):
                self.draft.claim("number", f"exactly {sum(counts)}", group)
            self.draft.groups.append((group, tuple(members)))

    def _noun_phrases(self) -> list[int]:
        """One noun phrase, or several with "and" between them."""
        phrases = [self._noun_phrase()]
        while self._word() in ("and", ",", "&"):
            ahead = 2 if self._word() == "," and self._word(1) == "and" else 1
            if not self.ahead.begins_phrase(self.place + ahead):
                break
            phrase = self.phrases.phrase(self.place + ahead)
            if phrase is None or (self.verbs and self.ahead.goes_on(phrase.end) and self.phrases.animate(phrase.noun)):
                break
            self.place += ahead
            self.phrases.coordinated = True
            phrases.append(self._noun_phrase())
        return phrases

    def _noun_phrase(self) -> int:
        phrase = self.phrases.phrase(self.place)
        if phrase is None:
            raise _StopError(f"“{self._word()}” where a noun was expected" if self._word() else "an end without a noun")
        self.place = phrase.end
        if self._word() == "'s":
            owner = self.phrases.claim(self.draft, phrase)
            self.place += 1
            owned = self._noun_phrase()
            self.draft.claim("preposition", "of", owned, owner)
            return owned
        return self.phrases.claim(self.draft, phrase)

    def _next(self) -> None:
        word = self._word()
        if word == ",":
            self.place += 1
        elif word in closed.RELATIVES:
            self.place += 1
            if not self.ahead.begins_clause(self.place):
                raise _StopError(f"“{word}”")
            self._relative()
        elif word in closed.HAVE and self.ahead.is_perfect(self.place):
            self.place += 1
            self._complement()
        elif word in closed.BE:
            if word != "being":
                self._end_restrictor()
            self.place += 1
            self._complement()
        elif word in closed.SUBORDINATORS:
            self.place += 1
            self._new_clause(word)
        elif word in closed.CONJUNCTIONS:
            self.place += 1
            self._joined()
        elif self.ahead.is_adverb(self.place):
            self._adverb()
        elif word in closed.PREPOSITIONS:
            self._prepositional()
        else:
            self._verb()

    def _relative(self) -> None:
        """ "who is …" directly after a noun phrase speaks of that; after others of the first subject."""
        if self.draft.quantifier != "some" or self.last != self.subjects:
            raise _StopError("a relative clause inside")
        if self._word() in closed.BE:
            self.place += 1
            self._complement()

    def _end_restrictor(self) -> None:
        """What stands before the first finite verb restricts whom "every" speaks of."""
        if self.draft.quantifier == "every" and not self.draft.restrictor:
            self.draft.restrictor = len(self.draft.conditions)

    def _complement(self) -> None:
        """After "is": a verb, adjectives, a noun, a place."""
        forms, word = self.phrases.forms(self.place), self._word()
        if word in closed.BE:
            self.place += 1
            self._complement()
        elif word in closed.DETERMINERS or word in closed.NUMBERS:
            phrase = self.phrases.phrase(self.place)
            if phrase is None:
                raise _StopError(f"“{word}” without a noun")
            self.place = phrase.end
            for subject in self.subjects:
                self.phrases.claim(self.draft, phrase, subject)
            self.last = self.subjects
        elif forms.verb and forms.form == "ing":
            self._verb()
        elif forms.verb and forms.form == "ed" and forms.adjective_count <= forms.verb_count:
            self._passive()
        elif forms.adjective:
            self._adjectives()
        elif forms.adverb or word in closed.PREPOSITIONS or word in closed.ADVERBS:
            pass  # read as what it is
        else:
            raise _StopError(f"“is {word}”")

    def _adjectives(self) -> None:
        while self.phrases.forms(self.place).adjective:
            for subject in self.subjects:
                self.draft.claim("adjective", self._word(), subject)
            self.place += 1
            if self._word() == "and" and self.phrases.forms(self.place + 1).adjective:
                self.place += 1

    def _passive(self) -> None:
        verb = self.phrases.forms(self.place).verb
        self.place += 1
        phrase = self.phrases.phrase(self.place + 1) if self._word() == "by" else None
        if phrase is not None and self.phrases.animate(phrase.noun):
            self.place += 1
            agents = self._noun_phrases()
            for agent in agents:
                self.draft.claim("verb", verb, agent)
                for subject in self.subjects:
                    self.draft.claim("verb", verb, agent, subject)
            self.last = agents
            self.verbs += 1
            return
        for subject in self.subjects:
            self.draft.claim("verb", f"be {self.words[self.place - 1]}", subject)
        self.verbs += 1

    def _new_clause(self, word: str) -> None:
        """After "while" and "as": the same subject, or another clause with its own."""
        forms = self.phrases.forms(self.place)
        if (forms.verb and forms.form == "ing") or self._word() in closed.BE or self._word() in closed.PREPOSITIONS:
            self.subjects = self.first_subjects
            self.last = self.subjects
            return
        if self._word() in ("he", "she", "they"):
            self.place += 1
            self.subjects = self.last = self.first_subjects
            return
        if self.draft.quantifier != "some":
            raise _StopError(f"“{word}”")
        phrase = self.phrases.phrase(self.place)
        if phrase is None or not (word in closed.SUBORDINATORS or self.ahead.begins_clause(phrase.end)):
            raise _StopError(f"“{word}”")
        self.subjects = self.last = self._noun_phrases()
        self.verbs = 0

    def _joined(self) -> None:
        """After "and", where no noun phrase was joined: another verb of the same subject, or another clause."""
        forms = self.phrases.forms(self.place)
        is_verb = forms.verb and (forms.form == "ing" or not self.ahead.begins_phrase(self.place))
        if self._word() in closed.BE or is_verb:
            self.last = self.subjects
            return
        self._new_clause("and")

    def _adverb(self) -> None:
        word = {"outside": "outdoors", "inside": "indoors"}.get(self._word(), self._word())
        if word not in closed.EMPTY_ADVERBS:
            for subject in self.subjects:
                self.draft.claim("adjective", word, subject)
        self.place += 1

    def _prepositional(self) -> None:
        preposition = self._word()
        after = self._word(1)
        infinitive = self.phrases.forms(self.place + 1)
        acts = infinitive.mostly_verb or self._word(2) in closed.DETERMINERS
        if preposition == "to" and infinitive.verb and infinitive.form == "base" and acts:
            self._purpose(infinitive.verb)
            return
        if after == "each-other" or not after or after in closed.BE or after in closed.CONJUNCTIONS or after == ",":
            word = f"{preposition} each-other" if after == "each-other" else preposition
            for subject in self.subjects:
                self.draft.claim("adjective", word, subject)
            self.place += 2 if after == "each-other" else 1
            return
        if not self.ahead.is_preposition(self.place):
            raise _StopError(f"“{preposition}” before “{after}”")
        if self._word(1) in POINTERS:
            self._skip(2)
            return
        before, subjects = self.last, self.subjects
        self.place += 1
        objects = self._noun_phrases()
        for target in objects:
            clothes = self.phrases.is_of(self.draft.nouns(target), _CLOTHES)
            worn = clothes and preposition == "in"
            for holder in self._holders(preposition, before, subjects, target):
                # "A girl with a hat" wears it, too; of a hypothesis no more has to be shown than it says.
                worn_too = clothes and preposition == "with" and not self.whole and self._animate(holder)
                if worn or worn_too:
                    self.draft.claim("verb", "wear", holder)
                    self.draft.claim("verb", "wear", holder, target)
                if not worn:
                    self.draft.claim("preposition", preposition, holder, target)
        self.last = objects if preposition == "of" else self.last

    def _purpose(self, verb: str) -> None:
        """ "to catch a ball" is a predicate of its own: what is tried or wanted need not be so."""
        self.place += 2
        for subject in self.subjects:
            self.draft.claim("verb", f"to {verb}", subject)
        if self.ahead.begins_object(self.place):
            self._objects(f"to {verb}")

    def _holders(self, preposition: str, before: list[int], subjects: list[int], target: int) -> list[int]:
        """Whom a prepositional phrase speaks of: the noun phrase before for "of", for clothes and for what belongs to a
        body; else the subject, who is where it acts."""
        if preposition == "of" or (preposition == "with" and not self.verbs):
            return before
        nouns = self.draft.nouns(target)
        if self.phrases.is_of(nouns, {"in": _CLOTHES, "with": _BORNE}.get(preposition, ())):
            return before if any(map(self._animate, before)) else subjects
        return subjects

    def _verb(self) -> None:
        forms, word = self.phrases.forms(self.place), self._word()
        if not forms.verb or not is_open(word):
            raise _StopError(f"“{word}”")
        if self.last != self.subjects and forms.form == "ing" and self._speaks_of_another():
            raise _StopError(f"whose is “{word}”?")
        if forms.form != "ing":
            self._end_restrictor()
        self.place += 1
        if forms.verb in closed.ASPECT_VERBS and self.phrases.forms(self.place).form == "ing":
            return
        after = self._word()
        if forms.verb in closed.REFUSING_VERBS:
            raise _StopError(f"“{word}”")
        if forms.verb in closed.OUTSIDE_VERBS and not self.ahead.begins_phrase(self.place) and after != "to":
            raise _StopError(f"“{word}”")
        if forms.form == "ed" and forms.verb in closed.PARTICIPLES and not self.ahead.begins_phrase(self.place):
            self.place -= 1
            self._passive()
            return
        lies = forms.verb == "lay" and not self.ahead.begins_phrase(self.place)  # "is laying on the grass"
        for subject in self.subjects:
            self.draft.claim("verb", "lie" if lies else forms.verb, subject)
        self.verbs += 1
        self.last = self.subjects
        if (forms.verb, after) in closed.EMPTY_PARTICLES and not self.ahead.is_preposition(self.place):
            self.place += 1
        if (forms.verb, after) in closed.WITH_PREPOSITION and self.ahead.begins_phrase(self.place + 1):
            self.place += 1
            self._objects(f"{forms.verb} {after}")
            return
        if after in POINTERS:
            self._skip(1)
            return
        if self.ahead.begins_object(self.place):
            self._objects(forms.verb)

    def _objects(self, verb: str) -> None:
        subjects = self.subjects
        objects = self._noun_phrases()
        for subject in subjects:
            for target in objects:
                self.draft.claim("verb", verb, subject, target)
        self.last = objects

    def _speaks_of_another(self) -> bool:
        """Whether a verb in -ing after another noun phrase may be that one's."""
        if self._word(-1) == ",":
            return False
        return any(map(self._animate, self.last))

    def _animate(self, participant: int) -> bool:
        return any(map(self.phrases.animate, self.draft.nouns(participant)))
