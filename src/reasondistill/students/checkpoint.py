"""A student on disk: a plain Hugging Face checkpoint with its tokenizer, and ``task.json`` with its task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reasondistill.contracts.seals import WEIGHTS, require_unchanged, seal_folder
from reasondistill.errors import CheckpointError, refused
from reasondistill.languages.tokenizer_protocol import PretrainedTokenizer
from reasondistill.quiet import quietly
from reasondistill.runs import find_student
from reasondistill.students.calibration import CALIBRATION_FILE
from reasondistill.students.codec import Codec
from reasondistill.students.families import family_of, require_supported
from reasondistill.students.model_protocol import EncoderDecoder
from reasondistill.students.positions import Positions
from reasondistill.students.soundness import (
    require_answering,
    require_backed,
    require_numbers,
    require_values,
)
from reasondistill.students.student_task import StudentTask
from reasondistill.students.tokenizers import as_fast

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig


@dataclass(frozen=True)
class Checkpoint:
    """A student in memory: a transformers encoder-decoder, its tokenizer, and the settings of its task."""

    model: EncoderDecoder
    tokenizer: PretrainedTokenizer
    settings: StudentTask

    @property
    def codec(self) -> Codec:
        return Codec(
            self.tokenizer,
            decoder_start_token_id=decoder_start(self.model),
            max_source_length=self.settings.max_source_length,
            max_target_length=self.settings.max_target_length,
            positions=positions_of(self.model),
            order=self.settings.order,
        )

    def save(self, folder: str | Path) -> None:
        """Write the checkpoint into ``folder``, the seal last; plain transformers can load it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with quietly():
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.settings.save(folder)
        seal_folder(folder)


def load_checkpoint(folder: str | Path, *, calibrated: bool = True) -> Checkpoint:
    """Load a student that `Checkpoint.save` wrote.

    Args:
        folder: the student's, or all that `find_student` takes.
        calibrated: also verify the seal of its calibration, which is not read here.

    Raises:
        CheckpointError: the folder is not a student, is damaged, or was changed since it was sealed.
    """
    folder = find_student(folder)
    require_student(folder, besides=() if calibrated else (CALIBRATION_FILE,))
    settings = StudentTask.load(folder)
    model, tokenizer = load_seq2seq(str(folder), local=True)
    with refused(folder, "a tokenizer that fits the model"):
        student = Checkpoint(model, tokenizer, settings)
        require_answering(folder, model, student.codec, settings.task.prompt)
    return student


def require_student(folder: str | Path, *, besides: Collection[str] = ()) -> None:
    """Verify the seal of a student's folder, if it has one; other folders are left to `StudentTask.load`."""
    if Path(folder).is_dir():
        require_unchanged(folder, besides=besides)


def load_tokenizer(folder: str | Path, *, local_files_only: bool = True) -> PretrainedTokenizer:
    """Only the tokenizer of a saved student or, with ``local_files_only=False``, of a hub id.

    Raises:
        CheckpointError: the folder has none, or was changed since it was sealed.
    """
    from transformers import AutoTokenizer

    require_student(folder, besides=(WEIGHTS, CALIBRATION_FILE))
    if local_files_only:
        require_values(folder)
    with refused(folder, "a tokenizer"):
        tokenizer: PretrainedTokenizer = as_fast(
            AutoTokenizer.from_pretrained(str(folder), local_files_only=local_files_only, trust_remote_code=False)
        )
        return tokenizer


def load_seq2seq(
    name: str, *, revision: str = "main", local: bool = False, dropout: float | None = None
) -> tuple[EncoderDecoder, PretrainedTokenizer]:
    """Load an encoder-decoder and its tokenizer from the hub or a folder; weights from safetensors only.

    Code that comes with a checkpoint is never run.

    Args:
        revision: on the hub.
        local: it is a student's folder: nothing is downloaded, and unexpected weights are refused.
        dropout: in embeddings and blocks; by default that of the checkpoint's configuration.

    Raises:
        CheckpointError: it is not available, damaged or incomplete, or of an unsupported family.
    """
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    config = seq2seq_config(name, revision=revision, local=local)
    options: dict[str, object] = {"revision": revision, "local_files_only": local, "trust_remote_code": False}
    if dropout is not None:
        _set_dropout(name, config, dropout)
    if local:
        require_backed(name, config, AutoModelForSeq2SeqLM._model_mapping[type(config)])
    with refused(name, "weights and tokenizer"), quietly():
        model, loading_info = AutoModelForSeq2SeqLM.from_pretrained(
            name, config=config, use_safetensors=True, output_loading_info=True, **options
        )
        tokenizer = as_fast(AutoTokenizer.from_pretrained(name, **options))
    _require_all(name, loading_info, model, local=local)
    require_numbers(name, model)
    return keep_epsilon(keep_untied(model)), tokenizer


