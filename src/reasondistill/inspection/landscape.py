"""The loss around a student's weights, on a plane of two random directions.

After Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets": each direction is Gaussian, and each of its
filters (here a row of a matrix, the weights that make one output) is scaled to the norm of the student's own. A step of
1 is then as large, relative to the weights, in every student, so that their pictures can be compared. Norms and biases
do not move.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reasondistill.students.model_protocol import EncoderDecoder
from reasondistill.training.joint_model import JointModel

_SMALLEST = 1e-10


class Plane(NamedTuple):
    """Mean losses in nats a token at ``weights + steps[j] * first + steps[i] * second``; both (n, n)."""

    steps: NDArray[np.float64]
    label: NDArray[np.float64]
    explanation: NDArray[np.float64]


def direction(model: EncoderDecoder, generator: torch.Generator) -> dict[str, Tensor]:
    """A random direction in a model's weights, normalised filter by filter; names → tensors, zero where it has none."""
    tensors = {}
    for name, weight in model.named_parameters():
        if weight.dim() < 2:
            tensors[name] = torch.zeros_like(weight)
            continue
        drawn = torch.randn(weight.shape, generator=generator)
        norms = drawn.flatten(1).norm(dim=1).clamp_min(_SMALLEST)
        scale = weight.detach().flatten(1).norm(dim=1) / norms
        tensors[name] = drawn * scale.view(-1, *[1] * (weight.dim() - 1))
    return tensors


def loss_plane(
    model: JointModel, batch: dict[str, Tensor], *, radius: float = 1.0, points: int = 9, seed: int = 0
) -> Plane:
    """Both losses on a grid of ``points`` by ``points`` around a student, which does not change.

    Args:
        model: the student with its losses.
        batch: as `features.Collator` makes it; the same one for all points.
        radius: how far the grid goes in each direction.
        points: an odd number, so that the student itself is in the middle.
        seed: of the directions.
    """
    generator = torch.Generator().manual_seed(seed)
    student = model.student
    first, second = direction(student, generator), direction(student, generator)
    own = {name: weight.detach().clone() for name, weight in student.named_parameters()}
    steps = np.linspace(-radius, radius, points)
    label, explanation = np.zeros((points, points)), np.zeros((points, points))
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for i, up in enumerate(steps):
                for j, right in enumerate(steps):
                    for name, weight in student.named_parameters():
                        weight.copy_(own[name] + right * first[name] + up * second[name])
                    losses = model(**batch)
                    label[i, j] = losses.label_sum / losses.label_count.clamp(min=1)
                    explanation[i, j] = losses.explanation_sum / losses.explanation_count.clamp(min=1)
    finally:
        with torch.no_grad():
            for name, weight in student.named_parameters():
                weight.copy_(own[name])
        model.train(training)
    return Plane(steps, label, explanation)
