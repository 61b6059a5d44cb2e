"""A whole training run: data -> student -> (denoising) -> joint training -> a student's folder, resumable."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reasondistill.config import Denoising, Loss, TrainConfig, WarmStartStudent
from reasondistill.contracts.records import Example
from reasondistill.contracts.run import RUN_FILE, DataPart
from reasondistill.data import Loaded, load_source
from reasondistill.data.loaded import counted
from reasondistill.data.transforms.mixing import Mixture
from reasondistill.data.transforms.selection import NOT_IN_FRACTION
from reasondistill.errors import ConfigError, DataError, UserError
from reasondistill.languages.unknown_tokens import WORTH_SAYING, LossCount, advice, plain, sentences
from reasondistill.runs import DATA_FILE, Run
from reasondistill.students.build import choice_problems, create_student
from reasondistill.students.calibration import Calibration, CalibrationData, checkpoint_fingerprint
from reasondistill.students.checkpoint import Checkpoint, load_checkpoint, parameter_count
from reasondistill.students.codec import Codec
from reasondistill.students.engines import answer
from reasondistill.students.fit_calibration import LEAST_ROWS, calibrate, without_labels
from reasondistill.students.length_checks import check_lengths
from reasondistill.students.model_card import model_card
from reasondistill.tasks.verbalized_confidence import Phrase
from reasondistill.training.adapters import AdaptedCheckpoint, adapt, trained_count
from reasondistill.training.arguments import memory_advice, tracking, training_arguments
from reasondistill.training.checkpoints import last_good, room_for, step_of
from reasondistill.training.features import build_features
from reasondistill.training.kept_data import keep, kept_aside, reading
from reasondistill.training.signals import terminating_like_ctrl_c

_LOG = logging.getLogger(__name__)
_MEASURED = 10_000
"""Texts that were cut of which so many are measured, to say how long they get."""

UNDECIDABLE = "choices that the student cannot decide between"
"""Why a row is dropped, in ``run.json``: the tokenizer cannot write a choice, or cannot tell two of them apart."""

_NAMED = 3
"""Rows that a message names."""

_OF_BOTH_PHASES = frozenset(
    {"weight_decay", "max_grad_norm", "logging_steps", "disable_tqdm", "report_to", "run_name", "project"}
    | {"use_cpu", "bf16", "fp16", "tf32", "torch_compile", "torch_compile_backend", "torch_compile_mode"}
    | {f"{name}_checkpointing{rest}" for name in ("gradient", "activation") for rest in ("", "_kwargs")}
)


def train(config: TrainConfig, *, data: Loaded | None = None, resume: bool = False) -> Run:
    """Distil a student.

    Args:
        config: what to do.
        data: what to learn from in place of the configuration's sources, which then say no more than which splits, and
            what of them. The run keeps the examples, so that it can go on where it stopped, in ``data.jsonl``.
        resume: go on with the run of this name where it stopped; its own configuration is used.

    Returns:
        The run, with the finished student in ``run.student``.

    Raises:
        UserError: data, configuration or checkpoint are not usable, or the run exists already; nothing is written.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # as torchrun and accelerate's launcher set it
        raise ConfigError(
            "WORLD_SIZE",
            expected="one process: a run's folder has one writer",
            found=f"{os.environ['WORLD_SIZE']} processes",
            fix="Start the command without a launcher; gradient_accumulation_steps makes larger batches.",
        )
    run = Run(Path(config.runs_dir) / config.name)
    if resume:
        _require_begun(run)
    else:
        Run.require_new(config)  # before minutes of reading data
    with run.locked(), terminating_like_ctrl_c():
        return _train(config, run, None if resume else data, resume=resume)


def _require_begun(run: Run) -> None:
    """Refuse to go on with what has not begun.

    Raises:
        DataError: the folder holds no run.
    """
    if not (run.folder / RUN_FILE).is_file():
        raise DataError(
            run.folder,
            expected=f"a run folder to go on with (with {RUN_FILE} in it)",
            found="none",
            fix="Begin it: the same command without --resume.",
        )
    Run.open(run.folder)


def check(config: TrainConfig, *, lengths: bool = True) -> None:
    """Hold a configuration to what can be known of it before any data are read.

    Args:
        lengths: also those, for which the student's checkpoint has to be there.

    Raises:
        ConfigError: transformers, or this library, refuses an argument of its training, or a length is more than the
            student has positions.
        CheckpointError: the student's checkpoint or encoder cannot be had.
        MissingExtraError: an extra that it needs is not installed.
    """
    folder = Path(config.runs_dir) / config.name / "checkpoints"
    training_arguments(config, folder)
    if (denoising := _denoising(config)) is not None:
        _denoising_arguments(config, denoising, folder)
    if lengths:
        check_lengths(config)


