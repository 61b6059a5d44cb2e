"""transformers' training arguments out of a configuration: what is passed on and what is refused, where trackers
write, and what to change when memory runs out.
"""

from __future__ import annotations

import copy
import importlib.util
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from reasondistill.config import TrainConfig
from reasondistill.errors import ConfigError, MissingExtraError, UserError
from reasondistill.storage.launched import place
from reasondistill.training.argument_checks import problems_of, refusals, rehearse

_WHOLE = "the process holds the whole student, so that checkpoints are plain ones"
_HUB = "push the finished student instead: hf upload NAME RUN/student"
_OWN_EVALUATION = "evaluation measures both losses and the accuracy of labels, and nothing is generated in it"
_BY_COMMAND = "the command says what is done; eval_strategy says when to evaluate"

_REFUSED = {
    "fsdp": _WHOLE,
    "fsdp_config": _WHOLE,
    "deepspeed": _WHOLE,
    "parallelism_config": _WHOLE,
    "use_liger_kernel": "Liger has no kernels for encoder-decoders",
    "liger_kernel_config": "Liger has no kernels for encoder-decoders",
    "push_to_hub": _HUB,
    "hub_model_id": _HUB,
    "hub_token": _HUB,
    "hub_private_repo": _HUB,
    "hub_strategy": _HUB,
    "hub_always_push": _HUB,
    "hub_revision": _HUB,
    "save_only_model": "a run could not go on from such a checkpoint; save_strategy: 'no' saves the most room",
    "enable_jit_checkpoint": "a run that is stopped goes on from its last checkpoint; save_steps says how old that is",
    "resume_from_checkpoint": "train --resume goes on with a run",
    "prediction_loss_only": _OWN_EVALUATION,
    "eval_do_concat_batches": _OWN_EVALUATION,
    "eval_use_gather_object": _OWN_EVALUATION,
    "eval_accumulation_steps": _OWN_EVALUATION,
    "include_for_metrics": _OWN_EVALUATION,
    "batch_eval_metrics": _OWN_EVALUATION,
    "label_names": _OWN_EVALUATION,
    "generation_max_length": "the key generation, at the top level, says how explanations are written",
    "generation_num_beams": "the key generation, at the top level, says how explanations are written",
    "generation_config": "the key generation, at the top level, says how explanations are written",
    "use_cache": "decoding always uses its cache, and training never does",
    "bf16_full_eval": "evaluation computes as training does: set bf16",
    "fp16_full_eval": "evaluation computes as training does: set fp16",
    "sortish_sampler": "set train_sampling_strategy: group_by_length",
    "average_tokens_across_devices": "losses are always means over the tokens of all processes",
    "debug": "transformers' debugging cannot read the masks of these batches; training stops at a loss that is NaN",
    "save_on_each_node": "the first process writes the run, into a folder that all machines see",
    "do_train": _BY_COMMAND,
    "do_eval": _BY_COMMAND,
    "do_predict": _BY_COMMAND,
}
"""Arguments that would do nothing here, or harm, and why. Their default may be given."""

_LABEL_MEASURES = {"label_accuracy", "label_loss", "label_token_accuracy"}
_EXPLANATION_MEASURES = {"explanation_loss", "explanation_token_accuracy", "explanation_perplexity"}

_PACKAGES = {"azure_ml": "azureml-sdk", "comet_ml": "comet-ml", "flyte": "flytekit", "kubeflow": "kubeflow"}
"""Trackers whose package has another name."""


def training_arguments(config: TrainConfig, output_dir: Path) -> Any:
    """transformers' training arguments: the user's own over a few defaults.

    Raises:
        ConfigError: transformers or this library refuses them, or a tracker is not installed.
    """
    from transformers import Seq2SeqTrainingArguments

    _refuse(config, Seq2SeqTrainingArguments)
    if config.lora is not None and importlib.util.find_spec("peft") is None:
        raise MissingExtraError("lora", "peft")
    options = _options(config, {field.name for field in fields(Seq2SeqTrainingArguments)})
    with refusals():
        arguments = Seq2SeqTrainingArguments(
            output_dir=str(output_dir), seed=config.seed, remove_unused_columns=False, **options
        )
    _check_trackers(arguments.report_to)
    _refuse_together(config, arguments)
    # One process drives one device.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    rehearse(arguments, evaluates=config.data.validation is not None)
    return arguments


