"""A whole training run: data -> student -> (denoising) -> joint training -> a student's folder, resumable."""

from __future__ import annotations

import logging
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

from reasondistill.config import HubStudent, ScratchStudent, Student, TrainConfig
from reasondistill.contracts.federation import FEDERATION_FILE
from reasondistill.contracts.run import RUN_FILE, DataPart
from reasondistill.data import Loaded
from reasondistill.errors import ConfigError, DataError, OutputError, UserError
from reasondistill.quiet import quietly
from reasondistill.runs import DATA_FILE, Run
from reasondistill.storage.launched import launch_id, restarts
from reasondistill.students.build import create_student
from reasondistill.students.checkpoint import Checkpoint, parameter_count
from reasondistill.students.length_checks import check_lengths
from reasondistill.students.scratch import SMALLEST_VOCABULARY
from reasondistill.training.arguments import training_arguments
from reasondistill.training.checkpoints import last_good, step_of
from reasondistill.training.hub_access import require_reachable
from reasondistill.training.kept_data import keep, kept_aside, reading
from reasondistill.training.learned_data import Parts, left_out, load_parts
from reasondistill.training.phases import denoise, denoising_arguments, denoising_of, train_jointly
from reasondistill.training.process_group import Processes, current, joined_for
from reasondistill.training.progress import Begun, Progress, Watcher, unwatched
from reasondistill.training.shared_batches import batch_in_words, with_batch_of
from reasondistill.training.signals import terminating_like_ctrl_c

_LOG = logging.getLogger(__name__)


def train(
    config: TrainConfig, *, data: Loaded | None = None, resume: bool = False, watcher: Watcher = unwatched
) -> Run:
    """Distil a student. Nothing is printed but warnings.

    Args:
        config: what to do.
        data: what to learn from in place of the configuration's sources, which then say no more than which splits, and
            what of them. The run keeps the examples, so that it can go on where it stopped, in ``data.jsonl``.
        resume: go on with the run of this name where it stopped; its own configuration is used.
        watcher: is called as the training begins, and after each of its steps.

    Returns:
        The run, with the finished student in ``run.student``.

    Raises:
        UserError: data, configuration or checkpoint are not usable, or the run exists already; nothing is written.
    """
    import datasets  # noqa: F401  # so that its bars are kept out too

    with joined_for(config) as processes, ExitStack() as held:
        config = processes.of_first(config)  # a batch that was planned follows from a machine's memory
        run = processes.run(Path(config.runs_dir) / config.name)

        def begin() -> bool:
            goes_on = resume or (restarts() > 0 and _begun_by_this_launch(run))
            if goes_on:
                _require_begun(run)
            else:
                Run.require_new(config)  # before minutes of reading data
            held.enter_context(run.locked())
            return goes_on

        resume = processes.by_first(begin)
        with terminating_like_ctrl_c(), quietly():
            return _train(
                config,
                run,
                None if resume else data,
                resume=resume,
                watcher=watcher if processes.first else unwatched,
                processes=processes,
            )


def _begun_by_this_launch(run: Run) -> bool:
    """Whether an earlier attempt of this launch began the run: another run of its name is not gone on with."""
    return (run.folder / RUN_FILE).is_file() and run.info().launch == launch_id()


def _require_begun(run: Run) -> None:
    """Refuse to go on with what has not begun.

    Raises:
        DataError: the folder holds no run, or a federated one.
    """
    if not (run.folder / RUN_FILE).is_file():
        raise DataError(
            run.folder,
            expected=f"a run folder to go on with (with {RUN_FILE} in it)",
            found="none",
            fix="Begin it: the same command without --resume.",
        )
    Run.open(run.folder)
    if (run.folder / FEDERATION_FILE).is_file():
        raise DataError(
            run.folder,
            expected="a run of `train` to go on with",
            found="one of `federate`",
            fix=f"Go on with it: `reasondistill federate {run.folder} --resume`.",
        )


def check(config: TrainConfig, *, lengths: bool = True) -> None:
    """Hold a configuration to what can be known of it before any data are read.

    Args:
        lengths: also those, for which the student's checkpoint has to be there.

    Raises:
        ConfigError: transformers, or this library, refuses an argument of its training, a length is more than the
            student has positions, or a vocabulary of its own is too small.
        CheckpointError: the student's checkpoint or encoder cannot be had.
        MissingExtraError: an extra that it needs is not installed.
    """
    if isinstance(config.student, ScratchStudent) and config.student.vocab_size < SMALLEST_VOCABULARY:
        raise ConfigError(
            "student.vocab_size",
            expected=f"at least {SMALLEST_VOCABULARY}, for every byte and the special tokens",
            found=str(config.student.vocab_size),
            fix="Raise it.",
        )
    folder = Path(config.runs_dir) / config.name / "checkpoints"
    training_arguments(config, folder)
    if (denoising := denoising_of(config)) is not None:
        denoising_arguments(config, denoising, folder)
    if lengths:
        if isinstance(config.student, HubStudent):
            require_reachable(config.student.checkpoint, config.student.revision)
        check_lengths(config)


