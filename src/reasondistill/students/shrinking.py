"""Prune a student: keep some of its layers and the feed-forward units with the largest weights.

The kept layers are evenly spaced, as in DistilBERT (Sanh et al. 2019) and in shrink-and-fine-tune (Shleifer and Rush
2020), and the last one is always among them. Feed-forward units are kept by the product of the norms of their ingoing
and outgoing weights: structured pruning by magnitude. Everything else is copied, so that a student that loses nothing
computes the same as before.
"""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor

from reasondistill.config import Shrink
from reasondistill.errors import ConfigError
from reasondistill.students.checkpoint import rebuilt
from reasondistill.students.families import family_of, those_that
from reasondistill.students.model_protocol import EncoderDecoder


class _Layout(NamedTuple):
    """Where a family of encoder-decoders keeps the parts that can be pruned."""

    layer: re.Pattern[str]
    """Of a parameter inside a layer: side, the layer's number, and the rest of its name."""
    depth: dict[str, str]
    """Side to the config's key for the number of its layers."""
    width: dict[str, str]
    """Side to the config's key for the number of its feed-forward units."""
    ingoing: tuple[str, ...]
    """Names, inside a layer, of the modules whose rows are feed-forward units."""
    outgoing: str
    """The name, inside a layer, of the module whose columns are feed-forward units."""


_T5 = _Layout(
    layer=re.compile(r"(encoder|decoder)\.block\.(\d+)\.(.+)"),
    depth={"encoder": "num_layers", "decoder": "num_decoder_layers"},
    width={"encoder": "d_ff", "decoder": "d_ff"},
    ingoing=("DenseReluDense.wi", "DenseReluDense.wi_0", "DenseReluDense.wi_1"),
    outgoing="DenseReluDense.wo",
)
_BART = _Layout(
    layer=re.compile(r"model\.(encoder|decoder)\.layers\.(\d+)\.(.+)"),
    depth={"encoder": "encoder_layers", "decoder": "decoder_layers"},
    width={"encoder": "encoder_ffn_dim", "decoder": "decoder_ffn_dim"},
    ingoing=("fc1",),
    outgoing="fc2",
)
_LAYOUTS = {"t5": _T5, "bart": _BART}
"""By the form of the head: families with one layout share it."""
_T5_POSITIONS = "relative_attention_bias.weight"


def evenly(count: int, of: int) -> list[int]:
    """``count`` of the numbers below ``of``, evenly spaced, the last one among them."""
    return [(i + 1) * of // count - 1 for i in range(count)]


def shrink(model: EncoderDecoder, sizes: Shrink) -> EncoderDecoder:
    """A smaller model of the same class, with copies of the weights that it keeps.

    Args:
        model: an encoder-decoder of a family that can be pruned: see `families`.
        sizes: how many layers and feed-forward units to keep; None keeps all.

    Returns:
        A new model; the same one if nothing is to be pruned.

    Raises:
        ConfigError: the model has fewer than requested, or belongs to another family.
    """
    if sizes == Shrink():
        return model
    family = family_of(model)
    if not family.shrinks:
        raise ConfigError(
            "student.shrink",
            expected=f"a student of a family that can be pruned ({those_that('shrinks')})",
            found=f"a model of type {model.config.model_type!r}",
            fix="Remove student.shrink.",
        )
    layout = _LAYOUTS[family.head]
    config = copy.deepcopy(model.config)
    depths = {"encoder": sizes.num_layers, "decoder": sizes.num_decoder_layers}
    layers: dict[str, list[int]] = {}
    for side, key in layout.depth.items():
        there = getattr(config, key)
        layers[side] = evenly(_checked(depths[side], there, layout.depth[side]), there)
        setattr(config, key, len(layers[side]))
    for key in set(layout.width.values()):
        setattr(config, key, _checked(sizes.d_ff, getattr(config, key), key))

    state = _renumbered(model.state_dict(), layout, layers)
    for prefix in sorted({name[: name.rindex(layout.outgoing)] for name in state if layout.outgoing in name}):
        side = "encoder" if "encoder" in prefix else "decoder"
        _keep_units(state, prefix, layout, getattr(config, layout.width[side]))
    return rebuilt(model, config, state, copy.deepcopy(model.generation_config))


def _checked(size: int | None, there: int, what: str) -> int:
    if size is not None and size > there:
        raise ConfigError("student.shrink", expected=f"at most the {there} of the model's {what}", found=str(size))
    return there if size is None else size


def _renumbered(state: dict[str, Tensor], layout: _Layout, layers: dict[str, list[int]]) -> dict[str, Tensor]:
    """The parameters of the kept layers with their new numbers, and all parameters outside layers."""
    places: dict[str, dict[int, int]] = defaultdict(dict)
    for side, kept in layers.items():
        places[side] = {old: new for new, old in enumerate(kept)}
    result = {}
    for name, value in state.items():
        place = layout.layer.fullmatch(name)
        if place is None:
            result[name] = value
            continue
        side, number, rest = place[1], int(place[2]), place[3]
        new = places[side].get(number)
        if new is not None:
            result[f"{name[: place.start(2)]}{new}.{rest}"] = value
        # T5 keeps the positions of a whole side in its first layer; in UMT5 each layer has its own, which come first.
        elif rest.endswith(_T5_POSITIONS) and number == 0:
            result.setdefault(f"{name[: place.start(2)]}0.{rest}", value)
    return result


def _keep_units(state: dict[str, Tensor], prefix: str, layout: _Layout, count: int) -> None:
    """Keep ``count`` units in the feed-forward part whose parameters' names begin with ``prefix``, in place."""
    outgoing = f"{prefix}{layout.outgoing}.weight"
    ingoing = [f"{prefix}{name}" for name in layout.ingoing if f"{prefix}{name}.weight" in state]
    if state[outgoing].shape[1] == count:
        return
    weight = state[outgoing].float().norm(dim=0)
    for name in ingoing:
        weight = weight * state[f"{name}.weight"].float().norm(dim=1)
    kept = weight.topk(count).indices.sort().values
    state[outgoing] = state[outgoing][:, kept]
    for name in ingoing:
        for part in ("weight", "bias"):
            if f"{name}.{part}" in state:
                state[f"{name}.{part}"] = torch.index_select(state[f"{name}.{part}"], 0, kept)
