"""Gradients of the two losses in each part of a student: their norms and cosine similarity."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from reasondistill.inspection.parts import in_order, named_parts
from reasondistill.training.joint_model import JointModel
from reasondistill.training.losses import joint_loss


class PartGradient(NamedTuple):
    """Gradients of one part: norms of those of L_label and of L_explanation, both unweighted, and their cosine.

    ``cosine`` is None if one of them is 0. At 1 both losses want the same change, at -1 opposite changes.
    """

    part: str
    label: float
    explanation: float
    cosine: float | None


def gradient_flow(model: JointModel, batch: dict[str, Tensor]) -> list[PartGradient]:
    """Gradients of both losses on one batch, part by part; the student's own gradients do not change.

    Args:
        model: the student with its losses.
        batch: as `features.Collator` makes it.
    """
    named = [(part, p) for part, p in named_parts(model.student) if p.requires_grad]
    parameters = [parameter for _, parameter in named]
    training = model.training
    model.eval()  # no dropout: both passes must see the same student
    losses = model(**batch)
    terms = (joint_loss(losses, alpha=1, beta=0), joint_loss(losses, alpha=0, beta=1))
    label, explanation = (torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True) for term in terms)
    model.train(training)
    sums: dict[str, list[float]] = {}
    for (part, parameter), label_gradient, explanation_gradient in zip(named, label, explanation, strict=True):
        a, b = (torch.zeros_like(parameter) if g is None else g for g in (label_gradient, explanation_gradient))
        part_sums = sums.setdefault(part, [0.0, 0.0, 0.0])
        for place, value in enumerate(((a * a).sum(), (b * b).sum(), (a * b).sum())):
            part_sums[place] += float(value)
    return [_gradient(part, *sums[part]) for part in in_order(sums)]


def _gradient(part: str, label: float, explanation: float, product: float) -> PartGradient:
    norms = math.sqrt(label), math.sqrt(explanation)
    return PartGradient(part, *norms, product / (norms[0] * norms[1]) if all(norms) else None)
