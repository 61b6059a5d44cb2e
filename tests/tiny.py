"""Small students made in the tests: random weights, tokenizers trained in the process, nothing downloaded."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

from reasondistill.config import Generation
from reasondistill.data.scenes import generate
from reasondistill.students.build import texts_of
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.scratch import train_tokenizer
from reasondistill.students.student_task import StudentTask
from reasondistill.students.tokenizers import as_fast
from reasondistill.tasks.task import NLI, OutputOrder


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


def _livened(model: Any) -> Any:
    """Norms and biases that are not trivial, as trained models have them."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.normal_(mean=1.0 if "norm" in name else 0.0, std=0.2)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_()
    return model


def _t5_shaped(kind: str, tokenizer: Any, seed: int, **changes: Any) -> Any:
    import transformers

    torch.manual_seed(seed)
    options = {
        "vocab_size": len(tokenizer),
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
        "dropout_rate": 0.0,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }
    config = getattr(transformers, f"{kind}Config")(**(options | changes))
    if changes.get("tie_word_embeddings") is False:
        config.tie_word_embeddings = False
    return _livened(getattr(transformers, f"{kind}ForConditionalGeneration")(config))


def _bart_shaped(kind: str, tokenizer: Any, seed: int, **changes: Any) -> Any:
    import transformers

    torch.manual_seed(seed)
    options = {
        "vocab_size": len(tokenizer),
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 128,
        "dropout": 0.0,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "forced_eos_token_id": None,
    }
    name = "MarianMTModel" if kind == "Marian" else f"{kind}ForConditionalGeneration"
    return _livened(getattr(transformers, name)(getattr(transformers, f"{kind}Config")(**(options | changes))))


def t5_1_1(seed: int = 0) -> Any:
    """A T5 v1.1 as it comes out of a checkpoint: one table for both sides, and a head of its own."""
    model = flan_t5(seed)
    model.encoder.embed_tokens = model.decoder.embed_tokens = model.shared
    return _livened(model)


def byt5(seed: int = 0) -> Any:
    return _t5_shaped("T5", bytes_(), seed, feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_layers=3)


def umt5(seed: int = 0) -> Any:
    return _t5_shaped("UMT5", sentencepiece_like(), seed)


def untied_umt5(seed: int = 0) -> Any:
    """As the published ones are."""
    return _t5_shaped("UMT5", sentencepiece_like(), seed, tie_word_embeddings=False)


def longt5(seed: int = 0) -> Any:
    return _t5_shaped("LongT5", sentencepiece_like(), seed, local_radius=4)


def longt5_global(seed: int = 0) -> Any:
    attention = {"encoder_attention_type": "transient-global", "local_radius": 4, "global_block_size": 4}
    return _t5_shaped("LongT5", sentencepiece_like(), seed, **attention)


def mbart(seed: int = 0) -> Any:
    """mBART-25: an end and a language behind a text; its decoder starts with the language that it writes in."""
    tokenizer = mbart_tokenizer()
    start = tokenizer.convert_tokens_to_ids("ro_RO")
    return _bart_shaped("MBart", tokenizer, seed, decoder_start_token_id=start, scale_embedding=True)


def mbart50(seed: int = 0) -> Any:
    """mBART-50: a language before a text; its decoder starts with an end, and the language is written first."""
    tokenizer = mbart50_tokenizer()
    return _bart_shaped("MBart", tokenizer, seed, decoder_start_token_id=tokenizer.eos_token_id)


def pegasus(seed: int = 0) -> Any:
    return _bart_shaped("Pegasus", pegasus_tokenizer(), seed, decoder_start_token_id=0, scale_embedding=True)


def blenderbot(seed: int = 0) -> Any:
    tokenizer = blenderbot_tokenizer()
    return _bart_shaped("Blenderbot", tokenizer, seed, decoder_start_token_id=tokenizer.bos_token_id)


def marian(seed: int = 0) -> Any:
    tokenizer = marian_tokenizer()
    return _bart_shaped("Marian", tokenizer, seed, decoder_start_token_id=tokenizer.pad_token_id)


def _gemma_side() -> dict[str, Any]:
    """Windows that are shorter than the texts."""
    return {
        "vocab_size": len(gemma_tokenizer()),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        "query_pre_attn_scalar": 8,
        "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"],
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }


def t5gemma(seed: int = 0) -> Any:
    from transformers import T5GemmaConfig, T5GemmaForConditionalGeneration, T5GemmaModuleConfig

    torch.manual_seed(seed)
    encoder, decoder = (T5GemmaModuleConfig(**_gemma_side()) for _ in range(2))
    config = T5GemmaConfig(encoder=encoder, decoder=decoder, vocab_size=encoder.vocab_size)
    return _livened(T5GemmaForConditionalGeneration(config))


