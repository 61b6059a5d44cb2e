"""What a word may be: its lemma as a noun, verb or adjective, and how often each is meant."""

from __future__ import annotations

from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from reasondistill.verification.lexicon import Lexicon

VerbForm = Literal["base", "s", "ing", "ed"]


class WordForms(NamedTuple):
    """The readings of one word; a lemma is empty where there is none.

    ``noun_count``, ``verb_count`` and ``adjective_count`` are how often WordNet's corpus has the lemma so.
    """

    noun: str = ""
    plural: bool = False
    noun_count: int = 0
    verb: str = ""
    form: VerbForm = "base"
    verb_count: int = 0
    adjective: str = ""
    adjective_count: int = 0
    adverb: bool = False

    @property
    def known(self) -> bool:
        """Whether the word has any reading."""
        return bool(self.noun or self.verb or self.adjective or self.adverb)

    @property
    def mostly_verb(self) -> bool:
        """Whether it is a verb more often than a noun."""
        return bool(self.verb) and self.verb_count > self.noun_count


_IRREGULAR = {"people": "person", "others": "person", "folks": "person", "ladys": "lady"}
_NEVER_VERBS = frozenset(
    ["clothing", "building", "wedding", "ceiling", "railing", "evening", "morning", "king", "ring", "string", "thing"]
)
_ONLY_PLURAL = frozenset(
    ["clothes", "jeans", "pants", "shorts", "glasses", "sunglasses", "scissors", "trousers", "goggles"]
)

_KNOWN: WeakKeyDictionary[Lexicon, dict[str, WordForms]] = WeakKeyDictionary()


def forms_of(word: str, lexicon: Lexicon) -> WordForms:
    """The readings of a lower-cased word."""
    known = _KNOWN.setdefault(lexicon, {})
    forms = known.get(word)
    if forms is None:
        forms = known[word] = _forms(word, lexicon)
    return forms


def _forms(word: str, lexicon: Lexicon) -> WordForms:
    noun, plural = _noun(word, lexicon)
    verb, form = _verb(word, lexicon)
    adjective = word if lexicon.count(word, "a") is not None else ""
    return WordForms(
        noun,
        plural,
        (lexicon.count(noun, "n") or 0) if noun else 0,
        verb,
        form,
        (lexicon.count(verb, "v") or 0) if verb else 0,
        adjective,
        (lexicon.count(word, "a") or 0) if adjective else 0,
        lexicon.count(word, "r") is not None or (word.endswith("ly") and not adjective),
    )


def _noun(word: str, lexicon: Lexicon) -> tuple[str, bool]:
    if word in _IRREGULAR:
        return _IRREGULAR[word], True
    if word.endswith("men") and lexicon.count(singular := word[:-3] + "man", "n") is not None:
        return singular, True
    if word in _ONLY_PLURAL:
        return word, False
    irregular = lexicon.lemma(word, "n")
    if irregular and irregular != word:
        return irregular, True
    if word.endswith("s") and not word.endswith("ss"):
        for lemma in _singulars(word):
            if lexicon.count(lemma, "n") is not None:
                return lemma, True
    return (word, False) if lexicon.count(word, "n") is not None else ("", False)


def _singulars(word: str) -> list[str]:
    lemmas = [word[:-1]]
    if word.endswith("ies"):
        lemmas = [word[:-3] + "y", word[:-1]]
    elif word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        lemmas = [word[:-2], word[:-1]]
    elif word.endswith("ves"):
        lemmas = [word[:-3] + "f", word[:-3] + "fe", word[:-1]]
    return lemmas


def _verb(word: str, lexicon: Lexicon) -> tuple[str, VerbForm]:
    if word in _NEVER_VERBS or word in _ONLY_PLURAL:
        return "", "base"
    if word.endswith("ing") and len(word) > 4:
        return _best(word[:-3], lexicon), "ing"
    irregular = lexicon.lemma(word, "v")
    if irregular and irregular != word:
        return irregular, "ed"
    if word.endswith("ed") and len(word) > 3:
        lemma = _best(word[:-2], lexicon)
        if lemma:
            return lemma, "ed"
    if word.endswith("s") and not word.endswith("ss"):
        lemma = next((stem for stem in _singulars(word) if lexicon.count(stem, "v") is not None), "")
        if lemma:
            return lemma, "s"
    return (word, "base") if lexicon.count(word, "v") is not None else ("", "base")


def _best(stem: str, lexicon: Lexicon) -> str:
    """The verb whose form in -ing or -ed has this stem: rid -> ride, sitt -> sit, carri -> carry, ly -> lie."""
    candidates = [stem, stem + "e"]
    if len(stem) > 2 and stem[-1] == stem[-2]:
        candidates.append(stem[:-1])
    if stem.endswith("i"):
        candidates.append(stem[:-1] + "y")
    if stem.endswith("y"):
        candidates.append(stem[:-1] + "ie")
    counted = [(lexicon.count(lemma, "v"), lemma) for lemma in candidates]
    known = [(count, lemma) for count, lemma in counted if count is not None]
    return max(known, default=(0, ""), key=lambda pair: pair[0])[1]
