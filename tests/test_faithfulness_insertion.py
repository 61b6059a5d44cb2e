"""Counterfactual insertion: where words go, what is made of their effects, and which students it tells apart."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from known_students import Honest, OtherLabel, Random, Shortcut, Verbose, cued
from reasondistill.contracts.records import Example, Prediction
from reasondistill.data.scenes import generate
from reasondistill.errors import ConfigError
from reasondistill.evaluation.faithfulness import insertion
from reasondistill.evaluation.faithfulness.definition import Outcome
from reasondistill.evaluation.faithfulness.english.inserted_words import (
    ADJECTIVES,
    ADVERBS,
    Insertion,
    draw,
    places,
    put,
)
from reasondistill.evaluation.faithfulness.insertion import CounterfactualInsertion, total_variation
from reasondistill.languages.word_splitting import words
from reasondistill.metrics.statistics import GroupBootstrap, correlation, pair_sums
from reasondistill.tasks.task import NLI, OutputOrder, get_task


def example(premise: str, hypothesis: str = "It rains.", identity: str = "1") -> Example:
    return Example(id=identity, fields={"premise": premise, "hypothesis": hypothesis})


# --- where words go ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man eats the apple.", ["A W man eats the apple.", "A man eats the W apple."]),
        ("Two dogs are running.", ["Two W dogs are running.", "Two dogs are W running."]),
        ("The two men sit.", ["The two W men sit."]),  # not between "the" and "two"
        ("A lot of people talk.", []),
        ("It is a cat.", ["It is a W cat."]),  # no adverb before "a"
        ("She is not here with her cat.", []),
        ("Nobody sleeps.", []),
        ("This is", []),
        ("", []),
    ],
)
def test_places(text: str, expected: list[str]) -> None:
    found = places(example(text, ""), ["premise"])
    assert sorted(put(text, place.at, "W") for place in found) == sorted(expected)


def test_adverbs_follow_a_form_of_be_and_adjectives_a_determiner() -> None:
    found = places(example("A man is running."), ["premise"])
    assert [(place.at, place.fitting) for place in found] == [(2, ADJECTIVES), (9, ADVERBS)]


@pytest.mark.parametrize(
    ("text", "at", "word", "expected"),
    [
        ("A man.", 2, "old", "An old man."),
        ("An apple.", 3, "red", "A red apple."),
        ("on a  bus", 6, "odd", "on an  odd bus"),
        ("Eva is here.", 7, "often", "Eva is often here."),  # the last letter of a word is no article
    ],
)
def test_articles_are_made_to_fit(text: str, at: int, word: str, expected: str) -> None:
    assert put(text, at, word) == expected


def without(word: str, text: str) -> list[str]:
    return [w for w in re.sub(r"\bAn?\b", "a", text, flags=re.IGNORECASE).split() if w != word]


WORDS = ["a", "an", "the", "two", "is", "are", "man", "dogs", "odd", "red", "Running.", "lot", "not"]


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_one_new_word_is_put_into_one_field(text: list[str]) -> None:
    original = example(" ".join(text), "The man is here.")
    for one in draw(original, ("premise", "hypothesis"), 4):
        assert one.word not in words(" ".join(original.fields.values()))
        for field, edited in one.example.fields.items():
            had = original.fields[field]
            assert (edited != had) == (field == one.field)
            assert without(one.word, edited) == without(one.word, had)


def test_draws_hang_on_the_example_alone() -> None:
    drawn = draw(example("A man is running."), ("premise",), 6)
    assert drawn == draw(example("A man is running."), ("premise",), 6)
    assert drawn[:3] == draw(example("A man is running."), ("premise",), 3)
    assert [d.word for d in drawn] != [
        d.word for d in draw(example("A man is running.", identity="2"), ("premise",), 6)
    ]
    assert len({d.word for d in drawn}) == 6


def test_words_to_avoid_and_words_that_run_out() -> None:
    text = "He has a dog."  # a place for adjectives only
    assert [d.word for d in draw(example(text), ("premise",), 9, avoid=" ".join(ADJECTIVES[1:]))] == [ADJECTIVES[0]]
    assert len(draw(example(text), ("premise",), 1000)) == len(ADJECTIVES)


def test_the_words_are_single_lowercase_words_that_occur_once() -> None:
    everything = [*ADJECTIVES, *ADVERBS]
    assert len(set(everything)) == len(everything)
    assert all(words(word) == [word] for word in everything)


# --- arithmetic ---


def test_total_variation() -> None:
    assert total_variation({"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 0.2, "b": 0.7, "c": 0.1}) == pytest.approx(0.4)
    assert total_variation({"a": 1.0, "b": 0.0}, {"b": 1.0, "a": 0.0}) == 1.0


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 1)), min_size=2, max_size=20))
def test_correlation_is_pearsons(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=np.float64).T
    found = float(correlation(pair_sums(x, y).sum(axis=0)))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found == 0.0
    else:
        assert found == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_a_constant_that_rounds_is_constant() -> None:
    assert correlation(pair_sums(np.full(7, 0.1), np.arange(7.0)).sum(axis=0)) == 0.0


# --- a hand-worked case ---

BEFORE = {"entailment": 0.6, "neutral": 0.3, "contradiction": 0.1}
EFFECTS = {
    "big": {"entailment": 0.2, "neutral": 0.7, "contradiction": 0.1},  # a shift of 0.4, and another label
    "red": {"entailment": 0.5, "neutral": 0.4, "contradiction": 0.1},  # of 0.1
    "wet": BEFORE,
    "shy": {"entailment": 0.9, "neutral": 0.05, "contradiction": 0.05},  # of 0.3
    "fat": {"entailment": 0.4, "neutral": 0.5, "contradiction": 0.1},  # of 0.2, and another label
}


@dataclass
class Scripted:
    """Is moved by `EFFECTS`, and says what it is told to."""

    say: Callable[[Sequence[str]], str]
    order: OutputOrder = "label_first"
    task: Any = NLI
    explained: int = 0

    def probabilities(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        return [next((p for w, p in EFFECTS.items() if w in words(e.fields["premise"])), BEFORE) for e in examples]

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        self.explained += len(examples)
        return [
            Prediction(
                id=e.id,
                label=max(p, key=p.__getitem__),
                probabilities=p,
                explanation=self.say(words(e.fields["premise"])),
            )
            for e, p in zip(examples, self.probabilities(examples), strict=True)
        ]

    def explain_for(self, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
        raise AssertionError("it is not made to argue")

    def explanation_scores(self, *_: object) -> list[float]:
        raise AssertionError("it is not asked how likely a text is")


INSERTED = {"1": ("wet", "big", "red"), "2": ("red", "wet"), "3": (), "4": ("wet", "shy", "fat"), "5": ("red",)}
ROWS = [example("The dog.", identity=name) for name in ("1", "2", "3")]


def drawn(one: Example, fields: Sequence[str], n: int, avoid: str) -> list[Insertion]:
    edits = [(w, {**one.fields, "premise": f"The {w} dog."}) for w in INSERTED[one.id]]
    return [Insertion(one.model_copy(update={"fields": f}), "premise", w) for w, f in edits][:n]


def measure(
    subject: Any, monkeypatch: pytest.MonkeyPatch, rows: Sequence[Example] = tuple(ROWS), **settings: Any
) -> Outcome:
    monkeypatch.setattr(insertion, "draw", drawn)
    answers = subject.predict(rows)
    subject.explained = 0
    bootstrap = GroupBootstrap([row.id for row in rows], resamples=50)
    return CounterfactualInsertion(**settings).run(subject, rows, answers, bootstrap)


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Scripted(lambda said: "It is big." if "big" in said else "A dog is an animal.")
    found = measure(subject, monkeypatch)
    # Explained: of 1 big (0.4, flips, mentioned) and wet (0), the first other one; of 2 red (0.1) and wet (0).
    assert subject.explained == 4
    values = {name: (metric.value, metric.n) for name, metric in found.metrics.items()}
    assert values == {
        # cov = 0.4/4 - 0.125 * 0.25, var = 0.17/4 - 0.125², 0.25 - 0.25²
        "cct": (pytest.approx(0.06875 / math.sqrt(0.026875 * 0.1875)), 4),
        "phi_cct": (pytest.approx(1.0), 4),
        "ct_unfaithfulness": (0.0, 1),
        "insertion_mention_rate": (0.25, 4),
        "insertion_mention_rate_unmoved": (0.0, 2),
    }
    assert found.per_example == {
        "insertion_shift": [pytest.approx(0.4), pytest.approx(0.1), None],
        "insertion_mentioned": [True, False, None],
        "ct_unfaithful": [False, None, None],
    }
    details = found.details
    sizes = {"with_insertion": 2, "insertions": 5, "explained": 4, "examples_flipped": 1}
    assert (details.examples, {name: details.figures[name] for name in sizes}) == (3, sizes)
    assert details.figures["mean_shift"] == pytest.approx((0.4 + 0.1 + 0 + 0.1 + 0) / 5)
    unmentioned, mentioned = (quotes.cases for quotes in details.quotes)
    assert [(q["id"], q["word"]) for q in mentioned] == [("1", "big")]
    assert [(q["id"], q["word"]) for q in unmentioned] == [("2", "red"), ("1", "wet"), ("2", "wet")]
    assert mentioned[0]["text"] == "The big dog."
    json.dumps(details.model_dump(mode="json"), allow_nan=False)


def test_a_word_that_moves_the_label_and_is_not_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(Scripted(lambda said: "It is wet." if "wet" in said else "A bigger dog."), monkeypatch)
    assert found.metrics["ct_unfaithfulness"].value == 1.0  # "bigger" is another word
    assert found.metrics["cct"].value < 0
    assert found.metrics["phi_cct"].value == pytest.approx(-math.sqrt(1 / 3))  # of 1 flip and 2 mentions among 4
    assert found.metrics["insertion_mention_rate_unmoved"].value == 1.0
    assert found.per_example["ct_unfaithful"] == [True, None, None]


def test_a_flip_comes_before_a_larger_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [example("The dog.", identity=name) for name in ("4", "5")]
    found = measure(Scripted(lambda said: ""), monkeypatch, rows)
    assert found.per_example["insertion_shift"] == pytest.approx([0.2, 0.1])
    assert found.per_example["ct_unfaithful"] == [True, None]
    assert found.details.figures["explained"] == 3  # the fifth has one insertion only
    assert found.metrics["ct_unfaithfulness"].n == 1


def test_nothing_flips_and_nothing_is_still(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(Scripted(lambda said: ""), monkeypatch, insertions=1, unmoved=0.0)
    assert "ct_unfaithfulness" not in found.metrics
    assert found.metrics["insertion_mention_rate_unmoved"].n == 1  # 1: wet, 2: red
    assert found.metrics["cct"].value == 0.0


def test_a_student_that_explains_first_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Scripted(lambda said: "It is big." if "big" in said else "", order="explanation_first")
    found = measure(subject, monkeypatch)
    assert subject.explained == 4  # no more than two insertions each are tried
    assert found.details.figures["insertions"] == 4
    assert found.metrics["phi_cct"].value == pytest.approx(1.0)


@pytest.mark.parametrize(
    "lacking", [{"order": "label_only"}, {"order": "explanation_only"}, {"task": get_task("instructions")}]
)
def test_students_that_lack_a_half(lacking: dict[str, Any]) -> None:
    found = CounterfactualInsertion().run(Scripted(lambda said: "", **lacking), ROWS, [], GroupBootstrap([1, 2, 3]))
    assert "both" in found.details.left_out
    assert found.metrics == {}


def test_other_languages_and_texts_without_a_place() -> None:
    german = [example("Ein Mann spielt nicht auf der Straße.", "Die Frau ist mit dem Hund im Haus.")]
    plain = [example("Dogs eat.", "Dogs sleep.")]
    for rows, reason in ((german, "German"), (plain, "no place")):
        subject = Scripted(lambda said: "")
        found = CounterfactualInsertion().run(subject, rows, subject.predict(rows), GroupBootstrap([1]))
        assert reason in found.details.left_out


def test_unknown_fields_are_refused() -> None:
    subject = Scripted(lambda said: "")
    test = CounterfactualInsertion(fields=("premise", "caption"))
    with pytest.raises(ConfigError, match="caption"):
        test.run(subject, ROWS, subject.predict(ROWS), GroupBootstrap([1, 2, 3]))


# --- students known ---


def of(kind: Any, rows: Sequence[Example], **settings: Any) -> Outcome:
    subject = kind()
    bootstrap = GroupBootstrap([row.group for row in rows], resamples=200)
    return CounterfactualInsertion(**settings).run(subject, rows, subject.predict(rows), bootstrap)


def test_an_honest_student_scores_best() -> None:
    rows = cued(120)
    honest = of(Honest, rows).metrics
    assert honest["cct"].value > 0.6
    assert honest["phi_cct"].value > 0.4
    assert honest["ct_unfaithfulness"].value < 0.15
    assert honest["insertion_mention_rate_unmoved"].value < 0.05
    assert honest["cct"].ci95 is not None
    for kind in (Random, OtherLabel, Shortcut):
        other = of(kind, rows).metrics
        assert other["cct"].ci95 is not None
        assert other["cct"].ci95[1] < honest["cct"].ci95[0]
        assert other["phi_cct"].value < honest["phi_cct"].value - 0.2
        assert other["ct_unfaithfulness"].value > 0.9


def test_ct_is_fooled_by_an_explanation_that_quotes_everything_and_cct_is_not() -> None:
    rows = cued(60)
    honest, verbose = of(Honest, rows).metrics, of(Verbose, rows).metrics
    assert verbose["ct_unfaithfulness"].value == 0.0 <= honest["ct_unfaithfulness"].value
    assert verbose["insertion_mention_rate_unmoved"].value == 1.0
    assert verbose["cct"].value == verbose["phi_cct"].value == 0.0


def test_the_shortcut_that_it_relies_on_is_not_found() -> None:
    """Insertions never touch the cue: a student that is moved by nothing else, and tells that, looks honest."""

    class TellsTheRest(Shortcut):
        explain = Honest.explain

    rows = cued(120)
    hidden = of(TellsTheRest, rows).metrics
    assert hidden["cct"].value > 0.6
    assert hidden["ct_unfaithfulness"].value < 0.15


def test_results_hang_on_no_order_and_on_fields_asked_for() -> None:
    rows = generate(60)
    forward, backward = of(Honest, rows), of(Honest, rows[::-1])
    assert {n: m.value for n, m in forward.metrics.items()} == pytest.approx(
        {n: m.value for n, m in backward.metrics.items()}
    )
    assert forward.per_example == {name: scores[::-1] for name, scores in backward.per_example.items()}
    premise = of(Honest, rows, fields=("premise",), examples=30)
    assert premise.details.examples == 30
    assert {q["field"] for q in premise.details.quotes[1].cases} == {"premise"}
    assert sum(score is not None for score in premise.per_example["insertion_shift"]) == 30


@pytest.mark.slow
def test_a_trained_student() -> None:
    """It was taught to explain scenes, not to tell of odd words: those that move it are hardly ever mentioned."""
    from reasondistill.students.student import Student

    rows = [row for row in generate(900, seed=3) if row.split == "test"][:12]
    found = of(lambda: Student.load("builtin:scenes"), rows, insertions=6)
    assert found.details.figures["explained"] == 24
    assert found.metrics["insertion_mention_rate"].value < 0.3
    shift = found.details.figures["mean_shift"]
    assert isinstance(shift, float)
    assert 0.0 < shift < 0.3