def _train(config: TrainConfig, run: Run, data: Loaded | None, *, resume: bool) -> Run:
    from transformers import set_seed

    if resume:
        config = run.config()
        if run.info().status == "finished":
            return run
        run.tidy()
    check(config)
    arguments = training_arguments(config, run.checkpoints)
    if data is None:
        parts = load_parts(config)
    else:
        with kept_aside(data) as file:
            parts = load_parts(reading(config, file))
        config = reading(config, run.folder / DATA_FILE)
    set_seed(config.seed)
    student = create_student(config, parts.examples, parts.phrases)
    parts = parts.decidable(config, student.codec)
    for sentence in left_out(parts, config):
        _LOG.warning(sentence)
    facts_now = parts.facts()
    if not resume:
        if data is not None:
            keep(data, run.folder / DATA_FILE)
        run = Run.create(config)
        run.write(data=facts_now)
    elif (facts_then := run.info().data) and facts_then != facts_now:
        raise DataError(
            run.folder,
            expected="the data that the run was begun with",
            found="data of another fingerprint",
            fix="Put the old data back, or begin a new run (--set name=…).",
        )
    else:
        run.write(data=facts_now, status="running")  # killed before it was written, or stopped
    try:
        if (denoising := _denoising(config)) is not None:
            student = _denoise(config, denoising, student, parts.examples, run)
        _train_jointly(config, arguments, student, parts, run)
    except BaseException:
        _leave(run)
        raise
    return run


def _leave(run: Run) -> None:
    """Keep a run that did not end for going on with it, or take it away where it made no step."""
    with suppress(OSError, UserError):  # on a full disk; `list_runs` sees that nobody is at work on it
        if not run.has_work:
            run.remove()
        else:
            run.write(status="stopped")


def _denoising(config: TrainConfig) -> Denoising | None:
    return config.student.denoising if isinstance(config.student, WarmStartStudent) else None


def _stepped(run: Run) -> Callable[[], None]:
    """What notes that a step was made: from then on the run is kept, however it ends."""

    def note() -> None:
        with room_for("a line", run.folder / RUN_FILE):
            run.write(stepped=True)

    return note


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

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """How the explanations of one of the sources say how sure a student was, where they do."""
        return next((part.phrases for part in self.train if part.phrases), ())

    def decidable(self, config: TrainConfig, codec: Codec) -> Parts:
        """Without the rows between whose own choices a student cannot decide: they are counted, and named.

        Raises:
            DataError: no other rows are left.
        """
        data = config.data
        train = [
            _decidable(part, source.source, config, codec)
            for part, source in zip(self.train, data.train_sources, strict=True)
        ]
        if self.validation is None or data.validation is None:
            return Parts(train)
        return Parts(train, _decidable(self.validation, data.validation.source, config, codec))

    def facts(self) -> dict[str, DataPart]:
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
    train = [load_source(source, config.task, config.seed) for source in config.data.train_sources]
    if config.data.validation is None:
        return Parts(train)
    validation = load_source(config.data.validation, config.task, config.seed)
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


def left_out(parts: Parts, config: TrainConfig) -> list[str]:
    """What cannot be learned, in sentences: labels that no row has, and rows that lack something or were dropped."""
    named = [("train", part) for part in parts.train] + ([("validation", parts.validation)] if parts.validation else [])
    sentences: list[str] = []
    if config.order != "explanation_only":
        taught = {label for part in parts.train for label in part.stored.column("label")}
        if untaught := [label for label in config.task.labels or () if label not in taught]:
            sentences.append(f"train: no row has the label {', '.join(map(repr, untaught))}, so it cannot be learned")
    for name, part in named:
        labels = part.stored.column("label")
        if config.task.labels != () and config.order != "explanation_only" and (without := labels.count(None)):
            teach = "nothing" if config.order == "label_only" else "their explanation only"
            use = f"they teach {teach}" if name == "train" else "they do not count for labels"
            sentences.append(f"{part.name}, {name}: {without:,} of {len(labels):,} rows have no label; {use}")
        # A fraction was asked for, and what cannot be decided is said where it is found.
        known = (UNDECIDABLE, NOT_IN_FRACTION)
        aside = counted({reason: count for reason, count in part.set_aside.items() if reason not in known})
        if aside and (sentence := f"{part.name}: set aside: {aside}") not in sentences:
            sentences.append(sentence)
    return sentences


