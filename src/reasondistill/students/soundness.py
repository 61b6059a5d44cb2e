"""Checks when a student is loaded: values in range, sizes that match the weights, finite numbers, a first answer.

A folder may contain anything. What would exhaust the memory is refused before it is built, and errors of the libraries
below become one sentence.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reasondistill.errors import CheckpointError, UserError, first_line, refused
from reasondistill.storage.files import JsonObject, read_json
from reasondistill.students.model_protocol import EncoderDecoder

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from reasondistill.students.codec import Codec

WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"
_READ = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", INDEX_FILE)
_LARGEST_FILE = 2**26
"""Bytes of a JSON file; the largest are vocabularies of tokenizers, with about 2**24."""
_SPARE = 2**24
"""Numbers that a model may have besides the stored ones: computed tables, and missing weights, which are reported
later."""
_TRIED = 32
"""Prompt tokens of the first answer: enough for T5's positions to reach their logarithmic buckets."""

_RANGES: tuple[tuple[str, float, float], ...] = (
    (r"layer_norm_eps(ilon)?", 1e-15, 0.1),
    (r".*dropout(_rate)?|.*layerdrop", 0.0, 1.0),
    (r".*layers", 0, 2**31 - 1),  # checked against the weights
    (r".*(positions?|position_embeddings)", 1, 2**16),
    (r"d_.*|.*_heads|.*_dim|vocab_size|.*_buckets|.*_distance", 1, 2**31 - 1),
)
"""Keys of config.json with their smallest and largest values; null and absent keys pass."""
_SWITCH = re.compile(r"(is|use|tie|scale|normalize)_.*")
_IDS = re.compile(r".*_token_id")


def require_values(folder: str | Path) -> None:
    """Check that the small files of a checkpoint's folder are JSON, and the types and ranges of ``config.json``.

    Raises:
        CheckpointError: a file is torn or too large, or has a value that no model can have.
    """
    for path in (Path(folder) / name for name in (*_READ, "tokenizer.json")):
        if path.is_file() and path.stat().st_size > _LARGEST_FILE:
            found = f"{path.stat().st_size:,} bytes"
            raise CheckpointError(path, expected=f"at most {_LARGEST_FILE:,} bytes", found=found)
    for path in (Path(folder) / name for name in _READ):
        if not path.is_file():
            continue
        try:
            values = read_json(path)
        except UserError as error:
            raise CheckpointError(error.where, expected=error.expected, found=error.found) from error
        if path.name == "config.json":
            for problem in _odd_values(values):
                raise CheckpointError(path, problem=problem, fix="Copy the folder again, or correct the value.")


def _odd_values(values: JsonObject) -> Iterator[str]:
    vocabulary = values.get("vocab_size")
    for key, value in values.items():
        if value is None:
            continue
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{key}: expected a number, found {value}"
        for pattern, least, most in _RANGES:
            if re.fullmatch(pattern, key):
                whole = isinstance(value, int) and not isinstance(value, bool)
                if not (whole or (isinstance(value, float) and isinstance(most, float))) or not least <= value <= most:
                    kind = "a number" if isinstance(most, float) else "a whole number"
                    yield f"{key}: expected {kind} from {least:g} to {most:g}, found {value!r:.60}"
        if _SWITCH.fullmatch(key) and not isinstance(value, bool):
            yield f"{key}: expected true or false, found {value!r:.60}"
        if _IDS.fullmatch(key):
            for token_id in value if isinstance(value, list) else [value]:
                below = vocabulary if isinstance(vocabulary, int) else 2**31
                if not isinstance(token_id, int) or isinstance(token_id, bool) or not 0 <= token_id < below:
                    yield f"{key}: expected a token's number below vocab_size, found {token_id!r:.60}"


