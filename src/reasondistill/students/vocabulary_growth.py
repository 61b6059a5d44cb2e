"""Giving a student's vocabulary whole pieces for words that it spells, before it learns from texts that have them.

A new piece begins as the mean of the pieces that spelled its word, in the embedding and in the head. Its logit is then
the mean of theirs and never the largest one: until it learns, the student writes what it wrote, and texts without the
new words are read as before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reasondistill.errors import CheckpointError
from reasondistill.languages.tokenizer_protocol import PretrainedTokenizer
from reasondistill.students.families import family_of, those_that
from reasondistill.students.model_protocol import EncoderDecoder
from reasondistill.students.vocabulary import renumber, tokenizer_of, with_token_rows

if TYPE_CHECKING:
    from torch import Tensor

_MOST = 500  # words
_UNKNOWN = 10.0
"""What a Unigram tokenizer takes off its least score for a character that it does not know."""


class Piece(NamedTuple):
    """A token of a tokenizer's model."""

    text: str
    id: int


def grow(
    model: EncoderDecoder, tokenizer: PretrainedTokenizer, texts: Iterable[str], *, min_count: int = 3
) -> tuple[EncoderDecoder, PretrainedTokenizer]:
    """A student with a piece of its own for each of the commonest words of ``texts`` without one.

    Args:
        model: an encoder-decoder of transformers.
        tokenizer: of the same model: WordPiece, Unigram or BPE.
        texts: the prompts and targets of what is new.
        min_count: how often a word has to occur.

    Returns:
        The new model and tokenizer; the same ones where no word is new.

    Raises:
        CheckpointError: the student is of a family, or its tokenizer of a kind, that cannot be grown.
    """
    import torch

    if not family_of(model).trims:
        raise CheckpointError(
            "update.grow_vocabulary",
            expected=f"a student of a family whose vocabulary can be changed ({those_that('trims')})",
            found=f"a model of type {model.config.model_type!r}",
            fix="Leave it out.",
        )
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    words = _spelled(tokenizer, texts, min_count)
    if not words:
        return model, tokenizer
    base = len(state["model"]["vocab"])  # tokens that are no pieces, such as BART's <s>, may stand behind them
    added = _add(state["model"], words, base)
    shifted = {i: i if i < base else i + len(added) for i in range(int(model.config.vocab_size))}
    state["added_tokens"] = [token | {"id": shifted[token["id"]]} for token in state["added_tokens"]]
    renumber(state["post_processor"], shifted)

    def with_new_rows(table: Tensor) -> Tensor:
        means = [table[list(of)].mean(dim=0) for of in added]
        return torch.cat([table[:base], torch.stack(means), table[base:]])

    grown = tokenizer_of(state, tokenizer, clean_up=tokenizer.clean_up_tokenization_spaces)
    return with_token_rows(model, shifted, with_new_rows), grown


def _spelled(tokenizer: PretrainedTokenizer, texts: Iterable[str], min_count: int) -> dict[str, list[Piece]]:
    """The commonest words without a piece of their own, as the tokenizer's model sees them → what spells them."""
    backend = tokenizer.backend_tokenizer
    counts: Counter[str] = Counter()
    for text in texts:
        plain = text if backend.normalizer is None else backend.normalizer.normalize_str(text)
        parts = [(plain, (0, 0))] if backend.pre_tokenizer is None else backend.pre_tokenizer.pre_tokenize_str(plain)
        counts.update(word for word, _ in parts if sum(map(str.isalpha, word)) > 1)
    unknown = tokenizer.unk_token_id
    spelled: dict[str, list[Piece]] = {}
    for word, count in counts.most_common():
        pieces = [Piece(token.value, token.id) for token in backend.model.tokenize(word)]
        if count >= min_count and (len(pieces) > 1 or pieces[0].id == unknown):
            spelled[word] = pieces
    return dict(list(spelled.items())[:_MOST])


def _add(model: dict[str, Any], words: Mapping[str, Sequence[Piece]], base: int) -> list[list[int]]:
    """Put words into a tokenizer's model, as its JSON has it, in place.

    Returns:
        for each new piece, from the id ``base`` on, the ids of the pieces that spelled it.
    """
    vocabulary = model["vocab"]
    if model["type"] == "Unigram":
        unknown = min(score for _, score in vocabulary) - _UNKNOWN
        scores = {i: score for i, (_, score) in enumerate(vocabulary)} | {model["unk_id"]: unknown}
        # Hardly likelier than its spelling: enough to be chosen in its place, and nowhere else.
        vocabulary += [[word, sum(scores[piece.id] for piece in of) + 1e-3] for word, of in words.items()]
        return [[piece.id for piece in of] for of in words.values()]
    added: list[list[int]] = []

    def add(text: str, of: Sequence[Piece]) -> None:
        if text not in vocabulary:
            vocabulary[text] = base + len(added)
            added.append([piece.id for piece in of])

    for word, of in words.items():
        if model["type"] == "WordPiece":
            add(word, of)
            continue
        for end in range(2, len(of) + 1):  # after all merges that are there: what these make of other words stays
            pair = ["".join(piece.text for piece in of[: end - 1]), of[end - 1].text]
            if pair not in model["merges"]:
                model["merges"].append(pair)
            add("".join(pair), of[:end])
    return added
