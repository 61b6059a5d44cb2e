"""Small trainings: trainers, whole runs, and runs in processes of their own that are waited for, killed and damaged."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file
from transformers import Seq2SeqTrainingArguments

import tiny
from forked import Forked
from reasondistill.config import Loss, TrainConfig
from reasondistill.data.scenes import generate
from reasondistill.runs import Run
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.tasks.task import NLI
from reasondistill.training.features import Collator, build_features
from reasondistill.training.trainer import DistillationTrainer

TINY = {"kind": "scratch", "d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2, "vocab_size": 400}
"""A student of random weights, with the default number of layers."""

ONE_LAYER = {
    "kind": "scratch", "d_model": 32, "d_ff": 64, "d_kv": 8, "num_layers": 1, "num_decoder_layers": 1, "vocab_size": 500
}  # fmt: skip
"""A wider one, with a layer on each side."""

ON_THE_CPU = {"use_cpu": True, "bf16": False, "report_to": "none"}
"""Arguments of a training that is the same on every machine, and is reported to nobody."""


def scenes_data(n: int, **validation: Any) -> dict[str, Any]:
    """The train and validation splits of ``n`` scenes, as a configuration names them."""
    source = f"scenes:{n}"
    return {
        "train": {"source": source, "split": "train"},
        "validation": {"source": source, "split": "validation", **validation},
    }


def trainer(tmp_path: Path, *, loss: Loss | None = None, **arguments: Any) -> DistillationTrainer:
    """Of sixteen scenes in their order, with plain SGD."""
    student = tiny.student("t5")
    examples = generate(16, seed=3)
    # Rows of unequal weight: some without explanation, some with several.
    examples = [e if i % 3 else e.model_copy(update={"explanations": ()}) for i, e in enumerate(examples)]
    rows = build_features(examples, task=NLI, order="label_first", codec=student.codec)
    defaults: dict[str, Any] = {
        "output_dir": str(tmp_path / "trainer"),
        "remove_unused_columns": False,
        "report_to": "none",
        "train_sampling_strategy": "sequential",
        "max_steps": 1,
        "learning_rate": 0.1,
        "optim": "sgd",
        "max_grad_norm": 0.0,
        "lr_scheduler_type": "constant",
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
    }
    return DistillationTrainer(
        student,
        loss=loss or Loss(),
        arguments=Seq2SeqTrainingArguments(**(defaults | arguments)),
        train_dataset=rows,
        log_file=tmp_path / "log.jsonl",
    )


def batch_of(student: Checkpoint, n: int = 7) -> dict[str, torch.Tensor]:
    """A batch of ``n`` scenes, label first."""
    rows = build_features(generate(n, seed=3), task=NLI, order="label_first", codec=student.codec)
    return Collator(student.codec)(list(rows))


def training_config(tmp_path: Path, **changes: Any) -> TrainConfig:
    """Of a whole run of six steps, with two evaluations and checkpoints."""
    value: dict[str, Any] = {
        "name": "run",
        "runs_dir": str(tmp_path / "runs"),
        "seed": 5,
        "data": scenes_data(240, limit=20),
        "student": ONE_LAYER,
        "max_source_length": 64,
        "max_target_length": 40,
        "training": {
            "max_steps": 6,
            "per_device_train_batch_size": 16,
            "learning_rate": 2e-3,
            "logging_steps": 1,
            "eval_strategy": "steps",
            "eval_steps": 3,
            "save_strategy": "steps",
            "save_steps": 3,
            "load_best_model_at_end": True,
            "metric_for_best_model": "both",
            "train_sampling_strategy": "group_by_length",
            "use_cpu": True,
            "disable_tqdm": True,
        },
        "generation": {"num_beams": 1, "max_new_tokens": 4},
    }
    return validate_config(TrainConfig, value | changes, where="test")


def logged(run: Run) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl; nothing in them depends on the clock."""
    return [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


# --- runs to be stopped, killed and damaged ---

STEPS = 60


def values(folder: Path, name: str, **training: Any) -> dict[str, Any]:
    """Of a run with dropout, a schedule of the loss and a checkpoint every four steps."""
    return {
        "name": name,
        "runs_dir": str(folder / "runs"),
        "max_source_length": 48,
        "max_target_length": 32,
        "data": scenes_data(120, limit=8),
        "student": TINY | {"dropout_rate": 0.2},
        "loss": {"alpha": {"start": 0.8, "end": 0.2}},
        "training": {
            "max_steps": STEPS,
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 2,
            "learning_rate": 3e-3,
            "logging_steps": 5,
            "save_steps": 4,  # between two logged steps, too
            "eval_strategy": "steps",
            "eval_steps": 12,
            "load_best_model_at_end": False,
            **ON_THE_CPU,
        }
        | training,
    }


def config(folder: Path, name: str, **training: Any) -> TrainConfig:
    return validate_config(TrainConfig, values(folder, name, **training), where="test")


def start(folder: Path, name: str, *options: str, limit_file_size: int | None = None, **training: Any) -> Forked:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values(folder, name, **training)), encoding="utf-8")
    return Forked(["train", path, *options], limit_file_size=limit_file_size)


def finished(process: Any) -> str:
    said: str = process.communicate(timeout=240)[1]
    assert process.returncode == 0, said
    return said


def wait_for(condition: Any, process: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "the process did not come so far"
        time.sleep(0.02)


def lines(run: Run) -> list[str]:
    return [] if not run.metrics.exists() else run.metrics.read_text(encoding="utf-8", errors="replace").splitlines()


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
