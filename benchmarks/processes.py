"""How much faster several processes train than one, each with one thread, on the same rows a step.

    python benchmarks/processes.py                          # two processes against one
    python benchmarks/processes.py --processes 2 4 --rounds 5
    python benchmarks/processes.py --student google/flan-t5-small

Each contender trains the same student for a few steps, in turn, and the first process takes the time of each step. The
median of a round's steps is the round's time; printed are the median of the rounds, and the extremes. Processor time
leaves out waiting: for the other process, and for others' work on a busy machine. On a GPU machine
the same command takes a GPU a process, in bfloat16; that has not been run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from reasondistill.training.progress import Begun, Progress

_WARM_UP = 3
_STEPS = 12
_STUDENT = {
    "kind": "scratch", "d_model": 256, "d_ff": 1024, "d_kv": 64, "num_heads": 4, "num_layers": 4,
    "num_decoder_layers": 4, "vocab_size": 4000,
}  # fmt: skip


def values(student: str | None, rows: int, processes: int, folder: Path) -> dict[str, Any]:
    """The configuration of a training of a few steps."""
    return {
        "name": f"of-{processes}",
        "runs_dir": str(folder),
        "data": {"train": {"source": "scenes:3000", "split": "train"}, "explanations_per_example": 1},
        "student": _STUDENT if student is None else {"kind": "hub", "checkpoint": student},
        "training": {
            "max_steps": _WARM_UP + _STEPS,
            "per_device_train_batch_size": rows // processes,
            "logging_steps": 1000,
            "save_strategy": "no",
            "report_to": "none",
        },
    }


def train_here(config: str) -> None:
    """Train as one of the processes; the first prints the seconds of each step."""
    from reasondistill.config import TrainConfig
    from reasondistill.storage.launched import place
    from reasondistill.storage.layered_yaml import validate_config
    from reasondistill.training.train import train

    ends: list[tuple[float, float]] = []

    def watch(event: Begun | Progress) -> None:
        if isinstance(event, Progress) and event.phase == "training" and event.done == len(ends) + 1:
            ends.append((time.perf_counter(), time.process_time()))

    train(validate_config(TrainConfig, json.loads(config), where="benchmark"), watcher=watch)
    if place().first:
        steps = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(ends)]
        print("seconds", json.dumps(steps[_WARM_UP - 1 :]))


def seconds_a_step(student: str | None, rows: int, processes: int, threads: int) -> tuple[float, float]:
    """The medians over the steps of one training: by the clock, and of the first process's processor time."""
    with tempfile.TemporaryDirectory() as folder:
        config = json.dumps(values(student, rows, processes, Path(folder)))
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        done = subprocess.run(
            [sys.executable, *(launcher if processes > 1 else []), __file__, "--train", config],
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "TORCH_CPP_LOG_LEVEL": "ERROR"},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("seconds ")]
    if not lines:
        sys.exit(done.stderr)
    by_the_clock, busy = zip(*json.loads(lines[0].removeprefix("seconds ")), strict=True)
    return statistics.median(by_the_clock), statistics.median(busy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[2])
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--rows", type=int, default=32, help="of a step, over all processes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--student", help="a hub id or folder; by default a T5 of 8 million random weights")
    parser.add_argument("--train", metavar="JSON", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train is not None:
        train_here(options.train)
        return
    counts = [1, *options.processes]
    times: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    for _ in range(options.rounds):
        for count in counts:
            times[count].append(seconds_a_step(options.student, options.rows, count, options.threads))
    print(f"{options.rows} rows a step, {options.threads} thread(s) a process, load {os.getloadavg()[0]:.1f}")
    print("processes | s a step (extremes) | times as fast as one | processor s of a process | one's / this")
    alone = [statistics.median(values) for values in zip(*times[1], strict=True)]
    for count, rounds in times.items():
        clock, busy = zip(*rounds, strict=True)
        medians = statistics.median(clock), statistics.median(busy)
        extremes = f"({min(clock):.3f}-{max(clock):.3f})"
        print(
            f"{count} | {medians[0]:.3f} {extremes} | {alone[0] / medians[0]:.2f} | {medians[1]:.3f} "
            f"| {alone[1] / medians[1]:.2f}"
        )


if __name__ == "__main__":
    main()
