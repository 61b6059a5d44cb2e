"""A student's parameters grouped by part of the network, in forward order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from torch import nn

from reasondistill.errors import DataError
from reasondistill.students.model_protocol import EncoderDecoder

_LAYER = re.compile(r"(?:^|\.)(encoder|decoder)\.(?:block|layers)\.(\d+)\.")


def named_parts(model: EncoderDecoder) -> Iterator[tuple[str, nn.Parameter]]:
    """``(part, parameter)`` of every parameter, shared ones once.

    Parts are ``embeddings`` (tables of tokens and positions), ``encoder 1`` … and ``decoder 1`` … (layers, from 1),
    ``head`` where it is not shared with the embeddings, and ``norms``: what stands before the first or after the last
    layer of a side.
    """
    encoder, decoder = model.get_encoder(), model.get_decoder()
    tables = {id(p) for side in (encoder, decoder) for m in side.modules() if isinstance(m, nn.Embedding)
              for p in m.parameters()}  # fmt: skip
    tables.add(id(model.get_input_embeddings().weight))
    head = model.get_output_embeddings()
    for name, parameter in model.named_parameters():
        if (layer := _LAYER.search(name)) is not None:
            yield f"{layer[1]} {int(layer[2]) + 1}", parameter
        elif id(parameter) in tables:
            yield "embeddings", parameter
        elif head is not None and parameter is head.weight:
            yield "head", parameter
        else:
            yield "norms", parameter


def parameters_by_part(model: EncoderDecoder) -> dict[str, int]:
    """Part → its number of parameters, in the order in which a text goes through them; see `named_parts`.

    Raises:
        DataError: it is no model.
    """
    if not isinstance(model, nn.Module):
        found, fix = f"a {type(model).__name__}", "Give the model of a checkpoint: checkpoint.model."
        raise DataError("model", expected="an encoder–decoder model of PyTorch", found=found, fix=fix)
    counts: dict[str, int] = {}
    for part, parameter in named_parts(model):
        counts[part] = counts.get(part, 0) + parameter.numel()
    return {part: counts[part] for part in in_order(counts)}


def in_order(parts: Iterable[str]) -> list[str]:
    """Embeddings, the encoder's layers, the decoder's layers, norms, head."""
    sides = {"embeddings": 0, "encoder": 1, "decoder": 2, "norms": 3, "head": 4}

    def place(part: str) -> tuple[int, int]:
        side, _, layer = part.partition(" ")
        return sides[side], int(layer or 0)

    return sorted(parts, key=place)
