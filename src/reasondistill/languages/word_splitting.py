"""Words of a text in any script: with and without apostrophes inside, as they are written, and how many there are."""

from __future__ import annotations

import re
import unicodedata

# Scripts that put no space between words (Thai, Lao, Burmese, Khmer, Japanese, Chinese), and pictures: each character
# is a word. In other scripts a word has combining marks too, which \w leaves out.
_UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0edf\u1000-\u103f\u1780-\u17d3\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_PICTURES = "\u2600-\u27bf\U0001f000-\U0001faff"
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0711-\u074a"
    "\u0900-\u0963\u0966-\u0dff\u0f18-\u0f87\u135d-\u135f\u1a17-\u1dff\ua8e0-\ua8f1"
)
_LETTERS = rf"(?:(?![{_UNSPACED}])[\w{_MARKS}])+"
_ALONE = rf"[{_UNSPACED}{_PICTURES}]"
_WORD = re.compile(rf"{_LETTERS}|{_ALONE}")
_TOKEN = re.compile(rf"{_LETTERS}(?:['’]{_LETTERS})*|{_ALONE}")
# Vowels and tones that are written over, under or behind the character before: taken off alone they leave no text.
_ATTACHED = "".join(c for c in map(chr, range(0x0E01, 0x3100)) if unicodedata.category(c) in ("Mn", "Mc"))
_TOUCHING = rf"(?:(?![{_UNSPACED}])\W(?<!\s))*"
_WRITTEN = re.compile(rf"\s*(?:{_TOUCHING}[{_UNSPACED}][{_ATTACHED}]*{_TOUCHING}|(?:(?![{_UNSPACED}])\S)+)")
_ASCII_WRITTEN = re.compile(r"\s*\S+")
_ASCII_WORD = re.compile(r"\w+")
_ASCII_TOKEN = re.compile(r"\w+(?:'\w+)*")
ONE_UNSPACED = re.compile(f"[{_UNSPACED}]")
"""A character of a script that puts no space between words."""


def words(text: str) -> list[str]:
    """Lowercased words: runs of letters, digits and underscores, single characters where a script has no spaces."""
    lowered = text.lower()
    return (_ASCII_WORD if lowered.isascii() else _WORD).findall(lowered)


def tokens(text: str) -> list[str]:
    """Lower-cased `words`; an apostrophe inside one belongs to it (``doesn't``)."""
    lowered = text.lower()
    if lowered.isascii():
        return _ASCII_TOKEN.findall(lowered)
    return _TOKEN.findall(unicodedata.normalize("NFKC", lowered).replace("’", "'"))


def as_written(text: str) -> list[str]:
    """Words with the white space before each and the punctuation that touches it: together the text, but for its end.

    Of scripts without spaces each character is a word, with the marks that are written on it.
    """
    text = text.rstrip()  # then every stretch of white space has a word after it, and none is looked through twice
    return (_ASCII_WRITTEN if text.isascii() else _WRITTEN).findall(text)


def unspaced_share(text: str) -> float:
    """The share of a text's characters, white space aside, that are of scripts without spaces."""
    characters = len("".join(text.split()))
    return 0.0 if text.isascii() or not characters else len(ONE_UNSPACED.findall(text)) / characters


def length(text: str) -> int:
    """The number of words, separated by white space; of scripts without spaces each character counts as one."""
    if not text.isascii():
        text = ONE_UNSPACED.sub(" x ", text)
    return len(text.split())
