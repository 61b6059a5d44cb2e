"""Edits of words, partners, samples: what tests of faithfulness are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from known_students import Honest
from reasondistill.contracts.faithfulness import FaithfulnessDetails
from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.common import average, log_probability, partners
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Sample
from reasondistill.evaluation.faithfulness.editing import Place, noised, places, without, word_at
from reasondistill.evaluation.faithfulness.needs import EXPLANATIONS
from reasondistill.languages.word_splitting import as_written
from reasondistill.metrics.simulation import las, las_statistics
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.metrics.text import Rouge, likeness
from reasondistill.tasks.task import NLI

PAIR = Example(id="7", fields={"premise": "A dog  runs, fast.\n", "hypothesis": "It moves.", "genre": "news"})


def test_words_are_left_out_one_by_one() -> None:
    found = places(PAIR, NLI)
    assert found == [*(Place("premise", k) for k in range(4)), Place("hypothesis", 0), Place("hypothesis", 1)]
    assert [word_at(PAIR, place) for place in found] == ["A", "dog", "runs,", "fast.", "It", "moves."]
    assert without(PAIR, found[0]).fields["premise"] == "dog  runs, fast."
    assert without(PAIR, found[2]).fields["premise"] == "A dog fast."
    assert without(PAIR, found[5]).fields == {**PAIR.fields, "hypothesis": "It"}
    alone = Example(id="1", fields={"premise": "Go", "hypothesis": ""})
    assert without(alone, Place("premise", 0)).fields["premise"] == ""


def test_a_character_is_a_word_where_a_script_has_no_spaces() -> None:
    pair = Example(id="1", fields={"premise": "他有 iPhone手机，(两部)。", "hypothesis": "วิ่ง"})
    words = [word_at(pair, place) for place in places(pair, NLI)]
    assert words == ["他", "有", "iPhone", "手", "机，(", "两", "部)。", "วิ่", "ง"]
    assert without(pair, Place("premise", 3)).fields["premise"] == "他有 iPhone机，(两部)。"
    (edited,) = noised(pair, NLI, (1.0,), ["象"], seed=0)
    assert edited.fields == {"premise": "象象 象象象象象", "hypothesis": "象象"}


def test_noise_grows_and_is_the_same_every_time() -> None:
    pool = ["red", "blue", "green", "moves."]
    some, more, all_of_it = noised(PAIR, NLI, (0.1, 0.5, 1.0), pool, seed=3)

    def changed(edited: Example) -> set[Place]:
        return {place for place in places(PAIR, NLI) if word_at(edited, place) != word_at(PAIR, place)}

    # Of six words 0.6 are one, 3 are three; "moves." is never replaced by itself.
    assert [len(changed(e)) for e in (some, more, all_of_it)] == [1, 3, 6]
    assert changed(some) < changed(more) < changed(all_of_it)
    assert all(word_at(more, place) == word_at(all_of_it, place) for place in changed(more))
    assert more.fields["genre"] == "news"
    assert noised(PAIR, NLI, (0.1, 0.5, 1.0), pool, seed=3) == [some, more, all_of_it]
    assert noised(PAIR, NLI, (1.0,), pool, seed=4) != [all_of_it]


def test_noise_without_another_word_changes_nothing() -> None:
    same = Example(id="1", fields={"premise": "so so", "hypothesis": "so"})
    assert noised(same, NLI, (1.0,), ["so"], seed=0) == [same]
    empty = Example(id="1", fields={"premise": "", "hypothesis": " "})
    assert [e.fields["premise"] for e in noised(empty, NLI, (0.5,), ["so"], seed=0)] == [""]


@given(st.text(max_size=30), st.text(max_size=30), st.floats(min_value=0.01, max_value=1))
def test_edits_never_break(premise: str, hypothesis: str, share: float) -> None:
    example = Example.model_construct(id="1", fields={"premise": premise, "hypothesis": hypothesis})
    found = places(example, NLI)
    for name, text in (("premise", premise), ("hypothesis", hypothesis)):
        assert "".join(as_written(text)) == text.rstrip()
        assert sum(place.field == name for place in found) == len(as_written(text)) >= len(text.split())
    spaced = len(found) == len(premise.split()) + len(hypothesis.split())
    left = [len(places(without(example, place), NLI)) for place in found]
    assert all(n == len(found) - 1 if spaced else n < len(found) for n in left)
    (edited,) = noised(example, NLI, (share,), ["x", "y"], seed=0)
    if spaced:
        assert len(places(edited, NLI)) == len(found)


def test_partners_are_of_other_groups_and_fit() -> None:
    examples = [Example(id=str(k), fields={}, group="ab"[k % 2]) for k in range(6)]
    found = partners(examples)
    assert all(other is not None and other % 2 != place % 2 for place, other in enumerate(found))
    assert partners(examples, lambda place, other: other == 0) == [None, 0, None, 0, None, 0]
    again = partners(examples[::-1])
    assert [5 - (other or 0) for other in again[::-1]] == found
    assert partners([Example(id="1", fields={})]) == [None]


def test_likeness_of_texts_in_any_script() -> None:
    rouge = Rouge()
    assert likeness(rouge, "犬が走る", "犬が走る") == 1
    assert likeness(rouge, "犬が走る", "犬が寝る") == pytest.approx(3 / 4)
    assert likeness(rouge, "a dog runs", "a dog sleeps") == pytest.approx(2 / 3)


def test_logarithms_of_probabilities() -> None:
    assert log_probability({"a": 0.5, "b": 0.5}, "a") == pytest.approx(math.log(0.5))
    assert log_probability({"a": 1.0, "b": 0.0}, "b") == pytest.approx(math.log(1e-12))
    assert average([1.0, None, 2.0]) == 1.5
    assert average([None]) is None


class IdsOfSample(FaithfulnessTest):
    """A test whose scores are the examples' ids."""

    name = "ids"
    title = meaning = "-"
    metrics = ("m",)
    needs = (EXPLANATIONS,)
    turn = 1

    def measure(self, sample: Sample) -> Outcome:
        values = [float(e.id) for e in sample.examples]
        assert [p.id for p in sample.answers] == [e.id for e in sample.examples]
        return Outcome({"m": mean(values, sample.bootstrap)}, FaithfulnessDetails(figures={"x": 1}), {"m": [*values]})


