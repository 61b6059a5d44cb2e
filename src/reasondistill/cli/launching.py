"""`--processes N`: this command again in N processes of this machine, under torch's own launcher."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from reasondistill.cli.shared import needs_extra
from reasondistill.errors import DataError, UserError
from reasondistill.storage.launched import LOST, RESTARTS, place, usable_cores

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

_OWN_OPTIONS = ("--processes", "--max-restarts")
_SHARED = ("train", "update", "predict")
"""Commands that several processes share."""


def ran_in_processes(processes: int | None, restarts: int) -> bool:
    """Whether this command was to start itself in several processes, and they have done its work.

    Raises:
        typer.Exit, UserError: as `launch`.
    """
    if restarts and (processes is None or processes == 1) and place().count == 1:
        raise DataError(
            "--max-restarts",
            expected="several processes, all of which are started again when one ends",
            found="one",
            fix="Name their number with --processes, or leave it out.",
        )
    if processes is None or processes == 1 or place().count > 1:
        return False
    with needs_extra("train"):
        launch(processes, restarts)
    return True


def launch(count: int, restarts: int) -> None:
    """Start this command in ``count`` processes and wait for them. What goes on, the first of them says.

    Args:
        restarts: how often all are started again, from the last checkpoint, after one has ended. After a user's
            mistake they are not: they would make it again.

    Raises:
        typer.Exit: they ended as a command ends after a mistake or a signal, and have said why.
        UserError: one of them was killed.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # they say again, in words of their own, what has been said
            logging.getLogger(name).setLevel(logging.CRITICAL)
    # Without it each process would take all cores.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // count)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,  # torch's launcher cannot tell a mistake
    )
    attempt = 0
    with _restored(RESTARTS):
        while True:
            os.environ[RESTARTS] = str(attempt)
            try:
                elastic_launch(config, sys.executable)("-m", "reasondistill", *_without(sys.argv[1:]))
            except SignalException as error:
                raise typer.Exit(130) from error
            except ChildFailedError as error:
                # Of the others one may be lost, or ended by the launcher before it could say the same.
                mistaken = any(failure.exitcode == UserError.status for failure in error.failures.values())
                if attempt == restarts or mistaken:
                    raise _ending(error, count) from error
                attempt += 1
            else:
                return


def _ending(error: ChildFailedError, count: int) -> Exception:
    """How the command ends after one of its processes failed."""
    rank, failure = error.get_first_failure()
    if failure.exitcode >= 0:
        return typer.Exit(UserError.status if failure.exitcode == LOST else failure.exitcode)
    return UserError(
        f"process {rank} of {count}",
        expected="all processes to the end",
        found=f"one that was ended by {signal.Signals(-failure.exitcode).name}"
        + (" (memory may have run out)" if failure.exitcode == -signal.SIGKILL else ""),
        fix="The run goes on from its last checkpoint: the same command (`train` wants --resume).",
    )


@contextmanager
def _restored(name: str) -> Iterator[None]:
    """In this context a variable of the environment may be set; afterwards it is as it was."""
    before = os.environ.get(name)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def require_alone(command: str | None) -> None:
    """Refuse commands that several processes cannot share.

    Raises:
        DataError: a launcher started several, and it is none of those.
    """
    if place().count > 1 and command not in (None, *_SHARED):
        raise DataError(
            "WORLD_SIZE",
            expected=f"one process for `{command}`; {', '.join(f'`{name}`' for name in _SHARED)} can be several",
            found=f"{place().count}",
            fix="Start it without the launcher.",
        )


def _without(words: list[str]) -> list[str]:
    """The command's words without the option that started this."""
    kept, skips = [], False
    for word in words:
        if skips:
            skips = False
        elif word in _OWN_OPTIONS:
            skips = True
        elif not word.startswith(tuple(f"{option}=" for option in _OWN_OPTIONS)):
            kept.append(word)
    return kept
