"""A T5 with random weights, and a tokenizer trained on its prompts and targets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from reasondistill.config import ScratchStudent
from reasondistill.languages.tokenizer_protocol import PretrainedTokenizer
from reasondistill.students.model_protocol import EncoderDecoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, EOS = "<pad>", "</s>"
SMALLEST_VOCABULARY = 256 + len((PAD, EOS))
"""Every byte, and the special tokens: fewer pieces `train_tokenizer` cannot make."""


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, kind: Literal["bpe", "unigram"] = "bpe"
) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer: it encodes any text without loss.

    The vocabulary is the 256 bytes, two special tokens, and as many merges, or pieces, as ``vocab_size`` allows. BPE
    joins the commonest pairs inside words; Unigram (Kudo 2018) keeps the pieces that make the texts likeliest, which
    suits scripts without spaces, where a sentence is one word.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE() if kind == "bpe" else models.Unigram())
    # With a space before the first word, a word has the same tokens wherever it occurs.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = (trainers.BpeTrainer if kind == "bpe" else trainers.UnigramTrainer)(
        vocab_size=vocab_size,
        special_tokens=[PAD, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}", special_tokens=[(EOS, tokenizer.token_to_id(EOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS, clean_up_tokenization_spaces=False
    )


def make_scratch(config: ScratchStudent, texts: Iterable[str]) -> tuple[EncoderDecoder, PretrainedTokenizer]:
    """A student of the given depth and width in T5 v1.1's form (gated GELU), with a head tied to its embedding.

    Random weights come from torch's global generator: seed it first.
    """
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = train_tokenizer(texts, config.vocab_size, config.tokenizer)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=config.d_model,
            d_ff=config.d_ff,
            d_kv=config.d_kv,
            num_heads=config.num_heads,
            num_layers=config.num_layers,
            num_decoder_layers=config.num_decoder_layers,
            dropout_rate=config.dropout_rate,
            feed_forward_proj="gated-gelu",
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    )
    return model, tokenizer
