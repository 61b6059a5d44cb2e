"""The style of explanations, regardless of their content: features of texts, and the distance of two corpora.

Two corpora on the same inputs talk about the same things, so that what differs between them is how they are written.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.languages.english import SUBORDINATORS, connectives, content_words, is_negation
from reasondistill.languages.word_splitting import length, tokens
from reasondistill.metrics.statistics import FloatArray
from reasondistill.metrics.text import copied_share

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FEATURES: Final = (
    "words", "depth", "connectives", "negations", "new_words", "rarity", "variety", "copying",
)  # fmt: skip
"""The columns of `style_features`."""
ENGLISH_FEATURES: Final = frozenset({"depth", "connectives", "negations"})
"""Features that need lists of English words: NaN in other languages."""
FOLDS: Final = 5

_SENTENCE_END = re.compile(r"[.!?…。！？]+(?:\s|$)")
_NGRAMS = (1, 2)


class Styled(NamedTuple):
    """An explanation and the input fields that it is about."""

    text: str
    fields: Mapping[str, str]


def style_features(styled: Iterable[Styled], rarity: Mapping[str, float], *, english: bool) -> FloatArray:
    """Features of each text, (n, 8), NaN where one is not defined.

    - ``words``: their number, separated by white space
    - ``depth``: words that open a subordinate clause, a sentence; no parser is asked
    - ``connectives``, ``negations``: how many a hundred words
    - ``new_words``: share of content words that no field has
    - ``rarity``: mean of ``rarity`` over content words
    - ``variety``: distinct words over words (type-token ratio)
    - ``copying``: see `text.copied_share`

    Args:
        rarity: of each word; see `inverse_document_frequency`. A word that it lacks is as rare as its rarest.
        english: whether the texts are English. In other texts every word is a content word, and what rests on lists of
            English words is NaN.
    """
    rarest = max(rarity.values(), default=1.0)
    rows = [_features(styled_text, rarity, rarest, english) for styled_text in styled]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))


def _features(styled: Styled, rarity: Mapping[str, float], rarest: float, english: bool) -> list[float]:
    explained = tokens(styled.text)
    if not explained:
        return [float(length(styled.text)), *[math.nan] * (len(FEATURES) - 1)]
    given = {word for field in styled.fields.values() for word in tokens(field)}
    content = content_words(explained) if english else explained
    return [
        float(length(styled.text)),
        sum(word in SUBORDINATORS for word in explained) / sentences(styled.text) if english else math.nan,
        100 * sum(1 for _ in connectives(explained)) / len(explained) if english else math.nan,
        100 * sum(map(is_negation, explained)) / len(explained) if english else math.nan,
        sum(word not in given for word in content) / len(content) if content else math.nan,
        sum(rarity.get(word, rarest) for word in content) / len(content) if content else math.nan,
        len(set(explained)) / len(explained),
        copied_share(styled.text, styled.fields),
    ]


def sentences(text: str) -> int:
    """The number of sentences, at least 1: runs of final punctuation at the end or before white space."""
    ends = [part for part in _SENTENCE_END.split(text) if part.strip()]
    return max(1, len(ends))


def inverse_document_frequency(texts: Collection[str]) -> dict[str, float]:
    """ln((1 + n) / (1 + df)) + 1 of each word in ``n`` texts, smoothed as scikit-learn does: 1 for a word in all."""
    counts = Counter(word for text in texts for word in set(tokens(text)))
    return {word: math.log((1 + len(texts)) / (1 + df)) + 1 for word, df in counts.items()}


def style_distance(first: FloatArray, second: FloatArray) -> float | None:
    """The distance of two samples of a number, (n,) and (m,), in [0, 1]; NaN are ignored, None without values.

    The Wasserstein-1 distance over twice the standard deviation of both samples together, each weighing half. It is 0
    for equal distributions only, 1 for two different constants only, and does not depend on the unit. A shift by d
    standard deviations of either sample gives d / √(4 + d²): about d / 2 where it is small. It stays below 1 because
    to move one sample onto the other costs no more than to move both to their common mean, E|x − mean|, which is at
    most a standard deviation for each half.
    """
    from scipy.stats import wasserstein_distance

    a, b = first[~np.isnan(first)], second[~np.isnan(second)]
    if not (len(a) and len(b)):
        return None
    variance = (a.var() + b.var()) / 2 + ((a.mean() - b.mean()) / 2) ** 2
    if variance == 0:
        return 0.0
    return min(1.0, float(wasserstein_distance(a, b) / (2 * math.sqrt(variance))))


def style_distances(first: FloatArray, second: FloatArray) -> dict[str, float]:
    """`style_distance` of each feature, from two results of `style_features`; those without values are left out."""
    distances = {name: style_distance(first[:, k], second[:, k]) for k, name in enumerate(FEATURES)}
    return {name: value for name, value in distances.items() if value is not None}


def connective_shares(texts: Sequence[str]) -> dict[str, float]:
    """The share of texts that hold each of `english.CONNECTIVES`, the commonest first; those that none holds are left
    out.
    """
    counts = Counter(phrase for text in texts for phrase in set(connectives(tokens(text))))
    return {phrase: n / len(texts) for phrase, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def tell_apart(first: Sequence[str], second: Sequence[str], groups: Sequence[Hashable]) -> NDArray[np.float64] | None:
    """Held-out scores of a classifier that tells texts of ``first`` (higher) from those of ``second``, (n + m,).

    A classifier two-sample test (Lopez-Paz & Oquab 2017): logistic regression on TF-IDF values of words and word pairs,
    lower-cased and without punctuation, scores the texts of each fold after learning from the other folds. Its AUC is
    0.5 where the two cannot be told apart by these words.

    Args:
        groups: of all texts, (n + m,): those of one group are in one fold, so that no text is scored by a classifier
            that learned from another one about the same thing.

    Returns:
        None with fewer than two groups or no word at all: there is nothing to learn from.
    """
    from sklearn.model_selection import GroupKFold, cross_val_predict

    of_text = _numbered(groups)
    texts = [*first, *second]
    folds = min(FOLDS, len(set(groups)))
    if folds < 2 or not (first and second) or not any(map(tokens, texts)):
        return None
    is_first = np.repeat([1, 0], [len(first), len(second)])
    splitter = GroupKFold(folds)
    for train, _ in splitter.split(texts, is_first, of_text):
        if len(set(is_first[train])) < 2 or not any(tokens(texts[k]) for k in train):
            return None
    probabilities: NDArray[np.float64] = cross_val_predict(
        _classifier(), texts, is_first, groups=of_text, cv=splitter, method="decision_function"
    )
    return probabilities


def _numbered(groups: Sequence[Hashable]) -> NDArray[np.int64]:
    numbers = {group: k for k, group in enumerate(sorted(set(groups), key=str))}
    return np.array([numbers[group] for group in groups])


def held_out_probabilities(
    texts: Sequence[str], labels: Sequence[str], groups: Sequence[Hashable]
) -> NDArray[np.float64]:
    """The probability that a bag of words gives to each text's own label, (n,), having learned from other groups.

    The classifier of `tell_apart`, in `FOLDS` folds. A label that no other fold has gets 0.

    Args:
        texts: (n,); one of them at least has a word.
        labels: (n,), two different ones at least.
        groups: (n,), `FOLDS` different ones at least.
    """
    from sklearn.model_selection import GroupKFold

    of_text, own = np.array(labels), np.zeros(len(texts))
    for train, held_out in GroupKFold(FOLDS).split(texts, of_text, _numbered(groups)):
        known = of_text[train]
        if len(set(known.tolist())) < 2 or not any(tokens(texts[k]) for k in train):
            own[held_out] = of_text[held_out] == known[0]
            continue
        fitted = _classifier().fit([texts[k] for k in train], known)
        place = {label: k for k, label in enumerate(fitted.classes_.tolist())}
        probabilities = fitted.predict_proba([texts[k] for k in held_out])
        for row, k in enumerate(held_out.tolist()):
            own[k] = probabilities[row, place[labels[k]]] if labels[k] in place else 0.0
    return own


def weighted_auc(scores: FloatArray, is_first: NDArray[np.bool_], weights: FloatArray) -> FloatArray:
    """The area under the ROC curve, for many weightings of the same scores at once; equal scores count half.

    Args:
        scores: (n,), higher for ``is_first`` (n,).
        weights: how often each text is there, (resamples, n).

    Returns:
        (resamples,); NaN where one side has no weight.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.unique(scores[order], return_index=True)[1]
    first = np.add.reduceat(np.where(is_first[order], weights[:, order], 0.0), starts, axis=1)
    second = np.add.reduceat(np.where(is_first[order], 0.0, weights[:, order]), starts, axis=1)
    below = np.cumsum(second, axis=1) - second / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        area: FloatArray = (first * below).sum(axis=1) / (first.sum(axis=1) * second.sum(axis=1))
    return area


def telling_phrases(first: Sequence[str], second: Sequence[str], most: int = 8) -> tuple[list[str], list[str]]:
    """The words and word pairs by which that classifier, fitted on all texts, knows ``first``, and ``second``."""
    texts = [*first, *second]
    if not (first and second) or not any(map(tokens, texts)):
        return [], []
    fitted = _classifier().fit(texts, np.repeat([1, 0], [len(first), len(second)]))
    names, weights = fitted[0].get_feature_names_out(), fitted[1].coef_[0]
    ranked = [(weights[k], str(names[k])) for k in sorted(range(len(names)), key=lambda k: (-weights[k], names[k]))]
    return [n for w, n in ranked[:most] if w > 0], [n for w, n in ranked[::-1][:most] if w < 0]


def _classifier() -> Pipeline:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        TfidfVectorizer(tokenizer=tokens, token_pattern=None, lowercase=False, ngram_range=_NGRAMS, sublinear_tf=True),
        LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000),
    )
