"""The joint loss against hand-worked values."""

from __future__ import annotations

import math

import pytest
import torch

from reasondistill.training.losses import TokenLosses, joint_loss, token_losses


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


def smoothed(factor: float) -> tuple[torch.Tensor, TokenLosses]:
    logits = torch.tensor([[math.log(4.0), 0.0], [0.0, 0.0], [0.0, math.log(4.0)]], requires_grad=True)
    return logits, token_losses(
        logits, torch.tensor([0, 0, 0]), torch.tensor([True, False, False]), label_smoothing_factor=factor
    )


def test_label_smoothing_mixes_each_token_with_the_mean_over_the_vocabulary() -> None:
    _, s = smoothed(0.1)
    # (1 - 0.1) * -log p(target) + 0.1 * the mean of -log p over both classes.
    even = (-math.log(0.8) - math.log(0.2)) / 2
    label = 0.9 * -math.log(0.8) + 0.1 * even
    explanation = 0.9 * (-math.log(0.5) - math.log(0.2)) + 0.1 * (-math.log(0.5) + even)
    assert joint_loss(s, alpha=1.0, beta=0.0).item() == pytest.approx(label, abs=1e-6)
    assert joint_loss(s, alpha=0.3, beta=0.7).item() == pytest.approx(0.3 * label + 0.7 * explanation / 2, abs=1e-6)
    # What is reported stays the plain cross-entropy.
    assert s.label_sum.item() == pytest.approx(-math.log(0.8), abs=1e-6)
    assert s.explanation_sum.item() == pytest.approx(-math.log(0.5) - math.log(0.2), abs=1e-6)


def test_label_smoothing_is_what_pytorch_means_by_it() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 11, generator=generator, requires_grad=True)
    targets = torch.randint(11, (7,), generator=generator)
    s = token_losses(logits, targets, torch.ones(7, dtype=torch.bool), label_smoothing_factor=0.2)
    ours = joint_loss(s, alpha=1.0, beta=0.0)
    theirs = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=0.2)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(ours, logits)
    torch.testing.assert_close(gradient, torch.autograd.grad(theirs, logits)[0])


def test_no_label_smoothing_is_the_same_to_the_bit() -> None:
    logits, s = losses([True, False, False])
    same_logits, same = smoothed(0.0)
    for sums in (s, same):
        joint_loss(sums, alpha=0.3, beta=0.7).backward()
    assert all(torch.equal(a, b) for a, b in zip(s, same, strict=True))
    assert logits.grad is not None
    assert same_logits.grad is not None
    assert torch.equal(logits.grad, same_logits.grad)
    assert same.label_smoothing.item() == same.explanation_smoothing.item() == 0.0
