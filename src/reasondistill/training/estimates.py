"""How long a training will take on this machine and how much memory it needs, estimated before it begins.

Time follows from the operations of a step and a matrix product timed here and now; memory from parameters and batch.
docs/students.md ("Estimates") has how both compare with what was measured.
"""

from __future__ import annotations

import math
import os
import time
from functools import cache
from typing import Any, Final, NamedTuple

from reasondistill.config import HubStudent, ScratchStudent, TrainConfig, WarmStartStudent
from reasondistill.storage.launched import place
from reasondistill.students.checkpoint import head_is_tied, seq2seq_config
from reasondistill.training.hub_access import require_reachable
from reasondistill.training.progress import duration


class TextSizes(NamedTuple):
    """Tokens of prompts and targets: on average, and what there has to be room for."""

    source: float
    target: float
    longest_source: int
    longest_target: int


class Shape(NamedTuple):
    """What a student computes with.

    Attributes:
        encoder, decoder: parameters of their layers, without tables of tokens and positions.
        head: parameters of the product with the vocabulary.
        parameters: of the whole student.
        layers: of both sides.
    """

    encoder: int
    decoder: int
    head: int
    parameters: int
    layers: int
    d_model: int
    vocabulary: int


class Estimate(NamedTuple):
    """What a training is expected to take.

    Attributes:
        seconds: of training with its validation.
        memory: bytes, at most; ``available`` has the machine's, or its accelerator's.
        speed: operations a second of the matrix product that was timed.
    """

    seconds: float
    memory: int
    available: int
    speed: float
    device: str

    @property
    def fits(self) -> bool:
        return self.memory <= self.available

    def __str__(self) -> str:
        speed = self.speed / 1e9
        return (
            f"about {duration(self.seconds)} on {self.device} (from a matrix product timed now: "
            f"{speed:,.{0 if speed >= 10 else 1}f} GFLOP/s), "
            f"{self.memory / 2**30:.1f} of {self.available / 2**30:.1f} GiB of memory"
        )


PASSES: Final = 3
"""A backward pass takes twice the operations of a forward pass."""
_EFFICIENCY: Final = 0.8
"""Share of the timed product's speed that a student's products reach."""
_OF_UPDATE: Final = 560
"""What the optimizer's update of a parameter takes, in operations of the timed product: it waits for memory."""
_OF_LOGIT: Final = 2800
"""What softmax and loss of one entry of the vocabulary take, likewise."""
_BESIDES: Final = 1.3
"""Collating, packing, logging, checkpoints."""
_LAYER_SECONDS: Final = {"cpu": 5e-4, "cuda": 4e-4}
_STATE_BYTES: Final = 16
"""Of a parameter: itself, its gradient, and two moments of the optimizer."""
_ACTIVATION_BYTES: Final = 100
"""Of a token, a layer and a dimension, kept for the backward pass."""
_LOGIT_BYTES: Final = 16
"""Of a target token and an entry of the vocabulary: logits, their logarithms and gradients."""
_LIBRARIES: Final = 700 * 2**20
"""Bytes that PyTorch, transformers and Python take."""
_TOP = 0.9
"""Share of the memory that a training may fill."""


def estimate(config: TrainConfig, sizes: TextSizes, *, steps: int, validated: int = 0, labels: int = 1) -> Estimate:
    """What a training will take on this machine.

    Args:
        sizes: of the texts.
        steps: of the optimizer.
        validated: rows of each validation.
        labels: that are scored for each of these.

    Raises:
        CheckpointError: the student's configuration cannot be read.
        MissingExtraError: an extra that it needs is not installed.
    """
    shape = shape_of(config)
    speed, device = measured_speed()
    training = config.training
    batch = int(training.get("per_device_train_batch_size", 8))
    accumulation = int(training.get("gradient_accumulation_steps", 1))
    forward = forward_work(shape, sizes)
    validation = forward + forward_work(shape, sizes._replace(target=_LABEL_TOKENS * labels))
    evaluations = steps // int(training["eval_steps"]) if training.get("eval_steps") and validated else 0
    validated = math.ceil(validated / place().count)  # processes share these rows; each has a batch of its own
    work = steps * step_work(shape, forward, batch, accumulation) + evaluations * validated * validation
    passes = steps * accumulation * PASSES + evaluations * 2 * math.ceil(validated / 32)
    if isinstance(config.student, WarmStartStudent) and (denoising := config.student.denoising) is not None:
        work += denoising.max_steps * step_work(shape, forward, denoising.per_device_train_batch_size, 1)
        passes += denoising.max_steps * PASSES
    a_pass = shape.layers * layer_seconds(device)
    seconds = _BESIDES * (work / speed + passes * a_pass)
    return Estimate(seconds, memory_of(shape, sizes, batch), available_memory(), speed, device)


_LABEL_TOKENS = 4  # of a label that is scored


def layer_seconds(device: str) -> float:
    """What a pass through a layer takes however little it computes."""
    return _LAYER_SECONDS.get(device, _LAYER_SECONDS["cuda"])


def forward_work(shape: Shape, sizes: TextSizes) -> float:
    """Operations of a row's forward pass, in those of the timed product."""
    products = 2 * (shape.encoder * sizes.source + (shape.decoder + shape.head) * sizes.target)
    return products / _EFFICIENCY + _OF_LOGIT / PASSES * sizes.target * shape.vocabulary


