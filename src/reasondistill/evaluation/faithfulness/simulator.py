"""A simulator: a light model that predicts a student's label from the input, from its explanation, or from both."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from reasondistill.errors import UserError
from reasondistill.metrics.statistics import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

View = Literal["input", "explanation", "both"]
VIEWS: tuple[View, ...] = ("input", "explanation", "both")
SIMULATOR = "logistic regression, C 1"
"""C is the inverse of the L2 penalty, as scikit-learn has it."""

_TOKEN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_USUAL = 0.1
"""Words in this share of the training explanations stand for themselves in patterns."""


class Vectors(NamedTuple):
    """Texts as unit vectors of a frozen encoder, and its settings; without an encoder no text has any."""

    of: dict[str, FloatArray]
    settings: dict[str, str]

    def rows(self, texts: Sequence[str]) -> FloatArray:
        """(n, width)."""
        return np.stack([self.of[text] for text in texts])


def encoded(texts: Sequence[str], *, encoder: bool = True) -> Vectors:
    """Mean token states of MiniLM where the extras `train` and `offline` are installed, else nothing.

    Args:
        texts: what is to be encoded.
        encoder: False leaves the encoder out.
    """
    if not encoder:
        return Vectors({}, {"kind": "words"})
    try:
        from reasondistill.judges.encoders import FrozenEncoder

        frozen = FrozenEncoder("offline:minilm")
    except (ImportError, UserError):
        return Vectors({}, {"kind": "words", "why": "the extras `train` and `offline` are not both installed"})

    def mean(states: Tensor | None) -> FloatArray:
        if states is None or not len(states):
            return np.zeros(frozen.width)
        vector = np.asarray(states.double().mean(dim=0).numpy(), dtype=np.float64)
        return vector / max(float(np.linalg.norm(vector)), 1e-9)

    return Vectors({text: mean(tokens.states) for text, tokens in frozen.encode(texts).items()}, frozen.settings)


def fold_of(group: Hashable, folds: int, seed: int) -> int:
    """The fold that all rows of a group are in, by its SHA-256."""
    return int(hashlib.sha256(f"{seed}\x1f{group!r}".encode()).hexdigest(), 16) % folds


def simulate(
    fields: Sequence[Sequence[str]],
    explanations: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[Hashable],
    vectors: Vectors,
    *,
    folds: int = 5,
    seed: int = 0,
) -> dict[View, list[str]]:
    """Predict ``labels`` from each view, those of every fold by models of the other folds.

    For each view a logistic regression of its own. What it reads: TF-IDF values of one and two words of each text
    in view, of the words that a field has and the one before lacks, and with both in view also of the explanation's
    patterns (up to three tokens, a word of the k-th field written as Fk); beside them, of a frozen encoder, |u - v| and
    u · v of every two texts in view, and the explanation's vector.

    Args:
        fields: the texts of the task's fields for each example, (n, F).
        explanations: (n).
        labels: that the student gave, (n).
        groups: rows of a group are in one fold, (n).
        vectors: of every text, or of none.
        folds: at most so many, as the hash deals them.
        seed: of the folds.
    """
    texts = [[*map(_tokens, row)] for row in fields]
    explained = [_tokens(text) for text in explanations]
    fold = np.array([fold_of(group, folds, seed) for group in groups])
    guesses: dict[View, list[str]] = {view: [""] * len(labels) for view in VIEWS}
    dense = {view: _dense(fields, explanations, vectors, view) for view in VIEWS}
    for number in np.unique(fold):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        usual = _usual([explained[k] for k in train])
        for view in VIEWS:
            blocks = [_tfidf(grams, train) for grams in _grams(texts, explained, usual, view)]
            x = hstack([*blocks, *dense[view]]).tocsr()
            for place, guess in zip(test, _fit_and_guess(x, labels, train, test), strict=True):
                guesses[view][place] = guess
    return guesses


def _fit_and_guess(
    x: csr_matrix, labels: Sequence[str], train: NDArray[np.intp], test: NDArray[np.intp]
) -> Sequence[str]:
    from sklearn.linear_model import LogisticRegression

    known = [labels[k] for k in train]
    if len(set(known)) < 2 or not x.shape[1]:
        return [max(sorted(set(known)), key=known.count) if known else ""] * len(test)
    model = LogisticRegression(C=1.0, max_iter=500).fit(x[train], known)
    return [str(guess) for guess in model.predict(x[test])]


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def _usual(explanations: Sequence[Sequence[str]]) -> frozenset[str]:
    counts = Counter(word for tokens in explanations for word in set(tokens))
    return frozenset(word for word, n in counts.items() if n >= _USUAL * len(explanations))


def _pattern(fields: Sequence[Sequence[str]], tokens: Sequence[str], usual: frozenset[str]) -> list[str]:
    """Tokens with those of the input written as the numbers of the fields that have them."""

    def place(token: str) -> str:
        inside = "".join(str(k) for k, words in enumerate(fields, start=1) if token in words)
        return token if token in usual or not token[0].isalnum() else f"F{inside}"

    return [place(token) for token in tokens]


def _grams(
    texts: Sequence[Sequence[Sequence[str]]], explained: Sequence[Sequence[str]], usual: frozenset[str], view: View
) -> list[list[list[str]]]:
    """Blocks of features, each a list of n-grams for each example."""

    def grams(rows: Sequence[Sequence[str]], most: int = 2) -> list[list[str]]:
        return [
            [" ".join(tokens[k : k + n]) for n in range(1, most + 1) for k in range(len(tokens) - n + 1)]
            for tokens in rows
        ]

    blocks: list[list[list[str]]] = []
    if view != "explanation":
        for k in range(len(texts[0])):
            blocks.append(grams([row[k] for row in texts]))
            if k:
                blocks.append([[word for word in row[k] if word not in row[k - 1]] for row in texts])
    if view != "input":
        blocks.append(grams(explained))
    if view == "both":
        patterns = [_pattern(row, tokens, usual) for row, tokens in zip(texts, explained, strict=True)]
        blocks.append(grams(patterns, 3))
    return blocks


def _tfidf(grams: list[list[str]], train: NDArray[np.intp]) -> csr_matrix:
    """TF-IDF values of all rows; the vocabulary and the frequencies are the training rows'."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer=lambda grams: grams, sublinear_tf=True)
    if not any(grams[k] for k in train):
        return csr_matrix((len(grams), 0))
    vectorizer.fit([grams[k] for k in train])
    return vectorizer.transform(grams)


def _dense(
    fields: Sequence[Sequence[str]], explanations: Sequence[str], vectors: Vectors, view: View
) -> list[csr_matrix]:
    if not vectors.of:
        return []
    read = [] if view == "explanation" else [vectors.rows([row[k] for row in fields]) for k in range(len(fields[0]))]
    if view != "input":
        read.append(vectors.rows(explanations))
    blocks = [_compared(u, v) for k, v in enumerate(read) for u in read[:k]]
    return [csr_matrix(block) for block in (*blocks, *(read[-1:] if view != "input" else []))]


def _compared(u: FloatArray, v: FloatArray) -> FloatArray:
    """|u - v| beside u · v, of length 1: (n, width) each -> (n, 2 · width)."""
    rows = np.concatenate([np.abs(u - v), u * v], axis=1)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))
