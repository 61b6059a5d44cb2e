"""A student on disk: a plain Hugging Face checkpoint with its tokenizer, and ``task.json`` with what it was asked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasondistill.calibration import CALIBRATION_FILE
from reasondistill.errors import CheckpointError, refused
from reasondistill.features import Codec
from reasondistill.seals import WEIGHTS, require_unchanged, seal_folder
from reasondistill.student_task import StudentTask
from reasondistill.students.soundness import (
    require_answering,
    require_backed,
    require_numbers,
    require_values,
)


@dataclass(frozen=True)
class Checkpoint:
    """A student in memory: a transformers encoder-decoder, its tokenizer, and what it is asked."""

    model: Any
    tokenizer: Any
    asked: StudentTask

    @property
    def codec(self) -> Codec:
        return Codec(
            self.tokenizer,
            decoder_start_token_id=self.model.config.decoder_start_token_id,
            max_source_length=self.asked.max_source_length,
            max_target_length=self.asked.max_target_length,
        )

    def save(self, folder: str | Path) -> None:
        """Write the checkpoint into ``folder``, its seal last; plain transformers can load it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.asked.save(folder)
        seal_folder(folder)


def load_checkpoint(folder: str | Path, *, calibrated: bool = True) -> Checkpoint:
    """Load a student that `Checkpoint.save` wrote.

    Args:
        folder: the student's.
        calibrated: also hold its calibration to the seal; it is not read here.

    Raises:
        CheckpointError: the folder is no student, is damaged, or was changed since it was sealed.
    """
    require_student(folder, besides=() if calibrated else (CALIBRATION_FILE,))
    asked = StudentTask.load(folder)
    model, tokenizer = load_seq2seq(str(folder), local=True)
    with refused(folder, "a tokenizer that fits the model"):
        student = Checkpoint(model, tokenizer, asked)
        require_answering(folder, model, student.codec, asked.task.prompt)
    return student


def require_student(folder: str | Path, *, besides: Collection[str] = ()) -> None:
    """Hold a student's folder to its seal, where it has one; what is no folder of a student is left to its task."""
    if Path(folder).is_dir():
        require_unchanged(folder, besides=besides)


def load_tokenizer(folder: str | Path) -> Any:
    """A saved student's tokenizer alone.

    Raises:
        CheckpointError: the folder has none, or was changed since it was sealed.
    """
    from transformers import AutoTokenizer

    require_student(folder, besides=(WEIGHTS, CALIBRATION_FILE))
    require_values(folder)
    with refused(folder, "a tokenizer"):
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)


def load_seq2seq(
    name: str, *, revision: str = "main", local: bool = False, dropout: float | None = None
) -> tuple[Any, Any]:
    """Load any encoder-decoder and its tokenizer from the hub or a folder; weights from safetensors only.

    No code of a checkpoint's own is run.

    Args:
        revision: of the hub.
        local: it is a student in a folder: nothing is fetched, and all of its weights must be there.
        dropout: in embeddings and blocks, instead of what the checkpoint's configuration says.

    Raises:
        CheckpointError: it cannot be had, is damaged, or is no encoder-decoder.
    """
    from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

    # Without a word on remote code transformers asks on the terminal whether to run it.
    options: dict[str, Any] = {"revision": revision, "local_files_only": local, "trust_remote_code": False}
    if local:
        require_values(name)
    else:  # a folder may be a student, too, to be trained on
        require_student(name, besides=(CALIBRATION_FILE,))
    with refused(name, "an encoder-decoder of Hugging Face: a hub id or a folder with config.json"):
        config = AutoConfig.from_pretrained(name, **options)
    if not config.is_encoder_decoder or type(config) not in AutoModelForSeq2SeqLM._model_mapping:
        raise CheckpointError(
            name,
            expected="an encoder-decoder (T5, FLAN-T5, mT5, BART, …)",
            found=f"a model of type {config.model_type!r}",
            fix="Take a seq2seq checkpoint, or a warm start from a BERT-like encoder (student.kind: warm_start).",
        )
    if dropout is not None:
        _set_dropout(name, config, dropout)
    if local:
        require_backed(name, config, AutoModelForSeq2SeqLM._model_mapping[type(config)])
    with refused(name, "weights and tokenizer"):
        model, told = AutoModelForSeq2SeqLM.from_pretrained(
            name, config=config, use_safetensors=True, output_loading_info=True, **options
        )
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
    if local:
        _require_all(name, told)
    require_numbers(name, model)
    return keep_epsilon(keep_untied(model)), tokenizer


def _set_dropout(name: str, config: Any, dropout: float) -> None:
    """Write a rate into a model's configuration, under the name that its family gives it."""
    key = next((key for key in ("dropout_rate", "dropout") if hasattr(config, key)), None)
    if key is None:
        raise CheckpointError(
            name,
            expected="a configuration with dropout_rate (T5) or dropout (BART), as student.dropout is set",
            found=f"one of type {config.model_type!r} with neither",
            fix="Leave student.dropout out.",
        )
    setattr(config, key, dropout)


def rebuilt(model: Any, config: Any, state: dict[str, Any], generation: Any) -> Any:
    """A model of the same class and mode with another configuration and other weights; what is shared stays shared.

    transformers 5 makes a T5 whose head is its own with separate tables for encoder and decoder, where a loaded
    FLAN-T5 has one for both.

    Args:
        state: all parameters of the new model, by name.
        generation: its generation settings.
    """
    import torch

    # Its random weights are overwritten at once: they must not change what is drawn afterwards.
    with torch.random.fork_rng(devices=[]):
        other = keep_epsilon(type(model)(config))
    other.load_state_dict(state)
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    for first, *rest in names.values():
        for name in rest:
            module, _, leaf = name.rpartition(".")
            setattr(other.get_submodule(module), leaf, other.get_parameter(first))
    other.generation_config = generation
    return keep_untied(other.train(model.training))


def _require_all(name: str, told: dict[str, Any]) -> None:
    """Refuse weights that transformers would make up at random, or leave out, with no more than a warning."""
    for kind, what in (("missing_keys", "no"), ("unexpected_keys", "beside them")):
        if keys := sorted(told[kind]):
            others = f" and {len(keys) - 3} others" if len(keys) > 3 else ""
            raise CheckpointError(
                name,
                expected="the weights that config.json asks for",
                found=f"{what} {', '.join(keys[:3])}{others}",
                fix="Copy the student's folder anew.",
            )


def keep_untied(model: Any) -> Any:
    """Say in a model's config that its head is its own, where it is.

    transformers 5 sets ``tie_word_embeddings`` on every T5 config, also for T5 v1.1 and FLAN-T5, whose heads are
    untied: they load rightly, but a later ``tie_weights()`` or a resize would silently tie them.
    """
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and head.weight is not embedding.weight:
        model.config.tie_word_embeddings = False
    return model


def keep_epsilon(model: Any) -> Any:
    """Give the norms of a BART-shaped student the epsilon that its config names, where it names one.

    `BartConfig` has no such key of its own, and the model's code always uses torch's default; a warm start from BERT
    keeps BERT's (see warm_start.py).
    """
    epsilon = getattr(model.config, "layer_norm_eps", None)
    if model.config.model_type == "bart" and epsilon is not None:
        from torch.nn import LayerNorm

        for module in model.modules():
            if isinstance(module, LayerNorm):
                module.eps = epsilon
    return model


def parameter_count(model: Any) -> int:
    """Parameters of a model, shared ones counted once."""
    return sum(p.numel() for p in model.parameters())
