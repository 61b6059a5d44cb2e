"""Keeping the part of a vocabulary that a task uses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

from reasondistill.errors import CheckpointError


def trim_wordpiece(tokenizer: Any, texts: Iterable[str], *, min_count: int = 1) -> tuple[Any, list[int]]:
    """Keep the word pieces that ``texts`` use, special tokens, and ASCII characters to spell other words with.

    Args:
        tokenizer: a fast WordPiece tokenizer of transformers.
        texts: what will be read and written.
        min_count: keep only pieces that ``texts`` use so often.

    Returns:
        The smaller tokenizer, and for each of its tokens the id it had before: rows of the embedding to keep.

    Raises:
        CheckpointError: it is no WordPiece tokenizer.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    state = json.loads(tokenizer.backend_tokenizer.to_str())
    if state["model"]["type"] != "WordPiece":
        raise CheckpointError(
            "student.vocabulary",
            expected="a WordPiece tokenizer, as BERT's",
            found=state["model"]["type"],
            fix="Set student.vocabulary: full.",
        )
    vocabulary: dict[str, int] = state["model"]["vocab"]
    # BERT's tokenizer never joins what white space parts: each distinct word needs to be looked at once.
    by_words = (state["pre_tokenizer"] or {}).get("type") == "BertPreTokenizer"
    parts = Counter(word for text in texts for word in text.split()) if by_words else Counter(texts)
    counts: Counter[int] = Counter()
    distinct = iter(sorted(parts))
    while batch := list(islice(distinct, 4096)):
        for part, ids in zip(batch, tokenizer(batch, add_special_tokens=False)["input_ids"], strict=True):
            for i in ids:
                counts[i] += parts[part]
    used = set(tokenizer.all_special_ids) | {i for i, count in counts.items() if count >= min_count}
    used |= {i for piece, i in vocabulary.items() if len(piece.removeprefix("##")) == 1 and piece.isascii()}
    kept = sorted(used)
    new_id = {old: new for new, old in enumerate(kept)}
    state["model"]["vocab"] = {piece: new_id[i] for piece, i in vocabulary.items() if i in new_id}
    for token in state["added_tokens"]:
        token["id"] = new_id[token["id"]]
    for token in state["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [new_id[i] for i in token["ids"]]
    state["truncation"] = state["padding"] = None
    small = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        clean_up_tokenization_spaces=True,
        **{name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)},
    )
    return small, kept