def _decidable(part: Loaded, source: str, config: TrainConfig, codec: Codec) -> Loaded:
    problems = choice_problems(codec, config.task, config.order, part.examples)
    if not any(problems):
        return part
    ids = [identity for identity, problem in zip(part.stored.column("id"), problems, strict=True) if problem]
    reasons = [problem for problem in problems if problem]
    places = zip(part.places(ids[:_NAMED]), reasons, strict=False)
    named = "; ".join(f"{place}: {reason}".rstrip(".") for place, reason in places)
    if len(ids) == len(problems):
        raise DataError(
            source,
            expected="choices that the student's tokenizer can write and tell apart, in at least one row",
            found=f"none in {len(ids):,} rows, such as {named}",
            fix="Reword the choices, or take another student.",
        )
    _LOG.warning(
        "%s: %d of %d rows are set aside, whose choices the student's tokenizer cannot write or tell apart: %s%s",
        source,
        len(ids),
        len(problems),
        named,
        " …" if len(ids) > _NAMED else "",
    )
    return part.only([problem is None for problem in problems], reason=UNDECIDABLE)


def facts(part: Loaded) -> DataPart:
    """What run.json keeps of one part."""
    counts = {"set_aside": part.set_aside, "phrases": {phrase.text: phrase.value for phrase in part.phrases}}
    known = {name: value for name, value in counts.items() if value}
    return DataPart.model_validate(
        {"source": part.name, "fingerprint": part.fingerprint, "n": len(part.examples), **known}
    )


def _denoising_arguments(config: TrainConfig, denoising: Denoising, output_dir: Path) -> Any:
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


def _denoise(
    config: TrainConfig, denoising: Denoising, student: Checkpoint, examples: Sequence[Example], run: Run
) -> Checkpoint:
    """Teach the decoder to write. The student it ends with is kept: a resumed run goes on from there."""
    from reasondistill.storage.files import atomic_folder
    from reasondistill.training.denoising import denoising_features
    from reasondistill.training.trainer import DistillationTrainer

    done = run.folder / "denoised"
    if done.is_dir():
        return load_checkpoint(done)
    run.metrics.unlink(missing_ok=True)
    arguments = _denoising_arguments(config, denoising, run.checkpoints)
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
    with tracking(arguments, run.folder, "denoising"):
        trainer = DistillationTrainer(
            student,
            loss=Loss(alpha=0.0, beta=1.0),
            arguments=arguments,
            train_dataset=features,
            log_file=run.metrics,
            phase="denoising",
            on_first_step=_stepped(run),
        )
        with memory_advice(config, trainer, batch_key="student.denoising.per_device_train_batch_size"):
            trainer.train()
    for parameter in encoder:
        parameter.requires_grad_(True)
    with room_for("the student", done), atomic_folder(done) as folder:
        student.save(folder)
    run.write(timings={"denoising": round(time.monotonic() - started, 1)})
    return student


def _train_jointly(config: TrainConfig, arguments: Any, student: Checkpoint, parts: Parts, run: Run) -> None:
    from datasets import concatenate_datasets

    from reasondistill.students.engines.pytorch import TorchEngine
    from reasondistill.training.trainer import DistillationTrainer

    task, codec = config.task, student.codec
    student = adapt(student, freeze=config.freeze, lora=config.lora, seed=config.seed)
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
            on_first_step=_stepped(run),
        )
        elapsed = _run_trainer(
            config,
            trainer,
            run,
            truncated=_cuts(train_features, parts.examples, config, codec),
            lost=_lost(train_features, parts.examples, config, codec),
        )
    _finish(config, student, trainer, run, elapsed, parts.validation)


def _run_trainer(
    config: TrainConfig, trainer: Any, run: Run, *, truncated: dict[str, int], lost: dict[str, Any]
) -> float:
    """Train, from the last whole checkpoint where there is one; the seconds that it took.

    Raises:
        StoppedError: a signal came; a checkpoint of the last step is there.
    """
    checkpoint = last_good(run.checkpoints)
    run.forget_after(step_of(checkpoint) if checkpoint else 0)
    run.write(status="running", truncated=truncated, lost=lost)
    started = time.monotonic()
    with memory_advice(config, trainer), trainer.stop.listening():
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if trainer.state.global_step == 0:
        raise ConfigError(
            "training.dataloader_drop_last",
            expected=f"a whole batch at least ({config.training.get('per_device_train_batch_size', 8)} rows)",
            found=f"{len(trainer.train_dataset)} rows to learn from: not a step was made",
            fix="Set it to false, or lower training.per_device_train_batch_size.",
        )
    return time.monotonic() - started


