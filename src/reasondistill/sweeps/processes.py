"""Cells in processes of their own: what one of them does to itself, a crash or the lack of memory, ends no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, Literal, NamedTuple

from reasondistill.errors import StoppedError, UserError
from reasondistill.storage.locks import BusyError
from reasondistill.sweeps.grid import Cell, Sweep
from reasondistill.sweeps.state import failure_of, finished, forget_failure, in_use, log_of, record_failure
from reasondistill.sweeps.trial import run_cell
from reasondistill.training.signals import handled_by

Launcher = Literal["process", "accelerate"]
_LOOK = 0.2  # seconds between two looks at the processes
_LAST_LINES = 6
BUSY = 75
"""Exit status of a cell's process that found another one at work on it: sysexits.h's "try again"."""


class Outcome(NamedTuple):
    """What became of a cell; ``error`` says why there is no result."""

    cell: Cell
    error: str | None = None


def run_sweep(
    sweep: Sweep,
    *,
    jobs: int = 1,
    launcher: Launcher = "process",
    say: Callable[[str], None] = lambda text: None,
) -> list[Outcome]:
    """Run every cell that is not finished.

    Args:
        sweep: whose folder `state.begin` has checked.
        jobs: how many cells at once, each in a process that gets its share of the threads. 0: one after another in
            this process, without a start for each, and without its protection.
        launcher: how a cell's process is started: by itself, or by ``accelerate launch`` with one process, which puts
            the user's own accelerate configuration to use. A cell is one process either way.
        say: told in a sentence what begins and ends.

    Returns:
        What became of each cell, in their order.

    Raises:
        StoppedError: a signal came; cells that were under way saved what they had done.
    """
    if jobs == 0:
        failed = _one_after_another(sweep, say)
    else:
        failed = _Pool(sweep, jobs, launcher, say).run()
    return [Outcome(cell, None if finished(sweep, cell) else failed[cell.name]) for cell in sweep.cells]


def _one_after_another(sweep: Sweep, say: Callable[[str], None]) -> dict[str, str]:
    failed: dict[str, str] = {}
    ahead = list(sweep.cells)
    told: set[str] = set()
    while ahead:
        cell = next((cell for cell in ahead if not _to_be_waited_for(sweep, cell, failed)), None)
        if cell is None:  # other processes are at work on all that is left
            for one in ahead:
                if one.name not in told:
                    say(f"{one.name}: another process is at work on it, or on what it goes on from; waiting")
                    told.add(one.name)
            time.sleep(_LOOK)
            continue
        ahead.remove(cell)
        if finished(sweep, cell):
            continue
        if cell.after in failed:
            failed[cell.name] = f"not begun: it goes on from {cell.after}, which failed"
            continue
        say(f"{cell.name}: begins")
        try:
            run_cell(sweep, cell)
        except BusyError:  # another process was quicker
            ahead.append(cell)
        except Exception as error:  # the other cells are run all the same; the end names this one
            if isinstance(error, StoppedError):
                raise
            failed[cell.name] = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            with log_of(sweep, cell).open("a", encoding="utf-8") as log:
                traceback.print_exc(file=log)
            say(f"{cell.name}: failed")
        else:
            say(f"{cell.name}: finished")
    return failed


def _to_be_waited_for(sweep: Sweep, cell: Cell, failed: Mapping[str, str]) -> bool:
    """Whether another process has it in hand, or the cell whose student it begins with."""
    # Asked first: a process that ends in between has finished it.
    busy = in_use(sweep, cell)
    if finished(sweep, cell) or cell.after in failed:
        return False
    return busy or (cell.after is not None and not finished(sweep, sweep.cell(cell.after)))


@dataclass
class _Job:
    cell: Cell
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    slot: int


@dataclass
class _Pool:
    """Starts cells as places become free, until none is left that can be run."""

    sweep: Sweep
    jobs: int
    launcher: Launcher
    say: Callable[[str], None]
    running: list[_Job] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    stopping: int = 0
    _told: set[str] = field(default_factory=set)

    def run(self) -> dict[str, str]:
        with handled_by(self._receive):
            try:
                while not self.stopping and self._fill():
                    time.sleep(_LOOK)
                    self._reap()
                while self.running:  # a signal came: each of them saves a checkpoint
                    time.sleep(_LOOK)
                    self._reap()
            finally:
                for job in self.running:  # only where this process itself breaks
                    _signal(job.process, signal.SIGTERM)
        if self.stopping:
            raise StoppedError(
                f"stopped; {sum(finished(self.sweep, c) for c in self.sweep.cells)} of {len(self.sweep.cells)} cells "
                "are finished"
            )
        return self.failed

    def _fill(self) -> bool:
        """Start what can be started; whether there is anything left to wait for."""
        waiting = False
        for cell in self.sweep.cells:
            if self.stopping:  # a signal that came meanwhile reached only those that ran
                return True
            # Asked first: a process that ends in between has finished it.
            busy = in_use(self.sweep, cell)
            if finished(self.sweep, cell) or cell.name in self.failed:
                continue
            if cell.name in self.begun:
                waiting = True
            elif cell.after in self.failed:
                self.failed[cell.name] = f"not begun: it goes on from {cell.after}, which failed"
            elif busy:
                waiting = True
                self._tell_once(f"{cell.name}: another process is at work on it; waiting for it")
            elif cell.after is not None and not finished(self.sweep, self.sweep.cell(cell.after)):
                waiting = True
            elif len(self.running) < self.jobs:
                self._start(cell)
                waiting = True
            else:
                waiting = True
        return waiting

    def _start(self, cell: Cell) -> None:
        slot = next(n for n in range(self.jobs) if n not in {job.slot for job in self.running})
        path = log_of(self.sweep, cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        forget_failure(self.sweep, cell)  # of an earlier try
        log = path.open("ab")
        threads = threads_of_each(self.jobs)
        process = subprocess.Popen(
            command_of(self.sweep, cell, self.launcher, threads),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment_of(os.environ, slot, threads),
            start_new_session=True,  # Ctrl-C on a terminal reaches this process alone, which passes it on once
        )
        self.running.append(_Job(cell, process, log, slot))
        if self.stopping:
            _signal(process, signal.SIGTERM)
        self.begun.add(cell.name)
        self.say(f"{cell.name}: begins (log: {path})")

    def _reap(self) -> None:
        for job in [job for job in self.running if job.process.poll() is not None]:
            # A launcher that is stopped may end before the process that it started.
            if in_use(self.sweep, job.cell):
                continue
            self.running.remove(job)
            job.log.close()
            if finished(self.sweep, job.cell):
                self.say(f"{job.cell.name}: finished")
            elif job.process.returncode == BUSY:  # another process was quicker: it is looked at again
                self.begun.discard(job.cell.name)
            elif not self.stopping:
                self.failed[job.cell.name] = self._reason(job)
                self.say(f"{job.cell.name}: failed")

    def _reason(self, job: _Job) -> str:
        status = job.process.returncode
        told = failure_of(self.sweep, job.cell)
        if told is None:  # it had no chance to say anything
            error = f"{_ended(status)}\n{last_lines(log_of(self.sweep, job.cell).read_bytes())}".strip()
            record_failure(self.sweep, job.cell, error, status)
            return error
        return str(told["error"])

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.say(text)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.stopping += 1
        if self.stopping == 1:
            print(
                f"\n{signal.Signals(number).name}: cells under way save what they have; once more stops at once",
                file=sys.stderr,
            )
        for job in self.running:
            _signal(job.process, signal.SIGTERM if self.stopping == 1 else signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """To a cell's process and, where a launcher stands between, to the one that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def command_of(sweep: Sweep, cell: Cell, launcher: Launcher, threads: int) -> list[str]:
    """The command that runs one cell in a process of its own."""
    arguments = ["-m", "reasondistill.cli", "sweep", *sweep.arguments, "--cell", cell.name]
    if launcher == "process":
        return [sys.executable, *arguments]
    options = ["--num_processes", "1", "--num_machines", "1", "--num_cpu_threads_per_process", str(threads)]
    return [sys.executable, "-m", "accelerate.commands.launch", *options, *arguments]


def environment_of(given: Mapping[str, str], slot: int, threads: int) -> dict[str, str]:
    """A cell's environment: its share of the threads, and where several GPUs are visible, one of them."""
    environment = {**given, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
    devices = [d.strip() for d in given.get("CUDA_VISIBLE_DEVICES", "").split(",") if d.strip()]
    if len(devices) > 1:
        environment["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    return environment


def threads_of_each(jobs: int) -> int:
    """Threads for each of ``jobs`` processes: as many as OMP_NUM_THREADS or the usable cores allow in all."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = min(cores, int(wanted)) if wanted.isdigit() and int(wanted) > 0 else cores
    return max(1, threads // jobs)


def last_lines(log: bytes, count: int = _LAST_LINES) -> str:
    """The last lines that say anything; a progress bar counts as what it showed last."""
    text = log.decode("utf-8", errors="replace")
    lines = [line.split("\r")[-1].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join([line for line in lines if line][-count:])


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    name = signal.Signals(-status).name if -status in {s.value for s in signal.Signals} else f"signal {-status}"
    more = ", as a system does that runs out of memory" if name == "SIGKILL" else ""
    return f"killed by {name}{more}"
