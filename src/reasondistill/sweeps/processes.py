"""Each trial runs in its own process, so a crash or a lack of memory affects only that trial."""

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
from reasondistill.sweeps.grid import Sweep, Trial
from reasondistill.sweeps.state import failure_of, finished, forget_failure, in_use, log_of, record_failure
from reasondistill.sweeps.trial import run_trial
from reasondistill.training.signals import handled_by

Launcher = Literal["process", "accelerate"]
_LOOK = 0.2  # seconds between two looks at the processes
_LAST_LINES = 6
BUSY = 75
"""Exit status of a trial's process if another process is running that trial: sysexits.h's "try again"."""


class Outcome(NamedTuple):
    """The outcome of a trial; ``error`` says why there is no result."""

    trial: Trial
    error: str | None = None


def run_sweep(
    sweep: Sweep,
    *,
    jobs: int = 1,
    launcher: Launcher = "process",
    say: Callable[[str], None] = lambda text: None,
) -> list[Outcome]:
    """Run every trial that is not finished.

    Args:
        sweep: its folder was checked by `state.begin`.
        jobs: number of trials at a time, each in a process with its share of the threads. 0: one after another in this
            process, without start-up time and without the isolation.
        launcher: how a trial's process is started: directly, or by ``accelerate launch`` with one process, which uses
            the user's accelerate configuration. A trial is one process either way.
        say: called with a sentence when a trial begins or ends.

    Returns:
        The outcome of each trial, in order.

    Raises:
        StoppedError: a signal came; running trials have saved their progress.
    """
    if jobs == 0:
        failed = _run_in_turn(sweep, say)
    else:
        failed = _Pool(sweep, jobs, launcher, say).run()
    return [Outcome(trial, None if finished(sweep, trial) else failed[trial.name]) for trial in sweep.trials]


def _run_in_turn(sweep: Sweep, say: Callable[[str], None]) -> dict[str, str]:
    failed: dict[str, str] = {}
    ahead = list(sweep.trials)
    announced: set[str] = set()
    while ahead:
        trial = next((trial for trial in ahead if not _to_be_waited_for(sweep, trial, failed)), None)
        if trial is None:  # all remaining trials depend on other processes
            for trial in ahead:
                if trial.name not in announced:
                    say(f"{trial.name}: waiting for another process that is running it, or the trial it starts from")
                    announced.add(trial.name)
            time.sleep(_LOOK)
            continue
        ahead.remove(trial)
        if finished(sweep, trial):
            continue
        if trial.after in failed:
            failed[trial.name] = f"not begun: it starts from {trial.after}, which failed"
            continue
        say(f"{trial.name}: begins")
        try:
            run_trial(sweep, trial)
        except BusyError:  # another process was quicker
            ahead.append(trial)
        except Exception as error:  # the other trials still run; the summary names this one
            if isinstance(error, StoppedError):
                raise
            failed[trial.name] = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            with log_of(sweep, trial).open("a", encoding="utf-8") as log:
                traceback.print_exc(file=log)
            say(f"{trial.name}: failed")
        else:
            say(f"{trial.name}: finished")
    return failed


def _to_be_waited_for(sweep: Sweep, trial: Trial, failed: Mapping[str, str]) -> bool:
    """Whether another process is running it, or the trial whose student it starts from."""
    # Read first: a process that ends in between has finished the trial.
    busy = in_use(sweep, trial)
    if finished(sweep, trial) or trial.after in failed:
        return False
    return busy or (trial.after is not None and not finished(sweep, sweep.trial(trial.after)))


@dataclass
class _Job:
    trial: Trial
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    slot: int