def require_backed(folder: str | Path, config: PretrainedConfig, model_class: type[PreTrainedModel]) -> None:
    """Compare the sizes in ``config.json`` with the shapes of the stored weights, which are not read.

    Raises:
        CheckpointError: there are no weights in safetensors, or they differ in size, or far too few.
    """
    import torch

    shapes = _stored_shapes(Path(folder))
    stored = sum(math.prod(shape) for shape in shapes.values())
    expected = "the weights that config.json describes"
    fix = "Copy the folder again."
    layers = {key: value for key, value in config.to_dict().items() if key.endswith("layers") and value}
    for key, value in layers.items():
        if value > len(shapes):
            found = f"{key} {value:,} and {len(shapes):,} tensors"
            raise CheckpointError(folder, expected=expected, found=found, fix=fix)
    with refused(folder, "a config.json that describes a model"), torch.device("meta"):
        model = model_class(copy.deepcopy(config))
    tensors = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    for name, tensor in tensors.items():
        if name in shapes and tuple(tensor.shape) != shapes[name]:
            found = f"{name} of the shape {shapes[name]} instead of {tuple(tensor.shape)}"
            raise CheckpointError(folder, expected=expected, found=found, fix=fix)
    there = {id(tensor) for name, tensor in tensors.items() if name in shapes}
    missing = {id(tensor): tensor.numel() for tensor in tensors.values() if id(tensor) not in there}
    if sum(missing.values()) > stored + _SPARE:
        found = f"{stored:,} numbers, of {stored + sum(missing.values()):,}"
        raise CheckpointError(folder, expected=expected, found=found, fix=fix)


def _stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors in a folder, by name."""
    from safetensors import SafetensorError, safe_open

    files = [folder / WEIGHTS_FILE]
    if not files[0].is_file() and (folder / INDEX_FILE).is_file():
        places = read_json(folder / INDEX_FILE).get("weight_map")
        names = set(places.values()) if isinstance(places, dict) and all(map(_is_name, places.values())) else set()
        files = [folder / name for name in sorted(names)]
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        if not path.is_file():
            raise CheckpointError(
                folder,
                expected="weights in safetensors",
                found=f"no file named {path.name}",
                fix="Weights in another form are not read: save them with transformers' save_pretrained.",
            )
        try:
            with safe_open(path, "pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - not a dict
                    part = tensors.get_slice(name)
                    if part.get_dtype() not in ("F64", "F32", "F16", "BF16"):
                        found = f"{name} of the type {part.get_dtype()}"
                        raise CheckpointError(path, expected="weights in floating point", found=found)
                    shapes[name] = tuple(part.get_shape())
        except (SafetensorError, OSError) as error:
            raise CheckpointError(path, expected="weights in safetensors", found=first_line(error)) from error
    return shapes


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.endswith(".safetensors") and Path(value).name == value


def require_numbers(name: object, model: EncoderDecoder) -> None:
    """Refuse weights that are not finite.

    Raises:
        CheckpointError: a weight is NaN or infinite; the first such tensor is named.
    """
    import torch

    for key, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if not tensor.numel() or not tensor.is_floating_point():
            continue
        if not all(torch.isfinite(bound) for bound in tensor.detach().aminmax()):
            raise CheckpointError(
                name,
                expected="weights that are finite numbers",
                found=f"NaN or infinity in {key}",
                fix="Copy the folder again, or use another checkpoint of its run.",
            )


def require_answering(folder: object, model: EncoderDecoder, codec: Codec, prompt: str) -> None:
    """Let a student read a prompt and score a first token.

    Args:
        folder: its folder, for messages.
        model: in evaluation mode.
        codec: of the same student.
        prompt: any text.

    Raises:
        CheckpointError: its parts do not fit together, or its scores are not finite.
    """
    import torch

    rows = model.get_input_embeddings().weight.shape[0]
    numbers = codec.tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True).values()
    largest = max([*numbers, codec.decoder_start_token_id, codec.eos_token_id, codec.pad_token_id])
    if largest >= rows or min(codec.decoder_start_token_id, codec.eos_token_id, codec.pad_token_id) < 0:
        found = f"a token with the number {largest:,} and {rows:,} embeddings"
        raise CheckpointError(folder, expected="a tokenizer that fits the model", found=found)
    with refused(folder, "a student that can answer"), torch.inference_mode():
        words = codec.encode_prompts([prompt])[0]
        if not words:
            raise CheckpointError(folder, expected="a tokenizer that encodes a prompt", found="no tokens")
        ids = torch.tensor([(words * _TRIED)[:_TRIED]], device=model.device)
        start = torch.tensor([[codec.decoder_start_token_id]], device=model.device)
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=start).logits
        codec.decode(words)
    if not torch.isfinite(logits).all():
        raise CheckpointError(
            folder,
            expected="a student whose scores are finite numbers",
            found="NaN or infinity",
            fix="Its weights are damaged, or overflow in this precision. Copy the folder again.",
        )
