"""The scripted students are what they say, as the tests that rank them rest on it; samples and outcomes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from known_students import CUES, Honest, OtherLabel, Random, Shortcut, Verbose, argue, cued, pushes, read
from make import pair
from reasondistill.contracts.records import Example
from reasondistill.data.scenes import generate
from reasondistill.evaluation.faithfulness import Subject
from reasondistill.evaluation.faithfulness.definition import left_out, pooled, sample, share
from reasondistill.evaluation.faithfulness.model_under_test import ask
from reasondistill.metrics.statistics import GroupBootstrap, ratio

BEACH = pair("A man is sleeping on a beach.", "A man is outdoors.")


def test_readings_have_the_scenes_own_labels_and_arguments() -> None:
    examples = generate(600)
    readings = [read(e.fields["premise"], e.fields["hypothesis"]) for e in examples]
    assert [reading.label for reading in readings] == [e.label for e in examples]
    true = [
        argue(reading, reading.label) in [x.text for x in e.references]
        for reading, e in zip(readings, examples, strict=True)
    ]
    assert sum(true) / len(true) > 0.95  # the scenes leave the place out of some neutral ones


@pytest.mark.parametrize(
    ("premise", "hypothesis", "label"),
    [
        ("A man is sleeping on a sunny beach.", "A man is outdoors.", "entailment"),
        ("A man is sleeping on a beach.", "A man is not outdoors.", "contradiction"),
        ("A man is sleeping on a beach.", "A man is not awake.", "entailment"),
        ("A man is sleeping on a.", "A man is outdoors.", "neutral"),
        ("A man is sleeping on a beach.", "A man is.", "neutral"),
        ("", "", "neutral"),
    ],
)
def test_edited_texts_are_read_too(premise: str, hypothesis: str, label: str) -> None:
    assert read(premise, hypothesis).label == label


def test_all_but_the_shortcut_decide_alike() -> None:
    examples = cued(90)
    honest = Honest().probabilities(examples)
    assert all(kind().probabilities(examples) == honest for kind in (Random, OtherLabel, Verbose))
    labels = [p.label for p in Honest().predict(examples)]
    assert labels == [e.label for e in examples]
    cues = {cue: label for label, cue in CUES.items()}
    shortcut = [p.label for p in Shortcut().predict(examples)]
    assert shortcut == [cues[e.fields["hypothesis"].split()[0]] for e in examples]
    right = sum(a == b for a, b in zip(shortcut, labels, strict=True))
    assert 72 <= right < 90  # nine of ten, by hash


def test_foreign_words_push_and_only_the_honest_one_tells() -> None:
    edited = pair("A dusty man is sleeping on a beach.", "A man is outdoors.")
    (push,) = pushes(edited)
    assert push.word == "dusty"
    assert pushes(BEACH) == []
    (before,), (after,) = Honest().probabilities([BEACH]), Honest().probabilities([edited])
    assert before["entailment"] == pytest.approx(math.exp(2) / (math.exp(2) + 2))
    total = sum(math.exp(2 * (name == "entailment") + push.weight * (name == push.label)) for name in before)
    own = math.exp(2 * (push.label == "entailment") + push.weight)
    assert after[push.label] == pytest.approx(own / total)
    told = {kind: "dusty" in kind().predict([edited])[0].explanation for kind in (Honest, Random, OtherLabel, Shortcut)}
    assert told == {Honest: True, Random: False, OtherLabel: False, Shortcut: False}


def test_what_they_say() -> None:
    plain = "Someone who is on a beach is outdoors."
    assert Honest().predict([BEACH])[0].explanation == plain
    assert Shortcut().explain_for([BEACH], ["entailment"]) == [plain]
    assert Verbose().predict([BEACH])[0].explanation.endswith(f"A man is outdoors. {plain}")
    assert OtherLabel().predict([BEACH])[0].explanation in (
        "A person cannot be on a beach and outdoors at the same time.",
        "Not everyone who is on a beach is outdoors.",
    )
    assert "beach" not in Random().predict([BEACH])[0].explanation


def test_their_own_words_are_likelier() -> None:
    own, other = Honest().explanation_scores([BEACH] * 2, ["entailment"] * 2, ["on a beach", "in a kitchen"])
    # Its own explanation has eight words.
    assert own == pytest.approx(3 * math.log(0.9 / 8 + 1e-4))
    assert other == pytest.approx(math.log(0.9 / 8 + 1e-4) + 2 * math.log(1e-4))


def test_a_student_is_a_subject() -> None:
    subject: Subject = Honest()
    assert subject.order == "label_first"


def rows(*groups: str | None) -> list[Example]:
    return [Example(id=f"{k}", fields={}, group=group) for k, group in enumerate(groups)]


def test_a_sample_is_of_whole_groups_and_ignores_order() -> None:
    examples = rows(*"aabbccddee")
    chosen = sample(examples, 5)
    assert len(chosen) == 4
    assert chosen == sorted(chosen)
    groups = {examples[k].group for k in chosen}
    assert len(groups) == 2
    assert {examples[::-1][k].group for k in sample(examples[::-1], 5)} == groups
    assert sample(examples, 10) == list(range(10))
    assert sample([], 5) == []


def test_a_sample_of_one_large_group_is_its_beginning() -> None:
    assert sample(rows(*"aaaa"), 3) == [0, 1, 2]
    assert len(sample(rows(None, None, None), 2)) == 2


def test_left_out() -> None:
    assert left_out("no labels").details.left_out == "no labels"
    assert left_out("no labels").metrics == {}


def test_many_are_asked_in_chunks_and_answered_in_order() -> None:
    examples = [Example(id=str(k), fields={"text": "x" * (k % 7)}) for k in range(600)]
    chunks: list[list[str]] = []
    said: list[str] = []

    def question(some: list[Example]) -> list[str]:
        chunks.append([e.fields["text"] for e in some])
        return [e.id for e in some]

    assert ask(question, examples, "things", said.append) == [e.id for e in examples]  # type: ignore[arg-type]
    assert [len(chunk) for chunk in chunks] == [256, 256, 88]
    lengths = [len(text) for chunk in chunks for text in chunk]
    assert lengths == sorted(lengths, reverse=True)
    assert said == ["things: 0 of 600", "things: 256 of 600", "things: 512 of 600"]
    assert ask(question, [], "nothing", said.append) == []  # type: ignore[arg-type]


def test_cases_are_pooled_over_examples() -> None:
    bootstrap = GroupBootstrap(["a", "b", "c"], resamples=200)
    found = share([0, 0, 0, 2], [True, False, False, True], 3, bootstrap)
    assert (found.value, found.n) == (0.5, 4)
    assert list(found.ci95 or ()) == [pytest.approx(1 / 3), 1.0]  # a alone: one of three; c alone: one of one
    weighted = pooled([1, 1], np.array([[1.0, 2.0], [2.0, 2.0]]), ratio, 3, bootstrap)
    assert weighted.value == 0.75
    assert share([0], [True], 1, GroupBootstrap(["a"])).ci95 is None
