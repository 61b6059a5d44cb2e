"""Training settings to begin with: out of a data set and a student's name, a whole configuration.

What is known of each recipe is in docs/students.md ("Recipes").
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from reasondistill.config import TrainConfig
from reasondistill.data.loaded import Loaded
from reasondistill.data.readers.own_tables import ColumnMapping
from reasondistill.errors import ConfigError, DataError
from reasondistill.storage.layered_yaml import Layer, merge, validate_config
from reasondistill.tasks.task import BUILTIN_TASKS, Task, get_task

DEFAULT_STUDENT: Final = "flan-t5-small"


@dataclass(frozen=True)
class Recipe:
    """How a student is trained, whatever the data.

    Attributes:
        student: the configuration's ``student``.
        examples: how many examples to learn from in all, with repetitions: small sets are seen more often.
        batch: examples of an optimizer step.
        more: other keys of the configuration.
    """

    summary: str
    student: Mapping[str, Any]
    learning_rate: float
    examples: int
    batch: int
    more: Mapping[str, Any] = field(default_factory=dict)

    def with_checkpoint(self, checkpoint: str) -> Recipe:
        """The same settings for another checkpoint."""
        return Recipe(
            checkpoint, {"kind": "hub", "checkpoint": checkpoint}, self.learning_rate, self.examples, self.batch
        )


def _flan(size: str, parameters: str, learning_rate: float) -> Recipe:
    return Recipe(
        f"FLAN-T5-{size}, {parameters} parameters, from the Hugging Face hub",
        {"kind": "hub", "checkpoint": f"google/flan-t5-{size}"},
        learning_rate,
        examples=40_000,
        batch=32,
    )


RECIPES: Final[Mapping[str, Recipe]] = {
    "flan-t5-small": _flan("small", "80 million", 3e-4),
    "flan-t5-base": _flan("base", "250 million", 1e-4),
    "flan-t5-large": _flan("large", "780 million", 5e-5),
    "minilm": Recipe(
        "a student out of MiniLM, some 16 million parameters; needs no download (extra `offline`)",
        {
            "kind": "warm_start",
            "denoising": {
                "max_steps": 400,
                "per_device_train_batch_size": 64,
                "learning_rate": 6e-4,
                "warmup_steps": 40,
            },
        },
        learning_rate=6e-4,
        examples=30_000,
        batch=16,
        more={"encoder_learning_rate": 1.2e-4},
    ),
    "scratch": Recipe(
        "a small T5 with random weights, about a million parameters; needs no download, and knows no language before",
        {"kind": "scratch", "d_model": 128, "d_ff": 256, "num_layers": 2, "num_decoder_layers": 2, "vocab_size": 4000},
        learning_rate=2e-3,
        examples=75_000,
        batch=64,
        more={"generation": {"num_beams": 1, "repetition_penalty": 1.0, "length_penalty": 1.0}},
    ),
}
"""Short name → recipe."""

_MOST_EPOCHS = 40
_EVALUATIONS = 6
_VALIDATED = 500  # rows
_SAMPLE = 5000  # examples whose texts are measured
_SOURCE = (32, 512)  # tokens, at least and at most
_TARGET = (24, 256)
_LETTERS_A_TOKEN = 3.5
"""Of ASCII text; a character of another script counts as a token. An estimate that errs on the long side."""


def recipe_for(student: str) -> Recipe:
    """The recipe of a short name; of a path or hub id that of FLAN-T5 of its size, as far as its name tells.

    Raises:
        ConfigError: it is none of these.
    """
    if student in RECIPES:
        return RECIPES[student]
    if Path(student).is_dir() or re.fullmatch(r"[\w.-]+/[\w.-]+", student):
        size = next((name for name in ("large", "base") if name in student.lower()), "small")
        return RECIPES[f"flan-t5-{size}"].with_checkpoint(student)
    raise ConfigError(
        "student",
        expected=f"one of {', '.join(RECIPES)}, a folder with a checkpoint, or a hub id such as google/flan-t5-small",
        found=repr(student),
        fix="Name one of them.",
    )


def first_config(
    data: Loaded,
    *,
    source: str,
    columns: ColumnMapping | None = None,
    student: str = DEFAULT_STUDENT,
    name: str | None = None,
    runs_dir: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> TrainConfig:
    """A training configuration for a data set.

    Epochs follow from the number of rows, lengths from the texts, evaluation from what there is to validate on.

    Args:
        data: read with its task.
        source: as the configuration names the data.
        columns: of the source, as the configuration names them.
        changes: keys to lay over it, at every level, as ``{"training": {"max_steps": 200}}``.

    Raises:
        ConfigError: the student is unknown, or a change is not valid.
        DataError: there is nothing to train on.
    """
    value = _values(data, source, columns, recipe_for(student))
    value["name"] = name or _run_name(data.name, student)
    if runs_dir is not None:
        value["runs_dir"] = runs_dir
    return validate_config(TrainConfig, laid_over(value, changes or {}), where="the configuration")


def _values(data: Loaded, source: str, columns: ColumnMapping | None, recipe: Recipe) -> dict[str, Any]:
    task = data.task
    splits = data.splits
    rows = splits.get("train", 0)
    if task is None or not rows:
        raise DataError(
            data.name,
            expected="rows of the split train",
            found=", ".join(f"{n:,} of {split}" for split, n in splits.items()) or "none",
            fix="Mark some rows as train, or leave the column with the split out: a rule then splits them.",
        )
    explained, labelled = _answers(data)
    steps = max(1, math.ceil(min(recipe.examples, _MOST_EPOCHS * rows) / recipe.batch))
    source_length, target_length = _lengths(data, task)
    named = {"source": source} | ({} if not columns else {"columns": _plain(columns)})
    every = max(1, math.ceil(steps / _EVALUATIONS))
    validated = splits.get("validation", 0) > 0
    training: dict[str, Any] = {
        "max_steps": steps,
        "per_device_train_batch_size": recipe.batch,
        "per_device_eval_batch_size": 64,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": min(100, steps // 10),
        "weight_decay": 0.01,
        "logging_steps": max(1, min(20, steps // 10)),
        "save_strategy": "steps",
        "save_steps": every,
        "eval_strategy": "no",
    }
    if validated:
        metric = "both" if explained and labelled else "label_accuracy" if labelled else "explanation_perplexity"
        training |= {
            "eval_strategy": "steps",
            "eval_steps": every,
            "load_best_model_at_end": True,
            "metric_for_best_model": metric,
        }
    return {
        "task": task.name if _is_builtin(task) else task.model_dump(mode="json", exclude_defaults=True),
        "order": "label_first" if explained and labelled else "label_only" if labelled else "explanation_only",
        "data": {
            "train": {**named, "split": "train"},
            **({"validation": {**named, "split": "validation", "limit": _VALIDATED}} if validated else {}),
            "explanations_per_example": 1,
        },
        "student": dict(recipe.student),
        "max_source_length": source_length,
        "max_target_length": target_length,
        "training": training,
        **({"early_stopping_patience": 3} if validated else {}),
        **laid_over({"generation": {"max_new_tokens": target_length}}, recipe.more),
    }


def _is_builtin(task: Task) -> bool:
    return task.name in BUILTIN_TASKS and get_task(task.name) == task


def _answers(data: Loaded) -> tuple[bool, bool]:
    """Whether there are explanations, and labels, to learn from."""
    explained = any(example.references for example in data)
    labelled = any(label is not None for label in data.stored.column("label"))
    return explained, labelled


def _lengths(data: Loaded, task: Task) -> tuple[int, int]:
    """Tokens that prompts and targets need: about those of the longest but one in a hundred."""
    examples = list(islice(data, _SAMPLE))
    prompts, targets = [], []
    for example in examples:
        prompts.append(_tokens(task.render_prompts("label_first", example)["explanation"]))
        targets += [_tokens(f"{example.label or ''} explanation: {e.text}") for e in example.references]
        targets.append(_tokens(example.label or ""))
    return _room(prompts, *_SOURCE), _room(targets, *_TARGET)


def _tokens(text: str) -> float:
    plain = sum(character.isascii() for character in text)
    return plain / _LETTERS_A_TOKEN + len(text) - plain


def _room(tokens: Sequence[float], least: int, most: int) -> int:
    longest = float(np.percentile(tokens, 99)) if tokens else least
    return int(min(max(math.ceil(longest / 8) * 8, least), most))


def laid_over(value: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``value`` with the changes at every level of its mappings."""
    return merge([Layer("recipe", dict(value)), Layer("changes", dict(changes))])


def _plain(columns: ColumnMapping) -> dict[str, Any]:
    return {what: name if isinstance(name, str) else list(name) for what, name in columns.items()}


def _run_name(data: str, student: str) -> str:
    words: Iterable[str] = (re.sub(r"[^\w.-]+", "_", Path(part).name).strip("_.-") for part in (data, student))
    return "_".join(word for word in words if word) or "run"
