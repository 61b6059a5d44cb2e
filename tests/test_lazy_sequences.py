"""Sequences that keep less than their items: they read as lists do, and a walk makes each item once."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.evaluation import evaluate
from reasondistill.evaluation.pairing import join
from reasondistill.storage import lazy_sequences
from reasondistill.storage.lazy_sequences import LazySequence, Mapped, PickledSequence
from reasondistill.tasks.task import NLI

ITEMS = st.lists(st.one_of(st.integers(), st.text(), st.none(), st.tuples(st.floats(allow_nan=False), st.text())))
PLACES = st.one_of(st.none(), st.integers(-12, 12))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_sequences, "_ITEMS_IN_A_PART", 3)


def same(item: object) -> object:
    return item


@pytest.mark.parametrize("make", [PickledSequence, lambda items: Mapped(same, items)], ids=["pickled", "mapped"])
@given(items=ITEMS, first=PLACES, last=PLACES, step=st.one_of(st.none(), st.integers(-3, 3).filter(bool)))
def test_it_reads_as_the_list_of_its_items(make: Any, items: list[object], first: Any, last: Any, step: Any) -> None:
    lazy: LazySequence[object] = make(items)
    assert len(lazy) == len(items)
    assert list(lazy) == items
    assert lazy == items
    assert lazy == make(items)
    assert lazy != [*items, 1]
    assert [*reversed(lazy)] == items[::-1]
    assert lazy[first:last:step] == items[first:last:step]
    assert pickle.loads(pickle.dumps(lazy)) == items
    for place in range(-len(items), len(items)):
        assert lazy[place] == items[place]
    for place in (len(items), -len(items) - 1):
        with pytest.raises(IndexError):
            lazy[place]


def test_a_walk_unpickles_each_part_once_also_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = PickledSequence(range(30))
    unpickled: list[bytes] = []
    loads = pickle.loads

    def counted(part: bytes) -> object:
        unpickled.append(part)
        return loads(part)

    monkeypatch.setattr(pickle, "loads", counted)
    for k, (one, other) in enumerate(zip(lazy, Mapped(same, lazy), strict=True)):
        assert one == other == lazy[k] == k
    assert len(unpickled) == 10
    assert len(lazy._at_hand) <= lazy_sequences._PARTS_AT_HAND


def example(k: int) -> Example:
    fields = {"premise": f"A man sits on bench {k}.", "hypothesis": "A man is outdoors."}
    label = ("entailment", "neutral")[k % 2]
    return Example(id=str(k), fields=fields, label=label, explanations=(Explanation(text=f"Bench {k}.", source="me"),))


def test_answers_in_any_order_and_of_any_kind_give_the_same_figures() -> None:
    examples = [example(k) for k in range(10)]
    answers = [Prediction(id=str(k), label="neutral", explanation=f"It is bench {k % 4}.") for k in range(10)]
    rows = join(answers, examples, NLI)
    assert [(row.example, row.prediction) for row in rows] == list(zip(examples, answers, strict=True))
    assert join(PickledSequence(answers[::-1]), examples, NLI) == rows
    first = evaluate(answers, examples, task=NLI, name="benches")
    assert pickle.loads(pickle.dumps(first)).rows == first.rows
    for given_answers in (iter(answers), PickledSequence(answers), PickledSequence(answers[3:] + answers[:3])):
        again = evaluate(given_answers, (e for e in examples), task=NLI, name="benches")
        assert again.results == first.results
        assert again.rows == first.rows