def t5gemma2(seed: int = 0) -> Any:
    from transformers import T5Gemma2Config, T5Gemma2ForConditionalGeneration

    torch.manual_seed(seed)
    eyes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    side = _gemma_side()
    last = side["vocab_size"] - 1
    encoder = {"text_config": side, "vision_config": eyes, "mm_tokens_per_image": 4, "eoi_token_index": last - 1}
    config = T5Gemma2Config(encoder=encoder, decoder=side, image_token_index=last)
    return _livened(T5Gemma2ForConditionalGeneration(config))


# --- tokenizers of the families' own classes ---


def _pieces() -> list[tuple[str, float]]:
    """What `sentencepiece_like` knows, without its special tokens."""
    vocabulary = json.loads(sentencepiece_like().backend_tokenizer.to_str())["model"]["vocab"]
    return [(piece, score) for piece, score in vocabulary[3:]]


@cache
def bytes_() -> Any:
    from transformers import ByT5Tokenizer

    return as_fast(ByT5Tokenizer())


@cache
def mbart_tokenizer() -> Any:
    from transformers import MBartTokenizer
    from transformers.models.mbart.tokenization_mbart import FAIRSEQ_LANGUAGE_CODES

    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    languages = [(token, 0.0) for token in (*FAIRSEQ_LANGUAGE_CODES, "<mask>")]
    return MBartTokenizer(vocab=[*special, *_pieces(), *languages], src_lang="ro_RO")


@cache
def mbart50_tokenizer() -> Any:
    from transformers import MBart50Tokenizer

    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    return MBart50Tokenizer(vocab=[*special, *_pieces(), ("<mask>", 0.0)], src_lang="ro_RO")


@cache
def pegasus_tokenizer() -> Any:
    from transformers import PegasusTokenizer

    names = ["<pad>", "</s>", "<mask_1>", "<mask_2>", *(f"<unk_{i}>" for i in range(2, 103)), "<unk>"]
    return PegasusTokenizer(vocab=[*((name, 0.0) for name in names), *_pieces()])


@cache
def blenderbot_tokenizer() -> Any:
    from tokenizers import processors
    from transformers import BlenderbotTokenizer

    model = json.loads(byte_level().backend_tokenizer.to_str())["model"]
    names = ["<s>", "<pad>", "</s>", "<unk>", *(p for p in model["vocab"] if p not in ("<pad>", "</s>")), "<mask>"]
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = BlenderbotTokenizer(vocab={name: i for i, name in enumerate(names)}, merges=merges)
    # As its tokenizer.json says; the class alone adds nothing.
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    return tokenizer


@cache
def gemma_tokenizer() -> Any:
    from transformers import GemmaTokenizer

    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{i:02X}>" for i in range(256)), "▁"]
    names += [chr(i) for i in range(0x21, 0x7F)]
    merges = [("a", "n"), ("m", "an"), ("i", "s"), ("t", "h"), ("th", "e"), ("▁", "the")]
    names += [a + b for a, b in merges]
    return GemmaTokenizer(vocab={name: i for i, name in enumerate(names)}, merges=merges, add_bos_token=True)


@cache
def marian_tokenizer() -> Any:
    """Two SentencePiece models, which cut texts differently, and one list of ids."""
    import sentencepiece
    from transformers import MarianTokenizer

    kept = tempfile.TemporaryDirectory(prefix="tiny-marian-")  # as long as the tokenizer, which copies from it
    folder = Path(kept.name)
    pieces: dict[str, None] = {}
    for side, size in (("source", 220), ("target", 180)):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(scenes_texts()),
            model_prefix=str(folder / side),
            vocab_size=size,
            minloglevel=2,
        )
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{side}.model"))
        pieces |= dict.fromkeys(model.id_to_piece(i) for i in range(3, len(model)))
    names = ["</s>", "<unk>", *pieces, "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}), encoding="utf-8")
    slow = MarianTokenizer(str(folder / "source.model"), str(folder / "target.model"), str(folder / "vocab.json"))
    slow.kept = kept
    return as_fast(slow)


FAMILIES = {
    "flan-t5": (flan_t5, sentencepiece_like),
    "t5": (tied_t5, byte_level),
    "t5-1.1": (t5_1_1, sentencepiece_like),
    "byt5": (byt5, bytes_),
    "mt5": (mt5, sentencepiece_like),
    "umt5": (umt5, sentencepiece_like),
    "umt5-untied": (untied_umt5, sentencepiece_like),
    "longt5": (longt5, sentencepiece_like),
    "longt5-global": (longt5_global, sentencepiece_like),
    "bart": (bart, bart_like),
    "mbart": (mbart, mbart_tokenizer),
    "mbart50": (mbart50, mbart50_tokenizer),
    "pegasus": (pegasus, pegasus_tokenizer),
    "blenderbot": (blenderbot, blenderbot_tokenizer),
    "marian": (marian, marian_tokenizer),
    "t5gemma": (t5gemma, gemma_tokenizer),
    "t5gemma2": (t5gemma2, gemma_tokenizer),
}
FEW = ("flan-t5", "t5", "mt5", "bart", "pegasus")
"""Families that differ most, for tests that need not see all: test_families.py sees every one."""


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
