"""Values of transformers' training arguments, held to their types and ranges and then tried on a stub.

transformers checks few of its arguments when it is given them: a rate of "x" or betas of 2 are found when the optimizer
is made, after the data were read, and some only in the middle of a training. What is found here is found before
anything is written.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory
from types import NoneType, UnionType
from typing import Any, NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError

from reasondistill.errors import ConfigError, UserError
from reasondistill.students.model_protocol import EncoderDecoder

_LARGEST = 1e9
"""No argument is meant to be larger; beyond it PyTorch's 32-bit numbers overflow."""

_LARGEST_BATCH = 1_000_000
"""PyTorch allocates a list of this many entries before it looks for rows."""


class _Rule(NamedTuple):
    """What a value of the right type has to keep to, and that in words."""

    words: str
    holds: Callable[[Any], bool]


def _count(least: int, more: str = "") -> _Rule:
    return _Rule(f"a whole number of {least} or more{more}", lambda v: v >= least)


def _amount(more: str = "") -> _Rule:
    return _Rule(f"a number of 0 or more{more}", lambda v: v >= 0)


def _among(*names: str) -> _Rule:
    return _Rule(f"one of {', '.join(names)}", lambda v: v in names)


_ABOVE_0 = _Rule("a number above 0", lambda v: v > 0)
_STEPS = "a whole number of steps, or a share of all steps below 1"
_EVERY = _Rule(f"{_STEPS}, above 0", lambda v: v > 0 and (v < 1 or v == int(v)))
_BATCH = _Rule(f"a whole number from 1 to {_LARGEST_BATCH:,}", lambda v: 1 <= v <= _LARGEST_BATCH)
_BELOW_1 = _Rule("a number from 0 up to, not including, 1", lambda v: 0 <= v < 1)
_LOG_LEVELS = _among("debug", "info", "warning", "error", "critical", "detail", "passive")

_RULES: dict[str, _Rule] = {
    "per_device_train_batch_size": _BATCH,
    "per_device_eval_batch_size": _BATCH,
    "gradient_accumulation_steps": _BATCH,
    "num_train_epochs": _ABOVE_0,
    "max_steps": _Rule("a whole number of 1 or more, or -1 for num_train_epochs", lambda v: v >= 1 or v == -1),
    "learning_rate": _amount(),
    "weight_decay": _amount(),
    "max_grad_norm": _amount(" (0: no clipping)"),
    "label_smoothing_factor": _BELOW_1,
    "adam_beta1": _BELOW_1,
    "adam_beta2": _BELOW_1,
    "adam_epsilon": _ABOVE_0,
    "neftune_noise_alpha": _amount(),
    "torch_empty_cache_steps": _count(1),
    "warmup_steps": _Rule(f"{_STEPS}, 0 or more", lambda v: v >= 0 and (v < 1 or v == int(v))),
    "logging_steps": _EVERY,
    "eval_steps": _EVERY,
    "save_steps": _EVERY,
    "eval_delay": _amount(),
    "save_total_limit": _count(1, ", or null to keep all"),
    "dataloader_num_workers": _Rule("a whole number from 0 to 1024", lambda v: 0 <= v <= 1024),
    "dataloader_prefetch_factor": _count(1),
    "ddp_bucket_cap_mb": _count(1),
    "ddp_backend": _among("gloo", "nccl"),
    "ddp_timeout": _count(1),
    "log_level": _LOG_LEVELS,
    "log_level_replica": _LOG_LEVELS,
    "include_num_input_tokens_seen": _Rule(
        "true, false or one of all, non_padding, no", lambda v: isinstance(v, bool) or v in ("all", "non_padding", "no")
    ),
    "train_sampling_strategy": _among("random", "sequential", "group_by_length", "batch_rebalance"),
    "run_name": _Rule("text that is not empty", lambda v: bool(v.strip())),
    "project": _Rule("text that is not empty", lambda v: bool(v.strip())),
}

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "keys with values",
    list: "a list",
    NoneType: "null",
}


