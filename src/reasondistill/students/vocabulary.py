"""Keeping the part of a vocabulary that a task uses, in a student's tokenizer and in its weights.

A tokenizer that has lost only pieces which some texts do not need cuts those texts as before. WordPiece takes the
longest piece that fits; Unigram the likeliest sequence, which is still there; BPE joins pairs in the order of its
merges, and those that joined something are kept. What other words are spelled with, single characters or bytes, stays.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Any

from reasondistill.errors import CheckpointError
from reasondistill.students.checkpoint import decoder_start, rebuilt
from reasondistill.students.families import family_of, those_that

_BATCH = 4096
_ROWS_OF_TOKENS = ("shared.weight", "embed_tokens.weight", "lm_head.weight")
"""Ends of the names of embeddings and heads, (V, H)."""


def trim(model: Any, tokenizer: Any, texts: Iterable[str], *, min_count: int = 1) -> tuple[Any, Any]:
    """A student that has lost the tokens which ``texts`` do not need, and computes what it did for the others.

    Args:
        model: an encoder-decoder of transformers; its head may be tied to its embedding or not.
        tokenizer: of the same model; see `trim_tokenizer`.
        texts: what will be read and written.
        min_count: keep only pieces that ``texts`` use so often; words of rarer ones are cut into smaller pieces.

    Returns:
        The new model and tokenizer.

    Raises:
        CheckpointError: the student is of a family, or its tokenizer of a kind, that cannot be trimmed.
    """
    if not family_of(model).trims:
        raise CheckpointError(
            "student.vocabulary",
            expected=f"a student of a family whose vocabulary can be trimmed ({those_that('trims')})",
            found=f"a model of type {model.config.model_type!r}",
            fix="Set student.vocabulary: full.",
        )
    smaller, kept = trim_tokenizer(tokenizer, texts, min_count=min_count, also={decoder_start(model)})
    new_id = {old: new for new, old in enumerate(kept)}
    config = copy.deepcopy(model.config)
    config.vocab_size = len(kept)
    generation = copy.deepcopy(model.generation_config)
    for settings in (config, generation):
        for key, value in vars(settings).items():
            if key.endswith("token_id") and isinstance(value, int):
                setattr(settings, key, new_id.get(value))
    state = model.state_dict()
    for name, value in state.items():
        if name.endswith(_ROWS_OF_TOKENS):
            state[name] = value[kept]
        elif name.endswith("final_logits_bias"):  # BART's, (1, V)
            state[name] = value[:, kept]
    return rebuilt(model, config, state, generation), smaller


def trim_tokenizer(
    tokenizer: Any, texts: Iterable[str], *, min_count: int = 1, also: Iterable[int] = ()
) -> tuple[Any, list[int]]:
    """Keep the pieces that ``texts`` use, special tokens, and what other words are spelled with.

    Args:
        tokenizer: a fast tokenizer of transformers: WordPiece (BERT), Unigram (T5, mT5) or BPE (BART).
        texts: what will be read and written.
        min_count: keep only pieces that ``texts`` use so often.
        also: ids of tokens to keep in any case.

    Returns:
        The smaller tokenizer, and for each of its tokens the id it had before: rows of the embedding to keep.

    Raises:
        CheckpointError: it is a tokenizer of another kind.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    state = json.loads(tokenizer.backend_tokenizer.to_str())
    kind = state["model"]["type"]
    if kind not in ("WordPiece", "Unigram", "BPE"):
        raise CheckpointError(
            "student.vocabulary",
            expected="a WordPiece, Unigram or BPE tokenizer",
            found=kind,
            fix="Set student.vocabulary: full.",
        )
    listed = state["model"]["vocab"]
    vocabulary: dict[str, int] = listed if kind != "Unigram" else {piece: i for i, (piece, _) in enumerate(listed)}
    counts = _counts(tokenizer, state, texts)
    named = {token: text for token, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}
    used = {tokenizer.convert_tokens_to_ids(text) for text in named.values()} | set(also)
    used |= set(tokenizer("")["input_ids"])  # what stands around a text: mBART's language, for one
    used |= {i for i, count in counts.items() if count >= min_count}
    used |= {i for piece, i in vocabulary.items() if _spells(piece, kind)}
    if kind == "Unigram":
        used.add(state["model"]["unk_id"])
    if kind == "BPE":
        merges = [(first, second) for first, second in state["model"]["merges"]]
        rank = {pair: place for place, pair in enumerate(merges)}
        by_id = {i: piece for piece, i in vocabulary.items()}
        used |= {vocabulary[part] for i in used if i in by_id for part in _joined(by_id[i], rank)}

    kept = sorted(used)
    new_id = {old: new for new, old in enumerate(kept)}
    if kind == "Unigram":
        state["model"]["vocab"] = [listed[i] for i in kept if i < len(listed)]
        state["model"]["unk_id"] = new_id[state["model"]["unk_id"]]
    else:
        state["model"]["vocab"] = {piece: new_id[i] for piece, i in vocabulary.items() if i in new_id}
    if kind == "BPE":
        pieces = state["model"]["vocab"]
        state["model"]["merges"] = [[a, b] for a, b in merges if a in pieces and b in pieces and a + b in pieces]
    state["added_tokens"] = [t | {"id": new_id[t["id"]]} for t in state["added_tokens"] if t["id"] in new_id]
    _renumber(state["post_processor"], new_id)
    state["truncation"] = state["padding"] = None
    smaller = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        clean_up_tokenization_spaces=kind == "WordPiece" or tokenizer.clean_up_tokenization_spaces,
        **named,
    )
    return smaller, kept


