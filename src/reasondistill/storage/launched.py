"""Which process of how many this is, as torchrun, accelerate and others that start several say in the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

RESTARTS = "REASONDISTILL_RESTARTS"
"""In the environment of processes that `train --processes` starts: how often it has started them again."""

LOST = 75
"""The status of a process that ends because another one has: sysexits' EX_TEMPFAIL, as it may go well another time."""


@dataclass(frozen=True)
class Place:
    """A process among those that a launcher started.

    Attributes:
        rank: from 0, over all machines.
        count: how many there are.
        local_rank, local_count: the same on this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and speaks for all."""
        return self.rank == 0

    def __str__(self) -> str:
        return f"process {self.rank} of {self.count}"


def place() -> Place:
    """This process's place; alone, where no launcher started it."""
    count = _number("WORLD_SIZE", 1)
    rank = _number("RANK", 0)
    return Place(rank, count, _number("LOCAL_RANK", rank), _number("LOCAL_WORLD_SIZE", count))


def launch_id() -> str:
    """What tells this start by a launcher from others: all its attempts have it in common. "" without a launcher."""
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    return "" if name is None else f"{name}-{os.getppid()}"


def restarts() -> int:
    """How often all processes have been started again, by torch's launcher or ours, after one had ended."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0) + _number(RESTARTS, 0)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default


def usable_cores() -> int:
    """How many cores to use: ``OMP_NUM_THREADS`` if it is a number, else all that this process may use."""
    if named := _number("OMP_NUM_THREADS", 0):
        return named
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
