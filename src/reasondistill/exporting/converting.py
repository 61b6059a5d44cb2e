"""Converting a student's weights to CTranslate2.

CTranslate2's own loaders do the work. Their mistakes with students made by transformers 5 are corrected here, each with
a comment; tests/test_export_traps.py pins the loaders' own behaviour, so that we notice when one is fixed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from ctranslate2.converters.transformers import BartLoader, T5Loader, UMT5Loader
from ctranslate2.specs.model_spec import OPTIONAL
from torch import nn

from reasondistill.errors import CheckpointError
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.codec import Codec
from reasondistill.students.families import family_of, those_that
from reasondistill.students.forward import output_scale
from reasondistill.students.model_protocol import EncoderDecoder
from reasondistill.students.package.manifest import Quantization

if TYPE_CHECKING:
    from ctranslate2.specs import TransformerSpec
    from ctranslate2.specs.model_spec import ModelConfig


def convert(student: Checkpoint, folder: str | Path, quantization: Quantization) -> None:
    """Write a student as CTranslate2's ``model.bin``, ``config.json`` and ``shared_vocabulary.json``.

    Raises:
        CheckpointError: its family is not known to run correctly in CTranslate2.
    """
    kind = student.model.config.model_type
    if not family_of(student.model).exports:
        raise CheckpointError(
            "export", expected=f"a student of a family that can be exported ({those_that('exports')})", found=repr(kind)
        )
    # A copy: quantizing to int8 writes into the memory of the tensors that it is given.
    model = copy.deepcopy(student.model).float()
    with torch.no_grad():
        spec = _LOADERS[kind]()(model, student.codec)
        spec.validate()
        spec.optimize(quantization=quantization)
        spec.save(str(folder))


class _Student:
    """The loaders' view of a tokenizer, taken from the student's codec."""

    def get_vocabulary(self, model: EncoderDecoder, codec: Codec) -> list[str]:
        """Tokens by id, each once: the engine goes from ids to tokens and back.

        The loaders list the tokenizer's tokens one after the other and fill the rest with ``<extra_id_…>``, which moves
        every token behind a gap in the ids, and names T5's own ``<extra_id_0>`` twice.
        """
        backend = codec.tokenizer.backend_tokenizer
        tokens = [backend.id_to_token(i) for i in range(model.get_input_embeddings().weight.shape[0])]
        taken = set(tokens)
        # A vocabulary may have a text twice, as mBART's: the tokenizer only ever gives one of its ids.
        return [
            token if token is not None and backend.token_to_id(token) == i else _unused(i, taken)
            for i, token in enumerate(tokens)
        ]

    def set_config(self, config: ModelConfig, model: EncoderDecoder, codec: Codec) -> None:
        """Special tokens and the norms' epsilon.

        A warm start's tokenizer calls its ends [CLS] and [SEP], and has no ``bos_token`` and ``eos_token`` that a
        loader could ask for. A byte-level one has no unknown token, and CTranslate2 would add one that the model has
        no row for; as every id has its token, none is ever unknown. The epsilon is never read from a T5 or BART, and
        CTranslate2 then takes one of its own, for BART's norms 1e-5; a warm start has BERT's 1e-12.
        """
        tokens = self.get_vocabulary(model, codec)
        unknown = codec.tokenizer.unk_token_id
        config.bos_token = config.decoder_start_token = tokens[codec.decoder_start_token_id]
        config.eos_token = tokens[codec.eos_token_id]
        config.unk_token = tokens[codec.pad_token_id if unknown is None else unknown]
        config.layer_norm_epsilon = _epsilon(model)


class _T5(_Student, T5Loader):  # type: ignore[misc]
    def get_model_spec(self, model: EncoderDecoder) -> TransformerSpec:
        spec = super().get_model_spec(model)
        # T5Loader takes tie_word_embeddings for "scales its decoder's output". transformers 5 sets that on every
        # T5Config, and keeps what it used to say in scale_decoder_outputs.
        scale = output_scale(model)
        spec.decoder.scale_outputs = OPTIONAL if scale == 1.0 else scale
        return spec


class _UMT5(_T5, UMT5Loader):  # type: ignore[misc]
    """T5's loader, with positions per layer."""


class _Bart(_Student, BartLoader):  # type: ignore[misc]
    def get_model_spec(self, model: EncoderDecoder) -> TransformerSpec:
        # BartLoader needs two switches that configurations of transformers 5 lack; they follow from the model's parts.
        sides = (model.get_encoder(), model.get_decoder())
        model.config.normalize_before = all(hasattr(side, "layer_norm") for side in sides)
        model.config.normalize_embedding = all(hasattr(side, "layernorm_embedding") for side in sides)
        spec = super().get_model_spec(model)
        # It gives both sides the encoder's number of heads.
        spec.decoder.num_heads = np.int16(model.config.decoder_attention_heads)
        return spec


_LOADERS: dict[str, Callable[[], Callable[[EncoderDecoder, Codec], TransformerSpec]]] = {
    "t5": _T5,
    "mt5": _T5,
    "umt5": _UMT5,
    "bart": _Bart,
    "mbart": _Bart,
    "pegasus": _Bart,
    "blenderbot": _Bart,
}


def _unused(i: int, taken: set[str | None]) -> str:
    name = f"<unused_{i}>"
    while name in taken:
        name = f"<{name}>"
    return name


def _epsilon(model: EncoderDecoder) -> float:
    epsilons = {module.eps for module in model.modules() if isinstance(module, nn.LayerNorm)}
    if not epsilons:
        return float(model.config.layer_norm_epsilon)
    if len(epsilons) > 1:
        raise CheckpointError("export", expected="norms with one epsilon", found=str(sorted(epsilons)))
    return float(epsilons.pop())
