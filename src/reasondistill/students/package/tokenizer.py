"""A student's tokenizer without transformers: the library `tokenizers`, and what transformers does around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.errors import refused
from reasondistill.languages.tokenizer_protocol import Tokenizer
from reasondistill.storage.files import write_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer as BackendTokenizer
    from transformers import PreTrainedTokenizerFast

TOKENIZER_FILE = "tokenizer.json"

_CLEANED = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")
"""Where transformers removes a space after WordPiece (``clean_up_tokenization``), in its order."""


TokenId = Annotated[int, Field(ge=0, lt=2**31)]


class TokenizerFacts(BaseModel):
    """What `transformers` knows of a tokenizer besides ``tokenizer.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    eos_token_id: TokenId
    pad_token_id: TokenId
    unk_token_id: TokenId | None
    cleans_up_spaces: bool
    truncation_side: Literal["left", "right"]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast, *, eos_token_id: int) -> TokenizerFacts:
        """The facts of a fast tokenizer of transformers.

        Args:
            eos_token_id: the end token of the student's `students.codec.Codec`.
        """
        # transformers ignores this flag for BPE, unless a second flag is set too.
        bpe = type(tokenizer.backend_tokenizer.model).__name__ == "BPE"
        anyway = getattr(tokenizer, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", False)
        return cls(
            eos_token_id=eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            unk_token_id=tokenizer.unk_token_id,
            cleans_up_spaces=bool(tokenizer.clean_up_tokenization_spaces) and (not bpe or bool(anyway)),
            truncation_side=tokenizer.truncation_side,
        )


class PlainTokenizer:
    """The interface of a fast tokenizer of transformers that `students.codec.Codec` uses, with the same results.

    Args:
        backend: a `tokenizers.Tokenizer`.
        facts: of the original tokenizer.
    """

    is_fast = True

    def __init__(self, backend: BackendTokenizer, facts: TokenizerFacts) -> None:
        self.backend_tokenizer = backend
        self.eos_token_id = facts.eos_token_id
        self.pad_token_id = facts.pad_token_id
        self.unk_token_id = facts.unk_token_id
        self._cleans_up = facts.cleans_up_spaces
        self._side = facts.truncation_side

    @classmethod
    def load(cls, folder: str | Path, facts: TokenizerFacts) -> PlainTokenizer:
        """Read ``tokenizer.json``.

        Raises:
            CheckpointError: it is not a tokenizer.
        """
        from tokenizers import Tokenizer

        path = Path(folder) / TOKENIZER_FILE
        with refused(path, "a tokenizer"):
            backend = Tokenizer.from_file(str(path))
        return cls(backend, facts)

    def __call__(
        self, text: str, *, add_special_tokens: bool = True, truncation: bool = False, max_length: int | None = None
    ) -> dict[str, list[int]]:
        backend = self.backend_tokenizer
        if truncation:
            assert max_length is not None
            backend.enable_truncation(max_length, direction=self._side)
        try:
            return {"input_ids": backend.encode(text, add_special_tokens=add_special_tokens).ids}
        finally:
            if truncation:
                backend.no_truncation()

    def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
        text: str = self.backend_tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        if self._cleans_up:
            for spaced in _CLEANED:
                text = text.replace(spaced, spaced.strip())
        return text


def save_tokenizer(tokenizer: Tokenizer, folder: str | Path) -> None:
    """Write a fast tokenizer of transformers as ``tokenizer.json``, without settings left behind by calls."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    write_json(Path(folder) / TOKENIZER_FILE, state | {"truncation": None, "padding": None})
