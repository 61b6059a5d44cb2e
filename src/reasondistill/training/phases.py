"""The two phases of a training: a decoder learns to write, then the student learns labels and explanations."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from reasondistill.config import Denoising, Loss, TrainConfig, WarmStartStudent
from reasondistill.contracts.records import Example
from reasondistill.contracts.run import RUN_FILE
from reasondistill.data.transforms.mixing import Mixture
from reasondistill.errors import ConfigError
from reasondistill.metrics.answer_overlap import is_accepted
from reasondistill.runs import Run
from reasondistill.students.checkpoint import Checkpoint, load_checkpoint
from reasondistill.students.codec import Codec
from reasondistill.students.engines import answer
from reasondistill.students.fit_calibration import choose_rows
from reasondistill.training.adapters import adapt
from reasondistill.training.arguments import memory_advice, tracking, training_arguments
from reasondistill.training.checkpoints import last_good, room_for, step_of
from reasondistill.training.continual.anchors import anchored
from reasondistill.training.features import build_features
from reasondistill.training.finishing import finish
from reasondistill.training.learned_data import Parts, shuffle_labels
from reasondistill.training.lost_text import count_cuts, count_lost
from reasondistill.training.process_group import current
from reasondistill.training.progress import Progress, Watcher

_MOST_WRITTEN = 100
"""Validation rows whose written answers are looked at in each evaluation."""

_OF_BOTH_PHASES = frozenset(
    {"weight_decay", "max_grad_norm", "logging_steps", "disable_tqdm", "report_to", "run_name", "project"}
    | {"use_cpu", "bf16", "fp16", "tf32", "torch_compile", "torch_compile_backend", "torch_compile_mode"}
    | {f"{name}_checkpointing{rest}" for name in ("gradient", "activation") for rest in ("", "_kwargs")}
)


def denoising_of(config: TrainConfig) -> Denoising | None:
    return config.student.denoising if isinstance(config.student, WarmStartStudent) else None


def denoising_arguments(config: TrainConfig, denoising: Denoising, output_dir: Path) -> Any:
    return training_arguments(
        config.model_copy(
            update={
                # What is said of training as a whole holds here; what is said of its batches and evaluations does not.
                "training": {key: value for key, value in config.training.items() if key in _OF_BOTH_PHASES}
                | denoising.model_dump(exclude={"mask_rate", "freeze_encoder"})
                | {"save_strategy": "no"},
                "early_stopping_patience": None,
            }
        ),
        output_dir,
    )


def denoise(
    config: TrainConfig,
    denoising: Denoising,
    student: Checkpoint,
    examples: Sequence[Example],
    run: Run,
    watcher: Watcher,
) -> Checkpoint:
    """Teach the decoder to write. The student it ends with is kept: a resumed run goes on from there."""
    from reasondistill.storage.files import atomic_folder
    from reasondistill.training.denoising import denoising_features
    from reasondistill.training.trainer import DistillationTrainer

    processes, done = current(), run.folder / "denoised"
    if processes.of_first(done.is_dir()):
        return load_checkpoint(done)
    if processes.first:
        run.metrics.unlink(missing_ok=True)
    arguments = denoising_arguments(config, denoising, run.checkpoints)
    features = denoising_features(
        examples,
        student.codec,
        mask_rate=denoising.mask_rate,
        seed=config.seed,
        limit=denoising.max_steps * denoising.per_device_train_batch_size * processes.count,
    )
    encoder = list(student.model.get_encoder().parameters())
    for parameter in encoder:
        parameter.requires_grad_(not denoising.freeze_encoder)
    started = time.monotonic()
    with tracking(arguments, run.folder, "denoising"):
        trainer = DistillationTrainer(
            student,
            loss=Loss(alpha=0.0, beta=1.0),
            arguments=arguments,
            train_dataset=features,
            log_file=run.metrics,
            phase="denoising",
            on_first_step=_stepped(run),
            watcher=watcher,
        )
        advice = memory_advice(config, trainer, batch_key="student.denoising.per_device_train_batch_size")
        with processes.noticing(), advice:
            trainer.train()
    for parameter in encoder:
        parameter.requires_grad_(True)
    with processes.together():
        if processes.first:
            with room_for("the student", done), atomic_folder(done) as folder:
                student.save(folder)
    run.write(timings={"denoising": round(time.monotonic() - started, 1)})
    return student


def features_of(config: TrainConfig, codec: Codec, parts: Parts) -> list[Any]:
    """The features of each part to learn from."""
    return [
        build_features(
            shuffle_labels(part.examples, config.seed) if config.data.shuffle_labels else part.examples,
            task=config.task,
            order=config.order,
            codec=codec,
            explanations_per_example=config.data.explanations_per_example,
        )
        for part in parts.train
    ]


def train_jointly(
    config: TrainConfig, arguments: Any, student: Checkpoint, parts: Parts, run: Run, watcher: Watcher
) -> None:
    """Train on labels and explanations, and keep the student.

    Raises:
        ConfigError: what validation is to select on cannot be measured.
    """
    from datasets import concatenate_datasets

    from reasondistill.training.trainer import DistillationTrainer

    processes, codec = current(), student.codec
    anchors = anchored(config, student, parts, arguments.device)
    student = adapt(student, freeze=config.freeze, lora=config.lora, seed=config.seed)
    features = processes.first_of_machine(lambda: features_of(config, codec, parts))
    train_features = concatenate_datasets(features)
    weights = [source.weight for source in config.data.train_sources]
    mixture = Mixture(
        [len(rows) for rows in features],
        [*weights, *[1.0] * (len(features) - len(weights))],  # what is learned again has no source of its own
        config.data.mixing,
        seed=config.seed,
    )
    evaluation, label_accuracy = validation_of(config, student, parts)
    if label_accuracy is None and str(arguments.metric_for_best_model).removeprefix("eval_") == "label_accuracy":
        raise ConfigError(
            "training.metric_for_best_model",
            expected="a measure that the validation part has",
            found="label_accuracy, though none of its rows has a label",
        )
    with tracking(arguments, run.folder, "joint"):
        trainer = DistillationTrainer(
            student,
            loss=config.loss,
            arguments=arguments,
            train_dataset=train_features,
            mixture=None if mixture.plain else mixture,
            eval_dataset=evaluation,
            label_accuracy=label_accuracy,
            encoder_learning_rate=config.encoder_learning_rate,
            log_file=run.metrics,
            early_stopping_patience=config.early_stopping_patience,
            distillation=anchors.distillation,
            callbacks=anchors.callbacks,
            on_first_step=_stepped(run),
            watcher=watcher,
        )
        elapsed = _run_trainer(
            config,
            trainer,
            run,
            truncated=count_cuts(train_features, parts.examples, config, codec) if processes.first else {},
            lost=count_lost(train_features, parts.examples, config, codec) if processes.first else {},
        )
    watcher(Progress("saving and calibrating"))
    processes.by_first(lambda: finish(config, student, trainer, run, elapsed, parts.validation))


def validation_of(config: TrainConfig, student: Checkpoint, parts: Parts) -> tuple[Any, Callable[[], float] | None]:
    """The validation part's features, and what measures the accuracy of its labels; None for what there is none of."""
    from reasondistill.students.engines.pytorch import TorchEngine

    if parts.validation is None:
        return None, None
    task, codec, held_out = config.task, student.codec, parts.validation.examples
    # As many explanations as in training: the two losses are drawn in one figure.
    processes = current()
    features = processes.first_of_machine(
        lambda: build_features(
            held_out,
            task=task,
            order=config.order,
            codec=codec,
            explanations_per_example=config.data.explanations_per_example,
        )
    )
    if config.order == "explanation_only" or all(e.label is None for e in held_out):
        return features, None
    if task.writes_answers:  # each has to be generated
        held_out = choose_rows(held_out, _MOST_WRITTEN)[0]
    engine = TorchEngine(student.model, codec)
    greedy = config.generation.model_copy(update={"num_beams": 1})

    labelled = [e for e in held_out if e.label is not None] if processes.count > 1 else held_out
    own = processes.share(labelled)

    def accuracy() -> float:
        answers = answer(engine, task, config.order, own, greedy, explain=False) if own else []
        right = [
            is_accepted(task, a.label or "", e.answers) if task.writes_answers else a.label == e.label
            for a, e in zip(answers, own, strict=True)
            if e.label is not None
        ]
        right_of_all, count = processes.total(torch.tensor([float(sum(right)), len(right)])).tolist()
        return float(right_of_all / count)

    return features, accuracy