def _cuts(features: Any, examples: Sequence[Example], config: TrainConfig, codec: Codec) -> dict[str, int]:
    """How many prompts and targets were too long; where some were, it is said once, with what to raise."""
    import pyarrow.compute as pc

    table = features.data.table
    counts = {
        "sources": pc.sum(table["source_truncated"]).as_py() or 0,
        "of_sources": len(features),
        "targets": pc.sum(table["truncated"]).as_py() or 0,
        "of": pc.sum(pc.list_value_length(table["target_ids"])).as_py() or 0,
    }
    too_long = [
        (key, what, counts[name], counts[of], int(getattr(config, key)))
        for key, what, name, of in (
            ("max_source_length", "prompts", "sources", "of_sources"),
            ("max_target_length", "targets", "targets", "of"),
        )
        if counts[name]
    ]
    if too_long:
        cut = pc.or_(table["source_truncated"], pc.greater(table["truncated"], 0))
        ids = set(table["id"].filter(cut).slice(0, _MEASURED).to_pylist())
        longest = _longest((e for e in examples if e.id in ids), config, codec)
        all_measured = pc.sum(cut).as_py() <= _MEASURED
        _LOG.warning(
            "%s. Raise %s, or shorten the texts.",
            "; ".join(
                f"{n:,} of {of:,} {what} lost tokens to {key} = {limit}"
                f" ({'the longest has' if all_measured else 'some have'} {longest[what]:,})"
                for key, what, n, of, limit in too_long
            ),
            " and ".join(key for key, *_ in too_long),
        )
    return counts


def _lost(features: Any, examples: Sequence[Example], config: TrainConfig, codec: Codec) -> dict[str, Any]:
    """What the student's tokenizer cannot read of prompts and targets; where that is worth it, it is said once.

    Only rows that may have lost something are read again: with an unknown token, with a prompt of the same tokens as
    another's, or with characters that a tokenizer may drop.
    """
    table = features.data.table
    rows = _lossy_rows(table, codec.tokenizer.unk_token_id)
    count = LossCount(codec.tokenizer, codec.max_source_length)
    for example in examples:
        for prompt, targets in _rendered(example, config):
            if example.id in rows or not all(map(plain, (prompt, *targets))):
                count.add(example.id, prompt, targets)
    found = _of_all_rows(count.found(), table)
    if lines := sentences(found, from_share=WORTH_SAYING):
        _LOG.warning("%s %s", " ".join(lines), advice(found))
    return found


def _lossy_rows(table: Any, unknown: int | None) -> set[str]:
    """The ids of rows with an unknown token, or with the prompt of another row."""
    rows: set[str] = set()
    first: dict[bytes, str] = {}
    for batch in table.select(["id", "input_ids", "target_ids"]).to_batches():
        ids, prompts, targets = batch.columns
        flat, ends = prompts.flatten().to_numpy(), prompts.offsets.to_numpy() - prompts.offsets[0].as_py()
        hit = set() if unknown is None else {*_places_of(prompts, unknown), *_places_of(targets, unknown)}
        for place, identity in enumerate(ids.to_pylist()):
            key = hashlib.sha256(flat[ends[place] : ends[place + 1]].tobytes()).digest()[:16]
            before = first.setdefault(key, identity)
            if before != identity:
                rows |= {before, identity}
            if place in hit:
                rows.add(identity)
    return rows


