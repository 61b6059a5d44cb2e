"""The interface of encoder-decoders: that of transformers' models, as far as it is used here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import GenerationConfig, PretrainedConfig


class EncoderDecoder(Protocol):
    """An encoder-decoder of transformers; attributes that only some families have are not listed."""

    config: PretrainedConfig
    generation_config: GenerationConfig
    training: bool

    @property
    def device(self) -> torch.device: ...

    def __call__(self, *args: object, **inputs: object) -> Any: ...

    def __getattr__(self, name: str) -> Any: ...

    def get_encoder(self) -> Any: ...

    def get_decoder(self) -> Any: ...

    def get_input_embeddings(self) -> nn.Embedding: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def named_parameters(self, *, remove_duplicate: bool = True) -> Iterator[tuple[str, nn.Parameter]]: ...

    def named_buffers(self) -> Iterator[tuple[str, torch.Tensor]]: ...

    def modules(self) -> Iterator[nn.Module]: ...

    def state_dict(self) -> dict[str, torch.Tensor]: ...

    def eval(self) -> Self: ...

    def train(self, mode: bool = True) -> Self: ...

    def generate(self, **options: object) -> Any: ...

    def save_pretrained(self, folder: str | Path) -> object: ...
