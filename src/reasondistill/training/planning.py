"""A whole configuration out of a data set and a student's name, with what it will take on this machine.

Epochs follow from the number of rows, lengths from the texts, the batch from the memory, and evaluation from what
there is to validate on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reasondistill.config import TrainConfig, load_config
from reasondistill.data.dataset_loading import Source, load_dataset
from reasondistill.data.loaded import Loaded
from reasondistill.data.readers.own_tables import ColumnMapping, plain_columns
from reasondistill.errors import CheckpointError, DataError
from reasondistill.runs import DATA_FILE
from reasondistill.storage.launched import place
from reasondistill.storage.layered_yaml import Layer, merge, validate_config
from reasondistill.tasks.task import BUILTIN_TASKS, Task, get_task
from reasondistill.training.recipes import DEFAULT_STUDENT, Recipe, recipe_for

if TYPE_CHECKING:
    from reasondistill.training.estimates import Estimate, TextSizes

_WHERE = "the configuration"
_MOST_EPOCHS = 40
_EVALUATIONS = 6
_VALIDATED = 500  # rows
_SAMPLE = 5000  # examples whose texts are measured
_SOURCE = (32, 512)  # tokens, at least and at most
_TARGET = (24, 256)
_LETTERS_A_TOKEN = 3.5
"""Of ASCII text; a character of another script counts as a token. An estimate that errs on the long side."""


@dataclass(frozen=True)
class Plan:
    """What a training will do, before it begins.

    Attributes:
        values: of the configuration, as a YAML file has them: defaults are left out.
        sizes: of the texts, in tokens, as far as they are known without the student's tokenizer.
        validated: rows of each validation.
        choices: labels that are scored for each of these.
    """

    config: TrainConfig
    values: Mapping[str, Any]
    recipe: Recipe
    rows: int
    validated: int
    choices: int
    sizes: TextSizes

    @property
    def steps(self) -> int:
        """Of the optimizer, if validation does not end it before."""
        training, (batch, accumulation, processes) = self.config.training, self._batches
        if (steps := int(training.get("max_steps", 0))) > 0:
            return steps
        return math.ceil(self.rows / (batch * accumulation * processes)) * math.ceil(
            float(training.get("num_train_epochs", 3))
        )

    @property
    def _batches(self) -> tuple[int, int, int]:
        """Rows of a batch, batches of a step, and processes that each take these."""
        training = self.config.training
        steps = int(training.get("gradient_accumulation_steps", 1))
        return int(training["per_device_train_batch_size"]), steps, place().count

    def estimate(self) -> Estimate | None:
        """Time and memory; None where the student's size is not known here.

        Raises:
            MissingExtraError: an extra that the student needs is not installed.
        """
        from reasondistill.training.estimates import estimate

        try:
            return estimate(self.config, self.sizes, steps=self.steps, validated=self.validated, labels=self.choices)
        except (ImportError, CheckpointError):  # the base install; the checkpoint is to be downloaded
            return None

    def lines(self) -> list[tuple[str, str]]:
        """``(what, in words)``: the student, how it is trained and on what."""
        training = self.config.training
        (batch, accumulation, processes), steps = self._batches, self.steps
        epochs = steps * batch * accumulation * processes / self.rows
        rows = f"{batch} rows" if accumulation == 1 else f"{accumulation} x {batch} rows"
        rows += f" in each of {processes} processes" if processes > 1 else ""
        how = f"{steps:,} steps of {rows} ({epochs:,.1f} epochs), learning rate {training['learning_rate']:g}"
        if training["eval_strategy"] == "no":
            why = "training.eval_strategy is no" if self.validated else "no rows of a split validation"
            validation = f"none: {why}"
        else:
            measure = str(training.get("metric_for_best_model")).replace("_", " ")
            measure = "label accuracy and explanations" if measure == "both" else measure
            validation = f"every {training['eval_steps']:,} steps on {self.validated:,} rows; selects on {measure}"
            if self.config.early_stopping_patience:
                validation += f"; ends after {self.config.early_stopping_patience} without a gain"
        return [
            ("student", self.recipe.summary),
            ("learns", _LEARNS[self.config.order]),
            ("training", how),
            ("validation", validation),
            (
                "lengths",
                f"prompts up to {self.config.max_source_length}, targets up to {self.config.max_target_length} tokens",
            ),
        ]


_BUDGET = 24
"""Seconds that a first evaluation measures costs for; the tests of faithfulness take five times as long."""

_LEARNS = {
    "label_first": "the label, then the explanation",
    "label_only": "the label only: no row has an explanation. `reasondistill teach` can have a teacher write them",
    "explanation_only": "the explanation only: no row has a label",
}


class DataFile(NamedTuple):
    """A data set that was read, and how a configuration names it."""

    loaded: Loaded
    source: str
    columns: ColumnMapping | None = None

    def named(self, **more: object) -> dict[str, Any]:
        """A configuration's source. Of generated rows it names the seed: a configuration's own would make others."""
        source = self.loaded.name if self.source.partition(":")[0] == "scenes" else self.source
        return {"source": source, **({"columns": plain_columns(self.columns)} if self.columns else {}), **more}


def plan_training(
    data: DataFile,
    *,
    validation: DataFile | None = None,
    student: str = DEFAULT_STUDENT,
    name: str | None = None,
    runs_dir: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Plan:
    """A training configuration for a data set, and what it will take.

    Args:
        data: what to learn from, read with its task: all of it where validation rows have a file of their own, else
            the rows of its split train.
        validation: the file of validation rows, where they have one; by default those of the split validation.
        changes: keys to lay over it, at every level, as ``{"training": {"max_steps": 200}}``.

    Raises:
        ConfigError: the student is unknown, or a change is not valid.
        DataError: there is nothing to train on.
    """
    recipe = recipe_for(student)
    loaded, task = data.loaded, data.loaded.task
    splits = loaded.splits if validation is None else {"train": len(loaded), "validation": len(validation.loaded)}
    if task is None or not splits.get("train"):
        raise without_train(loaded.name, splits)
    changes = dict(changes or {})
    if "tokenizer" not in (changes.get("student") or {}):
        recipe = recipe.suited_to(text for example in islice(loaded, _SAMPLE) for text in example.fields.values())
    sizes, choices = _measured(loaded, task)
    value = _values(loaded, splits, recipe, sizes, changes.get("training") or {})
    value["data"] = {"train": data.named(**({} if validation else {"split": "train"}))}
    if splits.get("validation"):
        of_split = data.named(split="validation", limit=_VALIDATED)
        value["data"]["validation"] = validation.named(limit=_VALIDATED) if validation else of_split
    value["data"]["explanations_per_example"] = 1
    value["evaluation"] = {"budget": _BUDGET}
    value["name"] = name if name is not None else _run_name(loaded.name, student)
    if runs_dir is not None:
        value["runs_dir"] = runs_dir
    value = laid_over(value, changes)
    plan = Plan(
        validate_config(TrainConfig, value, where=_WHERE),
        value,
        recipe,
        rows=splits["train"],
        validated=min(splits.get("validation", 0), _VALIDATED),
        choices=choices,
        sizes=sizes,
    )
    return plan if _batch_is_given(changes) else _fitted(plan)


def without_train(name: str, splits: Mapping[str, int]) -> DataError:
    """What a data set without training rows is refused with."""
    return DataError(
        name,
        expected="rows of the split train",
        found=", ".join(f"{n:,} of {split}" for split, n in splits.items()) or "none",
        fix="Mark some rows as train in a column split; without it a rule splits them, and needs more rows.",
    )


def _batch_is_given(changes: Mapping[str, Any]) -> bool:
    return bool({"per_device_train_batch_size", "gradient_accumulation_steps"} & {*(changes.get("training") or {})})


def _fitted(plan: Plan) -> Plan:
    """The same optimizer steps in smaller batches, where the machine's memory asks for them."""
    batch = int(plan.config.training["per_device_train_batch_size"])
    try:
        from reasondistill.training.estimates import largest_batch, shape_of

        fitting = largest_batch(shape_of(plan.config), plan.sizes, batch)
    except (ImportError, CheckpointError):
        return plan
    if fitting == batch:
        return plan
    values = laid_over(
        plan.values,
        {"training": {"per_device_train_batch_size": fitting, "gradient_accumulation_steps": batch // fitting}},
    )
    return replace(plan, values=values, config=validate_config(TrainConfig, values, where=_WHERE))


def _values(
    data: Loaded, splits: Mapping[str, int], recipe: Recipe, sizes: TextSizes, changed: Mapping[str, Any]
) -> dict[str, Any]:
    """The configuration without its data; steps that a user sets decide when it validates."""
    rows, task = splits["train"], data.task
    assert task is not None  # `plan_training` refuses it
    explained, labelled = _answers(data)
    processes = place().count
    batch = int(changed.get("per_device_train_batch_size", max(1, recipe.batch // processes)))
    a_step = batch * int(changed.get("gradient_accumulation_steps", 1)) * processes
    length: dict[str, Any] = {"max_steps": max(1, math.ceil(min(recipe.examples, _MOST_EPOCHS * rows) / a_step))}
    if "max_steps" in changed:
        length = {"max_steps": int(changed["max_steps"])}
    elif "num_train_epochs" in changed:
        length = {"num_train_epochs": float(changed["num_train_epochs"])}
    steps = length.get("max_steps") or max(1, math.ceil(length["num_train_epochs"] * rows / a_step))
    every = max(1, math.ceil(steps / _EVALUATIONS))
    validated = splits.get("validation", 0) > 0
    training: dict[str, Any] = {
        **length,
        "per_device_train_batch_size": batch,
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
        metric = "loss" if task.writes_answers else metric  # exact matches of a few rows move in steps, if at all
        training |= {
            "eval_strategy": "steps",
            "eval_steps": every,
            "load_best_model_at_end": True,
            "metric_for_best_model": metric,
        }
    return {
        "task": task.name if _is_builtin(task) else task.model_dump(mode="json", exclude_defaults=True),
        "order": "label_first" if explained and labelled else "label_only" if labelled else "explanation_only",
        "data": {},
        "student": dict(recipe.student),
        "max_source_length": sizes.longest_source,
        "max_target_length": sizes.longest_target,
        "training": training,
        **({"early_stopping_patience": 3} if validated else {}),
        **laid_over({"generation": _generation(task, sizes)}, recipe.more),
    }


def _generation(task: Task, sizes: TextSizes) -> dict[str, Any]:
    # A penalty on repeated words is for explanations: an answer may well need a word twice, as a query does.
    penalty = {"repetition_penalty": 1.0} if task.writes_answers else {}
    return {"max_new_tokens": sizes.longest_target, **penalty}


def _is_builtin(task: Task) -> bool:
    return task.name in BUILTIN_TASKS and get_task(task.name) == task


def _answers(data: Loaded) -> tuple[bool, bool]:
    """Whether there are explanations, and labels, to learn from."""
    explained = any(example.references for example in data)
    labelled = any(label is not None for label in data.stored.column("label"))
    return explained, labelled


def _measured(data: Loaded, task: Task) -> tuple[TextSizes, int]:
    """Tokens of prompts and targets, with room for all but about one in a hundred; and how many labels a row has."""
    from reasondistill.training.estimates import TextSizes

    prompts, targets, choices = [], [], []
    for example in islice(data, _SAMPLE):
        prompts.append(_tokens(task.render_prompts("label_first", example)["explanation"]))
        targets += [_tokens(f"{example.label or ''} explanation: {e.text}") for e in example.references]
        targets.append(_tokens(example.label or ""))
        choices.append(len(task.labels or example.choices or ()))
    sizes = TextSizes(
        source=float(np.mean(prompts)),
        target=float(np.mean([t for t in targets if t > 0] or [1.0])),
        longest_source=_room(prompts, *_SOURCE),
        longest_target=_room(targets, *_TARGET),
    )
    return sizes, round(float(np.mean(choices)))


def _tokens(text: str) -> float:
    plain = sum(character.isascii() for character in text)
    return plain / _LETTERS_A_TOKEN + len(text) - plain


def _room(tokens: Sequence[float], least: int, most: int) -> int:
    longest = float(np.percentile(tokens, 99)) if tokens else least
    return int(min(max(math.ceil(longest / 8) * 8, least), most))


def laid_over(value: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, Any]:
    """``value`` with the changes at every level of its mappings."""
    return merge([Layer("recipe", dict(value)), Layer("changes", dict(changes))])


def _run_name(data: str, student: str) -> str:
    words: Iterable[str] = (re.sub(r"[^\w.-]+", "_", Path(part).name).strip("_.-") for part in (data, student))
    return "_".join(word for word in words if word) or "run"


def configured(
    source: TrainConfig | Source,
    data: Source | None,
    student: str | Mapping[str, object] | None,
    changes: dict[str, Any],
) -> tuple[TrainConfig, Loaded | None]:
    """The configuration that is given, or planned for data; with the changes, and the data where they are in memory.

    Raises:
        UserError: as `plan_training`; a student or data are named beside what has them already.
    """
    if isinstance(source, str | Path) and Path(source).suffix in (".yaml", ".yml"):
        source = load_config(TrainConfig, source)
    if isinstance(source, TrainConfig):
        if student is not None:
            raise DataError(
                "student",
                expected="none beside a configuration, which names its own",
                found=repr(student),
                fix='Change the configuration: student={"kind": "hub", "checkpoint": "…"}.',
            )
        config = validate_config(TrainConfig, laid_over(source.model_dump(mode="json"), changes), where=_WHERE)
        return config, None if data is None else load_dataset(data)
    if data is not None:
        raise DataError("data", expected="none beside data", found="both", fix="Give the configuration, and data=….")
    loaded = load_dataset(source)
    if isinstance(student, Mapping):
        changes = changes | {"student": dict(student)}
        student = {"scratch": "scratch", "warm_start": "minilm"}.get(str(student.get("kind")), DEFAULT_STUDENT)
    plan = plan_training(
        DataFile(loaded, DATA_FILE), student=DEFAULT_STUDENT if student is None else student, changes=changes
    )
    return plan.config, loaded