def problems_of(given: Mapping[str, object], kind: type) -> Iterator[str]:
    """What is wrong with each of ``given`` by itself: its type, a number out of range, NaN or infinity.

    Args:
        given: argument → value, as a YAML file says it.
        kind: the dataclass of the arguments.
    """
    hints = _hints(kind)
    for name, value in given.items():
        if name not in hints:
            continue
        problem = _problem(value, hints[name], _RULES.get(name))
        if problem is None and name == "accelerator_config" and isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _accelerator_problems(value))
        elif problem is not None:
            yield f"{name}: expected {problem}, found {value!r}"[:400]


def _problem(value: object, hint: object, rule: _Rule | None) -> str | None:
    """What was expected instead of ``value``; None where it will do."""
    try:
        _adapter(hint).validate_python(value)
    except ValidationError:
        return rule.words if rule is not None and value is not None else _in_words(hint)
    if not _is_finite(value):
        return f"numbers of at most {_LARGEST:g}"
    if rule is not None and value is not None and not rule.holds(value):
        return rule.words
    return None


def _is_finite(value: object) -> bool:
    """Whether no number in ``value``, at any depth, is NaN, infinite or absurdly large."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    # NaN compares as false.
    return not isinstance(value, int | float) or abs(value) <= _LARGEST


def _accelerator_problems(value: dict[str, Any]) -> Iterator[str]:
    from transformers.trainer_pt_utils import AcceleratorConfig

    hints = _hints(AcceleratorConfig)
    for key, inner in value.items():
        if key not in hints:
            yield f"{key}: unknown key; there are {', '.join(sorted(hints))}"
        elif (problem := _problem(inner, hints[key], None)) is not None:
            yield f"{key}: expected {problem}, found {inner!r}"[:400]
    if value.get("use_configured_state") is True:
        yield "use_configured_state: expected false: nothing here configures a state before"
    steps = value.get("gradient_accumulation_kwargs")
    if isinstance(steps, dict) and "num_steps" in steps:
        yield "gradient_accumulation_kwargs.num_steps: say it with gradient_accumulation_steps"


@cache
def _hints(kind: type) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: hint for name, hint in typing.get_type_hints(kind).items() if name in names}


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(strict=True, arbitrary_types_allowed=True))


def _in_words(hint: object) -> str:
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, UnionType) else (hint,)
    words = [_WORDS.get(typing.get_origin(kind) or kind) for kind in kinds]
    return " or ".join(dict.fromkeys(word for word in words if word)) or "another kind of value"


# --- a rehearsal ---


@contextmanager
def refusals(where: str = "training") -> Iterator[None]:
    """Turn what transformers, PyTorch or accelerate raise over arguments into a mistake of the user's.

    Only for code that does nothing but look at arguments: four libraries refuse in their own ways, down to KeyError and
    AssertionError.

    Raises:
        ConfigError: one of them raised something.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError | ImportError | NotImplementedError) else f"{type(error).__name__}: "
        raise ConfigError(where, problem=kind + (str(error).strip() or repr(error))) from error


def rehearse(arguments: Any, *, evaluates: bool) -> None:
    """Make what a training makes of its arguments, for a stub in the student's place, and use it once.

    That is the accelerator, batches, the optimizer and a step of it, the schedule from its first step to its last, the
    compiled model and checkpointed activations. Nothing is kept, reported or compiled.

    Args:
        arguments: of transformers, whole.
        evaluates: whether there is a validation part.

    Raises:
        ConfigError: transformers, PyTorch or accelerate refuses something, the learning rate does not stay a number of
            0 or more, or ``optim_args`` would do nothing.
    """
    from transformers.utils import logging

    tried = copy.copy(arguments)
    tried.accelerator_config = copy.deepcopy(arguments.accelerator_config)
    # What would act on the whole process, or outside of it.
    tried.report_to, tried.full_determinism, tried.skip_memory_metrics = [], False, True
    tried.label_smoothing_factor = 0.0  # the joint loss smooths itself
    verbosity = logging.get_verbosity()
    with TemporaryDirectory() as folder, refusals():
        tried.output_dir = folder
        try:
            _rehearse(tried, evaluates)
        finally:
            logging.set_verbosity(verbosity)