def seq2seq_config(name: str, *, revision: str = "main", local: bool = False) -> PretrainedConfig:
    """The configuration of an encoder-decoder, as in `load_seq2seq`.

    Raises:
        CheckpointError: it is not available, was changed since it was sealed, or is of an unsupported family.
    """
    from transformers import AutoConfig

    if local:
        require_values(name)
    else:  # a folder may be a student, too, to be trained on
        require_student(name, besides=(CALIBRATION_FILE,))
    # Without a word on remote code transformers asks on the terminal whether to run it.
    options: dict[str, object] = {"revision": revision, "local_files_only": local, "trust_remote_code": False}
    with refused(name, "an encoder-decoder of Hugging Face: a hub id or a folder with config.json"):
        config = AutoConfig.from_pretrained(name, **options)
    require_supported(name, config)
    return config


def decoder_start(model: EncoderDecoder) -> int:
    """The token that a model's decoder reads first.

    Raises:
        CheckpointError: its configuration names none.
    """
    for settings in (model.config, model.generation_config):
        if (start := getattr(settings, "decoder_start_token_id", None)) is not None:
            return int(start)
    if family_of(model).head == "gemma":
        return int(model.config.decoder.bos_token_id)
    raise CheckpointError(
        "student",
        expected="a checkpoint whose config.json names the token that its decoder starts with, decoder_start_token_id",
        found=f"a model of type {model.config.model_type!r} without it",
        fix="Copy the checkpoint into a folder and add the key: mBART starts with the language that it writes in.",
    )


def _set_dropout(name: str, config: PretrainedConfig, dropout: float) -> None:
    """Write a rate into a model's configuration, under the name that its family gives it.

    T5Gemma reads it from configurations of either side, inside its own.
    """
    key = next((key for key in ("dropout_rate", "dropout") if hasattr(config, key)), None)
    if key is None:
        raise CheckpointError(
            name,
            expected="a configuration with dropout_rate (T5) or dropout (BART), as student.dropout is set",
            found=f"one of type {config.model_type!r} with neither",
            fix="Leave student.dropout out.",
        )
    from transformers import PreTrainedConfig

    insides = [config]
    while insides:
        inside = insides.pop()
        if hasattr(inside, key):
            setattr(inside, key, dropout)
        insides += [part for part in vars(inside).values() if isinstance(part, PreTrainedConfig)]


def rebuilt(model: EncoderDecoder, config: object, state: Mapping[str, object], generation: object) -> EncoderDecoder:
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
        make: Callable[[object], EncoderDecoder] = type(model)
        other = keep_epsilon(make(config))
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


def _require_all(name: str, loading_info: Mapping[str, Collection[str]], model: EncoderDecoder, *, local: bool) -> None:
    """Refuse weights that transformers would only warn about: missing (initialised at random) or unexpected.

    Checkpoints of the hub may have extra weights, as the first T5 ones do; T5's encoder alone lacks some.
    """
    computed = ("embed_positions.weight",) if family_of(model).makes_positions else ()
    missing = [key for key in loading_info["missing_keys"] if not key.endswith(computed)]
    for keys_of_kind, what in ((missing, "no"), (loading_info["unexpected_keys"] if local else (), "beside them")):
        if keys := sorted(keys_of_kind):
            others = f" and {len(keys) - 3} others" if len(keys) > 3 else ""
            raise CheckpointError(
                name,
                expected="the weights that config.json asks for",
                found=f"{what} {', '.join(keys[:3])}{others}",
                fix="Copy the student's folder anew." if local else "Take a checkpoint that is whole.",
            )


def keep_untied(model: EncoderDecoder) -> EncoderDecoder:
    """Say in a model's config that its head is its own, where it is.

    transformers 5 sets ``tie_word_embeddings`` on every T5 config, also for T5 v1.1 and FLAN-T5, whose heads are
    untied: they load rightly, but a later ``tie_weights()`` or a resize would silently tie them.
    """
    if not head_is_tied(model):
        model.config.tie_word_embeddings = False
    return model


def head_is_tied(model: EncoderDecoder) -> bool:
    """Whether a model's head is the table of one of its sides: T5Gemma's is its decoder's."""
    sides = (model, model.get_encoder(), model.get_decoder())
    head = model.get_output_embeddings().weight
    return any(head is side.get_input_embeddings().weight for side in sides)


def keep_epsilon(model: EncoderDecoder) -> EncoderDecoder:
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


def parameter_count(model: EncoderDecoder) -> int:
    """Parameters of a model, shared ones counted once."""
    return sum(p.numel() for p in model.parameters())


def positions_of(model: EncoderDecoder) -> Positions:
    """The rows of a model's position tables; None for a side that has none.

    Only families of BART's form have tables for texts. T5Gemma 2's encoder has one for images.
    """
    if family_of(model).head != "bart":
        return Positions()
    return Positions(_rows(model.get_encoder()), _rows(model.get_decoder()))


def _rows(side: nn.Module) -> int | None:
    from torch.nn import Embedding

    for name, module in side.named_modules():
        # An offset: rows in front that no token gets, as in BART's.
        if isinstance(module, Embedding) and "position" in name:
            return int(module.num_embeddings) - int(getattr(module, "offset", 0))
    return None