def _places_of(lists: Any, token: int) -> set[int]:
    """The rows of lists, or of lists of lists, that hold a token."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parents = pc.list_parent_indices(lists)
    flat = lists.flatten()
    if pa.types.is_list(flat.type):
        inner = pc.list_parent_indices(flat)
        flat, parents = flat.flatten(), parents.take(inner)
    return set(parents.filter(pc.equal(flat, token)).to_pylist())


def _of_all_rows(found: dict[str, Any], table: Any) -> dict[str, Any]:
    """The same with the numbers of all prompts, targets and their tokens, special ones among them."""
    import pyarrow.compute as pc

    targets = pc.list_flatten(table["target_ids"])
    sizes = {
        "prompts": (len(table), pc.sum(pc.list_value_length(table["input_ids"])).as_py()),
        "targets": (len(targets), pc.sum(pc.list_value_length(targets)).as_py()),
    }
    return found | {name: found[name] | {"n": n, "tokens": tokens or 0} for name, (n, tokens) in sizes.items()}


def _rendered(example: Example, config: TrainConfig) -> Iterator[tuple[str, list[str]]]:
    """The prompts of an example as texts, each with its targets."""
    texts: list[str | None] = [e.text for e in example.references if e.text.strip()]
    texts = texts[: config.data.explanations_per_example] or [None]
    for prompt, targets in config.task.render(config.order, example, texts):
        yield prompt, [target.text for target in targets]


def _longest(examples: Iterable[Example], config: TrainConfig, codec: Codec) -> dict[str, int]:
    """Tokens of the longest prompt and target, uncut."""
    rendered = [pair for example in examples for pair in _rendered(example, config)]
    prompts = [prompt for prompt, _ in rendered]
    targets = [target for _, its in rendered for target in its]

    def most(texts: list[str], *, framed: bool) -> int:
        encoded = codec.tokenizer(texts, add_special_tokens=framed, truncation=False)
        return max(map(len, encoded["input_ids"]), default=0)

    # An end token follows a target.
    return {"prompts": most(prompts, framed=True), "targets": most(targets, framed=False) + 1}


def _finish(
    config: TrainConfig, student: Checkpoint, trainer: Any, run: Run, elapsed: float, validation: Loaded | None
) -> None:
    from reasondistill.storage.files import atomic_folder

    trained = trained_count(student.model)
    if isinstance(student, AdaptedCheckpoint):
        student = student.merged()
    best = {}
    if trainer.state.best_model_checkpoint is not None:
        step = step_of(trainer.state.best_model_checkpoint)
        best = {
            "best": {"step": step, "metric": trainer.args.metric_for_best_model, "value": trainer.state.best_metric}
        }
    run.write(
        timings={"training": round(elapsed, 1)},
        student={"parameters": parameter_count(student.model), "trained": trained},
        steps=trainer.state.global_step,
        **best,
    )
    if not run.student.exists():  # or the run was killed right after this
        with room_for("the student", run.student), atomic_folder(run.student) as folder:
            student.save(folder)
            calibration = _calibrate(config, student, folder, validation)
            size = sum(path.stat().st_size for path in folder.iterdir())
            run.write(student={"parameters": parameter_count(student.model), "trained": trained, "bytes": size})
            (folder / "README.md").write_text(model_card(run.info(), student.settings, calibration), encoding="utf-8")
    run.write(status="finished")


def _calibrate(config: TrainConfig, student: Checkpoint, folder: Path, validation: Loaded | None) -> Calibration | None:
    """Fit the finished student's calibration on the validation part and write it into ``folder``, where it can be."""
    if validation is None or config.data.validation is None or without_labels(config.task, config.order) is not None:
        return None
    labelled = sum(label is not None for label in validation.stored.column("label"))
    if labelled < LEAST_ROWS:
        _LOG.warning(
            "Not calibrated: the validation part has %d rows with a label, and %d are needed. "
            "`reasondistill calibrate` does it on other validation data.",
            labelled,
            LEAST_ROWS,
        )
        return None
    from reasondistill.students.engines.pytorch import TorchEngine

    split = config.data.validation.split
    calibration = calibrate(
        TorchEngine(student.model, student.codec),
        config.task,
        config.order,
        validation.examples,
        config.generation,
        student=checkpoint_fingerprint(folder),
        data=CalibrationData(
            name=validation.name,
            split=" + ".join(split) if isinstance(split, list) else split,
            fingerprint=validation.fingerprint,
        ),
    )
    calibration.save(folder)
    if calibration.remark is not None:
        _LOG.warning("Calibration: %s", calibration.remark)
    return calibration


def shuffle_labels(examples: Sequence[Example], seed: int) -> list[Example]:
    """The examples with their labels permuted; explanations stay with the texts that they explain."""
    order = np.random.default_rng(seed).permutation(len(examples))
    return [
        # Only what argued for the true label stays: another label's explanation might fit the new one.
        e.model_copy(update={"label": examples[i].label, "explanations": tuple(e.references)})
        for e, i in zip(examples, order.tolist(), strict=True)
    ]
