"""alpha * L_label + beta * L_explanation, as a pure function of tensors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


class TokenLosses(NamedTuple):
    """Sums over the supervised tokens of a batch, in nats, kept apart by loss term; each a scalar tensor.

    ``*_correct`` counts tokens that greedy decoding would have got right.
    """

    label_sum: Tensor
    explanation_sum: Tensor
    label_count: Tensor
    explanation_count: Tensor
    label_correct: Tensor
    explanation_correct: Tensor


def token_losses(logits: Tensor, targets: Tensor, is_label: Tensor) -> TokenLosses:
    """Cross-entropy of each supervised token, summed by loss term.

    Args:
        logits: (N, V), one row for each supervised token.
        targets: (N,) int64, the tokens to predict.
        is_label: (N,) bool; a token that is not the label's is the explanation's.
    """
    # float32 whatever the model computes in: a sum of many small terms loses digits in bfloat16.
    nll = cross_entropy(logits.float(), targets, reduction="none")
    correct = logits.detach().argmax(dim=-1) == targets
    label, explanation = is_label, ~is_label
    return TokenLosses(
        label_sum=(nll * label).sum(),
        explanation_sum=(nll * explanation).sum(),
        label_count=label.sum(),
        explanation_count=explanation.sum(),
        label_correct=(correct & label).sum(),
        explanation_correct=(correct & explanation).sum(),
    )


def joint_loss(
    losses: TokenLosses, *, alpha: float, beta: float, counts: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """``alpha * L_label + beta * L_explanation``, each the mean over the tokens of a whole optimizer step.

    Args:
        losses: the sums of one batch.
        alpha: weight of the label term.
        beta: weight of the explanation term.
        counts: how many label and explanation tokens the optimizer step has, over all accumulated batches and
            processes; the sum of the batches' losses is then the step's. This batch's own counts by default.

    Returns:
        A scalar. A term without tokens is 0, and has gradient 0.
    """
    label_count, explanation_count = counts or (losses.label_count, losses.explanation_count)
    label = losses.label_sum / torch.clamp(label_count, min=1)
    explanation = losses.explanation_sum / torch.clamp(explanation_count, min=1)
    return alpha * label + beta * explanation
