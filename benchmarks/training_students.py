"""The students that `training_speed.py` trains, each written as a plain checkpoint that every contender begins from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from reasondistill.config import ScratchStudent, WarmStartStudent
from reasondistill.contracts.records import Example
from reasondistill.students.build import texts_of
from reasondistill.students.checkpoint import keep_untied
from reasondistill.students.scratch import make_scratch
from reasondistill.students.warm_start import make_warm_start
from reasondistill.tasks.task import NLI

STUDENTS = ("flan-t5-small", "minilm", "scratch", "tiny")
"""Shapes that are made here; any other name is a checkpoint's folder or hub id."""

_PIECES = 32_100
"""Of FLAN-T5's tokenizer; its embedding has 28 rows more."""


def make_student(name: str, examples: Sequence[Example], folder: Path) -> str:
    """Write one of the `STUDENTS`; weights come from torch's global generator. Returns where it lies."""
    if name not in STUDENTS:
        return name
    texts = list(texts_of(examples, NLI, "label_first"))
    if name == "minilm":
        model, tokenizer = make_warm_start(WarmStartStudent(kind="warm_start", vocabulary="full"))
    elif name == "scratch":
        model, tokenizer = make_scratch(ScratchStudent(kind="scratch", vocab_size=1000), texts)
    else:
        tokenizer = unigram(texts, _PIECES if name == "flan-t5-small" else 600)
        sizes = {"d_model": 512, "d_ff": 1024, "d_kv": 64, "num_heads": 6, "num_layers": 8}
        if name == "tiny":
            sizes = {"d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2, "num_layers": 1}
        config = T5Config(
            vocab_size=len(tokenizer) + 28,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            decoder_start_token_id=0,
            **sizes,
        )
        config.tie_word_embeddings = False  # transformers 5 sets it to True whatever it is given
        model = keep_untied(T5ForConditionalGeneration(config))
        for side in (model.encoder, model.decoder):  # FLAN-T5 has one table for both, and a head of its own
            side.embed_tokens = model.shared
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def unigram(texts: Iterable[str], pieces: int) -> Any:
    """A tokenizer in T5's form. Few texts hold fewer pieces; the rest are ones that no text holds.

    Those stand for the many pieces of a published vocabulary that one task does not use.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=pieces, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(sorted(set(texts)), trainer)
    state = json.loads(tokenizer.to_str())
    known = state["model"]["vocab"]
    lowest = min(score for _, score in known)
    known += [[f"\ue000{k}", lowest - 1.0] for k in range(pieces - len(known))]
    filled = Tokenizer.from_str(json.dumps(state))
    filled.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=filled, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def peak_matrix_product(threads: int, dtype: torch.dtype, size: int = 1024, repeats: int = 5) -> list[float]:
    """FLOP a second of products of two square matrices, each of several runs."""
    torch.set_num_threads(threads)
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    out = torch.empty(size, size, dtype=dtype)
    torch.mm(a, b, out=out)
    found = []
    for _ in range(repeats):
        begun = time.process_time() if threads == 1 else time.perf_counter()
        for _ in range(5):
            torch.mm(a, b, out=out)
        elapsed = (time.process_time() if threads == 1 else time.perf_counter()) - begun
        found.append(5 * 2 * size**3 / elapsed)
    return found
