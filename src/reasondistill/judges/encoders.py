"""Encode texts for the judge's network: hidden states of a frozen encoder, or ids of the judge's own vocabulary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import torch

from reasondistill.errors import CheckpointError
from reasondistill.languages.unknown_tokens import UNREADABLE, Reader
from reasondistill.metrics.bertscore import weights_hash
from reasondistill.quiet import quietly
from reasondistill.students.warm_start import encoder_path

MAX_TOKENS = 64
"""Per text; longer ones are cut."""
_BATCH = 128
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Encoded(NamedTuple):
    """The tokens of a text: their ids (L), and their states (L, width) in half precision, if any."""

    ids: list[int]
    states: torch.Tensor | None


class Encoder(Protocol):
    """Encodes each distinct text once, without context."""

    width: int
    """Of a token's state; 0 for numbers only."""
    vocabulary_size: int

    @property
    def settings(self) -> dict[str, Any]:
        """The settings from which `load_encoder` makes the same encoder."""
        ...

    def encode(self, texts: Iterable[str]) -> dict[str, Encoded]: ...

    def reads(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text has tokens other than "unknown"."""
        ...


class FrozenEncoder:
    """A BERT-like encoder whose weights stay as they are: its last hidden states, without the special tokens'.

    Args:
        name: as `reasondistill.students.warm_start.encoder_path` takes it.
        weights_sha256: the expected hash of the weights; None for any.

    Raises:
        CheckpointError: there is no such encoder, or it has other weights.
        MissingExtraError: ``offline:minilm`` is requested but not installed.
    """

    def __init__(self, name: str, weights_sha256: str | None = None) -> None:
        from transformers import AutoModel, AutoTokenizer

        path = encoder_path(name)
        try:
            with quietly():
                self._model = AutoModel.from_pretrained(path, use_safetensors=True, dtype=torch.float32).eval()
                self._tokenizer = AutoTokenizer.from_pretrained(path)
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                name, expected="a BERT-like encoder", found=str(error).strip().split("\n")[0]
            ) from error
        if getattr(self._model, "pooler", None) is not None:
            self._model.pooler = None
        self._name = name
        self._hash = weights_hash(self._model)
        if weights_sha256 not in (None, self._hash):
            raise CheckpointError(
                name,
                expected=f"the encoder that the judge was trained on (weights {weights_sha256})",
                found=f"other weights ({self._hash})",
                fix="Install the version it was trained with, or train the judge again.",
            )
        self._reader = Reader(self._tokenizer)
        self.width = int(self._model.config.hidden_size)
        self.vocabulary_size = 0

    @property
    def settings(self) -> dict[str, Any]:
        return {"kind": "frozen", "name": self._name, "weights_sha256": self._hash}

    def encode(self, texts: Iterable[str]) -> dict[str, Encoded]:
        distinct = sorted(dict.fromkeys(texts), key=lambda text: (len(text), text))  # little padding
        encoded: dict[str, Encoded] = {}
        with torch.inference_mode():
            for start in range(0, len(distinct), _BATCH):
                chunk = distinct[start : start + _BATCH]
                batch = self._tokenizer(
                    chunk, truncation=True, max_length=MAX_TOKENS + 2, padding=True, return_tensors="pt"
                )
                states = self._model(**batch).last_hidden_state.to(torch.float16)
                lengths = batch["attention_mask"].sum(dim=1).tolist()
                for k, (text, n) in enumerate(zip(chunk, lengths, strict=True)):
                    # A copy: a slice would keep its whole batch in memory.
                    encoded[text] = Encoded(batch["input_ids"][k, 1 : n - 1].tolist(), states[k, 1 : n - 1].clone())
        return encoded

    def reads(self, texts: Sequence[str]) -> list[bool]:
        return [loss.share <= UNREADABLE for loss in self._reader.losses(texts)]


class WordEncoder:
    """Word ids of a vocabulary; the network learns their embeddings. 0 stands for every other word."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)
        self._number = {word: k for k, word in enumerate(words, start=1)}
        self.width = 0
        self.vocabulary_size = len(words) + 1

    @classmethod
    def of(cls, texts: Iterable[str], size: int) -> WordEncoder:
        """The most frequent words of ``texts``, at most ``size``, lowercased."""
        counts = Counter(word for text in texts for word in _WORD.findall(text.lower()))
        return cls(sorted(counts, key=lambda word: (-counts[word], word))[:size])

    @property
    def settings(self) -> dict[str, Any]:
        return {"kind": "words", "words": self._words}

    def encode(self, texts: Iterable[str]) -> dict[str, Encoded]:
        return {
            text: Encoded([self._number.get(word, 0) for word in _WORD.findall(text.lower())[:MAX_TOKENS]], None)
            for text in dict.fromkeys(texts)
        }

    def reads(self, texts: Sequence[str]) -> list[bool]:
        """Always true: unknown words say nothing for or against a label."""
        return [True] * len(texts)


def load_encoder(settings: dict[str, object]) -> Encoder:
    """The encoder of these ``settings``.

    Raises:
        CheckpointError: it is not available, or its weights have changed.
    """
    kind, words = settings.get("kind"), settings.get("words")
    if kind == "words" and isinstance(words, list) and all(isinstance(word, str) for word in words):
        return WordEncoder(words)
    name, weights = settings.get("name"), settings.get("weights_sha256")
    if kind == "frozen" and isinstance(name, str) and isinstance(weights, str):
        return FrozenEncoder(name, weights)
    raise CheckpointError(
        "encoder",
        expected="kind words with a list of words, or kind frozen with name and weights_sha256",
        found=f"kind {kind!r:.60} with the keys {', '.join(sorted(settings))[:200]}",
    )
