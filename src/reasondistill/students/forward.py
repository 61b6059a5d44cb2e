"""Running an encoder-decoder in parts: encode once, decode several targets, compute logits where they are needed.

transformers computes logits for every position of every target; with a vocabulary of 32k they are the largest tensor
of a training step. Here the head sees only the positions that a loss or a score looks at.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

_T5_LIKE = {"t5", "mt5", "umt5"}
_BART_LIKE = {"bart", "mbart"}


def encode(model: Any, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Encoder states (B, S, H) of prompts (B, S)."""
    states: Tensor = model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    return states


def logits_at(
    model: Any, encoder_states: Tensor, encoder_mask: Tensor, decoder_input_ids: Tensor, wanted: Tensor
) -> Tensor:
    """Logits (N, V) at the N wanted positions, in row-major order.

    Args:
        encoder_states: (D, S, H), one for each target.
        encoder_mask: (D, S).
        decoder_input_ids: (D, T); targets shifted right, padded on the right.
        wanted: (D, T) bool.
    """
    kind = model.config.model_type
    if kind not in _T5_LIKE | _BART_LIKE:
        from transformers.modeling_outputs import BaseModelOutput

        output = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoder_states),
            attention_mask=encoder_mask,
            decoder_input_ids=decoder_input_ids,
            use_cache=False,
        )
        logits: Tensor = output.logits[wanted]
        return logits
    states = (
        model.get_decoder()(
            input_ids=decoder_input_ids,
            encoder_hidden_states=encoder_states,
            encoder_attention_mask=encoder_mask,
            use_cache=False,
        )
    ).last_hidden_state[wanted]
    return head(model, states)


def head(model: Any, states: Tensor) -> Tensor:
    """Logits (N, V) of decoder states (N, H), for a model of T5's or BART's family."""
    if model.config.model_type in _T5_LIKE:
        result: Tensor = model.lm_head(states * output_scale(model))
        return result
    biased: Tensor = model.lm_head(states) + model.final_logits_bias
    return biased


def output_scale(model: Any) -> float:
    """What a model of T5's family multiplies its decoder's states with before its head.

    T5 v1.0 shares its embedding with its head and scales the states; v1.1, FLAN-T5 and mT5 do neither.
    """
    scales = model.config.model_type == "t5" and model.config.scale_decoder_outputs
    return float(model.config.d_model**-0.5) if scales else 1.0


def fuse_activations(model: Any) -> None:
    """Compute T5's activation, a GELU by its tanh formula, in one pass instead of eight. Its values differ by rounding.

    transformers spells the formula out; PyTorch has it as one operation. The model's configuration stays as it is.
    """
    from transformers.activations import ACT2FN, NewGELUActivation

    for module in model.modules():
        if type(getattr(module, "act", None)) is NewGELUActivation:
            module.act = ACT2FN["gelu_pytorch_tanh"]
