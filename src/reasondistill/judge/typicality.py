"""How usual the wording of an explanation is: a bigram model of good ones, mixed with the words of the input."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reasondistill.judge.argued import Argued
from reasondistill.metrics.text import words

_START, _END = "<s>", "</s>"
_DISCOUNT = 5.0
_FROM_INPUT = 0.5
_UNSEEN = 0.1


class Typicality:
    """Mean log-probability of an explanation's words.

    p(w | v) = c(v) / (c(v) + 5) · c(v w) / c(v) + the rest · u(w), where the unigram u is half that of the good
    explanations (0.1 added to each count), half the input's words, each alike: a word of the input is never surprising.
    The interpolation is Witten and Bell's (1991) with a constant for the number of followers.

    Args:
        unigrams: how often each word occurs, ``<s>`` once an explanation.
        bigrams: how often each pair of words does.
    """

    def __init__(self, unigrams: Counter[str], bigrams: Counter[tuple[str, str]]) -> None:
        self._unigrams, self._bigrams = unigrams, bigrams
        self._total = sum(unigrams.values()) + _UNSEEN * (len(unigrams) + 1)

    @classmethod
    def of(cls, explanations: Iterable[str]) -> Typicality:
        unigrams: Counter[str] = Counter()
        bigrams: Counter[tuple[str, str]] = Counter()
        for text in explanations:
            line = [_START, *words(text), _END]
            unigrams.update(line)
            bigrams.update(pairwise(line))
        return cls(unigrams, bigrams)

    def score(self, row: Argued) -> float:
        """The mean over the words and the end, in nats, below 0."""
        given = {word for text in row.fields for word in words(text)}
        line = [_START, *words(row.explanation), _END]
        logs = []
        for before, word in pairwise(line):
            usual = (self._unigrams[word] + _UNSEEN) / self._total
            unigram = (1 - _FROM_INPUT) * usual + _FROM_INPUT * (word in given) / max(1, len(given))
            seen = self._unigrams[before]
            share = seen / (seen + _DISCOUNT)
            bigram = self._bigrams[before, word] / seen if seen else 0.0
            logs.append(math.log(share * bigram + (1 - share) * unigram))
        return sum(logs) / len(logs)

    def to_arrays(self) -> tuple[list[str], dict[str, NDArray[np.int64]]]:
        """The words, and counts as arrays: of words (V,), and of pairs (n, 3): first, second, times."""
        vocabulary = sorted(self._unigrams)
        number = {word: k for k, word in enumerate(vocabulary)}
        pairs = sorted((number[a], number[b], n) for (a, b), n in self._bigrams.items())
        return vocabulary, {
            "typicality.unigrams": np.array([self._unigrams[word] for word in vocabulary], dtype=np.int64),
            "typicality.bigrams": np.array(pairs, dtype=np.int64).reshape(-1, 3),
        }

    @classmethod
    def from_arrays(cls, vocabulary: list[str], arrays: dict[str, NDArray[np.int64]]) -> Typicality:
        unigrams = Counter(dict(zip(vocabulary, arrays["typicality.unigrams"].tolist(), strict=True)))
        pairs = arrays["typicality.bigrams"].tolist()
        return cls(unigrams, Counter({(vocabulary[a], vocabulary[b]): n for a, b, n in pairs}))
