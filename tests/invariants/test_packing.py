"""Packed rows: the same logits and gradients as padded ones, and hardly any places that are no text."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tiny
from reasondistill.config import Loss
from reasondistill.students.forward import fuse_activations
from reasondistill.students.packing import BatchPlan, can_pack, packed_logits, plan_batch, plan_rows
from reasondistill.training.joint_model import JointModel
from reasondistill.training.trainer import DistillationTrainer
from trainings import batch_of

PACKED = ("flan-t5", "t5", "byt5", "mt5", "umt5", "umt5-untied", "bart")


def losses_and_gradients(model: JointModel, batch: dict[str, torch.Tensor]) -> tuple[list[float], dict[str, Any]]:
    model.zero_grad()
    losses = model(**batch)
    (0.3 * losses.label_sum + 0.7 * losses.explanation_sum).backward()
    return [value.item() for value in losses], {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", PACKED)
def test_losses_and_gradients_are_those_of_padded_batches(family: str) -> None:
    student = tiny.student(family)
    batch = batch_of(student)
    model = JointModel(student.model)
    assert model.packing == "if_it_pays"
    model.packing = "always"
    packed, packed_gradients = losses_and_gradients(model, batch)
    model.packing = "never"
    padded, padded_gradients = losses_and_gradients(model, batch)
    assert packed == pytest.approx(padded, rel=1e-5)
    assert packed_gradients.keys() == padded_gradients.keys()
    # A key's bias has no influence, and a gradient of rounding errors alone: held to the largest gradient there is.
    rounding = 1e-5 * max(float(gradient.abs().max()) for gradient in padded_gradients.values())
    for name, gradient in padded_gradients.items():
        torch.testing.assert_close(packed_gradients[name], gradient, rtol=1e-4, atol=rounding)


@pytest.mark.parametrize("family", PACKED)
def test_a_text_does_not_see_its_neighbours(family: str) -> None:
    student = tiny.student(family)
    student.model.eval()
    batch = batch_of(student)
    wanted = batch["label_mask"] | batch["explanation_mask"]
    plan = plan_batch(batch["attention_mask"], batch["encoder_rows"], wanted, row_tokens=10_000)
    ids = batch["input_ids"].clone()
    ids[1, 0] = ids[1, 2]
    with torch.no_grad():
        together, places = packed_logits(student.model, plan, batch["input_ids"], batch["decoder_input_ids"], wanted)
        changed, _ = packed_logits(student.model, plan, ids, batch["decoder_input_ids"], wanted)
    of_changed = batch["encoder_rows"][places // wanted.shape[1]] == 1
    differs = (together - changed).abs().amax(dim=1) > 1e-6
    assert differs[of_changed].any()
    assert not differs[~of_changed].any()


def test_of_the_tokens_that_are_not_wanted_only_those_before_a_wanted_one_are_computed() -> None:
    student = tiny.student("t5")
    batch = batch_of(student)
    read: list[tuple[int, ...]] = []
    student.model.get_decoder().register_forward_pre_hook(
        lambda module, args, given: read.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    labels = batch["label_mask"]
    plan = plan_batch(batch["attention_mask"], batch["encoder_rows"], labels, row_tokens=10_000)
    logits, places = packed_logits(student.model, plan, batch["input_ids"], batch["decoder_input_ids"], labels)
    assert sorted(places.tolist()) == labels.flatten().nonzero()[:, 0].tolist()
    assert len(logits) == len(places)
    assert read == [(1, int(labels.sum()))]  # in label_first, nothing stands before a label


def test_other_models_and_attentions_are_not_packed() -> None:
    assert not can_pack(tiny.student("pegasus").model)
    student = tiny.student("t5")
    student.model.set_attn_implementation("eager")
    assert not can_pack(student.model)


@pytest.mark.parametrize(
    ("length", "width", "pays"),
    [(10, 64, False), (10, 512, True), (25, 64, False), (25, 512, False), (4, 64, True)],
    ids=["half padding, narrow", "half padding, wide", "alike, narrow", "alike, wide", "mostly padding"],
)
def test_texts_are_packed_where_that_takes_less_time(length: int, width: int, pays: bool) -> None:
    """Every second prompt and target is ``length`` tokens long, the others 26; as measured by benchmarks/packing.py."""
    tokens = [length if k % 2 else 26 for k in range(16)]
    plan = BatchPlan(tokens, tokens, [[k] for k in range(16)], plan_rows(tokens, tokens))
    assert plan.pays(of_width(width), 26) is pays


@pytest.mark.parametrize("width", [64, 512])
def test_a_prompt_of_several_explanations_is_sooner_packed(width: int) -> None:
    tokens = [20] * 8 + [26] * 8

    def pays(targets: int) -> bool:
        of_prompt = [list(range(k * targets, (k + 1) * targets)) for k in range(16)]
        rows = plan_rows(tokens, [targets * length for length in tokens])
        return BatchPlan(tokens, [length for length in tokens for _ in range(targets)], of_prompt, rows).pays(
            of_width(width), 26
        )

    assert [pays(1), pays(3)] in ([False, False], [False, True], [True, True])


def test_a_step_is_packed_or_padded_as_the_plan_says(monkeypatch: pytest.MonkeyPatch) -> None:
    student = tiny.student("t5")
    batch, model = batch_of(student), JointModel(student.model)
    for pays in (True, False):
        monkeypatch.setattr(BatchPlan, "pays", lambda self, model, width, pays=pays: pays)
        read: list[torch.Size] = []
        hook = student.model.get_encoder().register_forward_pre_hook(
            lambda module, args, given, read=read: read.append(given["input_ids"].shape), with_kwargs=True
        )
        model(**batch)
        hook.remove()
        assert (read[0] == batch["input_ids"].shape) is not pays


def of_width(width: int) -> Any:
    return SimpleNamespace(config=SimpleNamespace(hidden_size=width, num_attention_heads=max(2, width // 64)))


def test_rows_are_filled_evenly() -> None:
    assert plan_rows([60, 50, 40, 30, 20], [1, 1, 1, 1, 1], row_tokens=100) == [[0, 3, 4], [1, 2]]
    assert plan_rows([300, 10, 10], [1, 1, 1], row_tokens=100) == [[0], [1, 2]]


@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(0, 60)), min_size=1, max_size=40),
    st.integers(1, 300),
)
def test_each_prompt_stands_in_one_row(lengths: list[tuple[int, int]], row_tokens: int) -> None:
    prompts, targets = [a for a, _ in lengths], [b for _, b in lengths]
    rows = plan_rows(prompts, targets, row_tokens)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(rows)


def test_fused_activations_give_the_same_values() -> None:
    student = tiny.student("flan-t5")
    ids = batch_of(student)["input_ids"]
    before = student.model(input_ids=ids, labels=ids).logits
    assert activations(student.model) == {"NewGELUActivation"}
    fuse_activations(student.model)
    assert activations(student.model) == {"GELUTanh"}
    torch.testing.assert_close(student.model(input_ids=ids, labels=ids).logits, before, rtol=1e-4, atol=1e-5)


def activations(model: Any) -> set[str]:
    acts = (getattr(module, "act", None) for module in model.modules())
    return {type(act).__name__ for act in acts if isinstance(act, torch.nn.Module)}


def test_neftune_is_scaled_by_the_length_of_a_text(tmp_path: Path) -> None:
    from transformers import Seq2SeqTrainingArguments

    student = tiny.student("t5")
    for alpha, packing in ((None, "if_it_pays"), (5.0, "never")):
        arguments = Seq2SeqTrainingArguments(
            output_dir=str(tmp_path), neftune_noise_alpha=alpha, use_cpu=True, report_to="none"
        )
        trainer = DistillationTrainer(student, loss=Loss(), arguments=arguments, train_dataset=[])
        assert trainer.model.packing == packing
