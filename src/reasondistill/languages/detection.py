"""The language of a text: a quick guess by script and stop words, without a model."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Final

from reasondistill.languages.word_splitting import tokens

UNKNOWN: Final = "unknown"
"""What `language` returns if it cannot tell."""

LATIN_LETTER: Final = re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff\uff21-\uff5a]")

_STOP_WORDS: Final = {
    "English": "the a an is are was were and of to in on with not that this it he she they because do does what where "
    "would you if for at have has can how when or be by from as there his her their than so who which",
    "German": "der die das ein eine ist sind und nicht mit auf von zu den dem im für weil sich es",
    "French": "le la les un une des est sont et pas avec sur du dans pour que qui il elle au",
    "Spanish": "el la los las un una es son y no con en de del por que se su para al",
    "Italian": "il lo la gli un una è sono e non con su di del nel per che si della al",
    "Portuguese": "os um uma é são e não com em de da por que se para",
    "Dutch": "de het een zijn en niet met op van te dat die voor er aan ze hij omdat",
    "Swedish": "en ett är och inte med på av att som det den för de han hon sig till om",
    "Polish": "na nie się jest są że po jak dla ale przez od który jego oraz ma",
    "Turkish": "bir ve bu da ile için değil çok var olan gibi daha kadar sonra ama",
}
_LANGUAGES_OF: Final[dict[str, tuple[str, ...]]] = {
    word: tuple(name for name, words in _STOP_WORDS.items() if word in words.split())
    for words in _STOP_WORDS.values()
    for word in words.split()
}
_SCRIPTS: Final = {
    "CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean",
    "CYRILLIC": "Cyrillic script", "GREEK": "Greek", "ARABIC": "Arabic script", "HEBREW": "Hebrew",
    "DEVANAGARI": "Devanagari script", "THAI": "Thai",
}  # fmt: skip


def language(text: str) -> str:
    """A quick guess: by script if that is not Latin, else by the stop words of ten languages.

    `UNKNOWN` if there are fewer than two stop words, or equally many of two languages. It is for the language of a data
    set and foreign stretches in it, not for a single short text.
    """
    if not text.isascii():
        letters = [character for character in text if character.isalpha()]
        foreign = [character for character in letters if not LATIN_LETTER.match(character)]
        if len(foreign) * 2 > len(letters):
            scripts = [unicodedata.name(character, "?").split()[0] for character in foreign[:50]]
            if {"HIRAGANA", "KATAKANA"} & set(scripts):
                return "Japanese"
            return _SCRIPTS.get(Counter(scripts).most_common(1)[0][0], "another script")
    counts: dict[str, int] = {}
    for word in tokens(text):
        for name in _LANGUAGES_OF.get(word, ()):
            counts[name] = counts.get(name, 0) + 1
    ranked = sorted(counts.values(), reverse=True)
    if not ranked or ranked[0] < 2 or ranked[:2].count(ranked[0]) > 1:
        return UNKNOWN
    return max(counts, key=lambda name: counts[name])