def step_work(shape: Shape, forward: float, batch: int, accumulation: int) -> float:
    """Operations of an optimizer step."""
    return PASSES * forward * batch * accumulation + _OF_UPDATE * shape.parameters


def memory_of(shape: Shape, sizes: TextSizes, batch: int) -> int:
    """Bytes that a training needs with batches of so many rows, none of which is longer than the longest."""
    tokens = sizes.longest_source + sizes.longest_target
    activations = _ACTIVATION_BYTES * tokens * shape.d_model * shape.layers / 2
    logits = _LOGIT_BYTES * sizes.longest_target * shape.vocabulary
    return int(_LIBRARIES + _STATE_BYTES * shape.parameters + batch * (activations + logits))


def largest_batch(shape: Shape, sizes: TextSizes, batch: int) -> int:
    """``batch``, halved until a training with it fits into memory."""
    room = available_memory() * _TOP
    while batch > 1 and memory_of(shape, sizes, batch) > room:
        batch = batch // 2
    return batch


@cache
def measured_speed() -> tuple[float, str]:
    """Operations a second of a matrix product, and where: on the accelerator, in bfloat16, where there is one."""
    import torch

    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    assert device is not None
    on_cpu = device.type == "cpu"
    size = 512 if on_cpu else 4096
    matrix = torch.ones(size, size, device=device, dtype=torch.float32 if on_cpu else torch.bfloat16)

    def product() -> float:
        started = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # waits for it
        return time.perf_counter() - started

    product()
    seconds = sorted(product() for _ in range(15))[7]
    return 2 * size**3 / seconds, device.type


def available_memory() -> int:
    """Bytes of the accelerator's memory, or, where there is none, of this process's part of the machine's."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // place().local_count
    except (ValueError, OSError, AttributeError):
        return 8 * 2**30


def shape_of(config: TrainConfig) -> Shape:
    """What the student of a configuration computes with, without its weights.

    Raises:
        CheckpointError: its configuration cannot be read.
        MissingExtraError: an extra that it needs is not installed.
    """
    import torch
    from transformers import AutoModelForSeq2SeqLM

    student = config.student
    with torch.device("meta"):
        model = AutoModelForSeq2SeqLM.from_config(model_config(student))
    head = model.get_output_embeddings().weight
    tables = {id(model.get_input_embeddings().weight), id(head)}
    encoder, decoder = (_layers(side, tables) for side in (model.get_encoder(), model.get_decoder()))
    # Counted from its parts: a T5 of random weights whose head is its own has three tables where a loaded one has two.
    tied = head_is_tied(model) or model.config.tie_word_embeddings
    return Shape(
        encoder=encoder,
        decoder=decoder,
        head=head.numel(),
        parameters=encoder + decoder + head.numel() * (1 if tied else 2),
        layers=_depth(model.config),
        d_model=head.shape[1],
        vocabulary=head.shape[0],
    )


def _layers(side: Any, tables: set[int]) -> int:
    return sum(p.numel() for n, p in side.named_parameters() if id(p) not in tables and "embed" not in n)


def _depth(config: object) -> int:
    names = (("encoder_layers", "decoder_layers"), ("num_layers", "num_decoder_layers"))
    for encoder, decoder in names:
        if (n := getattr(config, encoder, None)) is not None:
            return int(n) + int(getattr(config, decoder, None) or n)
    return 24


_FLAN_T5: Final = {
    "google/flan-t5-small": {"d_model": 512, "d_ff": 1024, "num_layers": 8, "num_heads": 6},
    "google/flan-t5-base": {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12},
    "google/flan-t5-large": {"d_model": 1024, "d_ff": 2816, "num_layers": 24, "num_heads": 16},
}
"""Their sizes, as their config.json has them: an estimate needs no download."""


def model_config(student: HubStudent | ScratchStudent | WarmStartStudent) -> Any:
    from transformers import AutoConfig, BartConfig, T5Config

    if isinstance(student, HubStudent):
        if (sizes := _FLAN_T5.get(student.checkpoint)) is None:
            require_reachable(student.checkpoint, student.revision)
            return seq2seq_config(student.checkpoint, revision=student.revision)
        config = T5Config(
            **sizes, d_kv=64, vocab_size=32_128, feed_forward_proj="gated-gelu", num_decoder_layers=sizes["num_layers"]
        )
        config.tie_word_embeddings = False
        return config
    if isinstance(student, ScratchStudent):
        return T5Config(
            **student.model_dump(include={"d_model", "d_ff", "d_kv", "num_heads", "num_layers", "num_decoder_layers"}),
            vocab_size=student.vocab_size,
        )
    from reasondistill.students.warm_start import encoder_path

    encoder = AutoConfig.from_pretrained(encoder_path(student.encoder), trust_remote_code=False)
    # A vocabulary of the task's own is a part of the encoder's: about a third on e-SNLI.
    vocabulary = encoder.vocab_size // 3 if student.vocabulary == "task" else encoder.vocab_size
    return BartConfig(
        d_model=encoder.hidden_size,
        encoder_layers=encoder.num_hidden_layers,
        decoder_layers=student.num_decoder_layers,
        encoder_ffn_dim=encoder.intermediate_size,
        decoder_ffn_dim=encoder.intermediate_size,
        encoder_attention_heads=encoder.num_attention_heads,
        decoder_attention_heads=encoder.num_attention_heads,
        vocab_size=vocabulary,
        max_position_embeddings=encoder.max_position_embeddings,
    )
