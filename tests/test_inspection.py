"""Looking inside students: parts add up, attention is a distribution, gradients and losses are those of training."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from reasondistill.data.scenes import generate
from reasondistill.errors import DataError
from reasondistill.inspection import cross_attention, gradient_flow, load_checkpoint, loss_plane, parameters_by_part
from reasondistill.inspection.landscape import direction
from reasondistill.inspection.parts import named_parts
from reasondistill.students.checkpoint import parameter_count
from reasondistill.students.student import Student
from reasondistill.training.joint_model import JointModel
from reasondistill.training.losses import joint_loss
from trainings import batch_of

FAMILIES = {"flan": tiny.flan_t5, "tied": tiny.tied_t5, "mt5": tiny.mt5, "bart": tiny.bart}
EXAMPLE = generate(1, seed=4)[0]


# --- parts ---


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_add_up_to_all_parameters(family: str) -> None:
    model = FAMILIES[family]()
    counts = parameters_by_part(model)
    assert sum(counts.values()) == parameter_count(model)
    sides = [part.split(" ")[0] for part in counts]
    order = ["embeddings", "encoder", "decoder", "norms", "head"]
    assert all(order.index(a) <= order.index(b) for a, b in pairwise(sides))
    assert {"embeddings", "encoder 1", "decoder 1"} <= set(counts)


def test_what_is_no_checkpoint_or_no_label_is_refused_with_a_way() -> None:
    student = Student.load("builtin:scenes")
    checkpoint = load_checkpoint("builtin:scenes")
    with pytest.raises(DataError, match="load_checkpoint"):
        cross_attention(student, EXAMPLE, label="neutral", explanation="x")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="'zzz'"):
        cross_attention(checkpoint, EXAMPLE, label="zzz", explanation="x")
    with pytest.raises(DataError, match=r"checkpoint\.model"):
        parameters_by_part(checkpoint)  # type: ignore[arg-type]
    assert cross_attention(checkpoint, EXAMPLE, label="neutral", explanation="x").weights.shape[0] > 0


def test_only_a_head_of_its_own_is_a_part() -> None:
    assert parameters_by_part(tiny.flan_t5())["head"] == tiny.flan_t5().lm_head.weight.numel()
    assert "head" not in parameters_by_part(tiny.tied_t5())


# --- attention ---


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_cross_attention_is_a_distribution_over_the_prompt_for_each_token(family: str) -> None:
    student = tiny.student(family)
    before = student.model.config._attn_implementation
    found = cross_attention(student, EXAMPLE, label="neutral", explanation="He may be alone.")
    assert found.weights.shape[2:] == (len(found.target), len(found.prompt))
    assert found.weights.sum(axis=-1) == pytest.approx(np.ones(found.weights.shape[:3]), abs=1e-5)
    assert found.mean.shape == (len(found.target), len(found.prompt))
    assert "neutralexplanation:" in "".join(found.target).replace(" ", "")
    assert student.model.config._attn_implementation == before


def test_cross_attention_follows_the_prompt() -> None:
    student = tiny.student()
    other = EXAMPLE.model_copy(update={"fields": {**EXAMPLE.fields, "premise": "A dog is awake at night."}})
    one, two = (cross_attention(student, e, label="neutral", explanation="So it is.") for e in (EXAMPLE, other))
    assert one.target == two.target
    assert one.prompt != two.prompt


# --- gradients ---


def test_norms_and_cosines_are_those_of_backward_passes() -> None:
    student = tiny.student()
    model, batch = JointModel(student.model), batch_of(student, 6)
    flow = {one.part: one for one in gradient_flow(model, batch)}
    assert all(p.grad is None for p in model.parameters())
    model.eval()
    gradients: list[dict[str, Any]] = []
    for alpha, beta in ((1.0, 0.0), (0.0, 1.0)):
        model.zero_grad(set_to_none=True)
        joint_loss(model(**batch), alpha=alpha, beta=beta).backward()
        of: dict[str, list[torch.Tensor]] = {}
        for part, p in named_parts(student.model):
            if p.grad is not None:
                of.setdefault(part, []).append(p.grad.flatten().clone())
        gradients.append({part: torch.cat(values) for part, values in of.items()})
    assert set(flow) == set(gradients[0])
    for part, one in flow.items():
        a, b = gradients[0][part], gradients[1][part]
        assert one.label == pytest.approx(a.norm().item(), rel=1e-4)
        assert one.explanation == pytest.approx(b.norm().item(), rel=1e-4)
        assert one.cosine == pytest.approx(torch.cosine_similarity(a, b, dim=0).item(), abs=1e-4)


def test_a_loss_without_tokens_pulls_at_nothing_and_has_no_cosine() -> None:
    student = tiny.student()
    batch = batch_of(student, 6)
    batch["label_mask"] = torch.zeros_like(batch["label_mask"])
    flow = gradient_flow(JointModel(student.model), batch)
    assert {one.label for one in flow} == {0.0}
    assert {one.cosine for one in flow} == {None}
    assert all(one.explanation > 0 for one in flow)


def test_frozen_parts_have_no_gradient() -> None:
    student = tiny.student()
    for p in student.model.get_encoder().parameters():
        p.requires_grad = False
    flow = gradient_flow(JointModel(student.model), batch_of(student, 6))
    assert flow
    assert not [one.part for one in flow if one.part.startswith(("encoder", "embeddings"))]


# --- landscape ---


def test_a_plane_has_the_students_own_losses_in_its_middle_and_leaves_it_as_it_was() -> None:
    student = tiny.student()
    model, batch = JointModel(student.model), batch_of(student, 6)
    before = {name: p.detach().clone() for name, p in student.model.named_parameters()}
    plane = loss_plane(model, batch, radius=0.5, points=3, seed=1)
    assert all(torch.equal(before[name], p) for name, p in student.model.named_parameters())
    model.eval()
    with torch.no_grad():
        own = model(**batch)
    assert plane.label[1, 1] == pytest.approx((own.label_sum / own.label_count).item(), rel=1e-5)
    assert plane.explanation[1, 1] == pytest.approx((own.explanation_sum / own.explanation_count).item(), rel=1e-5)
    assert plane.steps == pytest.approx([-0.5, 0, 0.5])
    assert len(np.unique(plane.explanation)) == 9  # every point is another student
    again = loss_plane(model, batch, radius=0.5, points=3, seed=1)
    assert np.array_equal(plane.explanation, again.explanation)


def test_directions_have_the_norm_of_each_filter_and_spare_norms_and_biases() -> None:
    model = tiny.bart()
    found = direction(model, torch.Generator().manual_seed(0))
    for name, weight in model.named_parameters():
        if weight.dim() < 2:
            assert not found[name].any(), name
        else:
            assert found[name].flatten(1).norm(dim=1) == pytest.approx(weight.detach().flatten(1).norm(dim=1), rel=1e-4)
