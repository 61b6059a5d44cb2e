"""Which tokens are supervised, to the token; and the tensors that a batch is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from reasondistill.contracts.records import Example, Explanation
from reasondistill.data import load
from reasondistill.errors import TaskError
from reasondistill.students.codec import CONTEXT, EXPLANATION, LABEL, Codec, batches_by_length, pad_to_tensor
from reasondistill.tasks.task import NLI, Segment, Target, render_target
from reasondistill.training import features
from reasondistill.training.features import Collator, build_features


def codec(family: str = "flan-t5", **changes: int) -> Codec:
    model, tokenizer = tiny.FAMILIES[family]
    start = model().config.decoder_start_token_id
    lengths: dict[str, Any] = {"max_source_length": 64, "max_target_length": 48} | changes
    return Codec(tokenizer(), decoder_start_token_id=start, **lengths)


def ids(c: Codec, text: str) -> list[int]:
    return list(c.tokenizer(text, add_special_tokens=False)["input_ids"])


def target(order: str, label: str | None, explanation: str | None) -> Target:
    made = render_target(order, label, explanation)  # type: ignore[arg-type]
    assert made is not None
    return made


EXPLAINED = "A man is asleep."


@pytest.mark.parametrize("family", ["flan-t5", "t5"])
def test_label_first_supervises_label_then_separator_explanation_and_end(family: str) -> None:
    c = codec(family)
    [row] = c.encode_targets([target("label_first", "neutral", EXPLAINED)])
    label = ids(c, "neutral")
    rest = ids(c, f"neutral explanation: {EXPLAINED}")[len(label) :]
    assert row.ids == [*label, *rest, c.eos_token_id]
    assert row.roles == [LABEL] * len(label) + [EXPLANATION] * (len(rest) + 1)
    assert not row.truncated


def test_explanation_first_supervises_explanation_and_mark_then_label_then_end() -> None:
    c = codec()
    [row] = c.encode_targets([target("explanation_first", "neutral", EXPLAINED)])
    label = ids(c, "neutral")
    whole = ids(c, f"{EXPLAINED} label: neutral")
    assert row.ids == [*whole, c.eos_token_id]
    assert row.roles == [EXPLANATION] * (len(whole) - len(label)) + [LABEL] * len(label) + [EXPLANATION]


def test_without_an_explanation_only_the_label_is_supervised_and_no_end() -> None:
    c = codec()
    [row] = c.encode_targets([target("label_first", "contradiction", None)])
    assert row.ids == ids(c, "contradiction")
    assert set(row.roles) == {LABEL}


def test_without_a_label_the_separator_is_context_and_the_explanation_is_supervised() -> None:
    c = codec()
    [row] = c.encode_targets([target("label_first", None, EXPLAINED)])
    mark = ids(c, "explanation:")
    assert row.ids == [*ids(c, f"explanation: {EXPLAINED}"), c.eos_token_id]
    assert row.roles == [CONTEXT] * len(mark) + [EXPLANATION] * (len(row.ids) - len(mark))


def test_the_start_that_bart_expects_belongs_to_no_term() -> None:
    c = codec("bart")
    tokenizer: Any = c.tokenizer
    start = tokenizer.bos_token_id
    [row] = c.encode_targets([target("label_only", "neutral", None)])
    assert row.ids == [start, *ids(c, "neutral")]
    assert row.roles == [CONTEXT] + [LABEL] * (len(row.ids) - 1)
    assert c.encode_prefix("neutral explanation:")[:2] == [c.decoder_start_token_id, start]


def test_a_truncated_explanation_keeps_its_label_and_gets_no_end() -> None:
    c = codec(max_target_length=6)
    [row] = c.encode_targets([target("label_first", "neutral", "A man is asleep on a beach with a dog.")])
    whole = ids(c, "neutral explanation: A man is asleep on a beach with a dog.")
    label = len(ids(c, "neutral"))
    assert row.truncated
    assert row.ids == whole[:5]  # one place is kept for the end, which a cut sentence does not get
    assert c.eos_token_id not in row.ids
    assert row.roles == [LABEL] * label + [EXPLANATION] * (5 - label)


def test_truncation_never_takes_a_label_that_stands_last() -> None:
    c = codec(max_target_length=12)
    [row] = c.encode_targets([target("explanation_first", "neutral", "A man is asleep on a beach with a dog. " * 3)])
    tail = ids(c, "x label: neutral")[len(ids(c, "x")) :]
    assert row.truncated
    assert len(row.ids) == 12
    assert row.ids[-len(tail) - 1 :] == [*tail, c.eos_token_id]
    assert row.roles.count(LABEL) == len(ids(c, "neutral"))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["label_first", "explanation_first"]), st.integers(8, 60))
def test_any_text_keeps_its_label_tokens_and_fits(text: str, order: str, limit: int) -> None:
    for family in ("flan-t5", "bart"):
        c = codec(family, max_target_length=limit + 8)
        [row] = c.encode_targets([target(order, "neutral", text)])
        assert len(row.ids) == len(row.roles) <= limit + 8
        labels = [i for i, role in zip(row.ids, row.roles, strict=True) if role == LABEL]
        assert c.decode(labels) == "neutral"


def example(**changes: object) -> Example:
    values: dict[str, object] = {
        "id": "1",
        "fields": {"premise": "A man is asleep.", "hypothesis": "A man is awake."},
        "label": "contradiction",
        "explanations": (
            Explanation(text="A man cannot be both.", source="x"),
            Explanation(text="Asleep is not awake.", source="x"),
            Explanation(text="Everyone who is asleep is awake.", source="x", label="entailment"),
        ),
    }
    return Example.model_validate(values | changes)


def test_a_pair_is_stored_once_with_the_explanations_of_its_own_label() -> None:
    c = codec("t5")
    rows = build_features([example()], task=NLI, order="label_first", codec=c)
    assert len(rows) == 1
    assert rows[0]["input_ids"] == c.encode_prompts([NLI.render_prompts("label_first", example())["label"]])[0]
    texts = [c.decode(t) for t in rows[0]["target_ids"]]
    assert texts == [
        "contradiction explanation: A man cannot be both.",
        "contradiction explanation: Asleep is not awake.",
    ]


def test_separate_prompts_make_two_rows_and_rows_that_supervise_nothing_are_left_out() -> None:
    c = codec("t5")
    rows = build_features([example()], task=NLI, order="separate", codec=c)
    assert [len(t) for t in rows["target_ids"]] == [1, 2]
    assert {LABEL} == set(rows[0]["target_roles"][0])
    empty = example(label=None, explanations=())
    assert len(build_features([empty], task=NLI, order="label_first", codec=c)) == 0


def test_explanations_per_example_limits_the_targets() -> None:
    c = codec("t5")
    rows = build_features([example()], task=NLI, order="label_first", codec=c, explanations_per_example=1)
    assert len(rows[0]["target_ids"]) == 1


def test_collator_makes_exactly_these_tensors() -> None:
    c = codec("t5")
    rows = [
        {"input_ids": [5, 6, 1], "target_ids": [[7, 8, 1], [9]], "target_roles": [[1, 2, 2], [1]]},
        {"input_ids": [5, 1], "target_ids": [[3, 4]], "target_roles": [[0, 2]]},
    ]
    batch = Collator(c)(rows)
    expected = {
        "input_ids": [[5, 6, 1], [5, 1, 0]],
        "attention_mask": [[1, 1, 1], [1, 1, 0]],
        "encoder_rows": [0, 0, 1],
        "decoder_input_ids": [[0, 7, 8], [0, 9, 0], [0, 3, 4]],
        "target_ids": [[7, 8, 1], [9, 0, 0], [3, 4, 0]],
        "label_mask": [[True, False, False], [True, False, False], [False, False, False]],
        "explanation_mask": [[False, True, True], [False, False, False], [False, True, False]],
    }
    assert {name: tensor.tolist() for name, tensor in batch.items()} == expected
    assert batch["input_ids"].dtype == torch.int64


def test_labels_of_the_same_tokens_are_refused() -> None:
    c = codec("flan-t5")
    with pytest.raises(TaskError, match=r"labels 'man' and 'ｍan': expected labels that differ in tokens"):
        c.check_labels(["man", "dog", "ｍan"], "label_first")  # the tokenizer's NFKC makes the same text of both
    c.check_labels(["not", "not a man"], "label_first")  # of these what follows is scored too
    c.check_labels(["entailment", "neutral", "contradiction"], "label_first")


def test_labels_that_the_tokenizer_cannot_write_are_refused() -> None:
    with pytest.raises(TaskError, match="can write"):
        codec("flan-t5").check_labels(["yes", "日本"], "label_only")


def test_batches_hold_every_row_once_and_respect_the_budget() -> None:
    lengths = [3, 9, 1, 7, 7, 2, 20]
    batches = batches_by_length(lengths, max_tokens=18, max_rows=3)
    assert sorted(i for batch in batches for i in batch) == list(range(7))
    assert batches[0] == [6]  # longer than the budget: alone
    assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= 18 for b in batches)
    assert max(map(len, batches)) <= 3


def test_padding_of_nothing_is_empty() -> None:
    assert pad_to_tensor([], 0).shape == (0, 0)


def test_segments_join_to_the_text_that_is_tokenised() -> None:
    assert Target((Segment("a", "label"), Segment(" b", "explanation"))).text == "a b"


# --- a large set ---


def test_a_large_set_is_tokenised_once_and_then_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = load("scenes:12").examples
    made = codec()
    in_memory = list(build_features(examples, task=NLI, order="label_first", codec=made))

    monkeypatch.setenv("REASONDISTILL_CACHE", str(tmp_path))
    monkeypatch.setattr(features, "CACHED_FROM", 10)
    assert list(build_features(examples, task=NLI, order="label_first", codec=made)) == in_memory
    assert len(list(tmp_path.rglob("*.arrow"))) == 1
    monkeypatch.setattr(features, "_encoded", None)  # would fail if it were called again
    assert list(build_features(examples, task=NLI, order="label_first", codec=codec())) == in_memory
    with pytest.raises(TypeError):  # other limits, other ids
        build_features(examples, task=NLI, order="label_first", codec=codec(max_source_length=16))


def test_rows_say_whose_they_are_and_what_was_cut() -> None:
    examples = load("scenes:12").examples
    long = max(examples, key=lambda e: sum(map(len, e.fields.values())))
    rows = build_features(examples, task=NLI, order="label_first", codec=codec(max_source_length=64))
    assert rows["id"] == [e.id for e in examples]
    assert not any(rows["source_truncated"])
    short = codec(max_source_length=10)
    rows = build_features([long], task=NLI, order="label_first", codec=short)
    assert rows["source_truncated"] == [True]
    assert len(rows["input_ids"][0]) == 10
