"""alpha * L_label + beta * L_explanation, as a pure function of tensors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div


class TokenLosses(NamedTuple):
    """Sums over the supervised tokens of a batch, in nats, kept apart by loss term; each a scalar tensor.

    ``*_sum`` is the plain cross-entropy, which is what is reported. ``*_smoothing`` is what label smoothing, and
    distillation from a parent, add to it in what is minimised.
    ``*_correct`` counts tokens that greedy decoding would have got right.
    """

    label_sum: Tensor
    explanation_sum: Tensor
    label_count: Tensor
    explanation_count: Tensor
    label_correct: Tensor
    explanation_correct: Tensor
    label_smoothing: Tensor = torch.zeros(())
    explanation_smoothing: Tensor = torch.zeros(())


def token_losses(
    logits: Tensor, targets: Tensor, is_label: Tensor, *, label_smoothing_factor: float = 0.0
) -> TokenLosses:
    """Cross-entropy of each supervised token, summed by loss term.

    Args:
        logits: (N, V), one row for each supervised token.
        targets: (N,) int64, the tokens to predict.
        is_label: (N,) bool; a token that is not the label's is the explanation's.
        label_smoothing_factor: the share of a token's target that is spread evenly over the vocabulary (Szegedy et
            al. 2016): (1 - factor) * -log p(target) + factor * mean over the vocabulary of -log p is minimised.
    """
    # float32 whatever the model computes in: a sum of many small terms loses digits in bfloat16.
    logits = logits.float()
    nll = cross_entropy(logits, targets, reduction="none")
    if label_smoothing_factor:
        # The mean over the vocabulary of -log p, less nll: no second (N, V) tensor of log-probabilities is needed.
        added = label_smoothing_factor * (logits.gather(1, targets.unsqueeze(1)).squeeze(1) - logits.mean(dim=-1))
    else:
        added = torch.zeros_like(nll)
    correct = logits.detach().argmax(dim=-1) == targets
    label, explanation = is_label, ~is_label
    return TokenLosses(
        label_sum=(nll * label).sum(),
        explanation_sum=(nll * explanation).sum(),
        label_count=label.sum(),
        explanation_count=explanation.sum(),
        label_correct=(correct & label).sum(),
        explanation_correct=(correct & explanation).sum(),
        label_smoothing=(added * label).sum(),
        explanation_smoothing=(added * explanation).sum(),
    )


def with_distillation(
    losses: TokenLosses, logits: Tensor, of_parent: Tensor, is_label: Tensor, weight: float
) -> TokenLosses:
    """The losses with ``weight`` times the divergence from a parent added to what is minimised.

    Added is KL(parent || student) of each supervised token, in nats, as Hinton et al. 2015 at temperature 1; Li and
    Hoiem 2016 hold old answers so. It counts as the token's own loss does: by its term, and to that term's mean.

    Args:
        logits, of_parent: (N, V), of the same tokens.
        is_label: (N,) bool.
    """
    apart = kl_div(logits.float().log_softmax(-1), of_parent.float().log_softmax(-1), reduction="none", log_target=True)
    added = weight * apart.sum(dim=-1)
    return losses._replace(
        label_smoothing=losses.label_smoothing + (added * is_label).sum(),
        explanation_smoothing=losses.explanation_smoothing + (added * ~is_label).sum(),
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
    label = (losses.label_sum + losses.label_smoothing) / torch.clamp(label_count, min=1)
    explanation = (losses.explanation_sum + losses.explanation_smoothing) / torch.clamp(explanation_count, min=1)
    return alpha * label + beta * explanation
