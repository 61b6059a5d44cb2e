"""Keeping the part of a vocabulary that a task uses, in a student's tokenizer and in its weights.

A tokenizer that loses only pieces that certain texts do not use splits those texts as before. WordPiece takes the
longest piece that fits; Unigram the likeliest sequence, which is still there; BPE joins pairs in the order of its
merges, and those that joined something are kept. What other words are spelled with, single characters or bytes, stays.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from reasondistill.errors import CheckpointError
from reasondistill.languages.tokenizer_protocol import PretrainedTokenizer
from reasondistill.storage.files import JsonObject
from reasondistill.students.checkpoint import decoder_start, rebuilt
from reasondistill.students.families import family_of, those_that
from reasondistill.students.model_protocol import EncoderDecoder

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

_BATCH = 4096
_ROWS_OF_TOKENS = ("shared.weight", "embed_tokens.weight", "lm_head.weight")
"""Ends of the names of embeddings and heads, (V, H)."""


def trim(
    model: EncoderDecoder, tokenizer: PretrainedTokenizer, texts: Iterable[str], *, min_count: int = 1
) -> tuple[EncoderDecoder, PretrainedTokenizer]:
    """A student without the tokens that ``texts`` do not use; for the remaining tokens it computes the same as before.

    Args:
        model: an encoder-decoder of transformers; its head may be tied to its embedding or not.
        tokenizer: of the same model; see `trim_tokenizer`.
        texts: the prompts and targets of the task.
        min_count: keep only pieces that ``texts`` use at least this often; words with rarer ones are split further.

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
    return with_token_rows(model, new_id, lambda table: table[kept]), smaller


def with_token_rows(
    model: EncoderDecoder, new_ids: Mapping[int, int], rows_of: Callable[[Tensor], Tensor]
) -> EncoderDecoder:
    """The model with other rows in its embedding and head.

    Args:
        new_ids: the new id of each token that is left.
        rows_of: the new rows, (V', …), of a table, (V, …).
    """
    config, generation = copy.deepcopy(model.config), copy.deepcopy(model.generation_config)
    for settings in (config, generation):
        for key, value in vars(settings).items():
            if key.endswith("token_id") and isinstance(value, int):
                setattr(settings, key, new_ids.get(value))
    state = model.state_dict()
    for name, value in state.items():
        if name.endswith(_ROWS_OF_TOKENS):
            state[name] = rows_of(value)
            config.vocab_size = len(state[name])
        elif name.endswith("final_logits_bias"):  # BART's, (1, V)
            state[name] = rows_of(value.T).T
    return rebuilt(model, config, state, generation)


def trim_tokenizer(
    tokenizer: PretrainedTokenizer, texts: Iterable[str], *, min_count: int = 1, also: Iterable[int] = ()
) -> tuple[PreTrainedTokenizerFast, list[int]]:
    """Keep the pieces that ``texts`` use, special tokens, and what other words are spelled with.

    Args:
        tokenizer: a fast tokenizer of transformers: WordPiece (BERT), Unigram (T5, mT5) or BPE (BART).
        texts: the prompts and targets of the task.
        min_count: keep only pieces that ``texts`` use at least this often.
        also: ids of tokens to keep in any case.

    Returns:
        The smaller tokenizer, and for each of its tokens the id it had before: rows of the embedding to keep.

    Raises:
        CheckpointError: it is a tokenizer of another kind.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    kind = state["model"]["type"]
    if kind not in ("WordPiece", "Unigram", "BPE"):
        raise CheckpointError(
            "student.vocabulary",
            expected="a WordPiece, Unigram or BPE tokenizer",
            found=kind,
            fix="Set student.vocabulary: full.",
        )
    special = {tokenizer.convert_tokens_to_ids(text) for text in _special_tokens(tokenizer).values()} | set(also)
    special |= set(tokenizer("")["input_ids"])  # tokens around a text, such as mBART's language
    counts = _counts(tokenizer, state, texts)
    kept = _kept(state["model"], special | {i for i, count in counts.items() if count >= min_count})
    _keep(state, kept)
    clean_up = kind == "WordPiece" or tokenizer.clean_up_tokenization_spaces
    return tokenizer_of(state, tokenizer, clean_up=clean_up), kept


def tokenizer_of(state: JsonObject, before: PretrainedTokenizer, *, clean_up: bool) -> PreTrainedTokenizerFast:
    """A tokenizer out of its JSON, with the special tokens of the one that it was made of."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        clean_up_tokenization_spaces=clean_up,
        **_special_tokens(before),
    )


def _special_tokens(tokenizer: PretrainedTokenizer) -> dict[str, str]:
    return {token: text for token, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}


def _vocabulary(model: JsonObject) -> dict[str, int]:
    """Piece -> id, of a tokenizer's model as its JSON has it."""
    listed = model["vocab"]
    return {piece: i for i, (piece, _) in enumerate(listed)} if model["type"] == "Unigram" else listed


def _kept(model: JsonObject, used: set[int]) -> list[int]:
    """The ids to keep: those that are used, and those of the pieces that other words are spelled with."""
    vocabulary = _vocabulary(model)
    used = used | {i for piece, i in vocabulary.items() if _spells(piece, model["type"])}
    if model["type"] == "Unigram":
        used.add(model["unk_id"])
    if model["type"] == "BPE":
        rank = {(first, second): place for place, (first, second) in enumerate(model["merges"])}
        by_id = {i: piece for piece, i in vocabulary.items()}
        used |= {vocabulary[part] for i in used if i in by_id for part in _joined(by_id[i], rank)}
    return sorted(used)


def _keep(state: JsonObject, kept: list[int]) -> None:
    """Drop all other tokens from a tokenizer's JSON and renumber what stays, in place."""
    model = state["model"]
    new_id = {old: new for new, old in enumerate(kept)}
    if model["type"] == "Unigram":
        model["vocab"] = [model["vocab"][i] for i in kept if i < len(model["vocab"])]
        model["unk_id"] = new_id[model["unk_id"]]
    else:
        pieces = model["vocab"] = {piece: new_id[i] for piece, i in model["vocab"].items() if i in new_id}
        if model["type"] == "BPE":
            model["merges"] = [[a, b] for a, b in model["merges"] if a in pieces and b in pieces and a + b in pieces]
    state["added_tokens"] = [t | {"id": new_id[t["id"]]} for t in state["added_tokens"] if t["id"] in new_id]
    renumber(state["post_processor"], new_id)
    state["truncation"] = state["padding"] = None


def _counts(tokenizer: PretrainedTokenizer, state: JsonObject, texts: Iterable[str]) -> Counter[int]:
    """How often ``texts`` use each token."""
    # BERT's tokenizer never joins across white space: each distinct word is tokenized once.
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


def renumber(processor: JsonObject | None, new_id: dict[int, int]) -> None:
    """Put new ids into what adds special tokens around a text, in place."""
    if processor is None:
        return
    for inner in processor.get("processors", ()):  # a sequence of them
        renumber(inner, new_id)
    special = processor.get("special_tokens")
    for token in special.values() if isinstance(special, dict) else ():
        token["ids"] = [new_id[i] for i in token["ids"]]
    for key in ("sep", "cls"):  # of RoBERTa's and BERT's processors: [text, id]
        if isinstance(processor.get(key), list):
            processor[key][1] = new_id[processor[key][1]]
