"""The patterns of explanations: their words, with those that carry content replaced by where they come from.

"Not all dogs are pets" about a dog is "not all F1 are N": F1 stands for a word of the first field, F12 for one of both,
N for one of neither. What is left is how an explanation argues, not what it is about, and a new word is no surprise.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from reasondistill.judges.argued import Argued
from reasondistill.judges.logistic_regression import FloatArray, fit_shares
from reasondistill.storage.files import JsonObject

_TOKEN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_KEPT = 250
"""This many of the most frequent words of good explanations are kept."""
_START, _END = "<s>", "</s>"
_ORDER = 3
_DISCOUNT = 5.0
_UNSEEN = 0.1


def tokens(text: str) -> list[str]:
    """Lowercased words and punctuation marks."""
    return _TOKEN.findall(text.lower())


def kept_words(explanations: Iterable[str]) -> list[str]:
    """The most frequent words of explanations, which patterns keep."""
    counts = Counter(token for text in explanations for token in tokens(text))
    return sorted(counts, key=lambda word: (-counts[word], word))[:_KEPT]


class Delexicalizer:
    """Makes patterns: ``words`` and punctuation stay, other words become ``N`` or ``F`` with the fields' numbers."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self._kept = frozenset(words)

    def pattern(self, row: Argued) -> list[str]:
        fields = [set(tokens(text)) for text in row.fields]

        def place(token: str) -> str:
            if token in self._kept or not token[0].isalnum():
                return token
            inside = "".join(str(k) for k, words in enumerate(fields, start=1) if token in words)
            return f"F{inside}" if inside else "N"

        return [place(token) for token in tokens(row.explanation)]


class PatternModel:
    """Trigram models of good patterns, one for each label.

    p(w | u v) = c(u v w) / (c(u v) + 5) + 5 / (c(u v) + 5) · p(w | v), down to unigrams with 0.1 added to each count
    (interpolation after Witten and Bell 1991, with a constant for the number of followers).

    Args:
        counts: label -> n-grams of one to three tokens -> how often.
    """

    def __init__(self, counts: Mapping[str, Counter[tuple[str, ...]]]) -> None:
        self._counts = dict(counts)
        self._before: dict[str, Counter[tuple[str, ...]]] = {}
        types = {gram for grams in counts.values() for gram in grams if len(gram) == 1}
        self._types = len(types) + 1
        for label, grams in counts.items():
            before: Counter[tuple[str, ...]] = Counter()
            for gram, n in grams.items():
                before[gram[:-1]] += n
            self._before[label] = before

    @classmethod
    def of(cls, patterns: Iterable[tuple[str, Sequence[str]]]) -> PatternModel:
        """Out of (label, pattern) pairs."""
        counts: dict[str, Counter[tuple[str, ...]]] = {}
        for label, pattern in patterns:
            line = (*[_START] * (_ORDER - 1), *pattern, _END)
            grams = counts.setdefault(label, Counter())
            for k in range(_ORDER - 1, len(line)):
                for n in range(_ORDER):
                    grams[line[k - n : k + 1]] += 1
        return cls(counts)

    @property
    def labels(self) -> list[str]:
        return sorted(self._counts)

    def score(self, pattern: Sequence[str], label: str) -> float:
        """Mean log-probability (nats) of a pattern's tokens and its end for a label; the highest for an unknown one."""
        if label not in self._counts:
            return max(self._score(pattern, known) for known in self._counts)
        return self._score(pattern, label)

    def contrast(self, pattern: Sequence[str], label: str) -> float:
        """How much likelier a token of the pattern is for this label than for the others together, in nats."""
        others = [self._score(pattern, known) for known in self._counts if known != label]
        return self.score(pattern, label) - float(np.logaddexp.reduce(others)) if others else 0.0

    def _score(self, pattern: Sequence[str], label: str) -> float:
        grams, before = self._counts[label], self._before[label]
        line = (*[_START] * (_ORDER - 1), *pattern, _END)
        total = 0.0
        for k in range(_ORDER - 1, len(line)):
            p = (grams[line[k : k + 1]] + _UNSEEN) / (before[()] + _UNSEEN * self._types)
            for n in range(1, _ORDER):
                seen = before[line[k - n : k]]
                if not seen:
                    break
                p = grams[line[k - n : k + 1]] / (seen + _DISCOUNT) + _DISCOUNT / (seen + _DISCOUNT) * p
            total += math.log(p)
        return total / (len(line) - _ORDER + 1)

    def to_array(self, numbers: Mapping[str, int]) -> NDArray[np.int32]:
        """Rows of label, the numbers of up to three tokens (-1 for none), and how often: (n, 5)."""
        rows = [
            (k, *(numbers[token] for token in gram), *[-1] * (_ORDER - len(gram)), n)
            for k, label in enumerate(self.labels)
            for gram, n in sorted(self._counts[label].items())
        ]
        return np.array(rows, dtype=np.int32).reshape(-1, _ORDER + 2)

    def vocabulary(self) -> list[str]:
        """Every token of the patterns, sorted."""
        return sorted({token for grams in self._counts.values() for gram in grams for token in gram})

    @classmethod
    def from_array(cls, labels: Sequence[str], words: Sequence[str], grams: NDArray[np.int32]) -> PatternModel:
        rows, columns = grams.shape
        if not labels or columns != _ORDER + 2 or grams.dtype != np.int32:
            raise ValueError(f"patterns of {len(labels)} labels in {rows} rows of {columns} {grams.dtype}")
        if rows and (grams.min() < -1 or grams[:, [0, -1]].min() < 0 or grams[:, 0].max() >= len(labels)):
            raise ValueError("patterns with a negative count, or of a label that is not there")
        counts: dict[str, Counter[tuple[str, ...]]] = {label: Counter() for label in labels}
        for label, *numbers, n in grams.tolist():
            counts[labels[label]][tuple(words[k] for k in numbers if k >= 0)] = n
        return cls(counts)