def test_a_test_on_a_sample_is_told_of_all() -> None:
    examples = [Example(id=str(k), fields={}, group=f"g{k // 2}") for k in range(6)]
    answers = [Prediction(id=str(k), label="a", explanation="" if k == 1 else "x") for k in range(6)]
    bootstrap = GroupBootstrap([e.group for e in examples])

    outcome = IdsOfSample(examples=6).run(Honest(), examples, answers, bootstrap)
    assert outcome.per_example["m"] == [0.0, None, 2.0, 3.0, 4.0, 5.0]
    assert outcome.details == FaithfulnessDetails(
        settings={"examples": 6},
        metrics=["m"],
        examples=5,
        dropped={"the student explains no example": 1},
        figures={"x": 1},
    )
    assert outcome.metrics["m"].n == 5
    assert outcome.metrics["m"].ci95 is not None
    explained = [p.model_copy(update={"explanation": "x"}) for p in answers]
    few = IdsOfSample(examples=2).run(Honest(), examples, explained, bootstrap)
    assert sum(value is not None for value in few.per_example["m"]) == 2
    assert few.metrics["m"].ci95 is None  # one group
    silent = [p.model_copy(update={"explanation": " "}) for p in answers]
    assert "explains no example" in IdsOfSample().run(Honest(), examples, silent, bootstrap).details.left_out


def test_las_by_hand() -> None:
    # Leaking: gains 1, 0, 0 -> 1/3; not leaking: -1, 0 -> -1/2; mean -1/12.
    gain, leaks = np.array([1.0, 0.0, 0.0, -1.0, 0.0]), np.array([True, True, True, False, False])
    assert float(las(las_statistics(gain, leaks).sum(axis=0))) == pytest.approx(-1 / 12)
    assert np.isnan(las(las_statistics(gain[:3], leaks[:3]).sum(axis=0)))
    two = las(np.stack([las_statistics(gain, leaks).sum(axis=0)] * 2))
    assert two.shape == (2,)
