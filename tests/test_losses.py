"""The joint loss against hand-worked values."""

from __future__ import annotations

import math

import pytest
import torch

from reasondistill.losses import joint_loss, token_losses


def losses(is_label: list[bool]):  # type: ignore[no-untyped-def]
    # Two classes; the first row gives its target probability 0.8, the second 0.5, the third 0.2.
    logits = torch.tensor([[math.log(4.0), 0.0], [0.0, 0.0], [0.0, math.log(4.0)]], requires_grad=True)
    return logits, token_losses(logits, torch.tensor([0, 0, 0]), torch.tensor(is_label))


def test_sums_and_counts_are_kept_apart() -> None:
    _, s = losses([True, False, False])
    assert s.label_sum.item() == pytest.approx(-math.log(0.8), abs=1e-6)
    assert s.explanation_sum.item() == pytest.approx(-math.log(0.5) - math.log(0.2), abs=1e-6)
    assert (s.label_count.item(), s.explanation_count.item()) == (1, 2)
    assert (s.label_correct.item(), s.explanation_correct.item()) == (1, 1)  # ties go to the first class


def test_joint_loss_weighs_token_means() -> None:
    _, s = losses([True, False, False])
    expected = 0.3 * -math.log(0.8) + 0.7 * (-math.log(0.5) - math.log(0.2)) / 2
    assert joint_loss(s, alpha=0.3, beta=0.7).item() == pytest.approx(expected, abs=1e-6)


def test_counts_of_the_whole_step_replace_the_batch_s_own() -> None:
    _, s = losses([True, False, False])
    value = joint_loss(s, alpha=1.0, beta=1.0, counts=(torch.tensor(2), torch.tensor(8)))
    assert value.item() == pytest.approx(-math.log(0.8) / 2 + (-math.log(0.5) - math.log(0.2)) / 8, abs=1e-6)


def test_a_term_without_tokens_is_zero_and_has_no_gradient() -> None:
    logits, s = losses([False, False, False])
    loss = joint_loss(s, alpha=1.0, beta=0.0)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_the_gradient_of_the_label_term_reaches_label_tokens_only() -> None:
    logits, s = losses([True, False, False])
    joint_loss(s, alpha=1.0, beta=0.0).backward()
    assert logits.grad[0].abs().sum() > 0
    assert torch.equal(logits.grad[1:], torch.zeros(2, 2))