def _counts(tokenizer: Any, state: dict[str, Any], texts: Iterable[str]) -> Counter[int]:
    """How often ``texts`` use each token."""
    # BERT's tokenizer never joins what white space parts: each distinct word needs to be looked at once.
    by_words = (state["pre_tokenizer"] or {}).get("type") == "BertPreTokenizer"
    parts = Counter(word for text in texts for word in text.split()) if by_words else Counter(texts)
    counts: Counter[int] = Counter()
    distinct = iter(sorted(parts))
    while batch := list(islice(distinct, _BATCH)):
        for part, ids in zip(batch, tokenizer(batch, add_special_tokens=False)["input_ids"], strict=True):
            for i in ids:
                counts[i] += parts[part]
    return counts


def _spells(piece: str, kind: str) -> bool:
    """Whether other words are spelled with this piece: an ASCII character, for BPE any character or byte."""
    single = len(piece.removeprefix("##").removeprefix("▁")) <= 1
    return single and (kind == "BPE" or piece.removeprefix("##").removeprefix("▁").isascii())


def _joined(piece: str, rank: dict[tuple[str, str], int]) -> Iterator[str]:
    """Everything that BPE joins on the way from the characters of ``piece`` to itself.

    Inside a word it is joined in the same way: what crosses its borders is never joined, or it would not be there.
    """
    symbols = list(piece)
    while len(symbols) > 1:
        pairs = [(rank[pair], k) for k, pair in enumerate(pairwise(symbols)) if pair in rank]
        if not pairs:
            return  # an added token: not made by merges
        _, k = min(pairs)
        symbols[k : k + 2] = [symbols[k] + symbols[k + 1]]
        yield symbols[k]


def _renumber(processor: dict[str, Any] | None, new_id: dict[int, int]) -> None:
    """Put new ids into what adds special tokens around a text, in place."""
    if processor is None:
        return
    for inner in processor.get("processors", ()):  # a sequence of them
        _renumber(inner, new_id)
    special = processor.get("special_tokens")
    for token in special.values() if isinstance(special, dict) else ():
        token["ids"] = [new_id[i] for i in token["ids"]]
    for key in ("sep", "cls"):  # of RoBERTa's and BERT's processors: [text, id]
        if isinstance(processor.get(key), list):
            processor[key][1] = new_id[processor[key][1]]