def _rehearse(arguments: Any, evaluates: bool) -> None:
    import torch
    from torch import nn
    from transformers import Seq2SeqTrainer

    class Stub(nn.Module):
        """A parameter of each kind: one that decays, and some that do not."""

        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(2, 2), nn.LayerNorm(2)

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            summed: torch.Tensor = self.norm(self.linear(numbers)).sum()
            return summed

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"input_ids": torch.tensor([row["input_ids"] for row in rows]), "ids": [row["id"] for row in rows]}

    rows = [{"input_ids": [1, 2], "id": "a"}] * 3
    trainer = Seq2SeqTrainer(
        model=Stub(),
        args=arguments,
        data_collator=collate,
        train_dataset=rows,
        eval_dataset=rows if evaluates else None,
    )
    with refusals("training.dataloader_…"):
        loaders = [trainer.get_train_dataloader(), *([trainer.get_eval_dataloader()] if evaluates else [])]
        if arguments.dataloader_num_workers == 0:  # no processes are started for this
            for loader in loaders:
                next(iter(loader), None)
    with refusals("training.optim"):
        optimizer = _used_optimizer(trainer, arguments)
    if optimizer is not None:
        with refusals(f"training.lr_scheduler_type {arguments.lr_scheduler_type.value}"):
            _follow_schedule(trainer, arguments, optimizer)
    with refusals("training.torch_compile"):
        trainer.accelerator.prepare_model(trainer.model)  # compiled at its first use, which it never has
    if arguments.gradient_checkpointing or arguments.gradient_checkpointing_kwargs:
        with refusals("training.gradient_checkpointing_kwargs"):
            _checkpoint_activations(arguments, trainer.model)


def _used_optimizer(trainer: Any, arguments: Any) -> Any:
    """The optimizer after a step; None where it is made of a student's own modules."""
    import torch

    name = arguments.optim.value
    if any(kind in name for kind in ("galore", "apollo", "lomo")):  # they choose among the student's own modules
        try:
            trainer.get_optimizer_cls_and_kwargs(arguments, trainer.model)
        except ValueError as error:
            if "No target modules found" not in str(error):
                raise
        return None
    if arguments.optim_target_modules:
        raise ConfigError(
            "training.optim_target_modules", expected="one of GaLore's or APOLLO's optimizers", found=f"optim: {name}"
        )
    if arguments.optim_args:
        without = copy.copy(arguments)
        without.optim_args = None
        if trainer.get_optimizer_cls_and_kwargs(without) == trainer.get_optimizer_cls_and_kwargs(arguments):
            raise ConfigError(
                "training.optim_args",
                expected=f"arguments that {name} reads",
                found=f"{arguments.optim_args!r}, which changes nothing",
            )
    optimizer = trainer.create_optimizer()
    for parameter in trainer.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return optimizer


def _follow_schedule(trainer: Any, arguments: Any, optimizer: Any) -> None:
    """Ask the schedule at the steps where it takes another way: errors in its arguments may wait until there."""
    steps = arguments.max_steps if arguments.max_steps > 0 else 1000
    steps = max(steps, 2 * arguments.get_warmup_steps(steps))
    warmup = arguments.get_warmup_steps(steps)
    scheduler = trainer.create_scheduler(steps, optimizer)
    if not hasattr(scheduler, "lr_lambdas"):  # it follows what evaluations measure
        scheduler.step(1.0)
        return
    for group, scale in zip(optimizer.param_groups, scheduler.lr_lambdas, strict=True):
        for step in sorted({0, 1, warmup, warmup + 1, steps // 2, steps - 1, steps}):
            rate = group["initial_lr"] * scale(step)
            if not (isinstance(rate, int | float) and math.isfinite(rate) and rate >= 0):
                raise ConfigError(
                    "training.lr_scheduler_kwargs",
                    expected="a learning rate that stays a number of 0 or more",
                    found=f"{rate!r} at step {step} of {steps}",
                )


def _checkpoint_activations(arguments: Any, model: EncoderDecoder) -> None:
    import torch
    from torch.utils.checkpoint import checkpoint

    options = arguments.gradient_checkpointing_kwargs or {"use_reentrant": False}
    numbers = torch.ones(1, 2, device=next(model.parameters()).device, requires_grad=True)
    checkpoint(model, numbers, **options).backward()
