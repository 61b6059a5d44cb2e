"""Tokenizers that transformers has only in Python, with the interface that `students.codec.Codec` needs.

The codec needs the offsets of tokens in a text, which only the library `tokenizers` provides. ByT5's tokenizer is
rebuilt with that library. Marian's, two SentencePiece models with one list of ids, is wrapped: its SentencePiece models
give the offsets.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reasondistill.errors import CheckpointError
from reasondistill.storage.files import fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast


def as_fast(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A tokenizer with the same ids that `students.codec.Codec` can use.

    Raises:
        CheckpointError: there is no such tokenizer.
    """
    if tokenizer.is_fast:
        return tokenizer
    kind = type(tokenizer).__name__
    if kind == "ByT5Tokenizer":
        return _bytes_as_fast(tokenizer)
    if kind == "MarianTokenizer":
        return MarianPair(tokenizer)
    raise CheckpointError(
        kind,
        expected="a tokenizer of the library tokenizers (with a tokenizer.json), ByT5's or Marian's",
        found="a tokenizer that transformers has only in Python",
        fix="Use a checkpoint with another tokenizer.",
    )


def _bytes_as_fast(slow: PreTrainedTokenizer) -> PreTrainedTokenizerFast:
    """ByT5's tokenizer: a token for each byte of a text's UTF-8, behind three special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = {i: token for i, token in sorted(slow.added_tokens_decoder.items()) if i < slow.offset}
    vocabulary = {token.content: i for i, token in special.items()}
    vocabulary |= {character: slow.offset + byte for byte, character in enumerate(_characters_of_bytes())}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([token for _, token in sorted(slow.added_tokens_decoder.items())])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {slow.eos_token}", special_tokens=[(slow.eos_token, slow.eos_token_id)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=slow.pad_token,
        eos_token=slow.eos_token,
        unk_token=slow.unk_token,
        clean_up_tokenization_spaces=False,
    )


def _characters_of_bytes() -> list[str]:
    """What the library `tokenizers` writes for each byte: itself where it can be seen, else one from 256 on (GPT-2)."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte if byte in seen else next(others)) for byte in range(256)]


class _Encoded(NamedTuple):
    """A text's token ids, and the offsets (begin, end) of each in the text."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class MarianPair:
    """Marian's tokenizer with the interface that `students.codec.Codec` needs: one model for prompts, one for targets.

    Args:
        slow: a `transformers.MarianTokenizer`, which provides all other attributes.
    """

    is_fast = True

    def __init__(self, slow: PreTrainedTokenizer) -> None:
        self.slow = slow
        self.backend_tokenizer = _MarianBackend(slow)

    def __getattr__(self, name: str) -> Any:
        if name == "slow":  # not set yet while a copy is made
            raise AttributeError(name)
        return getattr(self.slow, name)

    def __len__(self) -> int:
        return len(self.slow)

    def __call__(self, texts: Any, *, add_special_tokens: bool = True, **options: Any) -> Any:
        """Encode prompts or, without special tokens, targets."""
        if add_special_tokens:
            return self.slow(texts, **options)
        return self.slow(text_target=texts, add_special_tokens=False, **options)

    def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
        text: str = self.slow.decode(ids, skip_special_tokens=skip_special_tokens, use_source_tokenizer=False)
        return text

    def save_pretrained(self, folder: str | Path) -> None:
        self.slow.save_pretrained(folder)


class _MarianBackend:
    """What the codec uses of a `tokenizers.Tokenizer`."""

    truncation = padding = None

    def __init__(self, slow: PreTrainedTokenizer) -> None:
        self._slow = slow
        self._ids: dict[str, int] = slow.target_encoder if slow.separate_vocabs else slow.encoder

    def encode_batch_fast(self, texts: Sequence[str]) -> list[_Encoded]:
        """Prompts, with their end token."""
        return [_Encoded(ids, []) for ids in self._slow(list(texts))["input_ids"]]

    def encode_batch(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[_Encoded]:
        """Targets, without special tokens."""
        return [self._encode_target(text) for text in texts]

    def _encode_target(self, text: str) -> _Encoded:
        from sentencepiece import sentencepiece_pb2

        # The one form that all releases of sentencepiece have; its places are those of bytes.
        message = self._slow.spm_target.encode(text, out_type="serialized_proto")
        pieces = sentencepiece_pb2.SentencePieceText.FromString(message).pieces  # type: ignore[attr-defined]
        character = [*(i for i, c in enumerate(text) for _ in c.encode()), len(text)]
        unknown = self._ids[str(self._slow.unk_token)]
        return _Encoded(
            [self._ids.get(piece.piece, unknown) for piece in pieces],
            [(character[piece.begin], character[piece.end]) for piece in pieces],
        )

    def get_vocab(self, *, with_added_tokens: bool = True) -> dict[str, int]:
        """Every token that it reads or writes."""
        return {**self._ids, **self._slow.encoder}

    def to_str(self) -> str:
        """All that decides on the ids, as JSON."""
        models = [fingerprint(m.serialized_model_proto().hex()) for m in (self._slow.spm_source, self._slow.spm_target)]
        return json.dumps({"source": models[0], "target": models[1], "encoder": self._slow.encoder, "ids": self._ids})
