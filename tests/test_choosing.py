"""What a training learns from: a share of the groups, whose explanations, and edited copies."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasondistill.config import Augment, Source, TrainConfig
from reasondistill.contracts.records import Example, Explanation, Votes, write_records
from reasondistill.data import load_source
from reasondistill.data.transforms.augmentation import augmented, edit_text
from reasondistill.data.transforms.selection import in_fraction
from reasondistill.errors import ConfigError, DataError
from reasondistill.storage.files import write_jsonl
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.tasks.task import NLI, Task

SCENES = "scenes:400@1"


def loaded(**keys: Any) -> list[Example]:
    return list(load_source(Source(**{"source": SCENES, **keys}), NLI, keys.pop("seed", 3)).examples)


# --- a share of the groups ---


def test_a_smaller_share_is_part_of_a_larger_one_and_no_group_is_torn() -> None:
    everything = loaded()
    shares = {share: {e.id for e in loaded(fraction=share)} for share in (0.1, 0.3, 0.6)}
    assert shares[0.1] < shares[0.3] < shares[0.6] < {e.id for e in everything}
    for ids in shares.values():
        groups = {e.group for e in everything if e.id in ids}
        assert {e.id for e in everything if e.group in groups} == ids


def test_the_share_is_met_on_average_and_another_seed_draws_others() -> None:
    groups = [f"image {i}" for i in range(20_000)]
    kept = {seed: {g for g in groups if in_fraction(g, 0.2, seed)} for seed in (1, 2)}
    for found in kept.values():
        assert abs(len(found) / len(groups) - 0.2) < 0.015  # five standard deviations
    assert abs(len(kept[1] & kept[2]) / len(groups) - 0.04) < 0.01  # independent
    assert all(in_fraction(g, 1.0, 1) for g in groups[:100])


@given(st.text(), st.floats(0.001, 1.0), st.floats(0.001, 1.0), st.integers(0, 2**32 - 1))
def test_shares_nest(group: str, one: float, other: float, seed: int) -> None:
    if in_fraction(group, min(one, other), seed):
        assert in_fraction(group, max(one, other), seed)


def test_a_share_without_a_group_is_a_mistake() -> None:
    with pytest.raises(DataError, match="none of"):
        loaded(source="scenes:3@1", fraction=0.0001)


def test_what_is_left_out_is_counted() -> None:
    found = load_source(Source(source=SCENES, fraction=0.5), NLI, 3)
    assert found.set_aside["not in the fraction"] == 400 - len(found.examples)


# --- whose explanations ---


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    voted = [("bad", 0), ("fair", 2), ("good", 3)]
    rows = [
        Example(
            id=name,
            fields={"premise": f"p {name}", "hypothesis": "h"},
            label=label,
            explanations=(
                *(Explanation(text=f"{name} {i}", source="human") for i in range(3)),
                *(Explanation(text=t, source="gpt", votes=Votes(acceptable=n, of=3)) for t, n in voted),
            ),
        )
        for name, label in (("a", "entailment"), ("b", "neutral"))
    ]
    write_records(path, rows)
    return path


def texts(path: Path, **keys: Any) -> dict[str, list[tuple[str, str]]]:
    found = load_source(Source(source=str(path), **keys), NLI, 1).examples
    return {e.id: [(x.source, x.text) for x in e.references] for e in found}


def test_explanations_of_those_who_are_named_in_that_order_at_most_so_many(pairs: Path) -> None:
    assert texts(pairs, explanations={"gpt": 1, "human": 2})["a"] == [
        ("gpt", "bad"),
        ("human", "a 0"),
        ("human", "a 1"),
    ]
    assert [s for s, _ in texts(pairs, explanations={"human": None})["b"]] == ["human"] * 3
    assert texts(pairs, explanations={}) == {"a": [], "b": []}  # labels only
    assert texts(pairs)["a"][3:] == [("gpt", "bad"), ("gpt", "fair"), ("gpt", "good")]


def test_explanations_that_enough_people_accept(pairs: Path) -> None:
    assert texts(pairs, min_acceptable=0.6, explanations={"gpt": None})["a"] == [("gpt", "fair"), ("gpt", "good")]
    assert texts(pairs, min_acceptable=0.6, explanations={"gpt": 1})["a"] == [("gpt", "fair")]  # of those that are left
    assert len(texts(pairs, min_acceptable=1.0)["a"]) == 4  # who was not voted on stays


def test_a_teachers_file_adds_explanations_by_id(pairs: Path, tmp_path: Path) -> None:
    predictions, by_label = tmp_path / "t.jsonl", tmp_path / "nile.jsonl"
    write_jsonl(
        predictions,
        [
            {"id": "b", "label": "neutral", "explanation": "said of b"},
            {"id": "a", "label": "contradiction", "explanation": "wrong label"},
            {"id": "z", "label": "neutral", "explanation": "of another set"},
        ],
    )
    write_jsonl(
        by_label, [{"pairID": "a", "explanations": {"neutral": "no", "entailment": "yes", "contradiction": " "}}]
    )
    found = texts(pairs, teachers={"t": str(predictions), "nile": str(by_label)}, explanations={"nile": 1, "t": 1})
    # What argues for another label is not learned from.
    assert found == {"a": [("nile", "yes")], "b": [("t", "said of b")]}
    example = load_source(Source(source=str(pairs), teachers={"nile": str(by_label)}), NLI, 1).examples[0]
    assert [(e.text, e.label) for e in example.explanations if e.source == "nile"] == [("no", "neutral"), ("yes", None)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "z", "label": "neutral", "explanation": "x"}], "none with an id of these rows"),
        ([{"id": "a", "label": "neutral"}], "a row of the teacher t"),
        ([{"explanation": "x"}], "a row of the teacher t"),
        ([{"id": "a", "label": "neutral", "explanation": "half \ud800"}], "half of a surrogate pair"),
        ([{"id": "a", "explanation": "x"}, {"id": "a", "explanation": "y"}], "'a' again"),
        ([{"id": "a", "label": ["x"], "explanation": "x"}], "a row of the teacher t"),
        ([{"id": "a", "label": "Entailment", "explanation": "x"}], "argue for the labels of these rows.*Entailment"),
        ([{"id": "a", "label": "entailment", "explanation": " "}], "argue for the labels of these rows"),
    ],
)
def test_a_teachers_file_that_does_not_fit(pairs: Path, tmp_path: Path, rows: list[Any], said: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        texts(pairs, teachers={"t": str(path)})


def test_a_name_that_wrote_nothing_is_no_way_to_train_on_labels(pairs: Path) -> None:
    with pytest.raises(DataError, match="expected sources that wrote explanations here: gpt, human, found humam"):
        texts(pairs, explanations={"humam": 1, "gpt": 1})


def test_rows_get_the_fields_that_their_data_lack() -> None:
    task = Task(
        name="nli",
        fields=("premise", "hypothesis", "teacher"),
        labels=NLI.labels,
        prompt="explain nli as {teacher} premise: {premise} hypothesis: {hypothesis}",
    )
    source = Source(source=SCENES, limit=2, fields={"teacher": "nile"})
    example = load_source(source, task, 1).examples[0]
    prompt = task.render_prompts("label_first", example)["label"]
    assert prompt.startswith("explain nli as nile premise: A")
    assert "teacher" not in load_source(source, NLI, 1).examples[0].fields  # a task without it is asked as ever
    with pytest.raises(DataError, match="teacher"):
        load_source(Source(source=SCENES), task, 1)


# --- edited copies ---


def test_copies_keep_label_explanations_and_group(pairs: Path) -> None:
    before = loaded(limit=40)
    after = loaded(limit=40, augment={"copies": 2})
    assert after[:40] == before
    by_id = {e.id: e for e in before}
    assert len(after) > 100  # nearly every copy differs
    assert max(Counter(e.id for e in after).values()) == 1
    for copy in after[40:]:
        of = by_id[copy.id.rpartition("~")[0]]
        assert (copy.label, copy.explanations, copy.group) == (of.label, of.explanations, of.group)
        assert copy.fields != of.fields
    assert after == loaded(limit=40, augment={"copies": 2})
    alone = load_source(Source(source=str(pairs), augment=Augment(edits=["punctuation"])), NLI, 1).examples
    assert [(e.id, e.group, e.fields["hypothesis"]) for e in alone[2:]] == [("a~1", "a", "h."), ("b~1", "b", "h.")]


def test_fields_that_name_the_source_are_not_edited_and_ids_stay_apart() -> None:
    task = Task(
        name="nli",
        fields=("teacher", "premise", "hypothesis"),
        labels=NLI.labels,
        prompt="explain as {teacher} premise: {premise} hypothesis: {hypothesis}",
    )
    source = Source(source=SCENES, limit=20, fields={"teacher": "nile"}, augment=Augment(copies=2))
    found = load_source(source, task, 1)
    assert {e.fields["teacher"] for e in found.examples} == {"nile"}
    twice = augmented(found, Augment(), 1, as_given=["teacher"]).examples
    assert len({e.id for e in twice}) == len(twice) > len(found.examples)


def test_what_no_edit_changes_gets_no_copy(pairs: Path) -> None:
    found = load_source(Source(source=str(pairs), augment=Augment(copies=3, edits=["article", "case"])), NLI, 1)
    assert [e.id for e in found.examples] == ["a", "b"]


def test_each_edit() -> None:
    draw = np.random.default_rng(0)
    text = "The Dog sleeps in a kitchen."
    assert edit_text(text, "case", draw) == "the dog sleeps in a kitchen."
    assert edit_text(text, "punctuation", draw) == "The Dog sleeps in a kitchen"
    assert edit_text("No stop", "punctuation", draw) == "No stop."
    assert {edit_text(text, "article", draw) for _ in range(30)} == {
        "Dog sleeps in a kitchen.",
        "The Dog sleeps in kitchen.",
    }
    assert edit_text("Some cats nap", "article", draw) == edit_text("Some cats nap", "typo", draw) == "Some cats nap"
    # Never the first or the last letter.
    assert {edit_text("dozes", "typo", draw) for _ in range(30)} == {"dzoes", "doezs"}


def test_keys_are_checked() -> None:
    base = {"name": "x", "student": {"kind": "scratch"}}
    mistakes: list[dict[str, Any]] = [
        {"fraction": 0},
        {"fraction": 1.5},
        {"min_acceptable": 2},
        {"explanations": {"human": 0}},
        {"augment": {"edits": []}},
    ]
    for source in mistakes:
        with pytest.raises(ConfigError):
            validate_config(TrainConfig, {**base, "data": {"train": {"source": "scenes", **source}}}, where="x")
