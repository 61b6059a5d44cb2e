"""How far each cell is, read from files alone: a sweep that was killed knows all that it needs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from reasondistill.contracts.run import RUN_FILE
from reasondistill.contracts.sweep import State
from reasondistill.errors import ConfigError, DataError, OutputError
from reasondistill.runs import Run
from reasondistill.storage.files import read_json, read_versioned_json, write_json
from reasondistill.storage.locks import held, is_held
from reasondistill.sweeps.grid import Cell, Sweep
from reasondistill.sweeps.settings import Scored

SWEEP_FILE = "sweep.json"
SCHEMA_VERSION = 1


def run_of(cell: Cell) -> Run:
    return Run(Path(cell.config.runs_dir) / cell.config.name)


def log_of(sweep: Sweep, cell: Cell) -> Path:
    return sweep.folder / "logs" / f"{cell.name}.log"


def state_of(sweep: Sweep, cell: Cell) -> State:
    """``finished``: all results are there; ``stopped``: begun, and nobody is at work on it; ``waiting``: not begun."""
    busy = in_use(sweep, cell)  # asked first: a process that ends in between has finished it
    if finished(sweep, cell):
        return "finished"
    if busy:
        return "running"
    if failure_of(sweep, cell) is not None:
        return "failed"
    return "stopped" if (run_of(cell).folder / RUN_FILE).is_file() else "waiting"


def finished(sweep: Sweep, cell: Cell) -> bool:
    parts = [scored.part for scored in sweep.scored(cell)]
    return all((run_of(cell).results(part) / "results.json").is_file() for part in parts)


def failure_of(sweep: Sweep, cell: Cell) -> dict[str, Any] | None:
    """Why the last try failed: ``error`` and, of a process that died, its ``status``; None where none did."""
    path = _failure_file(sweep, cell)
    try:
        return read_json(path)
    except DataError:  # none, or another process has just taken it away to try again
        return None


def record_failure(sweep: Sweep, cell: Cell, error: str, status: int | None = None) -> None:
    write_json(_failure_file(sweep, cell), {"error": error, "status": status})


def forget_failure(sweep: Sweep, cell: Cell) -> None:
    _failure_file(sweep, cell).unlink(missing_ok=True)


def _failure_file(sweep: Sweep, cell: Cell) -> Path:
    return sweep.folder / "logs" / f"{cell.name}.failed.json"


def claimed(sweep: Sweep, cell: Cell) -> AbstractContextManager[None]:
    """Keep other processes off this cell.

    Raises:
        BusyError: on entering: another process is at work on it.
        OutputError: on entering: the folder cannot be locked.
    """
    return held(
        _lock_file(sweep, cell),
        of=run_of(cell).folder,
        expected="a cell that nobody else is at work on",
        found="one that another process is running",
        fix="Wait for it; the sweep goes on with the others.",
    )


def in_use(sweep: Sweep, cell: Cell) -> bool:
    """Whether a process is at work on the cell."""
    return is_held(_lock_file(sweep, cell), unsure=False)  # `claimed` says what is wrong to whoever begins


def _lock_file(sweep: Sweep, cell: Cell) -> Path:
    return sweep.folder / "locks" / f"{cell.name}.lock"


def begin(sweep: Sweep) -> None:
    """Hold the sweep to what its folder was begun with, and write down what that is.

    A cell that has begun keeps its configuration, and a part that was scored its settings: figures of two recipes are
    not mixed under one name. New cells and new parts may be added.

    Raises:
        ConfigError: a cell's or a part's differ; all of them are named.
        DataError: the folder's record is of another schema version.
        OutputError: the folder cannot be made.
    """
    problems = [f"cell {cell.name}: {problem}" for cell in sweep.cells if (problem := _changed(cell))]
    path = sweep.folder / SWEEP_FILE
    scored = {one.part: one.model_dump(mode="json") for one in sweep.settings.evaluations}
    before: dict[str, Any] = {}
    if path.is_file():
        fix = "Give the new sweep another name."
        before = read_versioned_json(path, SCHEMA_VERSION, what="a sweep of ", fix=fix).get("evaluate", {})
    for part in sorted(scored.keys() & before.keys()):
        then = Scored(source="").model_dump(mode="json") | before[part]  # keys that came since
        if keys := sorted(k for k in scored[part] if k != "cells" and scored[part][k] != then.get(k)):
            problems.append(f"evaluate: {part} was begun with other settings ({', '.join(keys)}): give it a new name")
    if problems:
        raise ConfigError.gather(sweep.folder, [*problems, "Or give the new sweep another name (--set name=…)."])
    try:
        (sweep.folder / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            sweep.folder, expected="a folder that can be made", found=error.strerror or str(error), fix="Name another."
        ) from error
    write_json(path, {"schema_version": SCHEMA_VERSION, "name": sweep.settings.name, "evaluate": before | scored})


def _changed(cell: Cell) -> str | None:
    """How a cell that has begun differs from what is asked now."""
    run = run_of(cell)
    if not (run.folder / RUN_FILE).is_file():
        return None
    try:
        begun = run.config()
    except (DataError, ConfigError) as error:
        return str(error)
    now, then = cell.config.model_dump(mode="json"), begun.model_dump(mode="json")
    keys = sorted(key for key in now if now[key] != then.get(key))
    return f"was begun with another configuration (see {run.folder / RUN_FILE}: {', '.join(keys)})" if keys else None
