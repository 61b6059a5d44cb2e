"""The built-in data: what it promises of labels, explanations and parts, and that a hypothesis alone tells nothing."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from reasondistill.contracts.records import Example
from reasondistill.data.scenes import (
    EXCLUSIVE,
    FRAMES,
    LABELS,
    Aspect,
    drawing,
    entails,
    excludes,
    generate,
    phrases,
    world,
)
from reasondistill.data.splits import split_of
from reasondistill.errors import ConfigError
from reasondistill.tasks.task import NLI

WRONG = {"scenes/other-label", "scenes/irrelevant", "scenes/copied", "scenes/contradictory"}


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return generate(6000)


def aspects() -> list[Aspect]:
    return list(dict.fromkeys(aspect for frame in FRAMES for aspect in frame.aspects))


def test_the_same_seed_gives_the_same_pairs() -> None:
    assert generate(50, seed=3) == generate(50, seed=3)
    assert generate(50, seed=3) != generate(50, seed=4)


@pytest.mark.parametrize("n", [1, 2, 3, 100, 199])
def test_a_smaller_set_is_the_beginning_of_a_larger_one(n: int) -> None:
    assert generate(n, seed=1) == generate(200, seed=1)[:n]


def test_the_pairs_stay_the_same_from_release_to_release() -> None:
    """Published results name these rows, and the student in the package was trained on them."""
    first = generate(1)[0]
    assert first.id == "scenes-0-000000"
    assert first.fields == {
        "premise": "A man is sleeping on a beach at noon.",
        "hypothesis": "A man is alone.",
    }
    assert first.label == "neutral"
    assert first.explanations[0].text == "Not everyone who is sleeping is alone."


@pytest.mark.parametrize("n", [0, -1])
def test_no_pairs_at_all_are_refused(n: int) -> None:
    with pytest.raises(ConfigError, match=rf"expected a number of pairs of 1 or more, found {n}\b"):
        generate(n)


@pytest.mark.parametrize("n", [1, 2, 4, 5, 6, 1000])
def test_labels_are_balanced_for_any_number(n: int) -> None:
    counts = Counter(example.label for example in generate(n))
    assert max(counts.values()) - min(counts[label] for label in LABELS) <= 1


def test_ids_are_unique_and_rows_fit_the_task(examples: list[Example]) -> None:
    assert len({example.id for example in examples}) == len(examples)
    assert all(NLI.check(example) is example for example in examples)


def test_a_premise_has_one_pair_for_each_label_and_lies_in_one_part(examples: list[Example]) -> None:
    labels: dict[str, list[str | None]] = {}
    for example in examples:
        assert example.group == example.fields["premise"]
        assert example.split == split_of(example.group)
        labels.setdefault(example.group, []).append(example.label)
    assert len(labels) == 2000
    assert all(sorted(map(str, of_premise)) == sorted(LABELS) for of_premise in labels.values())
    parts = Counter(example.split for example in examples)
    assert parts["train"] / 6000 == pytest.approx(0.7, abs=0.04)
    assert parts["validation"] / 6000 == pytest.approx(0.1, abs=0.03)
    assert parts["test"] / 6000 == pytest.approx(0.2, abs=0.04)


def test_past_the_number_of_premises_they_recur_in_the_same_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FRAMES", (world.Frame((world.PERSON, world.STANCE, world.PLACE), *world.PEOPLE),))
    rows = generate(3000)
    assert len(rows) == 3000
    assert len({row.group for row in rows}) < 1000
    assert all(row.split == split_of(str(row.group)) for row in rows)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_hypothesis_alone_does_not_give_the_label_away(seed: int) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    rows = generate(6000, seed=seed)
    train, test = ([row for row in rows if row.split == part] for part in ("train", "test"))
    words = CountVectorizer(ngram_range=(1, 2))
    model = LogisticRegression(max_iter=1000)
    model.fit(words.fit_transform([row.fields["hypothesis"] for row in train]), [row.label for row in train])
    accuracy = model.score(words.transform([row.fields["hypothesis"] for row in test]), [row.label for row in test])
    assert 0.25 < accuracy < 0.45


def test_everything_asked_is_asked_about_equally_under_each_label(examples: list[Example]) -> None:
    counts: dict[str, Counter[str]] = {}
    for example in examples:
        asked = re.sub(r"^.*? (is|shows) | (outdoors|indoors)\.$|\.$", "", example.fields["hypothesis"])
        counts.setdefault(asked, Counter())[str(example.label)] += 1
    for asked, by_label in counts.items():
        total = by_label.total()
        for label in LABELS:  # within four standard deviations of a third
            assert abs(by_label[label] - total / 3) < 4 * (total * 2 / 9) ** 0.5, (asked, by_label)


def test_length_and_form_do_not_depend_on_the_label(examples: list[Example]) -> None:
    def share(label: str, has: str) -> float:
        return sum(has in e.fields["hypothesis"] for e in examples if e.label == label) / (len(examples) / 3)

    def mean_length(label: str) -> float:
        return sum(len(e.fields["hypothesis"].split()) for e in examples if e.label == label) / (len(examples) / 3)

    for has in ("The picture shows", "A person is", "outdoors."):
        shares = [share(label, has) for label in LABELS]
        assert max(shares) - min(shares) < 0.04, (has, shares)
    lengths = [mean_length(label) for label in LABELS]
    assert max(lengths) - min(lengths) < 0.15


# An independent reading of some of the world: cue in the premise -> what it settles.
CUES = {
    "outdoors": (r"\b(beach|pier|park)\b", r"\b(kitchen|bedroom|library)\b"),
    "indoors": (r"\b(kitchen|bedroom|library)\b", r"\b(beach|pier|park)\b"),
    "at the seaside": (r"\b(beach|pier)\b", r"\b(kitchen|bedroom|library)\b"),
    "happy": (r"\b(smiling|cheerful)\b", r"\b(crying|gloomy)\b"),
    "making music": (r"\bplaying\b", r"\b(eating|lifting|jumping|yoga)\b"),
    "asleep": (r"\b(sleeping|napping)\b", r"\b(walking|running|sitting)\b"),
    "awake": (r"\b(walking|running)\b", r"\b(sleeping|napping)\b"),
    "alone": (r"\bwithout\b", r"\bwith a\b"),
    "there at night": (r"\b(midnight|dawn)\b", r"\b(noon|breakfast)\b"),
    "celebrating": (r"\bcelebrate\b", r"\b(earn|please)\b"),
    "a child": (r"\b(girl|boy)\b", r"\b(woman|man)\b"),
    "a dog": (r"\b(poodle|terrier)\b", r"\b(kitten|tomcat)\b"),
    "dressed for hot weather": (r"\b(swimsuit|shorts)\b", r"\b(coat|scarf)\b"),
}


@pytest.mark.parametrize("asked", CUES)
def test_labels_agree_with_a_reading_of_the_premise(asked: str, examples: list[Example]) -> None:
    true, false = CUES[asked]
    rows = [e for e in examples if re.search(rf" (is|shows) {asked}\.$", e.fields["hypothesis"])]
    assert {row.label for row in rows} == set(LABELS)
    for row in rows:
        said = row.fields["premise"]
        label = "entailment" if re.search(true, said) else "contradiction" if re.search(false, said) else "neutral"
        assert row.label == label, row.fields


def test_the_world_hangs_together() -> None:
    predicates = {predicate for aspect in aspects() for predicate in aspect.facts}
    assert {predicate for group in EXCLUSIVE for predicate in group} <= predicates
    for aspect in aspects():
        for predicate, answers in aspect.facts.items():
            assert answers, predicate
            assert any(excludes(aspect, phrase, predicate) for phrase in phrases(aspect)), predicate
            for phrase in phrases(aspect):
                assert not (entails(aspect, phrase, predicate) and excludes(aspect, phrase, predicate))


def test_what_entails_and_what_excludes_by_hand() -> None:
    assert entails(world.PLACE, "on a beach", "at the seaside")
    assert not entails(world.PLACE, "in a park", "at the seaside")
    assert not excludes(world.PLACE, "in a park", "at the seaside")
    assert excludes(world.PLACE, "in a kitchen", "outdoors")
    assert excludes(world.STANCE, "sleeping", "moving")
    assert not excludes(world.STANCE, "sitting on a bench", "awake")
    assert excludes(world.PERSON, "a girl", "an adult")


def test_two_to_four_true_explanations_each_different_and_the_plainest_first(examples: list[Example]) -> None:
    counts: Counter[int] = Counter()
    starts = {
        "entailment": ("Someone who", "An animal that"),
        "neutral": ("Not everyone who", "Not every animal that"),
        "contradiction": ("A person cannot", "An animal cannot"),
    }
    for example in examples:
        texts = [explanation.text for explanation in example.references]
        counts[len(texts)] += 1
        assert len(set(texts)) == len(texts)
        assert all(e.source == "scenes" and e.label is None for e in example.references)
        assert texts[0].startswith(starts[str(example.label)])
    assert set(counts) == {2, 3, 4}


def test_wrong_explanations_are_marked_and_no_references(examples: list[Example]) -> None:
    for example in examples:
        true = {explanation.text for explanation in example.references}
        wrong = [e for e in example.explanations if e.source != "scenes"]
        assert {e.source for e in wrong} == WRONG
        assert not true & {e.text for e in wrong}
        assert {e.label for e in wrong if e.source == "scenes/other-label"} == set(LABELS) - {str(example.label)}
        assert {e.label for e in wrong if e.source != "scenes/other-label"} == {""}
        assert [e.text for e in wrong if e.source == "scenes/copied"] == [example.fields["hypothesis"]]


def test_everything_is_a_sentence_and_captions_are_short(examples: list[Example]) -> None:
    words: set[str] = set()
    for example in examples:
        for text in (*example.fields.values(), *(e.text for e in example.explanations)):
            assert re.fullmatch(r"[A-Z][a-z]*(,? [a-z]+)*\.", text), text
            assert not re.search(r"\b(is is|a [aeiou]|an [^aeiou])", text.lower()), text
            words.update(re.findall(r"[a-z]+", text.lower()))
        assert len(example.fields["premise"].split()) <= 16
        assert len(example.fields["hypothesis"].split()) <= 9
    assert len(words) <= 350
