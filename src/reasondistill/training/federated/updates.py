"""What a client sends: the weights that it trained, or with LoRA two factors of each weight's change. Never a text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from reasondistill.students.model_protocol import EncoderDecoder

Weights = Mapping[str, Tensor]

_LEFT, _RIGHT = ".left", ".right"


@dataclass(frozen=True)
class Update:
    """One client's part in a round.

    Attributes:
        client: its name.
        rows: that it trained on: its weight in the mean.
        loss: its mean training loss in this round, in nats.
        tensors: the trained weights by name; with ``factors``, ``NAME.left`` (out, r) and ``NAME.right`` (r, in),
            whose product is the change of the weight ``NAME``.
        factors: whether it holds factors.
    """

    client: str
    rows: int
    loss: float
    tensors: dict[str, Tensor]
    factors: bool = False

    @property
    def bytes(self) -> int:
        """What would be sent, without a header of some hundred bytes."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())

    def weights(self, before: Weights) -> dict[str, Tensor]:
        """The client's weights in float64, given those that it began with."""
        if not self.factors:
            return {name: tensor.double() for name, tensor in self.tensors.items()}
        names = [name.removesuffix(_LEFT) for name in self.tensors if name.endswith(_LEFT)]
        return {name: before[name].double() + self._product(name) for name in names}

    def change(self, before: Weights) -> dict[str, Tensor]:
        """The change of the weights in float64."""
        return {name: tensor - before[name].double() for name, tensor in self.weights(before).items()}

    def _product(self, name: str) -> Tensor:
        return self.tensors[name + _LEFT].double() @ self.tensors[name + _RIGHT].double()

    def save(self, file: Path) -> None:
        facts = {"client": self.client, "rows": str(self.rows), "loss": repr(self.loss), "factors": str(self.factors)}
        save_file({name: tensor.contiguous() for name, tensor in self.tensors.items()}, file, metadata=facts)

    @classmethod
    def load(cls, file: Path) -> Update:
        with safe_open(str(file), framework="pt") as opened:
            facts = opened.metadata()
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no mapping
        return cls(facts["client"], int(facts["rows"]), float(facts["loss"]), tensors, facts["factors"] == "True")


def factors_of(model: EncoderDecoder) -> dict[str, Tensor]:
    """The factors of each adapted weight's change, by the weight's name in the student without adapters."""
    from peft.tuners.lora import LoraLayer

    factors: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            layer: Any = module
            left, right = layer.lora_B["default"].weight, layer.lora_A["default"].weight
            factors[f"{name}.weight{_LEFT}"] = left.detach().cpu() * float(layer.scaling["default"])
            factors[f"{name}.weight{_RIGHT}"] = right.detach().cpu().clone()
    return factors


def norm(change: Weights) -> float:
    """The L2 norm over all weights."""
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in change.values()))


def weights_of(model: EncoderDecoder) -> dict[str, Tensor]:
    """A copy of a student's parameters, shared ones once."""
    return {name: parameter.detach().cpu().clone() for name, parameter in model.named_parameters()}


def put_into(model: EncoderDecoder, weights: Weights) -> None:
    """Set a student's parameters, in place."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
