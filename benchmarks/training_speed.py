"""How many examples a second are learned from, beside three usual recipes on the same model, examples and optimizer.

    OMP_NUM_THREADS=1 python benchmarks/training_speed.py [--data esnli_dev.csv] [--student flan-t5-small] [--json FILE]
    OMP_NUM_THREADS=1 python benchmarks/training_speed.py --quick            # a minute's look at tiny weights
    OMP_NUM_THREADS=1 python benchmarks/training_speed.py --quality          # do all learn as much from as many?

An example is one label with one explanation. `recipes.py` says what the contenders are. Each trains in a process of its
own, so that its peak memory is its own, and all take turns: whatever else the machine does meets all of them. Steps
before the first turn are left out. On a busy machine processor time is the fairer measure; with several threads it adds
up over them.

FLOPs are counted (`torch.utils.flop_counter`: matrix products and attention, forward and backward, padding included)
over steps that are not timed. Their share of what the machine reaches in one large matrix product of the same dtype
and threads says how well its arithmetic is used; padding raises that share, so it ranks nobody.

Without --data the built-in scenes are used, shorter than captions. Needs the extras `train` and, for `--student
minilm`, `offline`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from contender_process import Child, facts, settings

KINDS = ("processor", "clock")
TARGETS = {"step_by_step": 3.0, "fixed": 12.0, "plain": 2.0}
"""How many times as many examples a second as each recipe ours should learn from."""

DTYPES = {"bfloat16": "bfloat16"}
"""What a contender multiplies in; float32 where it is not named."""

SLOW = {"fixed"}
"""Contenders of which one step is a turn: it takes minutes."""


def measure(
    contenders: Sequence[str], request: Mapping[str, Any], folder: Path, *, repeats: int, steps: int, warm_up: int
) -> dict[str, Any]:
    """What each contender took in each of its turns."""
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(Child({**request, "contender": name}, folder / name)) for name in contenders
        }
        for name, child in children.items():
            print(f"{name}: first steps", file=sys.stderr)
            child.ask(f"steps {1 if name in SLOW else warm_up}")
        counted = {name: child.ask("flops 1") for name, child in children.items()}
        turns: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
        for n in range(repeats):
            for name, child in children.items():
                turns[name].append(child.ask(f"steps {1 if name in SLOW else steps}"))
                print(f"{n + 1} of {repeats}: {name}, {turns[name][-1]['clock']:.1f} s", file=sys.stderr)
        peaks = {name: child.ask("peak")["peak_bytes"] for name, child in children.items()}
    return {
        name: {
            "turns": turns[name],
            "flops_per_example": counted[name]["flops"] / counted[name]["examples"],
            "peak_bytes": peaks[name],
        }
        for name in contenders
    }


def rates(turns: Sequence[Mapping[str, Any]], what: str, kind: str) -> dict[str, float]:
    """``what`` a second, of each turn: the median and the extremes."""
    each = [turn[what] / turn[kind] for turn in turns]
    return {"median": statistics.median(each), "min": min(each), "max": max(each)}


def figures(measured: Mapping[str, Any], peak_flops: float, kind: str) -> dict[str, Any]:
    """A contender's figures out of its turns."""
    turns = measured["turns"]
    cells = sum(turn["cells"] for turn in turns)
    examples = rates(turns, "examples", kind)
    return {
        "examples_per_second": examples,
        "tokens_per_second": rates(turns, "tokens", kind),
        "padding_share": 1.0 - sum(turn["tokens"] for turn in turns) / cells,
        "gflop_per_example": measured["flops_per_example"] / 1e9,
        "share_of_peak": measured["flops_per_example"] * examples["median"] / peak_flops,
        "page_faults_per_example": sum(t["page_faults"] for t in turns) / sum(t["examples"] for t in turns),
        "peak_bytes": measured["peak_bytes"],
    }


def times_faster(measured: Mapping[str, Any], kind: str, reference: str = "ours") -> dict[str, dict[str, float]]:
    """One contender against each other: the ratio of examples a second, turn by turn."""
    factors = {}
    for name in measured:
        if name != reference and reference in measured:
            pairs = zip(measured[reference]["turns"], measured[name]["turns"], strict=True)
            each = [(a["examples"] / a[kind]) / (b["examples"] / b[kind]) for a, b in pairs]
            factors[name] = {"median": statistics.median(each), "min": min(each), "max": max(each)}
    return factors


def print_table(report: Mapping[str, Any]) -> None:
    for kind in KINDS:
        print(f"\na second of {'processor time' if kind == 'processor' else 'the clock'}")
        print(
            f"{'':14}{'examples':>9}{'from – to':>16}{'tokens':>8}{'padding':>9}{'GFLOP':>7}{'of peak':>9}"
            f"{'memory':>9}   ours: times as fast     aim"
        )
        for name, row in report["figures"][kind].items():
            rate = row["examples_per_second"]
            line = (
                f"{name:14}{rate['median']:9.2f}{spread(rate):>16}{row['tokens_per_second']['median']:8,.0f}"
                f"{row['padding_share']:9.1%}{row['gflop_per_example']:7.1f}{row['share_of_peak']:9.1%}"
                f"{(row['peak_bytes'] or 0) / 2**30:5.2f} GiB"
            )
            if (faster := report["times_faster"][kind].get(name)) is not None:
                aim = f"≥ {TARGETS[name]:g}" if name in TARGETS else ""
                line += f"{faster['median']:8.2f} ({spread(faster)}){aim:>6}"
            if (faster := report["bfloat16_times_faster"][kind].get(name)) is not None and name in TARGETS:
                line += f"   in bfloat16: {faster['median']:.2f} ({spread(faster)})"
            print(line)


