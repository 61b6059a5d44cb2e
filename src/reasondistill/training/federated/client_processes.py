"""Clients that train one after another in this process, or several at a time, each in a process of its own."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from reasondistill.config import FederateConfig
from reasondistill.data import Loaded
from reasondistill.errors import UserError
from reasondistill.quiet import quietly
from reasondistill.students.checkpoint import load_checkpoint
from reasondistill.training.federated.clients import Client
from reasondistill.training.federated.local_training import UPDATE_FILE, ClientWork, Stretch
from reasondistill.training.federated.updates import Update
from reasondistill.training.stopping import TrainingError

_LOG = logging.getLogger(__name__)
_NO_ROWS = Loaded("", ())


@dataclass(frozen=True)
class ClientTask:
    """One client's part in a round, by the files that it reads and writes."""

    client: Client
    weights: Path
    number: int
    begin: int
    end: int
    last: Path | None
    keep: Path

    def without_rows(self) -> ClientTask:
        """To be sent to a process that has the rows."""
        return replace(self, client=replace(self.client, train=_NO_ROWS, held_out=_NO_ROWS))


@dataclass(frozen=True)
class Workers:
    """Who trains clients: ``work`` in this process, or ``pool`` where there are several."""

    work: ClientWork
    trained: dict[str, torch.Size]
    pool: ProcessPoolExecutor | None = None

    def train(self, tasks: Sequence[ClientTask]) -> tuple[list[Update], dict[str, str]]:
        """The updates in the order of the tasks, those on disk among them; and client → why it has none."""
        left = [task for task in tasks if not task.keep.is_dir()]
        wrong: dict[str, str] = {}
        pending = [(task, self._begun(task)) for task in left]
        for task, result in pending:
            try:
                _train(self.work, task) if result is None else result.result()
            except BrokenProcessPool as error:
                raise UserError(
                    task.client.name,
                    problem="its process died, perhaps for want of memory",
                    fix="Lower federation.processes, and go on: the same command with --resume.",
                ) from error
            except TrainingError as error:
                wrong[task.client.name] = f"its training broke: {error.where}: {error.found}"
                _LOG.warning("%s is set aside: %s", task.client.name, wrong[task.client.name])
        return [Update.load(task.keep / UPDATE_FILE) for task in tasks if task.keep.is_dir()], wrong

    def alone(self) -> Workers:
        """The same in this process only."""
        return Workers(self.work, self.trained)

    def _begun(self, task: ClientTask) -> Future[None] | None:
        return None if self.pool is None else self.pool.submit(_in_process, task.client.number, task.without_rows())


@contextmanager
def workers(config: FederateConfig, clients: Sequence[Client], initial: Path) -> Iterator[Workers]:
    """Who trains the clients of a federation, each with a student out of the folder ``initial``."""
    work = ClientWork(config, load_checkpoint(initial))
    trained = work.trained()
    count = config.federation.processes
    if count == 1:
        yield Workers(work, trained)
        return
    pool = ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_set_up,
        initargs=(config, [_picklable(client) for client in clients], initial, torch.get_num_threads()),
    )
    try:
        yield Workers(work, trained, pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _train(work: ClientWork, task: ClientTask) -> None:
    stretch = Stretch(task.number, task.begin, task.end)
    work.train(task.client, load_file(task.weights), stretch, last=task.last, keep=task.keep)


_OWN: dict[str, ClientWork] = {}
_CLIENTS: dict[int, Client] = {}
"""What a process of the pool has."""


def _set_up(config: FederateConfig, clients: Sequence[Client], initial: Path, threads: int) -> None:
    torch.set_num_threads(threads)  # sums have the same order then, and updates the same bits
    with quietly():
        _OWN["work"] = ClientWork(config, load_checkpoint(initial))
    _CLIENTS.update({client.number: client for client in clients})


def _in_process(number: int, task: ClientTask) -> None:
    with quietly():
        _train(_OWN["work"], replace(task, client=_CLIENTS[number]))


def _picklable(client: Client) -> Client:
    """Without the rows' readers, which are functions over files."""
    return replace(client, train=replace(client.train, reader=None), held_out=replace(client.held_out, reader=None))