def _train(
    config: TrainConfig, run: Run, data: Loaded | None, *, resume: bool, watcher: Watcher, processes: Processes
) -> Run:
    from transformers import set_seed

    if resume:
        config = run.config()
        if processes.of_first(run.info().status == "finished"):
            return run
        run.tidy()
    given = config
    with processes.together():
        config = with_batch_of(config, run.info().processes, processes.count) if resume else config
        check(config)
    arguments = training_arguments(config, run.checkpoints)
    with kept_aside(data) if data is not None else nullcontext() as file:
        parts = processes.first_of_machine(lambda: load_parts(config if file is None else reading(config, file)))
    if data is not None:
        given, config = (reading(c, run.folder / DATA_FILE) for c in (given, config))
    set_seed(config.seed)
    watcher(Progress(f"loading {described(config.student)}"))
    student = processes.first_of_machine(lambda: create_student(config, parts.examples, parts.phrases))
    with processes.together():
        parts = parts.decidable(config, student.codec)
    if processes.first:
        for sentence in left_out(parts, config):
            _LOG.warning(sentence)
    processes.by_first(lambda: write_beginning(given, run, data, parts.facts(), resume=resume))
    with processes.together():
        _require_shared(run)
    try:
        watcher(_begun(config, student, parts, run, processes))
        if (denoising := denoising_of(config)) is not None:
            student = denoise(config, denoising, student, parts.examples, run, watcher)
        train_jointly(config, arguments, student, parts, run, watcher)
    except BaseException:
        _leave(run)
        raise
    return run


def write_beginning(
    config: TrainConfig, run: Run, data: Loaded | None, facts_now: dict[str, DataPart], *, resume: bool
) -> None:
    """Create the run's folder, or note in it that the run goes on.

    Raises:
        DataError: it was begun with other data.
    """
    if not resume:
        if data is not None:
            keep(data, run.folder / DATA_FILE)
        Run.create(config).write(data=facts_now)
        if data is not None and data.columns:
            run.write(columns=dict(data.columns))
        if (count := current().count) > 1:
            run.write(processes=count, launch=launch_id())
    elif (facts_then := run.info().data) and facts_then != facts_now:
        raise DataError(
            run.folder,
            expected="the data that the run was begun with",
            found="data of another fingerprint",
            fix="Put the old data back, or begin a new run (--set name=…).",
        )
    else:
        run.write(data=facts_now, status="running")  # killed before it was written, or stopped
        if current().count > 1:
            run.write(launch=launch_id())


def _require_shared(run: Run) -> None:
    """Refuse a folder that only the first process sees.

    Raises:
        OutputError: it is on another machine.
    """
    if not (run.folder / RUN_FILE).is_file():
        raise OutputError(
            run.folder,
            expected="a folder that the processes of all machines see, where the first one wrote the run",
            found="none",
            fix="Name one on a shared file system (--set runs_dir=…).",
        )


def _begun(config: TrainConfig, student: Checkpoint, parts: Parts, run: Run, processes: Processes) -> Begun:
    """What the run begins with, or goes on with."""
    checkpoint = processes.by_first(lambda: last_good(run.checkpoints))
    return Begun(
        data=", ".join(dict.fromkeys(part.name for part in parts.train)),
        labels=parts.labels,
        student=described(config.student),
        parameters=parameter_count(student.model),
        folder=str(run.folder),
        step=0 if checkpoint is None else step_of(checkpoint),
        batch=batch_in_words(config, processes.count),
        restart=restarts(),
    )


def described(student: Student) -> str:
    """A student's kind, in words."""
    if isinstance(student, ScratchStudent):
        return "T5 with random weights"
    return student.checkpoint if isinstance(student, HubStudent) else f"student out of {student.encoder}"


def _leave(run: Run) -> None:
    """Keep a run that did not end for going on with it, or take it away where it made no step."""
    with suppress(OSError, UserError):  # on a full disk; `list_runs` sees that nobody is at work on it
        if not run.has_work:
            run.remove()
        else:
            run.write(status="stopped")
