"""The interface of tokenizers: that of transformers' fast ones, as far as it is used here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tokenizers import Tokenizer as BackendTokenizer


class Tokenizer(Protocol):
    """A fast tokenizer of transformers, or one with its interface."""

    @property
    def is_fast(self) -> bool: ...

    @property
    def backend_tokenizer(self) -> BackendTokenizer:
        """The `tokenizers.Tokenizer` behind it."""
        ...

    @property
    def eos_token_id(self) -> int | None: ...

    @property
    def pad_token_id(self) -> int | None: ...

    @property
    def unk_token_id(self) -> int | None: ...

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The ``input_ids`` of a text or of several."""
        ...

    def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str: ...


class PretrainedTokenizer(Tokenizer, Protocol):
    """A tokenizer of transformers, with everything else that it offers."""

    def __getattr__(self, name: str) -> Any: ...

    def __len__(self) -> int: ...

    def save_pretrained(self, folder: str | Path) -> object: ...
