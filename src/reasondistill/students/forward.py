"""Running an encoder-decoder in parts: encode once, decode several targets, compute logits where they are needed.

transformers computes logits for every position of every target; with a vocabulary of 32k they are the largest tensor
of a training step. Here the head is applied only to the positions that a loss or a score needs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasondistill.students.families import family_of
from reasondistill.students.model_protocol import EncoderDecoder


def encode(model: EncoderDecoder, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Encoder states (B, S, H) of prompts (B, S)."""
    states: Tensor = model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    return states


def logits_at(
    model: EncoderDecoder, encoder_states: Tensor, encoder_mask: Tensor, decoder_input_ids: Tensor, supervised: Tensor
) -> Tensor:
    """Logits (N, V) at the N supervised positions, in row-major order.

    Args:
        encoder_states: (D, S, H), one for each target.
        encoder_mask: (D, S).
        decoder_input_ids: (D, T); targets shifted right, padded on the right.
        supervised: (D, T) bool.
    """
    # Without a mask T5Gemma hides padding tokens, even one that begins a text.
    seen = {"attention_mask": torch.ones_like(decoder_input_ids)} if family_of(model).head == "gemma" else {}
    states = (
        model.get_decoder()(
            input_ids=decoder_input_ids,
            encoder_hidden_states=encoder_states,
            encoder_attention_mask=encoder_mask,
            use_cache=False,
            **seen,
        )
    ).last_hidden_state[supervised]
    return head(model, states)


def head(model: EncoderDecoder, states: Tensor) -> Tensor:
    """Logits (N, V) of decoder states (N, H)."""
    kind = family_of(model).head
    if kind == "t5":
        states = states * output_scale(model)
    logits: Tensor = model.lm_head(states)
    if kind == "bart":
        logits = logits + model.final_logits_bias
    if kind == "gemma" and (cap := model.get_decoder().config.final_logit_softcapping) is not None:
        logits = torch.tanh(logits / cap) * cap
    return logits


def output_scale(model: EncoderDecoder) -> float:
    """The factor for the decoder's states before the head, in models of T5's families.

    T5 v1.0 shares its embedding with its head and scales the states; v1.1, FLAN-T5 and mT5 do neither. In transformers
    5 UMT5's code depends on ``tie_word_embeddings``, which `checkpoint.keep_untied` corrects.
    """
    config = model.config
    key = {"t5": "scale_decoder_outputs", "longt5": "scale_decoder_outputs", "umt5": "tie_word_embeddings"}
    scales = config.model_type in key and getattr(config, key[config.model_type])
    return float(config.d_model**-0.5) if scales else 1.0


def fuse_activations(model: EncoderDecoder) -> None:
    """Compute T5's activation, a GELU by its tanh formula, in one pass instead of eight. Values differ by rounding.

    transformers spells the formula out; PyTorch has it as one operation. The model's configuration does not change.
    """
    from transformers.activations import ACT2FN, NewGELUActivation

    for module in model.modules():
        if type(getattr(module, "act", None)) is NewGELUActivation:
            module.act = ACT2FN["gelu_pytorch_tanh"]
