"""Which parameters of a student are trained: frozen parts, and low-rank adapters (LoRA) on frozen weights.

The adapters are put into the student's own modules, so that it keeps its class and layout: what encodes, scores,
generates and saves it sees no difference. In the finished student they are added to the weights that they stand beside
and are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reasondistill.config import Lora, Part
from reasondistill.contracts.seals import SEAL_FILE
from reasondistill.errors import ConfigError, importing
from reasondistill.students.checkpoint import Checkpoint, head_is_tied
from reasondistill.students.model_protocol import EncoderDecoder
from reasondistill.students.student_task import TASK_FILE

_ATTENDING = {"q", "v", "q_proj", "v_proj"}
"""What query and value projections are called in T5's family and in BART's; the pair of Hu et al. 2022."""


@dataclass(frozen=True)
class AdaptedCheckpoint(Checkpoint):
    """A student with adapters in it: goes on with training, but has to be `merged` before it is a student."""

    tuner: Any
    """peft's `LoraModel`, which put them there."""

    def save(self, folder: str | Path) -> None:
        """Write weights and adapters apart, so that training goes on from them to the last bit.

        Without ``task.json`` nothing takes the folder for a student: transformers would make random weights for those
        whose names the adapters have changed.
        """
        super().save(folder)
        for name in (TASK_FILE, SEAL_FILE):
            (Path(folder) / name).unlink()

    def merged(self) -> Checkpoint:
        """The student itself, each adapter added to its weights; this one is used up by it."""
        tied = self.model.config.tie_word_embeddings
        model = self.tuner.merge_and_unload()
        # peft 0.21 compares a head with the encoder's embeddings, and takes T5Gemma's for one of its own.
        model.config.tie_word_embeddings = tied
        return Checkpoint(model.requires_grad_(True), self.tokenizer, self.settings)


def adapt(student: Checkpoint, *, freeze: Sequence[Part] = (), lora: Lora | None = None, seed: int = 0) -> Checkpoint:
    """Mark what learns and what does not, in place, and put in the adapters.

    Args:
        student: a whole one.
        freeze: parts that do not learn, nor do their adapters.
        lora: adapters to train in place of the weights.
        seed: of the adapters' first weights.

    Returns:
        What to train; an `AdaptedCheckpoint` where there are adapters.

    Raises:
        ConfigError: nothing would learn, or the adapters do not fit the student.
        MissingExtraError: peft is needed and not installed.
    """
    result = student if lora is None else _put_in(student, lora, seed)
    parts = parts_of(result.model)
    for part in freeze:
        for parameter in parts[part]:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in result.model.parameters()):
        raise ConfigError(
            "freeze",
            expected="something that is left to learn",
            found=f"{', '.join(freeze)} frozen{' and all adapters in them' if lora else ''}",
            fix="Take a part out.",
        )
    return result


def parts_of(model: EncoderDecoder) -> dict[Part, list[nn.Parameter]]:
    """A student's parameters, each in one part.

    ``embeddings`` are the tables that tokens are looked up in, which most students share between both sides and, where
    its weights are tied, with the head. ``encoder`` and ``decoder`` are the rest of each side, positions and norms
    among it; a head of its own belongs to the decoder.
    """
    sides = (model, model.get_encoder(), model.get_decoder())
    embeddings = {id(p) for side in sides for p in side.get_input_embeddings().parameters()}
    encoder = {id(p) for p in model.get_encoder().parameters()} - embeddings
    parts: dict[Part, list[nn.Parameter]] = {"encoder": [], "decoder": [], "embeddings": []}
    for parameter in model.parameters():
        name: Part = (
            "embeddings" if id(parameter) in embeddings else "encoder" if id(parameter) in encoder else "decoder"
        )
        parts[name].append(parameter)
    return parts


def trained_count(model: EncoderDecoder) -> int:
    """Parameters that learn, shared ones counted once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _put_in(student: Checkpoint, lora: Lora, seed: int) -> AdaptedCheckpoint:
    with importing("lora", "peft"):
        from peft import LoraConfig, LoraModel

    model = student.model
    options = lora.model_dump(exclude_none=True)
    if lora.target_modules is None:
        linear = {name.rpartition(".")[2] for name, part in model.named_modules() if isinstance(part, nn.Linear)}
        options["target_modules"] = sorted(linear & _ATTENDING)
        if not options["target_modules"]:
            raise ConfigError(
                "lora.target_modules",
                expected="names of modules: this student's attention has none of the usual ones",
                found=f"{sorted(linear)} in a model of type {model.config.model_type!r}",
                fix="Name the ones to adapt.",
            )
    head_is_shared = head_is_tied(model)
    # A seed of their own, so that a run that was cut before its first checkpoint begins with the same adapters.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            tuner = LoraModel(model, LoraConfig(**options), "default")
        except (ValueError, TypeError, KeyError, NotImplementedError) as error:
            raise ConfigError("lora", problem=str(error).strip()) from error
    sharing = [side.get_input_embeddings() for side in (model, model.get_encoder(), model.get_decoder())]
    if any(map(_is_adapted, [*sharing, model.get_output_embeddings()] if head_is_shared else sharing)):
        raise ConfigError(
            "lora",
            expected="target_modules and modules_to_save whose weights no other module shares",
            found="token embeddings or the head among them",
            fix="Name attention or feed-forward modules.",
        )
    return AdaptedCheckpoint(model, student.tokenizer, student.settings, tuner)


def _is_adapted(module: nn.Module) -> bool:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    return isinstance(module, BaseTunerLayer | ModulesToSaveWrapper)
