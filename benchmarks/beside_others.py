"""What a training step takes beside other work, by how long threads spin while they wait.

    python benchmarks/beside_others.py [--json FILE]
    python benchmarks/beside_others.py --quick            # does it run? its figures say nothing

Three processes train the same student, the quickstart's, on the same scenes: one with OpenMP's defaults (``spinning``),
one with the ``GOMP_SPINCOUNT`` that the command line sets (``brief``), one with ``OMP_WAIT_POLICY=PASSIVE``
(``sleeping``). They take turns: alone, and beside 1, 2 and 4 processes that this script starts and ends and that do
nothing but count.

Measured is wall-clock time. A ratio divides a turn by that of ``spinning`` in the same round, so that other load
affects both: below 1 it is faster. Run it on an idle machine, or "alone" is not alone; the load before it began is
printed. Exits with status 1 if ``brief`` takes more than 1.05 times as long alone. Needs the extra `train`.
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
from reasondistill.cli.waiting import BRIEF_SPIN, SPIN_COUNT, WAIT_POLICY
from training_speed import read, spread

WAYS: dict[str, dict[str, str]] = {
    "spinning": {},
    "brief": {SPIN_COUNT: BRIEF_SPIN},
    "sleeping": {WAIT_POLICY: "PASSIVE"},
}
BESIDE = (0, 1, 2, 4)
MOST_LOST = 1.05
"""How long a brief spin may take alone, as a ratio to the defaults."""


def environment(way: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with one way to wait, whatever way its user has set."""
    return {**{name: value for name, value in os.environ.items() if name not in (WAIT_POLICY, SPIN_COUNT)}, **way}


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
        seconds: dict[int, dict[str, list[float]]] = {}
        for count in beside:
            turns: dict[str, list[float]] = {way: [] for way in WAYS}
            with busy(count):
                for n in range(repeats):
                    # Who begins changes, so that neither way always follows the other.
                    for way in [*WAYS][:: 1 if n % 2 else -1]:
                        turns[way].append(children[way].ask(f"steps {steps[count]}")["clock"] / steps[count])
                    print(f"{n + 1} of {repeats} beside {count}", file=sys.stderr)
            seconds[count] = turns
    return seconds


def middle(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def figures(turns: Mapping[str, Sequence[float]]) -> dict[str, dict[str, dict[str, float]]]:
    """Seconds a step of each way, and its ratio to spinning in the same round: medians and extremes."""
    return {
        way: {
            "seconds": middle(seconds),
            "ratio": middle([b / a for a, b in zip(turns["spinning"], seconds, strict=True)]),
        }
        for way, seconds in turns.items()
    }


def print_table(measured: Mapping[int, Mapping[str, Mapping[str, Mapping[str, float]]]]) -> None:
    print(f"{'busy':>4}  {'threads':10}{'seconds a step (min – max)':>30}{'ratio to spinning':>26}")
    for count, ways in measured.items():
        for way, of in ways.items():
            seconds, ratio = of["seconds"], of["ratio"]
            times = f"{seconds['median']:.3f} ({seconds['min']:.3f} – {seconds['max']:.3f})"
            print(f"{count:>4}  {way:10}{times:>30}{ratio['median']:>12.2f} ({spread(ratio)})")


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
    options = parser.parse_args(arguments)
    if options.quick:
        options.student, options.batch, options.rows = "tiny", 6, 60
        options.beside, options.steps, options.busy_steps, options.repeats = [0, 1], 1, 1, 2

    options.data = None
    described = facts(options)  # before anything runs: the load is that of others
    with tempfile.TemporaryDirectory() as temporary:
        request = prepare(options, Path(temporary))
        steps = {count: options.busy_steps if count else options.steps for count in options.beside}
        turns = measure(request, Path(temporary), beside=options.beside, repeats=options.repeats, steps=steps)
    measured = {count: figures(of) for count, of in turns.items()}
    print(
        f"{options.student}, {options.threads} threads of {described['cores']} cores, load before {described['load']}"
    )
    print_table(measured)
    if options.json is not None:
        whole = {**described, "figures": measured, "seconds_a_step": turns}
        options.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if 0 in measured and (lost := measured[0]["brief"]["ratio"]["median"]) > MOST_LOST:
        print(f"alone, a brief spin takes {lost:.3f} times as long: more than {MOST_LOST}")
        return 0 if options.quick else 1
    return 0


def prepare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What both processes are asked to do; the student's first weights and the examples are written to ``folder``."""
    import torch

    from reasondistill.contracts.records import write_records
    from training_students import make_student

    torch.manual_seed(options.seed)
    examples = read(None, options.rows, options.seed)
    write_records(folder / "examples.jsonl", examples)
    return {
        "examples": str(folder / "examples.jsonl"),
        "threads": options.threads,
        "seed": options.seed,
        "plan": {
            "student": make_student(options.student, examples, folder / "student"),
            "batch": options.batch,
            "explanations": 1,
            "max_source_length": 64,
            "max_target_length": 48,
            "training": settings(max_steps=100_000, learning_rate=2e-3, warmup_steps=100),
        },
    }


if __name__ == "__main__":
    sys.exit(main())
