"""A learning rate of the encoder's own: parameters in groups, as an optimizer takes them."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from torch import nn


def groups_with_rates(model: Any, decayed: Set[str], arguments: Any, encoder_rate: float) -> list[dict[str, Any]]:
    """What learns of a `JointModel`, by rate and weight decay.

    Args:
        decayed: names of the parameters that decay.
        arguments: transformers', with ``learning_rate`` and ``weight_decay`` of the others.
        encoder_rate: of the encoder and embeddings.
    """
    encoder = {id(p) for p in model.student.get_encoder().parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in encoder, name in decayed), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": arguments.weight_decay if decay else 0.0,
            "lr": encoder_rate if of_encoder else arguments.learning_rate,
        }
        for (of_encoder, decay), parameters in groups.items()
    ]
