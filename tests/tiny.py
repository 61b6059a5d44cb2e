"""Small students made in the tests: random weights, tokenizers trained in the process, nothing downloaded."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

from reasondistill.config import Generation
from reasondistill.datasets.scenes import generate
from reasondistill.student_task import StudentTask
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.create import texts_of
from reasondistill.students.scratch import train_tokenizer
from reasondistill.tasks import NLI, OutputOrder


@cache
def scenes_texts() -> tuple[str, ...]:
    return tuple(texts_of(generate(300, seed=1), NLI, "label_first"))


@cache
def byte_level() -> Any:
    return train_tokenizer(scenes_texts(), vocab_size=600)


@cache
def sentencepiece_like() -> Any:
    """A Unigram tokenizer with ▁ before words and </s> behind, as T5's."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=500, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(scenes_texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


@cache
def bart_like() -> Any:
    """Byte-level BPE with <s> before and </s> behind a text, as BART's."""
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_str(byte_level().backend_tokenizer.to_str())
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        special_tokens=[("<s>", tokenizer.token_to_id("<s>")), ("</s>", tokenizer.token_to_id("</s>"))],
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", bos_token="<s>")


def flan_t5(seed: int = 0, **changes: Any) -> Any:
    """A T5 in FLAN-T5's form: gated GELU, and a head of its own."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    tokenizer = sentencepiece_like()
    options = {
        "vocab_size": len(tokenizer),
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
        "dropout_rate": 0.0,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "decoder_start_token_id": 0,
    }
    config = T5Config(**(options | changes))
    if not options["tie_word_embeddings"]:
        config.tie_word_embeddings = False  # transformers 5 sets it to True whatever it is given
    return T5ForConditionalGeneration(config)


def tied_t5(seed: int = 0) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(byte_level()),
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            decoder_start_token_id=0,
        )
    )


def mt5(seed: int = 0) -> Any:
    from transformers import MT5Config, MT5ForConditionalGeneration

    torch.manual_seed(seed)
    return MT5ForConditionalGeneration(
        MT5Config(
            vocab_size=len(sentencepiece_like()),
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            decoder_start_token_id=0,
        )
    )


def bart(seed: int = 0) -> Any:
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(seed)
    tokenizer = bart_like()
    model = BartForConditionalGeneration(
        BartConfig(
            vocab_size=len(tokenizer),
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=128,
            dropout=0.0,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.eos_token_id,
        )
    )
    with torch.no_grad():
        model.final_logits_bias.copy_(torch.randn_like(model.final_logits_bias))
    return model


def pegasus(seed: int = 0) -> Any:
    """A kind that the library knows nothing special about."""
    from transformers import PegasusConfig, PegasusForConditionalGeneration

    torch.manual_seed(seed)
    return PegasusForConditionalGeneration(
        PegasusConfig(
            vocab_size=len(byte_level()),
            d_model=32,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=128,
            dropout=0.0,
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
        )
    )


FAMILIES = {
    "flan-t5": (flan_t5, sentencepiece_like),
    "t5": (tied_t5, byte_level),
    "mt5": (mt5, sentencepiece_like),
    "bart": (bart, bart_like),
    "pegasus": (pegasus, byte_level),
}


def student(family: str = "t5", order: OutputOrder = "label_first", **asked: Any) -> Checkpoint:
    model, tokenizer = FAMILIES[family]
    options: dict[str, Any] = {
        "max_source_length": 64,
        "max_target_length": 48,
        "generation": Generation(num_beams=1, repetition_penalty=1.0, max_new_tokens=8),
    }
    return Checkpoint(model(), tokenizer(), StudentTask(task=NLI, order=order, **(options | asked)))


def tiny_bert(folder: Path, layers: int = 4) -> Path:
    """A random BERT with a WordPiece tokenizer, saved in ``folder``."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([*scenes_texts(), "zebra quilt vexed 0123456789"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(fast),
            hidden_size=32,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=160,
        )
    )
    with torch.no_grad():  # trained encoders have token types and norms that are not trivial
        model.embeddings.token_type_embeddings.weight.normal_(std=0.5)
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.normal_(mean=1.0, std=0.2)
                module.bias.normal_(std=0.2)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
