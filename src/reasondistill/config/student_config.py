"""Students to build: from a checkpoint, from scratch, or around a BERT-like encoder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reasondistill.config.base_config import Config, LearningRate, Positive, Rate


class Shrink(Config):
    """How much of a student's layers and feed-forward units to keep before it learns; None keeps all.

    Names as in `transformers.T5Config`, whatever the student's family calls them.
    """

    num_layers: Positive | None = None
    """Encoder layers, evenly spaced, the last one among them."""
    num_decoder_layers: Positive | None = None
    d_ff: Positive | None = None
    """Units of each feed-forward block; those with the largest weights are kept."""


class _LargerStudent(Config):
    """A student made from a larger model."""

    vocabulary: Literal["task", "full"] = "full"
    """``task`` keeps the tokens that the training split uses."""
    vocabulary_min_count: Positive = 1
    """With ``vocabulary: task``, the least count of a kept token; rarer words are split into kept tokens."""
    shrink: Shrink = Shrink()


class HubStudent(_LargerStudent):
    """A Hugging Face encoder-decoder checkpoint of a supported family, by hub id or path."""

    kind: Literal["hub"] = "hub"
    checkpoint: str = "google/flan-t5-base"
    revision: str = "main"
    dropout: Rate | None = None
    """In embeddings and blocks; by default what the checkpoint's own configuration says."""


class ScratchStudent(Config):
    """A T5 of given depth and width with random weights, and a tokenizer trained on the training split."""

    kind: Literal["scratch"]
    d_model: Positive = 128
    d_ff: Positive = 256
    d_kv: Positive = 32
    num_heads: Positive = 4
    num_layers: Positive = 2
    num_decoder_layers: Positive = 2
    dropout_rate: Rate = 0.0
    vocab_size: Positive = 2000
    """An upper bound; a small training split fills less. ``train`` refuses less than bytes and special tokens need."""
    tokenizer: Literal["bpe", "unigram"] = "bpe"
    """``unigram`` suits scripts without spaces between words, as Chinese."""


class Denoising(Config):
    """A first phase that trains new decoder layers to restore masked sentences of the training split."""

    max_steps: Positive = 400
    per_device_train_batch_size: Positive = 64
    learning_rate: LearningRate = 6e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 40
    mask_rate: Rate = 0.15
    freeze_encoder: bool = True


class WarmStartStudent(_LargerStudent):
    """A BART-shaped encoder-decoder whose two sides are initialised from a BERT-like encoder."""

    kind: Literal["warm_start"]
    encoder: str = "offline:minilm"
    """A hub id, a path, or ``offline:minilm`` for the one that the extra ``offline`` brings."""
    num_decoder_layers: Positive = 3
    cross_attention: Literal["self_attention", "new"] = "self_attention"
    vocabulary: Literal["task", "full"] = "task"
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.1
    denoising: Denoising | None = None


Student = Annotated[HubStudent | ScratchStudent | WarmStartStudent, Field(discriminator="kind")]