def spread(values: Mapping[str, float]) -> str:
    return f"{values['min']:.2f} – {values['max']:.2f}"


def read(data: Path | None, rows: int, seed: int) -> list[Any]:
    """Examples to train on: of a file those of its train part, or scenes; a sample of them."""
    from reasondistill.data import load

    examples = list(load(data or "scenes", split="train").examples)
    explained = [e for e in examples if e.label is not None and e.references]
    return random.Random(seed).sample(explained, min(rows, len(explained)))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data set with explanations, as `train` reads it; else scenes")
    parser.add_argument("--student", default="flan-t5-small", help="flan-t5-small, minilm, or a folder")
    parser.add_argument("--contenders", help="some of ours,bfloat16,whole,step_by_step,fixed,plain")
    parser.add_argument("--batch", type=int, default=24, help="examples of an optimizer step, for all")
    parser.add_argument("--explanations", type=int, default=1, help="of each pair that are used: divides the batch")
    parser.add_argument("--rows", type=int, default=2000, help="pairs that are sampled")
    parser.add_argument("--steps", type=int, default=2, help="in one turn")
    parser.add_argument("--repeats", type=int, default=5, help="turns")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before the first turn, left out")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few rows, a tiny student: does it run?")
    parser.add_argument("--quality", action="store_true", help="on scenes: what do all learn from as many?")
    parser.add_argument("--examples", type=int, default=57_600, help="with --quality, that each learns from")
    parser.add_argument("--alpha", type=float, default=0.1, help="with --quality, of ours; beta is what is left of 1")
    parser.add_argument("--test-rows", type=int, default=1000, help="with --quality, that each answers")
    parser.add_argument("--folder", type=Path, help="where students and logs go; a temporary place by default")
    parser.add_argument("--json", type=Path, help="also write every measurement there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.student, options.batch, options.rows = "tiny", 6, 60
    if options.batch % options.explanations:
        parser.error(f"--batch {options.batch} is no multiple of --explanations {options.explanations}")
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        if options.quality:
            from training_quality import quality

            report = quality(options, Path(temporary))
        else:
            report = speed(options, Path(temporary))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def speed(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    import torch

    from reasondistill.contracts.records import write_records
    from reasondistill.training.arguments import has_fast_bf16
    from recipes import CONTENDERS
    from training_students import make_student, peak_matrix_product

    torch.manual_seed(options.seed)
    examples = read(options.data, options.rows, options.seed)
    write_records(folder / "examples.jsonl", examples)
    request = {
        "examples": str(folder / "examples.jsonl"),
        "threads": options.threads,
        "seed": options.seed,
        "plan": {
            "student": make_student(options.student, examples, folder / "student"),
            "batch": options.batch,
            "explanations": options.explanations,
            "max_source_length": 128,
            "max_target_length": 64,
            "training": settings(max_steps=100_000, learning_rate=3e-4, warmup_steps=100),
        },
    }
    names = (options.contenders or ",".join(n for n in CONTENDERS if n != "bfloat16" or has_fast_bf16())).split(",")
    dtypes = sorted({DTYPES.get(name, "float32") for name in names})
    peaks = {dtype: peak_matrix_product(options.threads, getattr(torch, dtype)) for dtype in dtypes}
    measured = measure(names, request, folder, repeats=options.repeats, steps=options.steps, warm_up=options.warm_up)
    for dtype, peak in peaks.items():  # a clock that changed in between is seen in the spread
        peak += peak_matrix_product(options.threads, getattr(torch, dtype))
    middle = {dtype: statistics.median(peak) for dtype, peak in peaks.items()}
    report = {
        **facts(options),
        "peak_flops": {
            dtype: {"median": middle[dtype], "min": min(peak), "max": max(peak)} for dtype, peak in peaks.items()
        },
        "figures": {
            kind: {
                name: figures(turns_of, middle[DTYPES.get(name, "float32")], kind)
                for name, turns_of in measured.items()
            }
            for kind in KINDS
        },
        "times_faster": {kind: times_faster(measured, kind) for kind in KINDS},
        "bfloat16_times_faster": {kind: times_faster(measured, kind, "bfloat16") for kind in KINDS},
        "turns": {name: turns_of["turns"] for name, turns_of in measured.items()},
    }
    print(
        f"{report['student']} on {report['source']}: {options.batch} examples a step, "
        f"{options.explanations} of each pair; "
        f"{report['threads']} threads of {report['cores']} cores, load {report['load']}; a matrix product reaches "
        + ", ".join(f"{rate / 1e9:.1f} GFLOP/s in {dtype}" for dtype, rate in middle.items())
    )
    print_table(report)
    return report


if __name__ == "__main__":
    sys.exit(main())
