"""A whole training run: data -> student -> (denoising) -> joint training -> a student's folder, resumable."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reasondistill.config import Denoising, Loss, Source, TrainConfig
from reasondistill.datasets import Loaded, load
from reasondistill.datasets.mixing import Mixture
from reasondistill.engines import answer
from reasondistill.errors import ConfigError, DataError
from reasondistill.features import build_features
from reasondistill.modelcard import model_card
from reasondistill.records import Example
from reasondistill.runs import Run
from reasondistill.students import Checkpoint, create_student, load_checkpoint
from reasondistill.students.checkpoint import parameter_count

_OF_BOTH_PHASES = frozenset(
    {"weight_decay", "max_grad_norm", "logging_steps", "disable_tqdm", "report_to", "use_cpu", "bf16", "fp16", "tf32"}
)


def train(config: TrainConfig, *, resume: bool = False) -> Run:
    """Distil a student.

    Args:
        config: what to do.
        resume: go on with the run of this name where it stopped; its own configuration is used.

    Returns:
        The run, with the finished student in ``run.student``.

    Raises:
        UserError: data, configuration or checkpoint are not usable, or the run exists already; nothing is written.
    """
    from transformers import set_seed

    run = Run.open(Path(config.runs_dir) / config.name) if resume else None
    if run is None:
        Run.require_new(config)  # before minutes of reading data
    else:
        config = run.config()
        if run.info()["status"] == "finished":
            return run
    parts = load_parts(config)
    arguments = training_arguments(config, Path(config.runs_dir) / config.name / "checkpoints")
    set_seed(config.seed)
    student = create_student(config, parts.examples)
    if run is None:
        run = Run.create(config)
        run.write(data=parts.facts())
    elif run.info()["data"] != parts.facts():
        raise DataError(
            run.folder,
            expected="the data that the run was begun with",
            found="data of another fingerprint",
            fix="Put the old data back, or begin a new run (--set name=…).",
        )
    try:
        if isinstance(denoising := getattr(config.student, "denoising", None), Denoising):
            student = _denoise(config, denoising, student, parts.examples, run)
        _train_jointly(config, arguments, student, parts, run)
    except BaseException:
        run.write(status="stopped")
        raise
    return run


class Parts(NamedTuple):
    """What a run learns from, one data set for each of its sources, and what it selects on."""

    train: list[Loaded]
    validation: Loaded | None = None

    @property
    def examples(self) -> Sequence[Example]:
        """The training examples of all sources, one source after the other."""
        first, *others = self.train
        for other in others:
            first = first.joined_with(other)
        return first.examples

    def facts(self) -> dict[str, Any]:
        """What run.json keeps of them, by part; joined sources are ``train 1``, ``train 2`` …"""
        numbered = ["train"] if len(self.train) == 1 else [f"train {i}" for i in range(1, len(self.train) + 1)]
        parts = {name: facts(part) for name, part in zip(numbered, self.train, strict=True)}
        return parts | ({"validation": facts(self.validation)} if self.validation else {})


def load_parts(config: TrainConfig) -> Parts:
    """The training part and, where the configuration names one, the validation part.

    Where several sources are joined, rows of a file other than the validation part's are set aside, and counted, that
    have its groups or its texts: a set of SNLI revisions holds SNLI's own captions.

    Raises:
        DataError: a source cannot be read, or groups of the validation part are in the training part too.
    """
    train = [_load(source, config) for source in config.data.train_sources]
    if config.data.validation is None:
        return Parts(train)
    validation = _load(config.data.validation, config)
    first = config.task.fields[0]
    groups = {hash(e.group) for e in validation.examples if e.group}
    texts = {hash(e.fields[first]) for e in validation.examples}
    for place, (source, loaded) in enumerate(zip(config.data.train_sources, train, strict=True)):
        if len(train) > 1 and source.source != config.data.validation.source:
            kept = [hash(e.group) not in groups and hash(e.fields[first]) not in texts for e in loaded.examples]
            train[place] = loaded.only(kept, reason="row with a text of the validation part")
            continue
        shared = {group for group in loaded.stored.column("group") if group and hash(group) in groups}
        if shared:
            raise DataError(
                "data.validation",
                expected="groups that the training part does not have",
                found=f"{len(shared)} that it has too, such as {min(map(str, shared))!r}",
                fix="Take another split or file.",
            )
    return Parts(train, validation)


def _load(source: Source, config: TrainConfig) -> Loaded:
    splits = source.split if isinstance(source.split, list) else [source.split]
    loaded, *others = [
        load(
            source.source,
            split=split,
            task=config.task,
            size=source.size,
            seed=config.seed,
            columns=source.columns,
        )
        for split in splits
    ]
    for other in others:
        loaded = loaded.joined_with(other)
    return loaded.first(source.limit) if source.limit else loaded


def facts(part: Loaded) -> dict[str, Any]:
    aside = {"set_aside": part.set_aside} if part.set_aside else {}
    return {"source": part.name, "fingerprint": part.fingerprint, "n": len(part.examples), **aside}


def training_arguments(config: TrainConfig, output_dir: Path) -> Any:
    """transformers' training arguments: the user's own over a few defaults.

    Raises:
        ConfigError: transformers refuses them.
    """
    import torch
    from transformers import Seq2SeqTrainingArguments

    defaults = {
        "logging_steps": 10,
        "save_total_limit": 2,
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
        "bf16": has_fast_bf16() and not config.training.get("fp16", False),
        # transformers refuses bf16 on a processor unless it is told that the processor is meant.
        "use_cpu": not torch.accelerator.is_available(),
        "disable_tqdm": False,
    }
    try:
        arguments = Seq2SeqTrainingArguments(
            output_dir=str(output_dir), seed=config.seed, remove_unused_columns=False, **(defaults | config.training)
        )
    except (TypeError, ValueError, ImportError) as error:
        raise ConfigError("training", problem=str(error).strip()) from error
    if arguments.eval_strategy != "no" and config.data.validation is None:
        raise ConfigError(
            "data.validation", expected="a validation part, since training.eval_strategy asks for one", found="none"
        )
    if config.early_stopping_patience and not arguments.load_best_model_at_end:
        raise ConfigError(
            "training.load_best_model_at_end",
            expected="true, since early_stopping_patience is set",
            found="false",
        )
    # One process drives one device; `accelerate launch` starts a process for each.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def has_fast_bf16() -> bool:
    """Whether the processor computes in bfloat16 itself. (float16 is never chosen: T5 overflows in it.)"""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def _denoise(
    config: TrainConfig, denoising: Denoising, student: Checkpoint, examples: Sequence[Example], run: Run
) -> Checkpoint:
    """Teach the decoder to write. The student it ends with is kept: a resumed run goes on from there."""
    from reasondistill.files import atomic_folder
    from reasondistill.students.denoising import denoising_features
    from reasondistill.training import DistillationTrainer

    done = run.folder / "denoised"
    if done.is_dir():
        return load_checkpoint(done)
    run.metrics.unlink(missing_ok=True)
    arguments = training_arguments(
        config.model_copy(
            update={
                # What is said of training as a whole holds here; what is said of its batches and evaluations does not.
                "training": {key: value for key, value in config.training.items() if key in _OF_BOTH_PHASES}
                | denoising.model_dump(exclude={"mask_rate", "freeze_encoder"})
                | {"save_strategy": "no"},
                "early_stopping_patience": None,
            }
        ),
        run.checkpoints,
    )
    features = denoising_features(
        examples,
        student.codec,
        mask_rate=denoising.mask_rate,
        seed=config.seed,
        limit=denoising.max_steps * denoising.per_device_train_batch_size,
    )
    encoder = list(student.model.get_encoder().parameters())
    for parameter in encoder:
        parameter.requires_grad_(not denoising.freeze_encoder)
    started = time.monotonic()
    DistillationTrainer(
        student,
        loss=Loss(alpha=0.0, beta=1.0),
        arguments=arguments,
        train_dataset=features,
        log_file=run.metrics,
        phase="denoising",
    ).train()
    for parameter in encoder:
        parameter.requires_grad_(True)
    with atomic_folder(done) as folder:
        student.save(folder)
    run.write(timings={"denoising": round(time.monotonic() - started, 1)})
    return student


def _train_jointly(config: TrainConfig, arguments: Any, student: Checkpoint, parts: Parts, run: Run) -> None:
    from datasets import concatenate_datasets
    from transformers.trainer_utils import get_last_checkpoint

    from reasondistill.engines.pytorch import TorchEngine
    from reasondistill.training import DistillationTrainer

    task, codec = config.task, student.codec
    features = [
        build_features(
            shuffle_labels(part.examples, config.seed) if config.data.shuffle_labels else part.examples,
            task=task,
            order=config.order,
            codec=codec,
            explanations_per_example=config.data.explanations_per_example,
        )
        for part in parts.train
    ]
    train_features = concatenate_datasets(features)
    mixture = Mixture(
        [len(rows) for rows in features],
        [source.weight for source in config.data.train_sources],
        config.data.mixing,
        seed=config.seed,
    )
    evaluation = None
    label_accuracy = None
    if parts.validation is not None:
        held_out = parts.validation.examples
        # As many explanations as in training: the two losses are drawn in one figure.
        evaluation = build_features(
            held_out,
            task=task,
            order=config.order,
            codec=codec,
            explanations_per_example=config.data.explanations_per_example,
        )
        engine = TorchEngine(student.model, codec)
        greedy = config.generation.model_copy(update={"num_beams": 1})

        def accuracy() -> float:
            answers = answer(engine, task, config.order, held_out, greedy, explain=False)
            right = [a.label == e.label for a, e in zip(answers, held_out, strict=True) if e.label is not None]
            return sum(right) / len(right)

        if config.order != "explanation_only" and any(e.label is not None for e in held_out):
            label_accuracy = accuracy
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
    )
    checkpoint = get_last_checkpoint(str(run.checkpoints)) if run.checkpoints.is_dir() else None
    run.forget_after(int(Path(checkpoint).name.rpartition("-")[2]) if checkpoint else 0)
    run.write(
        status="running",
        truncated={"targets": sum(train_features["truncated"]), "of": sum(map(len, train_features["target_ids"]))},
    )
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=checkpoint)
    elapsed = time.monotonic() - started
    _finish(config, student, trainer, run, elapsed)


def _finish(config: TrainConfig, student: Checkpoint, trainer: Any, run: Run, elapsed: float) -> None:
    from reasondistill.files import atomic_folder

    best = {}
    if trainer.state.best_model_checkpoint is not None:
        step = int(Path(trainer.state.best_model_checkpoint).name.rpartition("-")[2])
        best = {
            "best": {"step": step, "metric": trainer.args.metric_for_best_model, "value": trainer.state.best_metric}
        }
    run.write(
        timings={"training": round(elapsed, 1)},
        student={"parameters": parameter_count(student.model)},
        steps=trainer.state.global_step,
        **best,
    )
    with atomic_folder(run.student) as folder:
        student.save(folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
        run.write(student={"parameters": parameter_count(student.model), "bytes": size})
        (folder / "README.md").write_text(model_card(run.info(), student.asked), encoding="utf-8")
    run.write(status="finished")


def shuffle_labels(examples: Sequence[Example], seed: int) -> list[Example]:
    """The examples with their labels permuted; explanations stay with the texts that they explain."""
    order = np.random.default_rng(seed).permutation(len(examples))
    return [
        # Only what argued for the true label stays: another label's explanation might fit the new one.
        e.model_copy(update={"label": examples[i].label, "explanations": tuple(e.references)})
        for e, i in zip(examples, order.tolist(), strict=True)
    ]
