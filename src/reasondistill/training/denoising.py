"""Denoising data (restore masked words), which trains a decoder made of encoder blocks to generate.

After BART (Lewis et al. 2020), with single word pieces masked, on the training split's own sentences.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reasondistill.contracts.records import Example
from reasondistill.errors import CheckpointError
from reasondistill.students.codec import Codec
from reasondistill.tasks.task import Segment, Target
from reasondistill.training.features import encode_rows

if TYPE_CHECKING:
    import datasets


def denoising_features(
    examples: Sequence[Example], codec: Codec, *, mask_rate: float, seed: int, limit: int
) -> datasets.Dataset:
    """Rows as `features.build_features` makes them: a masked sentence as prompt, the whole one as its target.

    Args:
        examples: whose fields and explanations are the sentences; each distinct one is used once.
        codec: of a student whose tokenizer has a mask token.
        mask_rate: share of word pieces that are masked.
        seed: decides which sentences come first and which pieces are masked.
        limit: how many sentences to take at most.

    Raises:
        CheckpointError: the tokenizer has no mask token.
    """
    tokenizer: Any = codec.tokenizer
    mask = tokenizer.mask_token_id
    if mask is None:
        raise CheckpointError("student.denoising", expected="a tokenizer with a mask token", found="none")
    texts = [text for e in examples for text in (*e.fields.values(), *(x.text for x in e.references))]
    generator = random.Random(seed)
    sentences = sorted({text for text in texts if text.strip()})
    generator.shuffle(sentences)
    rows = [
        (f"sentence {i}", s, [Target((Segment(s, "explanation"),), ends=True)])
        for i, s in enumerate(sentences[:limit], start=1)
    ]
    special = set(tokenizer.all_special_ids)

    def masked(ids: list[int]) -> list[int]:
        return [mask if i not in special and generator.random() < mask_rate else i for i in ids]

    features = encode_rows(lambda: rows, codec)
    return features.map(lambda row: {"input_ids": masked(row["input_ids"])}, load_from_cache_file=False)