@dataclass
class _Pool:
    """Starts trials as slots become free, until no trial is left that can run."""

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
                while self.running:  # after a signal: each saves a checkpoint
                    time.sleep(_LOOK)
                    self._reap()
            finally:
                for job in self.running:  # only if this process itself fails
                    _signal(job.process, signal.SIGTERM)
        if self.stopping:
            done = sum(finished(self.sweep, trial) for trial in self.sweep.trials)
            raise StoppedError(f"stopped; {done} of {len(self.sweep.trials)} trials are finished")
        return self.failed

    def _fill(self) -> bool:
        """Start the trials that can start; returns whether there is anything left to wait for."""
        waiting = False
        for trial in self.sweep.trials:
            if self.stopping:  # a signal that came meanwhile reached only the running trials
                return True
            # Read first: a process that ends in between has finished the trial.
            busy = in_use(self.sweep, trial)
            if finished(self.sweep, trial) or trial.name in self.failed:
                continue
            if trial.name in self.begun:
                waiting = True
            elif trial.after in self.failed:
                self.failed[trial.name] = f"not begun: it starts from {trial.after}, which failed"
            elif busy:
                waiting = True
                self._tell_once(f"{trial.name}: waiting for another process that is running it")
            elif trial.after is not None and not finished(self.sweep, self.sweep.trial(trial.after)):
                waiting = True
            elif len(self.running) < self.jobs:
                self._start(trial)
                waiting = True
            else:
                waiting = True
        return waiting

    def _start(self, trial: Trial) -> None:
        slot = next(n for n in range(self.jobs) if n not in {job.slot for job in self.running})
        path = log_of(self.sweep, trial)
        path.parent.mkdir(parents=True, exist_ok=True)
        forget_failure(self.sweep, trial)  # of an earlier attempt
        log = path.open("ab")
        threads = threads_of_each(self.jobs)
        process = subprocess.Popen(
            command_of(self.sweep, trial, self.launcher, threads),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment_of(os.environ, slot, threads),
            start_new_session=True,  # Ctrl-C reaches only this process, which passes it on once
        )
        self.running.append(_Job(trial, process, log, slot))
        if self.stopping:
            _signal(process, signal.SIGTERM)
        self.begun.add(trial.name)
        self.say(f"{trial.name}: begins (log: {path})")

    def _reap(self) -> None:
        for job in [job for job in self.running if job.process.poll() is not None]:
            # A stopped launcher may end before the process that it started.
            if in_use(self.sweep, job.trial):
                continue
            self.running.remove(job)
            job.log.close()
            if finished(self.sweep, job.trial):
                self.say(f"{job.trial.name}: finished")
            elif job.process.returncode == BUSY:  # another process was quicker: check the trial again
                self.begun.discard(job.trial.name)
            elif not self.stopping:
                self.failed[job.trial.name] = self._reason(job)
                self.say(f"{job.trial.name}: failed")

    def _reason(self, job: _Job) -> str:
        status = job.process.returncode
        failure = failure_of(self.sweep, job.trial)
        if failure is None:  # it ended before it could record one
            error = f"{_ended(status)}\n{last_lines(log_of(self.sweep, job.trial).read_bytes())}".strip()
            record_failure(self.sweep, job.trial, error, status)
            return error
        return failure.error

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.say(text)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.stopping += 1
        if self.stopping == 1:
            print(
                f"\n{signal.Signals(number).name}: running trials save their progress; send it again to stop at once",
                file=sys.stderr,
            )
        for job in self.running:
            _signal(job.process, signal.SIGTERM if self.stopping == 1 else signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a trial's process and, behind a launcher, to the process that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def command_of(sweep: Sweep, trial: Trial, launcher: Launcher, threads: int) -> list[str]:
    """The command that runs one trial in its own process."""
    arguments = ["-m", "reasondistill.cli", "sweep", *sweep.arguments, "--cell", trial.name]
    if launcher == "process":
        return [sys.executable, *arguments]
    options = ["--num_processes", "1", "--num_machines", "1", "--num_cpu_threads_per_process", str(threads)]
    return [sys.executable, "-m", "accelerate.commands.launch", *options, *arguments]


def environment_of(given: Mapping[str, str], slot: int, threads: int) -> dict[str, str]:
    """A trial's environment: its share of the threads and, if several GPUs are visible, one of them."""
    environment = {**given, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
    devices = [d.strip() for d in given.get("CUDA_VISIBLE_DEVICES", "").split(",") if d.strip()]
    if len(devices) > 1:
        environment["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    return environment


def threads_of_each(jobs: int) -> int:
    """Threads for each of ``jobs`` processes, which share OMP_NUM_THREADS or the usable cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = min(cores, int(wanted)) if wanted.isdigit() and int(wanted) > 0 else cores
    return max(1, threads // jobs)


def last_lines(log: bytes, count: int = _LAST_LINES) -> str:
    """The last lines that are not empty; of a progress bar, its last state."""
    text = log.decode("utf-8", errors="replace")
    lines = [line.split("\r")[-1].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join([line for line in lines if line][-count:])


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    name = signal.Signals(-status).name if -status in {s.value for s in signal.Signals} else f"signal {-status}"
    more = ", as the system does when it runs out of memory" if name == "SIGKILL" else ""
    return f"killed by {name}{more}"