def _options(config: TrainConfig, known: Collection[str]) -> dict[str, Any]:
    """The user's arguments over the defaults, of which earlier releases of transformers 5 do not know all."""
    import torch

    defaults = {
        "logging_steps": 10,
        "save_total_limit": 2,
        "report_to": "tensorboard" if importlib.util.find_spec("tensorboard") is not None else "none",
        "run_name": config.name,
        "project": "reasondistill",
        "dataloader_pin_memory": torch.cuda.is_available(),
        "bf16": has_fast_bf16() and not config.training.get("fp16", False),
        # transformers refuses bf16 on a CPU unless use_cpu says that the CPU is meant.
        "use_cpu": not torch.accelerator.is_available(),
        # A resumed run goes on counting the evaluations without improvement.
        "restore_callback_states_from_checkpoint": True,
    }
    if str(config.training.get("metric_for_best_model")).endswith("perplexity"):
        defaults["greater_is_better"] = False  # transformers knows it of losses alone
    defaults = {name: value for name, value in defaults.items() if name in known}
    options = copy.deepcopy(defaults | config.training)  # transformers writes into what it is given
    if not place().first:
        options["report_to"] = "none"  # the first process reports
    if place().count == 1:
        options.pop("ddp_backend", None)  # of several processes; transformers would wait for them
    # PyTorch wants both betas to be of one type.
    if options["report_to"] is None:
        options["report_to"] = "none"
    options |= {name: float(options[name]) for name in ("adam_beta1", "adam_beta2") if name in options}
    return options


def _refuse_together(config: TrainConfig, arguments: Any) -> None:
    """Raise a ConfigError for arguments that transformers takes, and that do not go with each other."""
    if place().count > 1 and arguments.train_sampling_strategy == "batch_rebalance":
        raise ConfigError(
            "training.train_sampling_strategy",
            expected="random, sequential or group_by_length in several processes",
            found="batch_rebalance",
        )
    asking = (
        "eval_strategy" if arguments.eval_strategy != "no" else "eval_on_start" if arguments.eval_on_start else None
    )
    if asking is not None and config.data.validation is None:
        raise ConfigError(
            "data.validation", expected=f"a validation part, since training.{asking} asks for one", found="none"
        )
    if arguments.save_strategy == "best" and arguments.eval_strategy == "no":
        raise ConfigError(
            "training.eval_strategy", expected="steps or epoch, since training.save_strategy is best", found="no"
        )
    if config.early_stopping_patience and not arguments.load_best_model_at_end:
        raise ConfigError(
            "training.load_best_model_at_end",
            expected="true, since early_stopping_patience is set",
            found="false",
            fix="Or have no early stopping: early_stopping_patience: null (--set early_stopping_patience=null).",
        )


def has_fast_bf16() -> bool:
    """Whether the processor computes in bfloat16 itself. (float16 is never chosen: T5 overflows in it.)"""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def _refuse(config: TrainConfig, kind: Any) -> None:
    defaults = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(kind)}
    given = config.training
    problems = [f"{key}: {why}" for key, why in _REFUSED.items() if key in given and given[key] != defaults.get(key)]
    problems += problems_of({key: value for key, value in given.items() if key not in _REFUSED}, kind)
    measure = given.get("metric_for_best_model")
    measure = "loss" if measure is None else str(measure).removeprefix("eval_")
    measures = {"loss", "both"}
    if config.order != "label_only":
        measures |= _EXPLANATION_MEASURES
    if config.order != "explanation_only":
        measures |= _LABEL_MEASURES
    if measure not in measures and not any(p.startswith("metric_for_best_model:") for p in problems):
        problems.append(f"metric_for_best_model: expected one of {', '.join(sorted(measures))}, found {measure!r}")
    if problems:
        raise ConfigError.gather("training", problems)


def _check_trackers(names: Sequence[str]) -> None:
    from transformers.integrations import get_available_reporting_integrations
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    problems = [
        f"expected one of {', '.join(sorted(INTEGRATION_TO_CALLBACK))}, all or none, found {name!r}"
        for name in names
        if name not in INTEGRATION_TO_CALLBACK
    ]
    # These two are there where their platform runs the training, and say so themselves.
    missing = set(names) & set(INTEGRATION_TO_CALLBACK) - {"flyte", "kubeflow"}
    if missing:
        missing -= set(get_available_reporting_integrations())
    for name in sorted(missing):
        package = '"reasondistill[tracking]"' if name == "tensorboard" else _PACKAGES.get(name, name)
        problems.append(f"{name} is not installed or not set up. Install it with: pip install {package}")
    if problems:
        raise ConfigError.gather("training.report_to", problems)


