"""The configuration of an update out of its parent's: the same task, lengths and rates, for the rows that are new."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reasondistill.config import TrainConfig
from reasondistill.contracts.run import RunInfo
from reasondistill.data import load_source
from reasondistill.errors import ConfigError, DataError
from reasondistill.runs import Run
from reasondistill.storage.files import real_path
from reasondistill.storage.launched import place
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.tasks.task import Task
from reasondistill.training.planning import DataFile, laid_over, without_train

_EVALUATIONS = 6
_VALIDATED = 500  # rows
_WHERE = "the update's configuration"


def planned(parent: Run, data: DataFile | None, changes: Mapping[str, object]) -> TrainConfig:
    """The configuration of an update.

    Args:
        parent: a finished run.
        data: what is new, read with its task; None where ``changes`` name ``data.train``.
        changes: keys to lay over the parent's, at every level. Steps that they do not set are as many that rows are
            seen as often as the parent saw its own.

    Raises:
        DataError: the parent is not finished; there is nothing new to learn from.
        ConfigError: a change is not valid.
    """
    from reasondistill.training.shared_batches import with_batch_of

    require_finished(parent)
    base, own = parent.config(), changes.get("training")
    if not (isinstance(own, Mapping) and "per_device_train_batch_size" in own):
        # A step of as many rows as the parent's, whatever number of processes shares them.
        base = with_batch_of(base, parent.info().processes, place().count)
    inherited = base.model_dump(mode="json")
    inherited |= {
        "name": f"{real_path(parent.folder).name}-update",
        "runs_dir": str(parent.folder.parent),
        "student": {"kind": "hub", "checkpoint": str(parent.student)},
        "lora": None,
        "update": {"parent": str(parent.folder)},
        "data": {"explanations_per_example": inherited["data"]["explanations_per_example"]},
    }
    if data is not None:
        inherited["data"] |= _sources(data)
    if data is not None and data.loaded.task is not None:
        inherited["task"] = data.loaded.task.model_dump(mode="json", exclude_defaults=True)
    config = validate_config(TrainConfig, laid_over(inherited, changes), where=_WHERE)
    inherited["training"] = _training(parent, base.training, config, _rows(config, data))
    if config.data.validation is None:
        inherited["early_stopping_patience"] = None
    return validate_config(TrainConfig, laid_over(inherited, changes), where=_WHERE)


def require_finished(parent: Run) -> None:
    """Refuse a run that has no student to go on from.

    Raises:
        DataError: it has none.
    """
    if parent.info().status != "finished" or not parent.student.is_dir():
        raise DataError(
            parent.folder,
            expected="a finished run to go on from",
            found=f"one that is {parent.info().status}",
            fix=f"Finish it: `reasondistill train {parent.folder} --resume`.",
        )


def task_with(task: Task, labels: Sequence[str]) -> Task:
    """A task with labels that join its own.

    Raises:
        ConfigError: its labels are not a list of its own, or cannot be told from the new ones.
    """
    if not labels:
        return task
    if not task.labels:
        raise ConfigError(
            "new labels",
            expected=f"none, as the task {task.name!r} has no labels of its own",
            found=", ".join(labels),
            fix="Leave them out.",
        )
    value = task.model_dump(mode="json", exclude_defaults=True) | {"labels": [*task.labels, *labels]}
    return validate_config(Task, value, where="new labels")


def parent_of(config: TrainConfig) -> Run:
    """The run that a configuration goes on from.

    Raises:
        ConfigError: it is no update.
    """
    if config.update is None:
        raise ConfigError(
            "update", expected="the block update, which names a parent", found="none", fix="Train it: `train`."
        )
    return Run.open(Path(config.update.parent))


def _sources(data: DataFile) -> dict[str, Any]:
    splits = data.loaded.splits
    if not splits.get("train"):
        raise without_train(data.loaded.name, splits)
    held = data.named(split="validation", limit=_VALIDATED) if splits.get("validation") else None
    return {"train": data.named(split="train"), "validation": held}


def _rows(config: TrainConfig, data: DataFile | None) -> int:
    """How many new rows there are to learn from."""
    if data is not None:
        return data.loaded.splits["train"]
    return sum(len(load_source(source, config.task, config.seed)) for source in config.data.train_sources)


def _learned(info: RunInfo) -> int:
    """Rows that a run learned from, those that it learned again among them."""
    return sum(part.n for name, part in info.data.items() if name.startswith("train"))


def _training(parent: Run, training: Mapping[str, Any], config: TrainConfig, new: int) -> dict[str, Any]:
    """The parent's arguments, for as many epochs as it made of new rows and of what is replayed."""
    info, training = parent.info(), dict(training)
    learned = max(_learned(info), 1)
    rows = new + _again(config, learned)
    epochs = (info.steps or 1) * _rows_a_step(parent.config().training, info.processes) / learned
    steps = max(1, math.ceil(epochs * rows / _rows_a_step(config.training, place().count)))
    training.pop("num_train_epochs", None)
    training |= {"max_steps": steps, "logging_steps": max(1, min(20, steps // 10))}
    if "warmup_steps" in training:
        training["warmup_steps"] = min(int(training["warmup_steps"]), steps // 10)
    if config.data.validation is None:
        training.pop("eval_on_start", None)
        best = {"save_strategy": "steps"} if training.get("save_strategy") == "best" else {}
        return training | best | {"eval_strategy": "no", "load_best_model_at_end": False}
    every = max(1, math.ceil(steps / _EVALUATIONS))
    return training | {"eval_steps": every, "save_steps": every}


def _again(config: TrainConfig, learned: int) -> int:
    """About how many rows are learned again."""
    if (update := config.update) is None:
        return 0
    texts = update.self_replay
    own = 0 if texts is None else len(load_source(texts, config.task, config.seed, need_label=False))
    return round(update.replay * learned) + own


def _rows_a_step(training: Mapping[str, Any], processes: int) -> int:
    batch = int(training.get("per_device_train_batch_size", 8)) * int(training.get("gradient_accumulation_steps", 1))
    return batch * processes
