"""Pairs of one changed word, and revisions in whole groups: what they hold, and what never meets."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "shifted_sets.py"


@pytest.fixture(scope="module")
def sets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shifted_sets", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "old", "new", "changed"),
    [
        ("A dog runs.", "dog", "animal", "An animal runs."),
        ("An elephant and a man.", "elephant", "cow", "A cow and a man."),
        ("Two dogs run.", "dogs", "animals", "Two animals run."),
        ("A dog sees a dog.", "dog", "cat", None),  # which of the two is meant cannot be told
        ("A dog sees a cat.", "dog", "cat", None),  # the caption says both
        ("A dog without a leash.", "dog", "animal", None),  # what is denied turns round
        ("A dogged man.", "dog", "cat", None),
    ],
)
def test_one_word_is_changed_where_that_decides_the_label(
    sets: ModuleType, text: str, old: str, new: str, changed: str | None
) -> None:
    assert sets.changed(text, sets.Change("any", old, new, "any", "")) == changed


def test_words_for_testing_are_never_learned(sets: ModuleType) -> None:
    known, new = (list(sets.changes(flag)) for flag in (False, True))
    assert {(c.old, c.new) for c in known}.isdisjoint((c.old, c.new) for c in new)
    of_new = {word for c in new for word in (c.old, c.new)}
    assert of_new.isdisjoint(word for c in known for word in (c.old, c.new))
    assert {c.label for c in new} == {c.label for c in known} == {"entailment", "neutral", "contradiction"}


def test_revisions_of_a_row_stay_with_it(sets: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "revised.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sentence1", "sentence2", "gold_label"])
        for n in range(40):
            pairs = [(f"p{n}", f"h{n}"), (f"p{n}", f"h{n} revised"), (f"p{n} revised", f"h{n}")]
            writer.writerows([*pair, "neutral"] for pair in pairs)
    learned, held_out = sets.revisions(path)
    assert len(learned) + len(held_out) == 120
    assert len(held_out) % 3 == 0
    groups = [{row["group"] for row in part} for part in (learned, held_out)]
    assert [len(group) * 3 for group in groups] == [len(learned), len(held_out)]
    assert groups[0].isdisjoint(groups[1])