def _run_trainer(
    config: TrainConfig, trainer: Any, run: Run, *, truncated: dict[str, int], lost: dict[str, Any]
) -> float:
    """Train, from the last whole checkpoint where there is one; the seconds that it took.

    Raises:
        StoppedError: a signal came; a checkpoint of the last step is there.
    """
    processes = current()
    checkpoint = processes.by_first(lambda: last_good(run.checkpoints))
    run.forget_after(step_of(checkpoint) if checkpoint else 0)
    run.write(status="running", truncated=truncated, lost=lost)
    started = time.monotonic()
    with processes.noticing(), memory_advice(config, trainer), trainer.stop.listening():
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if trainer.state.global_step == 0:
        raise ConfigError(
            "training.dataloader_drop_last",
            expected=f"a whole batch at least ({config.training.get('per_device_train_batch_size', 8)} rows)",
            found=f"{len(trainer.train_dataset)} rows to learn from: not a step was made",
            fix="Set it to false, or lower training.per_device_train_batch_size.",
        )
    return time.monotonic() - started


def _stepped(run: Run) -> Callable[[], None]:
    """What notes that a step was made: from then on the run is kept, however it ends."""

    def note() -> None:
        with room_for("a line", run.folder / RUN_FILE):
            run.write(stepped=True)

    return note
