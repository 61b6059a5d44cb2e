"""Style of explanations: features of sentences by hand, and distances of corpora that are properties."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from reasondistill.languages.english import connectives, content_words, is_negation
from reasondistill.languages.word_splitting import tokens
from reasondistill.metrics.style import (
    ENGLISH_FEATURES,
    FEATURES,
    Styled,
    connective_shares,
    inverse_document_frequency,
    sentences,
    style_distance,
    style_distances,
    style_features,
    tell_apart,
    telling_phrases,
    weighted_auc,
)
from reasondistill.metrics.text import copied_share

FIELDS = {"premise": "A man sleeps on a beach.", "hypothesis": "The man is awake."}
NUMBERS = st.lists(st.floats(-100, 100, allow_nan=False), min_size=1, max_size=30)


def features(text: str, rarity: dict[str, float] | None = None, *, english: bool = True) -> dict[str, float]:
    found = style_features([Styled(text, FIELDS)], rarity or {}, english=english)
    assert found.shape == (1, len(FEATURES))
    return dict(zip(FEATURES, found[0].tolist(), strict=True))


def test_features_of_a_sentence_by_hand() -> None:
    # Ten words. Content: man, sleeps, awake, and snores, which is new. "that" and "because" open clauses.
    text = "The man that sleeps can't be awake because he snores."
    found = features(text, {"man": 1.0, "sleeps": 2.0, "awake": 2.0, "snores": 5.0})
    assert found["words"] == 10
    assert found["depth"] == 2
    assert found["connectives"] == pytest.approx(10.0)
    assert found["negations"] == pytest.approx(10.0)
    assert found["new_words"] == pytest.approx(1 / 4)
    assert found["rarity"] == pytest.approx(2.5)
    assert found["variety"] == 1
    # "the man … awake" of the hypothesis: 3 of 11 words, as "can't" is two wherever copies are looked for.
    assert found["copying"] == pytest.approx(3 / 11)


def test_depth_is_a_mean_over_sentences_and_variety_falls_with_repeats() -> None:
    found = features("He sleeps. He rests because he is tired.")
    assert found["depth"] == pytest.approx(1 / 2)
    assert found["variety"] == pytest.approx(6 / 8)
    assert found["negations"] == 0
    assert [sentences(t) for t in ("", "one", "One. Two", "Is it? No!", "3.5 m high.", "Well... no.")] == [
        1,
        1,
        2,
        2,
        1,
        2,
    ]


def test_a_word_that_was_not_counted_is_as_rare_as_the_rarest() -> None:
    assert features("Snores.", {"man": 1.0, "owl": 4.0})["rarity"] == 4.0


def test_what_is_not_defined_is_no_number() -> None:
    assert features("!!! ???")["words"] == 2
    assert all(math.isnan(v) for name, v in features("!!! ???").items() if name != "words")
    only_function_words = features("It is not.")
    assert math.isnan(only_function_words["new_words"])
    assert math.isnan(only_function_words["rarity"])
    german = features("Der Mann schläft nicht, weil er wach ist.", english=False)
    assert {name for name, value in german.items() if math.isnan(value)} == ENGLISH_FEATURES
    assert german["new_words"] == 1.0


def test_connectives_are_taken_whole_and_once() -> None:
    def found(text: str) -> list[str]:
        return list(connectives(tokens(text)))

    assert found("Just because he runs doesn't mean he is late.") == ["just because", "does not mean"]
    assert found("Because it rains, so what; that does not mean much") == ["because", "so", "does not mean"]
    assert found("He is also sober") == []
    assert found("a does not meaning") == []
    assert connective_shares(["If a, then b.", "if", "Nothing."]) == {"if": 2 / 3, "then": 1 / 3}


def test_english_word_lists() -> None:
    assert [is_negation(w) for w in ("not", "isn't", "cannot", "nothing", "note", "ant")] == [True] * 4 + [False] * 2
    assert content_words(tokens("The man doesn't sleep on that beach")) == ["man", "sleep", "beach"]


def test_copied_share_by_hand() -> None:
    assert copied_share("The man is awake.", FIELDS) == 1
    assert copied_share("Awake is the man.", FIELDS) == pytest.approx(1 / 2)
    assert copied_share("", FIELDS) == 0
    assert copied_share("Anything", {}) == 0


def test_inverse_document_frequency_is_that_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = ["a dog runs", "a cat", "the dog sleeps and the dog eats"]
    vectorizer = TfidfVectorizer(tokenizer=tokens, token_pattern=None).fit(texts)
    expected = dict(zip(vectorizer.get_feature_names_out(), vectorizer.idf_, strict=True))
    assert inverse_document_frequency(texts) == pytest.approx(expected)


# --- distances ---


def test_distances_by_hand() -> None:
    zero, one = np.zeros(4), np.ones(3)
    assert style_distance(zero, zero) == 0
    assert style_distance(zero, one) == pytest.approx(1)
    # {0, 0} and {0, 2}: Wasserstein 1, variances 0 and 1, means 0 and 1: spread √(½ + ¼).
    assert style_distance(np.zeros(2), np.array([0.0, 2.0])) == pytest.approx(1 / (2 * math.sqrt(0.75)))
    assert style_distance(np.array([np.nan, 0.0]), zero) == 0
    assert style_distance(np.array([np.nan]), zero) is None


@pytest.mark.parametrize("shift", [0.1, 1.0, 3.0])
def test_a_shift_of_d_deviations_gives_what_the_docstring_says(shift: float) -> None:
    values = np.random.default_rng(0).normal(size=400)
    values /= values.std()
    assert style_distance(values, values + shift) == pytest.approx(shift / math.sqrt(4 + shift**2))


@settings(max_examples=80, deadline=None)
@given(NUMBERS, NUMBERS, st.randoms(), st.floats(0.01, 100))
def test_a_distance_is_bounded_symmetric_blind_to_order_and_unit(
    first: list[float], second: list[float], shuffler: random.Random, unit: float
) -> None:
    a, b = np.array(first), np.array(second)
    distance = style_distance(a, b)
    assert distance is not None
    assert 0 <= distance <= 1
    assert style_distance(b, a) == pytest.approx(distance, abs=1e-6)
    assert style_distance(a, a) == 0
    mixed = list(first)
    shuffler.shuffle(mixed)
    assert style_distance(np.array(mixed), b) == pytest.approx(distance, abs=1e-6)
    if np.std(np.concatenate([a, b])) > 1e-3:  # below, rounding is all there is
        assert style_distance(a * unit, b * unit) == pytest.approx(distance, abs=1e-6)


def test_distances_grow_with_a_shift() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=300)
    found = [style_distance(values, values + shift) or 0.0 for shift in (0, 0.1, 0.5, 1, 2, 8)]
    assert found[0] == 0
    assert found == sorted(found)
    assert len(set(found)) == len(found)


WORDS = ("man", "because", "so", "not", "awake", "sleeps", "the", "doesn't", "mean", ".")
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.randoms())
def test_corpora_in_another_order_have_the_same_style(texts: list[str], shuffler: random.Random) -> None:
    other = list(texts)
    shuffler.shuffle(other)
    rarity = inverse_document_frequency(texts)
    assert inverse_document_frequency(other) == rarity
    first, second = (style_features([Styled(t, FIELDS) for t in c], rarity, english=True) for c in (texts, other))
    assert np.array_equal(np.sort(first, axis=0), np.sort(second, axis=0), equal_nan=True)
    assert all(value == pytest.approx(0, abs=1e-9) for value in style_distances(first, second).values())
    assert connective_shares(texts) == connective_shares(other)


# --- a classifier that tells corpora apart ---


def corpora(n: int, marked: float) -> tuple[list[str], list[str], list[str]]:
    """Two corpora about ``n`` things; the second says "therefore" in that share of its texts."""
    rng = random.Random(3)
    names = [f"{rng.choice('abcdefgh')}{rng.choice('stuvwxyz')}" for _ in range(n)]
    own = [f"the {name} is a thing" for name in names]
    other = [f"{'therefore ' if rng.random() < marked else ''}the {name} is a thing" for name in names]
    return own, other, [str(k) for k in range(n)]


def auc(first: list[str], second: list[str], groups: list[str]) -> float:
    scores = tell_apart(first, second, [*groups, *groups])
    assert scores is not None
    return float(roc_auc_score([1] * len(first) + [0] * len(second), scores))


def test_equal_corpora_cannot_be_told_apart_and_different_ones_can() -> None:
    own, other, groups = corpora(60, 0.0)
    assert auc(own, other, groups) == pytest.approx(0.5)
    found = [auc(*corpora(60, share)) for share in (0.3, 0.6, 1.0)]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(1.0)
    ours, theirs = telling_phrases(*corpora(60, 1.0)[:2])
    assert theirs[0] in ("therefore", "therefore the")
    assert "therefore" not in ours


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=20))
def test_the_weighted_auc_is_that_of_scikit_learn(drawn: list[tuple[int, bool, int]]) -> None:
    scores, first, weights = (np.array(column) for column in zip(*drawn, strict=True))
    ours = weighted_auc(scores.astype(float), first, weights[None].astype(float))
    assert ours.shape == (1,)
    if weights[first].sum() and weights[~first].sum():
        assert ours[0] == pytest.approx(roc_auc_score(first, scores, sample_weight=weights))
    else:
        assert np.isnan(ours[0])


@pytest.mark.parametrize(
    ("first", "second", "groups"),
    [
        (["a b"], ["c d"], ["x", "x"]),  # one group: nothing is left to score
        ([], ["c d", "e"], ["x", "y"]),
        (["!", "?"], [".", "!"], ["x", "y", "x", "y"]),  # no word
        (["a b"], ["c d"], ["x", "y"]),  # each fold has one side only
    ],
)
def test_too_little_to_tell_apart(first: list[str], second: list[str], groups: list[str]) -> None:
    assert tell_apart(first, second, groups) is None
