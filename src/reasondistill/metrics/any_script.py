"""ROUGE and F1 over the words of any script, where the English ones cannot read a text.

Words are `languages.word_splitting.words`: runs of letters with their marks, in lower case; in scripts without spaces
between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) each character is one. No stemming. Figures have names of
their own (``…_intl``), since none is comparable with an English one: a character is less than a word.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from reasondistill.languages.word_splitting import words
from reasondistill.metrics.text import is_empty, subsequence_f


def rouge1_any(text: str, others: Sequence[str]) -> float:
    """F-score of the words shared with the reference that gives the most, in [0, 1]; 0 for an empty text."""
    return max((_shared(*pair) for pair in _pairs(text, others)), default=0.0)


def rougeL_any(text: str, others: Sequence[str]) -> float:  # noqa: N802 - as ROUGE-L is written
    """F-score of the longest common subsequence of words with the reference that gives the most, in [0, 1]."""
    return max((subsequence_f(*pair) for pair in _pairs(text, others)), default=0.0)


def _pairs(text: str, others: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    return [] if is_empty(text) else [(_words(text), _words(other)) for other in others]


def _words(text: str) -> list[str]:
    """The words; of a text that is nothing but marks, the marks: it equals itself, too."""
    plain = unicodedata.normalize("NFC", text)
    return words(plain) or plain.split()


def _shared(a: Sequence[str], b: Sequence[str]) -> float:
    shared = (Counter(a) & Counter(b)).total()
    return 2 * shared / (len(a) + len(b)) if shared else 0.0