@contextmanager
def tracking(arguments: Any, folder: Path, phase: str) -> Iterator[None]:
    """While it lasts, trackers write into a run's folder, unless the user's environment names another place.

    Args:
        arguments: of the training; ``report_to`` names the trackers.
        folder: the run's.
        phase: of the training; TensorBoard shows each as a curve of its own.

    Raises:
        ConfigError: wandb has no account to send to and is not in offline mode.
    """
    places = {
        "TENSORBOARD_LOGGING_DIR": str(folder / "tensorboard" / phase),
        "WANDB_DIR": str(folder),
        "WANDB_PROJECT": "reasondistill",
        "MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'mlflow.db').resolve()}",
        "MLFLOW_EXPERIMENT_NAME": "reasondistill",
        "TRACKIO_DIR": str(folder / "trackio"),
    }
    own = {name: value for name, value in places.items() if name not in os.environ}
    os.environ |= own
    try:
        with _wandb() if "wandb" in arguments.report_to else nullcontext():
            yield
    finally:
        for name in own:
            os.environ.pop(name, None)


@contextmanager
def _wandb() -> Iterator[None]:
    import wandb

    users_own = wandb.run is not None
    try:
        yield
    except wandb.Error as error:
        raise ConfigError(
            "training.report_to",
            problem=f"wandb: {str(error).strip().rstrip('.')}",
            fix="Set WANDB_MODE=offline to keep the run here: `wandb sync` can send it later.",
        ) from error
    finally:
        # transformers leaves it open, and the next run of this process would write into it; wandb itself reads its
        # environment once, so that the next run would go to this one's folder.
        if not users_own:
            wandb.finish()
            wandb.teardown()


# --- memory ---

_OUT_OF_MEMORY = re.compile(
    r"out of memory|not enough memory|DefaultCPUAllocator|CUBLAS_STATUS_ALLOC_FAILED|std::bad_alloc"
    r"|No executable batch size found"
)


@contextmanager
def memory_advice(config: TrainConfig, trainer: Any, *, batch_key: str | None = None) -> Iterator[None]:
    """Answer running out of memory, on a processor or a GPU, with what to change.

    Args:
        config: of the run.
        trainer: what trains inside.
        batch_key: the key of the batch size, where it is not ``training``'s.

    Raises:
        UserError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        training = trainer.model.training
        raise UserError(
            "memory",
            expected=f"enough for a batch in {'training' if training else 'evaluation'} on {trainer.args.device}",
            found=_what_was_asked(error),
            fix=_advice(config, trainer.args, batch_key, training=training),
        ) from error


def _what_was_asked(error: BaseException) -> str:
    text = str(error)
    if size := re.search(r"[Tt]ried to allocate ([\d.]+ (?:[KMGT]i?B|bytes))", text):
        return f"too little for {size[1]} more"
    return "too little"


def _advice(config: TrainConfig, arguments: Any, batch_key: str | None, *, training: bool) -> str:
    """A sentence for each thing that lowers the need, what costs least first, with the values that there are."""
    listed = []
    size = arguments.per_device_train_batch_size
    if not training:
        size = arguments.per_device_eval_batch_size
        batch_key = "training.per_device_eval_batch_size"
    if size > 1:
        half = size // 2
        if batch_key is not None:
            listed.append(f"{batch_key}={half} (now {size})")
        else:
            steps = arguments.gradient_accumulation_steps
            listed.append(
                f"training.per_device_train_batch_size={half} training.gradient_accumulation_steps="
                f"{-(-steps * size // half)} (now {size} and {steps}; the gradient stays the same)"
            )
    if not (arguments.bf16 or arguments.fp16) and arguments.device.type != "cpu":
        listed.append("training.bf16=true (half the room for activations)")
    if training and not arguments.gradient_checkpointing:
        listed.append("training.gradient_checkpointing=true (slower by about a third)")
    if training and config.lora is None:
        listed.append("lora={} or freeze=[encoder,embeddings] (no optimizer state for what does not learn)")
    listed.append(
        f"max_source_length and max_target_length (now {config.max_source_length} and {config.max_target_length})"
    )
    return (
        f"What needs less, with --set: {'; '.join(listed)}. "
        "A run that has made a step keeps its configuration: begin one of another name."
    )
