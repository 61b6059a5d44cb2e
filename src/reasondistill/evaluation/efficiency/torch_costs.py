"""What `TorchEngine` costs: parameters, FLOPs and memory, as PyTorch tells them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from reasondistill.contracts.efficiency import Parameters
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.students.model_protocol import EncoderDecoder

T = TypeVar("T")


def _attention_flops(query: object, key: object, value: object, *_: object, **__: object) -> int:
    return int(sdpa_flop_count(query, key, value))  # of their shapes


def _attention_backward_flops(
    gradient: object, query: object, key: object, value: object, *_: object, **__: object
) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))


# Attention on a CPU is one fused operation, for which PyTorch's counter (2.13) has no formula: it would count 0.
# Delete this once `torch.utils.flop_counter.flop_registry` has it.
_ALSO_COUNTED = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
}


class TorchCosts:
    """A `TorchEngine` seen from the side of its cost."""

    name = "pytorch"

    def __init__(self, engine: TorchEngine) -> None:
        self.engine = engine

    @property
    def precision(self) -> str:
        kinds = {str(p.dtype).removeprefix("torch.") for p in self.engine.model.parameters()}
        return ", ".join(sorted(kinds))

    @property
    def device(self) -> str:
        return str(next(self.engine.model.parameters()).device)

    @property
    def threads(self) -> int:
        return torch.get_num_threads()

    @property
    def max_tokens(self) -> int:
        return self.engine.max_tokens

    def limited(self, max_rows: int) -> TorchEngine:
        return TorchEngine(self.engine.model, self.engine.codec, max_tokens=self.engine.max_tokens, max_rows=max_rows)

    def parameters(self) -> Parameters:
        return count_parameters(self.engine.model)

    def count_flops(self, work: Callable[[], T]) -> tuple[T, int]:
        return count_flops(work)

    def use(self, device: str | None, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        if device is not None:
            self.engine.model.to(device)

    def touch(self) -> None:
        for tensor in (*self.engine.model.parameters(), *self.engine.model.buffers()):
            tensor.sum()

    def accelerator_bytes(self) -> tuple[int, int] | None:
        device = next(self.engine.model.parameters()).device
        if device.type != "cuda":
            return None
        return torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)


def count_parameters(model: EncoderDecoder) -> Parameters:
    """A transformers model's parameters, shared ones counted once.

    Embedding are all `torch.nn.Embedding` (tokens, positions, T5's relative positions) and the output head.
    """
    tables = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    head = model.get_output_embeddings()
    # By identity: a tied head is the same parameter as the token embedding.
    embedding = {id(p): p.numel() for module in (*tables, *([head] if head else [])) for p in module.parameters()}
    every = list(model.parameters())  # holds shared ones once
    total = sum(p.numel() for p in every)
    inside = sum(embedding.values())
    return Parameters(
        total=total,
        trainable=sum(p.numel() for p in every if p.requires_grad),
        embedding=inside,
        rest=total - inside,
    )


def count_flops(work: Callable[[], T]) -> tuple[T, int]:
    """Do ``work``, and count the floating-point operations of its matrix products, convolutions and attention.

    A multiply-add is two operations, padding and what a causal mask hides are counted; sums, norms, softmax and
    look-ups are not. Counted by `torch.utils.flop_counter`, from the shapes of what is really called.
    """
    with flop_counter() as counter:
        done = work()
    return done, counter.get_total_flops()


def flop_counter() -> FlopCounterMode:
    """PyTorch's counter, which also knows the attention of processors; see `count_flops`."""
    return FlopCounterMode(display=False, custom_mapping=_ALSO_COUNTED)