class Verdict:
    """Logistic regression on the n-grams of patterns, alone and with the label: which ones people accept.

    Args:
        weights: n-gram -> weight of its TF-IDF value, its idf multiplied in and, for the norm, its idf.
        bias: of the logit.
    """

    def __init__(self, weights: Mapping[str, tuple[float, float]], bias: float) -> None:
        self._weights, self.bias = dict(weights), bias

    @classmethod
    def fit(cls, patterns: Sequence[tuple[str, Sequence[str]]], acceptable: FloatArray) -> Verdict:
        """Fit to (label, pattern) pairs and the share of people who found each acceptable, in [0, 1]."""
        counts = Counter(gram for label, pattern in patterns for gram in set(_grams(label, pattern)))
        grams = sorted(gram for gram, n in counts.items() if n >= _LEAST)
        place = {gram: k for k, gram in enumerate(grams)}
        idf = np.array([math.log((1 + len(patterns)) / (1 + counts[gram])) + 1 for gram in grams])
        data: list[float] = []
        columns: list[int] = []
        starts = [0]
        for label, pattern in patterns:
            times = Counter(place[g] for g in _grams(label, pattern) if g in place)
            values = np.array([(1 + math.log(n)) * idf[k] for k, n in times.items()])
            data += (values / max(float(np.linalg.norm(values)), 1e-9)).tolist()
            columns += times
            starts.append(len(columns))
        x = csr_matrix((data, columns, starts), shape=(len(patterns), len(grams)))
        weights, bias = fit_shares(x, acceptable, strength=1.0)
        return cls({gram: (float(weights[k]), float(idf[k])) for k, gram in enumerate(grams)}, bias)

    def logit(self, pattern: Sequence[str], label: str) -> float:
        times = Counter(gram for gram in _grams(label, pattern) if gram in self._weights)
        values = {gram: (1 + math.log(n)) * self._weights[gram][1] for gram, n in times.items()}
        norm = math.sqrt(sum(value * value for value in values.values()))
        if not norm:
            return self.bias
        return self.bias + sum(self._weights[gram][0] * value for gram, value in values.items()) / norm

    def to_json(self) -> dict[str, object]:
        return {"bias": self.bias, "grams": {g: [round(w, 5), round(i, 4)] for g, (w, i) in self._weights.items()}}

    @classmethod
    def from_json(cls, value: JsonObject) -> Verdict:
        weights = {gram: (float(weight), float(idf)) for gram, (weight, idf) in value["grams"].items()}
        if not all(map(math.isfinite, (*(n for pair in weights.values() for n in pair), float(value["bias"])))):
            raise ValueError("a verdict with a weight that is no number")
        return cls(weights, float(value["bias"]))


_LEAST = 3
"""An n-gram has to occur in at least this many voted explanations."""


def _grams(label: str, pattern: Sequence[str]) -> list[str]:
    """One to three tokens side by side, joined, and single tokens and pairs with the label before them."""
    pairs = [" ".join(pair) for pair in pairwise(pattern)]
    triples = [" ".join(pattern[k : k + 3]) for k in range(len(pattern) - 2)]
    return [*pattern, *pairs, *triples, *(f"{label}: {gram}" for gram in (*pattern, *pairs, *triples))]
