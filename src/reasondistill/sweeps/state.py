"""The state of each trial, read from files alone, so that a killed sweep can be resumed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from reasondistill.contracts.run import RUN_FILE
from reasondistill.contracts.sweep import SWEEP_FILE, State, SweepRecord, TrialFailure
from reasondistill.errors import ConfigError, DataError, OutputError
from reasondistill.runs import Run
from reasondistill.storage.locks import held, is_held
from reasondistill.sweeps.grid import Sweep, Trial
from reasondistill.sweeps.settings import Scored


def run_of(trial: Trial) -> Run:
    return Run(Path(trial.config.runs_dir) / trial.config.name)


def log_of(sweep: Sweep, trial: Trial) -> Path:
    return sweep.folder / "logs" / f"{trial.name}.log"


def state_of(sweep: Sweep, trial: Trial) -> State:
    """``finished``: all results are there; ``stopped``: begun, and no process is running it; ``waiting``: not begun."""
    busy = in_use(sweep, trial)  # read first: a process that ends in between has finished the trial
    if finished(sweep, trial):
        return "finished"
    if busy:
        return "running"
    if failure_of(sweep, trial) is not None:
        return "failed"
    return "stopped" if (run_of(trial).folder / RUN_FILE).is_file() else "waiting"


def finished(sweep: Sweep, trial: Trial) -> bool:
    parts = [scored.part for scored in sweep.scored(trial)]
    return all((run_of(trial).results(part) / "results.json").is_file() for part in parts)


def failure_of(sweep: Sweep, trial: Trial) -> TrialFailure | None:
    """Why the last attempt failed; None if it did not."""
    try:
        return TrialFailure.load(_failure_file(sweep, trial))
    except DataError:  # none, or another process has just removed it to try again
        return None


def record_failure(sweep: Sweep, trial: Trial, error: str, status: int | None = None) -> None:
    TrialFailure(error=error, status=status).save(_failure_file(sweep, trial))


def forget_failure(sweep: Sweep, trial: Trial) -> None:
    _failure_file(sweep, trial).unlink(missing_ok=True)


def _failure_file(sweep: Sweep, trial: Trial) -> Path:
    return sweep.folder / "logs" / f"{trial.name}.failed.json"


def claimed(sweep: Sweep, trial: Trial) -> AbstractContextManager[None]:
    """Keep other processes from running this trial.

    Raises:
        BusyError: on entering: another process is running it.
        OutputError: on entering: the folder cannot be locked.
    """
    return held(
        _lock_file(sweep, trial),
        of=run_of(trial).folder,
        expected="a trial that no other process is running",
        found="a trial that another process is running",
        fix="Wait for it; the sweep continues with the other trials.",
    )


def in_use(sweep: Sweep, trial: Trial) -> bool:
    """Whether a process is running the trial."""
    return is_held(_lock_file(sweep, trial), unsure=False)  # `claimed` reports the problem when a trial begins


def _lock_file(sweep: Sweep, trial: Trial) -> Path:
    return sweep.folder / "locks" / f"{trial.name}.lock"


def begin(sweep: Sweep) -> None:
    """Hold the sweep to the settings that its folder was begun with, and record them.

    A trial that has begun keeps its configuration, and an evaluation its settings: results of two recipes are not mixed
    under one name. New trials and new evaluations may be added.

    Raises:
        ConfigError: settings of a trial or an evaluation differ; all are named.
        DataError: the folder's record is of another schema version.
        OutputError: the folder cannot be made.
    """
    problems = [f"trial {trial.name}: {problem}" for trial in sweep.trials if (problem := _changed(trial))]
    path = sweep.folder / SWEEP_FILE
    scored = {evaluation.part: evaluation.model_dump(mode="json") for evaluation in sweep.settings.evaluations}
    before = SweepRecord.load(path).evaluate if path.is_file() else {}
    for part in sorted(scored.keys() & before.keys()):
        then = Scored(source="").model_dump(mode="json") | before[part]  # with keys added since
        if keys := sorted(k for k in scored[part] if k != "cells" and scored[part][k] != then.get(k)):
            problems.append(f"evaluate: {part} was begun with other settings ({', '.join(keys)}): give it a new name")
    if problems:
        fix = "Undo the changes, or give the new sweep another name (--set name=…)."
        raise ConfigError.gather(sweep.folder, problems, fix)
    try:
        (sweep.folder / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            sweep.folder, expected="a folder that can be made", found=error.strerror or str(error), fix="Name another."
        ) from error
    SweepRecord(name=sweep.settings.name, evaluate=before | scored).save(path)


def _changed(trial: Trial) -> str | None:
    """How the configuration of a trial that has begun differs from the current one."""
    run = run_of(trial)
    if not (run.folder / RUN_FILE).is_file():
        return None
    try:
        begun = run.config()
    except (DataError, ConfigError) as error:
        return str(error)
    now, then = trial.config.model_dump(mode="json"), begun.model_dump(mode="json")
    keys = sorted(key for key in now if now[key] != then.get(key))
    return f"was begun with another configuration (see {run.folder / RUN_FILE}: {', '.join(keys)})" if keys else None
