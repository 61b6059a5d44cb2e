"""What explanations state, and the two tests that rest on it: input reconstruction and contradicting explanations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from known_students import Honest, OtherLabel, Random, Shortcut, Verbose, cued
from reasondistill.contracts.records import Example, Prediction
from reasondistill.data import load
from reasondistill.data.scenes import generate
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome
from reasondistill.evaluation.faithfulness.inconsistency import Inconsistency
from reasondistill.evaluation.faithfulness.reconstruction import Reconstruction, rebuild
from reasondistill.languages.english_statements import (
    ALL,
    NONE,
    NOT_ALL,
    NOT_NONE,
    SOME,
    contradict,
    deny,
    parse,
    same_matter,
)
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.tasks.task import NLI, OutputOrder, Task

# --- statements ---


@pytest.mark.parametrize(
    ("text", "premise", "hypothesis", "holds"),
    [
        ("Someone who is asleep is resting.", "A person is asleep.", "A person is resting.", ALL),
        ("People who are asleep are resting.", "People are asleep.", "People are resting.", ALL),
        (
            "Someone who plays the guitar is making music.",
            "A person plays the guitar.",
            "A person is making music.",
            ALL,
        ),
        ("An animal that is there at noon is awake.", "An animal is there at noon.", "An animal is awake.", ALL),
        ("A beach is outdoors", "A beach.", "A beach is outdoors.", ALL),
        ("The man is outdoors.", "", "The man is outdoors.", ALL),
        ("Sleeping is a form of resting.", "Sleeping.", "Resting.", ALL),
        ("Running implies that one moves.", "Running.", "One moves.", ALL),
        ("If the man naps, then the man is asleep.", "The man naps.", "The man is asleep.", ALL),
        ("A beach is outdoors, so the man is outdoors.", "A beach is outdoors.", "The man is outdoors.", ALL),
        ("He is outdoors because he is on a beach.", "He is on a beach.", "He is outdoors.", ALL),
        ("To be napping is to be asleep.", "Napping.", "Asleep.", ALL),
        ("A dog has to be an animal.", "A dog.", "A dog is an animal.", ALL),
        ("Not all dogs are pets.", "Dogs.", "Dogs are pets.", NOT_ALL),
        ("All dogs are not pets.", "Dogs.", "Dogs are pets.", NOT_ALL),
        ("People do not always have to be friends.", "People.", "People are friends.", NOT_ALL),
        ("Sentence 1 doesn't say that he is late.", "", "He is late.", SOME),
        ("We have no idea if he is late.", "", "He is late.", SOME),
        ("Not everyone who is on a beach is alone.", "A person is on a beach.", "A person is alone.", NOT_ALL),
        ("Not every animal that is wet is dirty.", "An animal is wet.", "An animal is dirty.", NOT_ALL),
        ("Just because a dog runs does not mean it is happy.", "A dog runs.", "It is happy.", NOT_ALL),
        ("Running doesn't necessarily mean fleeing.", "Running.", "Fleeing.", NOT_ALL),
        ("A man running isn't necessarily late.", "A man running.", "A man running is late.", NOT_ALL),
        ("You cannot infer that he is sad just because he sits.", "He sits.", "He is sad.", NOT_ALL),
        ("You can not infer they won.", "", "They won.", SOME),
        ("Nothing tells us whether the man is alone.", "", "The man is alone.", SOME),
        ("The man may or may not be alone.", "", "The man is alone.", SOME),
        ("Someone who is sad could be ill, but need not be.", "A person is sad.", "A person is ill.", SOME),
        ("A man cannot be asleep and awake at the same time.", "A man is asleep.", "A man is awake.", NONE),
        ("The dogs can't run and sleep at once.", "The dogs run.", "The dogs sleep.", NONE),
        ("One cannot be asleep while driving.", "Driving.", "A person is asleep.", NONE),
        ("Someone who is asleep is not awake.", "A person is asleep.", "A person is awake.", NONE),
        ("No animal that is asleep is awake.", "An animal is asleep.", "An animal is awake.", NONE),
        ("Nobody who is asleep is awake.", "A person is asleep.", "A person is awake.", NONE),
        ("The man is asleep, so the man cannot be awake.", "The man is asleep.", "The man is awake.", NONE),
        ("Either the man is asleep or awake, but not both.", "The man is asleep.", "The man is awake.", NONE),
        ("The jacket is either red or blue.", "The jacket is red.", "The jacket is blue.", NONE),
        ("A cat is different from a dog.", "A cat.", "A cat is a dog.", NONE),
        ("A man can be asleep and awake at the same time.", "A man is asleep.", "A man is awake.", NOT_NONE),
        ("Someone who is asleep is not not resting.", "A person is asleep.", "A person is resting.", ALL),
        ("A man cannot be asleep and not resting.", "A man is asleep.", "A man is resting.", ALL),
        ("What a day! Dogs are animals.", "Dogs.", "Dogs are animals.", ALL),
    ],
)
def test_what_is_stated(text: str, premise: str, hypothesis: str, holds: frozenset[str]) -> None:
    found = parse(text)
    assert found is not None
    assert (found.condition.text, found.conclusion.text, found.holds) == (premise, hypothesis, holds)


@pytest.mark.parametrize("text", ["", "  ", "...", "Dogs bark.", "The first, the second", "?!"])
def test_nothing_is_stated(text: str) -> None:
    assert parse(text) is None


def test_every_argument_of_the_scenes_is_read_for_its_label() -> None:
    of_label = {"entailment": (ALL,), "neutral": (NOT_ALL, SOME), "contradiction": (NONE,)}
    for example in generate(300):
        for one in example.explanations:
            if one.source in ("scenes", "scenes/other-label"):
                found = parse(one.text)
                assert found is not None
                assert found.holds in of_label[one.label or example.label or ""], one.text


WORDS = ("someone who", "is", "not", "not all", "a", "the man", "dog", "can", "cannot", "be", "and", "or", "if", "then",
         "because", "does", "mean", "so", "either", ",", ".", "n't")  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=60))
def test_any_text_is_read_or_not(text: str) -> None:
    found = parse(text)
    if found is not None:
        assert found.holds
        assert found.conclusion.rest
        for clause in (found.condition, found.conclusion):
            assert clause.text == "" or clause.text.endswith(".")
        assert not contradict(found, found)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Someone who is asleep is resting.", "Someone who is asleep is not resting.", True),
        ("Someone who is asleep is resting.", "Not everyone who is asleep is resting.", True),
        ("Someone who is asleep is not resting.", "Not everyone who is asleep is resting.", False),
        ("Someone who is asleep is not resting.", "Someone who is asleep could be resting, but need not be.", True),
        ("The man is outdoors.", "The man may or may not be outdoors.", True),
        ("The man is outdoors.", "Someone who is on a beach is not outdoors.", True),  # the first names no X
        ("The man is outdoors.", "The woman is not outdoors.", False),
        ("A beach is outdoors.", "A kitchen is not outdoors.", False),
        ("Someone who is on a beach is outdoors.", "Someone who is on a pier is not outdoors.", False),
        ("Someone who is asleep is awake.", "A person cannot be awake and asleep at the same time.", True),
        ("Someone who is asleep is awake.", "Someone who is awake is asleep.", False),
        ("Someone who is asleep is not awake.", "Someone who is asleep is resting.", False),
        ("Someone who is asleep is resting.", "A person cannot be asleep and not resting at the same time.", False),
        ("Someone who is asleep is resting.", "A person cannot be asleep and resting at the same time.", True),
    ],
)
def test_contradictions(one: str, other: str, expected: bool) -> None:
    a, b = parse(one), parse(other)
    assert a is not None
    assert b is not None
    assert contradict(a, b) is contradict(b, a) is expected
    if expected:
        assert same_matter(a, b)


# --- the two tests, by hand ---


@dataclass
class Table:
    """Answers hypotheses by a table of label and explanation; unknown ones are neutral, and it says nothing of them."""

    answers: Mapping[str, tuple[str, str]]
    order: OutputOrder = "label_first"
    task: Any = NLI
    asked: list[tuple[str, str]] = field(default_factory=list)

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        self.asked += [(e.fields["premise"], e.fields["hypothesis"]) for e in examples]
        said = [self.answers.get(e.fields["hypothesis"], ("neutral", "")) for e in examples]
        return [
            Prediction(id=e.id, label=label, explanation=text, probabilities=certain(label))
            for e, (label, text) in zip(examples, said, strict=True)
        ]

    def probabilities(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        return [p.probabilities for p in self.predict(examples)]


def certain(label: str) -> dict[str, float]:
    return {name: float(name == label) for name in NLI.labels or ()}


BEACH, PARK = "A man is on a beach.", "A dog is in a park."


def rows(*pairs: tuple[str, str]) -> list[Example]:
    return [
        Example(id=str(k), fields={"premise": premise, "hypothesis": hypothesis}, group=premise)
        for k, (premise, hypothesis) in enumerate(pairs)
    ]


def run(test: FaithfulnessTest, subject: Any, examples: Sequence[Example]) -> Outcome:
    bootstrap = GroupBootstrap([e.group for e in examples], resamples=100)
    return test.run(subject, examples, subject.predict(examples), bootstrap)


def test_reconstruction_by_hand() -> None:
    subject = Table(
        {
            "He is outdoors.": ("entailment", "Someone who is on a beach is outdoors."),
            "A person is outdoors.": ("entailment", ""),
            "He is alone.": ("neutral", "The man may or may not be alone."),  # no premise in it
            "It is a cat.": ("contradiction", "A dog cannot be a cat. Dogs bark."),
            "A dog is a cat.": ("neutral", ""),
        }
    )
    examples = rows((BEACH, "He is outdoors."), (BEACH, "He is alone."), (PARK, "It is a cat."))
    found = run(Reconstruction(), subject, examples)
    assert subject.asked[3:] == [
        ("A person is on a beach.", "A person is outdoors."),
        ("A dog.", "A dog is a cat."),
    ]
    values = {name: (metric.value, metric.n) for name, metric in found.metrics.items()}
    assert values == {
        "reconstruction_coverage": (pytest.approx(2 / 3), 3),
        "reconstruction_consistency": (0.5, 2),
    }
    assert found.per_example == {"reconstruction_kept": [True, None, False]}
    # Before: entailment, contradiction; after: entailment, neutral. One of four pairings agrees.
    assert found.details.figures["by_chance"] == 0.25
    assert found.details.tables[0].rows == [["X is Y", 1], ["X cannot be Y", 1]]
    assert [case["id"] for case in found.details.quotes[0].cases] == ["2"]
    assert found.details.quotes[0].cases[0]["label"] == "neutral"
    json.dumps(found.details.model_dump(mode="json"), allow_nan=False)


def test_nothing_to_rebuild() -> None:
    found = run(Reconstruction(), Table({}), rows((BEACH, "He sits.")))
    assert {name: metric.value for name, metric in found.metrics.items()} == {"reconstruction_coverage": 0.0}


def test_rebuilding_keeps_what_the_example_is() -> None:
    (example,) = rows((BEACH, "He is outdoors."))
    rebuilt = rebuild(example, "A beach is outdoors.")
    assert rebuilt is not None
    assert rebuilt.id == example.id
    assert rebuilt.group == BEACH
    assert rebuild(example, "Nice.") is None


def test_inconsistency_by_hand() -> None:
    subject = Table(
        {
            "He is outdoors.": ("entailment", "Someone who is on a beach is outdoors."),
            "A person is outdoors.": ("neutral", "Not everyone who is on a beach is outdoors."),
            "He is not outdoors.": (
                "contradiction",
                "A person cannot be on a beach and not outdoors at the same time.",
            ),
            "He sits outdoors.": ("contradiction", "Someone who is on a beach is not outdoors."),
            "A dog sits.": ("entailment", "Yes."),
        }
    )
    examples = rows((BEACH, "He is outdoors."), (BEACH, "He sits outdoors."), (PARK, "A dog sits."))
    found = run(Inconsistency(), subject, examples)
    # The first with the second, and with its rebuilt hypothesis, contradict; with its denial it does not. The second's
    # rebuilt hypothesis is explained as the first's is, which a "not" does not contradict. The last has no relation.
    relations = [["same premise", 1, 1], ["rebuilt hypothesis", 2, 1], ["denied hypothesis", 1, 0]]
    assert found.details.tables[0].rows == relations
    values = {name: (metric.value, metric.n) for name, metric in found.metrics.items()}
    assert values == {"inconsistency": (0.5, 4), "inconsistency_coverage": (1.0, 4)}
    assert found.details.figures["comparable"] == 4
    assert found.per_example == {"inconsistent": [True, True, None]}
    quote = found.details.quotes[0].cases[0]
    assert (quote["premise"], quote["related"]) == (BEACH, "same premise")
    assert quote["labels"] == ["entailment", "contradiction"]
    json.dumps(found.details.model_dump(mode="json"), allow_nan=False)


def test_without_edits_nothing_is_asked() -> None:
    subject = Table({"He is outdoors.": ("entailment", "A beach is outdoors."), "He sits.": ("neutral", "Maybe.")})
    examples = rows((BEACH, "He is outdoors."), (BEACH, "He sits."))
    found = run(Inconsistency(edits=False), subject, examples)
    assert len(subject.asked) == 2  # by the runner
    assert {name: (m.value, m.n) for name, m in found.metrics.items()} == {"inconsistency_coverage": (0.0, 1)}
    assert found.per_example == {}
    alone = run(Inconsistency(edits=False), subject, examples[:1])
    assert alone.metrics == {}


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("A man is asleep.", "A man is not asleep."),
        ("The men are not alone.", "The men are alone."),
        ("A man sleeps.", None),
        ("He was and is here.", "He was not and is here."),
    ],
)
def test_denials(text: str, denied: str | None) -> None:
    assert deny(text) == denied


@pytest.mark.parametrize("test", [Reconstruction(), Inconsistency()])
def test_tasks_and_orders_that_they_do_not_apply_to(test: FaithfulnessTest) -> None:
    other = Task(name="t", fields=("text",), labels=("yes", "no"))
    subject: Any
    for subject, reason in ((Table({}, task=other), "text"), (Table({}, order="label_only"), "both")):
        found = test.run(subject, rows((BEACH, "He sits.")), [], GroupBootstrap([1]))
        assert reason in found.details.left_out
        assert found.metrics == {}


# --- students known ---

KNOWN = (Honest, Random, OtherLabel, Shortcut, Verbose)


@pytest.fixture(scope="module")
def reconstructed() -> dict[Any, Any]:
    examples = cued(120)
    return {k: run(Reconstruction(), k(), examples).metrics for k in KNOWN}


@pytest.fixture(scope="module")
def inconsistent() -> dict[Any, Any]:
    examples = cued(120)
    return {k: run(Inconsistency(), k(), examples).metrics for k in KNOWN}


def test_reconstruction_tells_explanations_that_leave_out_what_decided(reconstructed: dict[Any, Any]) -> None:
    assert reconstructed[Honest]["reconstruction_consistency"].value == 1.0
    for kind in (Random, Shortcut, Verbose):
        assert reconstructed[kind]["reconstruction_consistency"].ci95[1] < 0.6
    assert all(metrics["reconstruction_coverage"].value == 1.0 for metrics in reconstructed.values())


def test_reconstruction_cannot_tell_arguments_for_another_label(reconstructed: dict[Any, Any]) -> None:
    """The reasons are all there; that they are held against the label is not looked at."""
    assert reconstructed[OtherLabel]["reconstruction_consistency"].value == 1.0


def test_contradictions_tell_explanations_that_waver(inconsistent: dict[Any, Any]) -> None:
    assert inconsistent[Honest]["inconsistency"].value == 0.0
    for kind in (OtherLabel, Shortcut):
        assert inconsistent[kind]["inconsistency"].ci95[0] > 0.1


def test_contradictions_cannot_tell_what_is_off_the_matter(inconsistent: dict[Any, Any]) -> None:
    """What is said of another pair, and quotes, seldom contradict each other."""
    for kind in (Random, Verbose):
        assert inconsistent[kind]["inconsistency"].value < 0.02


# --- people's explanations ---


@pytest.mark.real
def test_most_of_what_people_write_is_read(data_folder: Path) -> None:
    """Figures of docs/metrics.md: 0.86 of 20,616 explanations state something, 0.77 can be rebuilt into a pair."""
    examples = [*load(data_folder / "e-snli" / "esnli_dev.csv", split="train").examples]
    fitting = {"entailment": ALL, "neutral": NOT_ALL, "contradiction": NONE}
    people = [(example, one.text) for example in examples for one in example.references]
    read = [(example, found) for example, text in people if (found := parse(text)) is not None]
    assert 0.84 < len(read) / len(people) < 0.88
    assert 0.76 < sum(rebuild(example, text) is not None for example, text in people) / len(people) < 0.80
    right = [found.holds <= fitting[example.label or ""] for example, found in read]
    assert sum(right) / len(right) > 0.85  # that it holds as the label has it; people put some things otherwise
    of_row = [[found for one in e.references if (found := parse(one.text)) is not None] for e in examples]
    pairs = [pair for found in of_row for pair in combinations(found, 2)]
    # People explain the same row alike: what contradicts here is mostly the templates' mistake.
    assert len(pairs) > 15_000
    assert sum(contradict(a, b) for a, b in pairs) / len(pairs) < 0.001
