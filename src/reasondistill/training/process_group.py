"""Several processes of one training: the one place that knows who they are, and by which they agree.

The first process writes the run and decides; the others compute. What is said here goes over a group of its own on the
processor (gloo), also where gradients go from GPU to GPU: a look at a flag then makes no GPU wait.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from reasondistill.config import TrainConfig
from reasondistill.errors import ConfigError, UserError
from reasondistill.runs import Run
from reasondistill.storage.launched import LOST, Place, place, restarts

T = TypeVar("T")

WAIT_SECONDS = 1800
"""How long a process waits for another by default; ``training.ddp_timeout`` says otherwise."""

_LOST = re.compile(
    r"[Cc]onnection (closed|reset|refused)|Broken pipe|[Gg]loo.*(peer|connect)|NCCL.*(remote|abort|peer)"
    r"|[Tt]imed out waiting|TCPStore"
)
"""In what torch says when another process is gone."""


class LostProcessError(UserError):
    """Another process of the training has ended, or does not answer."""

    status = LOST


class Processes:
    """The processes of one training, as one of them sees them. Alone, nothing is waited for.

    What has to be called by all of them in the same order: every method with a value of all processes, and `together`,
    `by_first` and `first_of_machine`. Inside of these three nothing else of this class may be called.
    """

    def __init__(self, here: Place, group: Any = None) -> None:
        self.here = here
        self._group = group

    @property
    def count(self) -> int:
        return self.here.count

    @property
    def first(self) -> bool:
        return self.here.first

    # --- values of all ---

    def largest(self, value: int) -> int:
        """The largest of the processes' values."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value)
        with self._talking():
            torch.distributed.all_reduce(tensor, torch.distributed.ReduceOp.MAX, group=self._group)
        return int(tensor)

    def total(self, values: Tensor) -> Tensor:
        """The sum of the processes' tensors, of one shape; it is on the processor and in float64."""
        sums = values.detach().to("cpu", torch.float64)
        if self.count > 1:
            with self._talking():
                torch.distributed.all_reduce(sums, group=self._group)
        return sums

    def all_of(self, value: T) -> list[T]:
        """The values of all processes, by rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        with self._talking():
            torch.distributed.all_gather_object(values, value, group=self._group)
        return values

    def of_first(self, value: T) -> T:
        """The first process's value."""
        if self.count == 1:
            return value
        values = [value]
        with self._talking():
            torch.distributed.broadcast_object_list(values, src=0, group=self._group)
        return values[0]

    def share(self, rows: Sequence[T]) -> Sequence[T]:
        """Every n-th of the rows: what this process does of them."""
        return rows if self.count == 1 else [rows[i] for i in range(self.here.rank, len(rows), self.count)]

    # --- what ends all, if it ends one ---

    @contextmanager
    def together(self) -> Iterator[None]:
        """What one process raises inside, all raise.

        Raises:
            UserError: the first that was raised; an exception of another kind stays the one process's own, and the
                others raise LostProcessError.
        """
        if self.count == 1:
            yield
            return
        error: Exception | None = None
        try:
            yield
        except Exception as raised:  # noqa: BLE001  # it is raised again
            error = raised
        self.raise_together(error)

    def raise_together(self, error: Exception | None) -> None:
        """Raise in all processes what one of them found.

        Raises:
            UserError: one of them found something.
        """
        if self.count == 1 or not self.largest(error is not None):
            if error is not None:
                raise error
            return
        if error is not None and not isinstance(error, UserError):
            self.all_of(None)
            raise error
        raise _agreed(next(filter(None, self.all_of(error)), None) or self._lost())

    def by_first(self, work: Callable[[], T]) -> T:
        """What the first process makes; the others wait for it."""
        if self.count == 1:
            return work()
        value: T | None = None
        error: Exception | None = None
        if self.first:
            try:
                value = work()
            except Exception as raised:  # noqa: BLE001  # it is raised again
                error = raised
        self.raise_together(error)
        return self.of_first(value)  # type: ignore[return-value]  # what the first one made

    def first_of_machine(self, work: Callable[[], T]) -> T:
        """What every process makes, one of each machine before the others, which find what it left in the cache."""
        made: list[T] = []
        for turn in (True, False) if self.count > 1 else (True,):
            with self.together():
                if turn is (self.here.local_rank == 0):
                    made.append(work())
        return made[0]

    # --- who writes ---

    def run(self, folder: str | Path) -> Run:
        """The run at a folder; one that nothing is written to, where this process is not the first."""
        return Run(folder) if self.first else _FollowedRun(folder)

    def _lost(self, cause: str = "") -> LostProcessError:
        return LostProcessError(
            self.here,
            expected=f"all {self.count} processes of the training at work",
            found="one that has ended or does not answer" + (f" ({cause})" if cause else ""),
            fix="What it said itself stands above, if it could. The run goes on from its last checkpoint: the same "
            "command (`train` wants --resume).",
        )

    @contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise self._lost(_first_line(error)) from error

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Say in a sentence that another process is gone, where torch finds it inside a step.

        Raises:
            LostProcessError: it is.
        """
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not _LOST.search(str(error)):
                raise
            raise self._lost(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    line = str(error).strip().split("\n")[0].partition(". This is typically")[0]
    return re.sub(r"^\[[^\]]*\] ?", "", line)[:120]  # without the place in torch's own code


def _agreed(error: UserError) -> UserError:
    error.agreed = True
    return error


class _FollowedRun(Run):
    """A run that another process writes."""

    def write(self, **facts: object) -> None:
        pass

    def forget_after(self, step: int) -> None:
        pass

    def tidy(self) -> None:
        pass

    def remove(self) -> None:
        pass

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield


_current = Processes(Place())


def current() -> Processes:
    """The processes that this one trains with."""
    return _current


@contextmanager
def joined(*, seconds: float = WAIT_SECONDS, use_cpu: bool = False) -> Iterator[Processes]:
    """While it lasts, this process is one of those that a launcher started; alone where none did.

    Args:
        seconds: after which a process no longer waits for another.
        use_cpu: gradients are exchanged on the processor, though there is a GPU.

    Raises:
        ConfigError: the launcher asks for what has not been run here.
        LostProcessError: not all processes came.
    """
    global _current
    here = place()
    if here.count == 1 or _current.count > 1:
        yield _current
        return
    _refuse_sharding()
    if "MASTER_ADDR" not in os.environ:
        raise ConfigError(
            "WORLD_SIZE",
            expected="a launcher that also says where the processes meet (MASTER_ADDR, MASTER_PORT), as torchrun does",
            found=f"{here.count} processes that do not know",
            fix="Start the command with torchrun or `train --processes N`, or unset WORLD_SIZE.",
        )
    with Processes(here).noticing():
        group = _meet(here, timedelta(seconds=seconds), on_gpu=torch.cuda.is_available() and not use_cpu)
    _current = Processes(here, group)
    try:
        yield _current
    except UserError as error:
        if not error.agreed:
            error.of_one_process = here.first or here.local_rank < 2 or not isinstance(error, LostProcessError)
        raise
    finally:
        _current = Processes(Place())
        with suppress(RuntimeError):  # of processes that are gone
            torch.distributed.destroy_process_group()


def _meet(here: Place, limit: timedelta, *, on_gpu: bool) -> Any:
    """The group through which processes exchange objects, once all of them have come."""
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    if on_gpu and here.local_count > torch.cuda.device_count():
        raise ConfigError(
            "processes",
            expected=f"as many on a machine as it has GPUs: {torch.cuda.device_count()}",
            found=str(here.local_count),
            fix="Start fewer, or compute on the processor: --set training.use_cpu=true.",
        )
    if on_gpu:  # not run by the authors: they had no machine with two GPUs
        torch.cuda.set_device(here.local_rank % torch.cuda.device_count())
    store, *_ = next(rendezvous("env://", timeout=limit))
    if here.local_count == here.count:  # torch's launcher keeps its store, with the addresses of who has ended
        store = PrefixStore(f"attempt {restarts()}", store)
    torch.distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo", store=store, rank=here.rank, world_size=here.count, timeout=limit
    )
    return torch.distributed.new_group(backend="gloo", timeout=limit)


def joined_for(config: TrainConfig) -> AbstractContextManager[Processes]:
    """`joined`, as a configuration's training arguments say."""
    training = config.training
    seconds = float(training.get("ddp_timeout") or WAIT_SECONDS)
    return joined(seconds=seconds, use_cpu=bool(training.get("use_cpu")) or training.get("ddp_backend") == "gloo")


def _refuse_sharding() -> None:
    for variable, name in (
        ("ACCELERATE_USE_FSDP", "FSDP"),
        ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed"),
        ("ACCELERATE_USE_MEGATRON_LM", "Megatron-LM"),
    ):
        if os.environ.get(variable, "false").lower() in ("true", "1"):
            raise ConfigError(
                "accelerate's configuration",
                expected="processes that each hold the whole student (distributed_type MULTI_CPU or MULTI_GPU)",
                found=name,
                fix="Run `accelerate config` anew, or start the command with torchrun: students of this size need no "
                "sharding, and nobody has run it with this library.",
            )
