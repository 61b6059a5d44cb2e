"""Trainings in several processes, which are ended with a test, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "reasondistill"]


@contextmanager
def launched(*words: object, **environment: str) -> Iterator[Any]:
    """Python with these words; at the end it and all that it started is killed."""
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        for pid in [*workers(process.pid), process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def workers(launcher: int) -> list[int]:
    """The process ids of what a launcher has started, by rank."""
    ranks = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == launcher:
                lines = (folder / "environ").read_text().split("\0")
                ranks[next(int(line[5:]) for line in lines if line.startswith("RANK="))] = int(folder.name)
    return [pid for _, pid in sorted(ranks.items())]


def finished(process: Any, seconds: float = 240) -> tuple[int, str]:
    """The exit status, and all that was said."""
    out, err = process.communicate(timeout=seconds)
    assert "/reasondistill/" not in err, err  # no traceback of ours; torchrun ends in one of its own
    return process.returncode, out + err
