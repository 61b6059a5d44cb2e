"""What a training step takes beside other work, with threads that spin while they wait and with threads that sleep.

    python benchmarks/beside_others.py [--json FILE]
    python benchmarks/beside_others.py --quick            # does it run? its figures say nothing

Two processes train the same student, the quickstart's, on the same scenes: one with OpenMP's defaults (``spinning``),
one with ``OMP_WAIT_POLICY=PASSIVE`` (``sleeping``), which the command line sets unless you set it or
``GOMP_SPINCOUNT``. They take turns: alone, and beside 1, 2 and 4 processes that this script starts and ends and that do
nothing but count.

Measured is the clock: what somebody waits for. The ratio of a turn is ``sleeping`` over ``spinning``, one after the
other, so that whatever else the machine does meets both: below 1 sleeping is faster. Run it on a machine that does
nothing else, or "alone" is not alone; the load that it found before it began is printed. Ends with status 1 if sleeping
takes more than 1.03 times as long alone. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from contender_process import Child, facts, settings
from training_speed import read, spread

WAYS: dict[str, dict[str, str]] = {"spinning": {}, "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"}}
POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
BESIDE = (0, 1, 2, 4)
MOST_LOST = 1.03
"""What sleeping may take alone, as a ratio to spinning."""


def environment(way: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with one way to wait, whatever way its user has set."""
    return {**{name: value for name, value in os.environ.items() if name not in POLICIES}, **way}


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep ``count`` processes counting."""
    with ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def measure(
    request: Mapping[str, Any], folder: Path, *, beside: Sequence[int], repeats: int, steps: Mapping[int, int]
) -> dict[int, dict[str, list[float]]]:
    """Seconds a step of each way's turns, by the number of busy processes beside them.

    Args:
        steps: in one turn, by that number.
    """
    with ExitStack() as stack:
        children = {
            way: stack.enter_context(Child({**request, "contender": "ours"}, folder / way, environment(given)))
            for way, given in WAYS.items()
        }
        for child in children.values():
            child.ask("steps 3")
        found: dict[int, dict[str, list[float]]] = {}
        for count in beside:
            turns: dict[str, list[float]] = {way: [] for way in WAYS}
            with busy(count):
                for n in range(repeats):
                    # Who begins changes, so that neither way always follows the other.
                    for way in [*WAYS][:: 1 if n % 2 else -1]:
                        turns[way].append(children[way].ask(f"steps {steps[count]}")["clock"] / steps[count])
                    print(f"{n + 1} of {repeats} beside {count}", file=sys.stderr)
            found[count] = turns
    return found


def middle(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def figures(turns: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Seconds a step of both ways, and the ratio of the turns: medians and extremes."""
    ratios = [b / a for a, b in zip(turns["spinning"], turns["sleeping"], strict=True)]
    return {**{way: middle(of) for way, of in turns.items()}, "ratio": middle(ratios)}


def print_table(found: Mapping[int, Mapping[str, Mapping[str, float]]]) -> None:
    print(f"{'beside':>6}{'spinning, s a step':>34}{'sleeping, s a step':>34}{'sleeping / spinning':>30}")
    for count, row in found.items():
        cells = [f"{row[way]['median']:.3f} ({row[way]['min']:.3f} – {row[way]['max']:.3f})" for way in WAYS]
        print(f"{count:>6}{cells[0]:>34}{cells[1]:>34}{row['ratio']['median']:>12.2f} ({spread(row['ratio'])})")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="scratch", help="scratch (the quickstart's), flan-t5-small, minilm, tiny")
    parser.add_argument("--beside", type=int, nargs="+", default=list(BESIDE), help="numbers of busy processes")
    parser.add_argument("--batch", type=int, default=64, help="examples of an optimizer step")
    parser.add_argument("--rows", type=int, default=2000, help="pairs that are sampled")
    parser.add_argument("--steps", type=int, default=40, help="in one turn, alone")
    parser.add_argument("--busy-steps", type=int, default=5, help="in one turn, beside others")
    parser.add_argument("--repeats", type=int, default=9, help="turns")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch; as many as cores by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a tiny student, two turns of a step: does it run?")
    parser.add_argument("--json", type=Path, help="also write every turn there")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.student, asked.batch, asked.rows = "tiny", 6, 60
        asked.beside, asked.steps, asked.busy_steps, asked.repeats = [0, 1], 1, 1, 2

    asked.data = None
    described = facts(asked)  # before anything runs: the load is that of others
    with tempfile.TemporaryDirectory() as temporary:
        request = prepare(asked, Path(temporary))
        steps = {count: asked.busy_steps if count else asked.steps for count in asked.beside}
        turns = measure(request, Path(temporary), beside=asked.beside, repeats=asked.repeats, steps=steps)
    found = {count: figures(of) for count, of in turns.items()}
    print(f"{asked.student}, {asked.threads} threads of {described['cores']} cores, load before {described['load']}")
    print_table(found)
    if asked.json is not None:
        whole = {**described, "figures": found, "seconds_a_step": turns}
        asked.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if 0 in found and (lost := found[0]["ratio"]["median"]) > MOST_LOST:
        print(f"alone, sleeping takes {lost:.3f} times as long: more than {MOST_LOST}")
        return 0 if asked.quick else 1
    return 0


def prepare(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What both processes are asked to do; the student's first weights and the examples are written to ``folder``."""
    import torch

    from reasondistill.contracts.records import write_records
    from training_students import make_student

    torch.manual_seed(asked.seed)
    examples = read(None, asked.rows, asked.seed)
    write_records(folder / "examples.jsonl", examples)
    return {
        "examples": str(folder / "examples.jsonl"),
        "threads": asked.threads,
        "seed": asked.seed,
        "plan": {
            "student": make_student(asked.student, examples, folder / "student"),
            "batch": asked.batch,
            "explanations": 1,
            "max_source_length": 64,
            "max_target_length": 48,
            "training": settings(max_steps=100_000, learning_rate=2e-3, warmup_steps=100),
        },
    }


if __name__ == "__main__":
    sys.exit(main())
