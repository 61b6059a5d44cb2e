"""A student's label, probabilities and explanation for every row: ours beside the plain use of the same libraries.

    python benchmarks/inference_speed.py STUDENT [--data FILE --split PART] [--rows 2000] [--json FILE]

Five contenders, each in a process of its own that stays loaded; round after round each answers all rows, the order
turning, so that what else the machine does falls on all of them:

    transformers      forward passes that score each label, and `generate`; batches of 16 as they come, float32
    translate_batch   CTranslate2's `score_batch` and `translate_batch` over the int8 package, the same batches
    ours, PyTorch     `Student.predict` over the checkpoint
    ours, float32     the same over a float32 package
    ours, int8        the same over an int8 package

All with the same number of beams and as many threads as `--threads` says (all cores by default); ours over a package
takes them as workers. Printed are medians of the rounds, with the slowest and fastest; then the time of single rows,
the most memory that each process ever had, and whether the aims are met. Stop what else runs on the machine first: the
clock is what counts, and seconds of processor time stand beside it to show what another process took. Needs the extras
`train` and `serve`. Exit status 1 where an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("inference_child.py")
CONTENDERS = {
    "transformers": ("transformers", "student"),
    "translate_batch": ("translate_batch", "int8"),
    "ours, PyTorch": ("ours", "student"),
    "ours, float32": ("ours", "float32"),
    "ours, int8": ("ours", "int8"),
}
BEST = "ours, int8"
Figures = Mapping[str, dict[str, Any]]  # of each contender
AIMS: dict[str, tuple[float, Callable[[Figures], float]]] = {
    "times transformers": (8.0, lambda f: _ratio(f, BEST, "transformers")),
    "times translate_batch": (2.0, lambda f: _ratio(f, BEST, "translate_batch")),
    "memory, transformers by ours": (3.0, lambda f: float(f["transformers"]["peak_bytes"] / f[BEST]["peak_bytes"])),
}
"""What is asked for → at least how much, and how it follows from the figures."""


class Child:
    """A contender's process."""

    def __init__(self, request: dict[str, Any], folder: Path, name: str) -> None:
        file = folder / f"{name.replace(', ', '_')}.json"
        file.write_text(json.dumps(request), encoding="utf-8")
        environment = os.environ | {
            "OMP_NUM_THREADS": str(request["threads"]),
            "TOKENIZERS_PARALLELISM": "false",
            "TRANSFORMERS_VERBOSITY": "error",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._read()

    def ask(self, what: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: its process ended with status {self._process.wait()}")
        report: dict[str, Any] = json.loads(line)
        return report


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="reasondistill-benchmark-") as folder:
        report = measure(options, Path(folder))
    print(table(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(aim["met"] for aim in report["aims"].values()) else 1


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Export, start the contenders, and let them take turns."""
    from reasondistill.contracts.records import as_row
    from reasondistill.data import load
    from reasondistill.exporting import export, load_sample
    from reasondistill.runs import find_student, hardware, versions
    from reasondistill.students.student import Student

    student = Student.load(options.student)
    data = load(options.data, split=options.split, task=student.task, need_label=False).first(options.rows)
    beams = options.num_beams or student.generation.num_beams
    paths = {"student": str(find_student(options.student))}
    sample = load_sample(options.student, options.data, split=options.split, limit=20)
    for quantization in ("float32", "int8"):
        # A sample of 20 rows is no parity check: `reasondistill export` does one.
        made = export(options.student, folder / quantization, quantization=quantization, sample=sample, limits=_any())
        paths[quantization] = str(made.folder)
    rows = [as_row(example) for example in data.examples]
    children = []
    for name, (way, path) in CONTENDERS.items():
        request = {"way": way, "path": paths[path], "examples": rows, "num_beams": beams}
        request |= {"threads": options.threads, "latency_rows": options.latency_rows}
        print(f"loading {name}", file=sys.stderr, flush=True)
        children.append(Child(request, folder, name))
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for turn in range(options.repeats):
        place = turn % len(children)
        for child in children[place:] + children[:place]:
            runs[child.name].append(child.ask("run"))
            print(f"round {turn + 1}: {child.name} {runs[child.name][-1]['clock']:.1f} s", file=sys.stderr, flush=True)
    figures = {}
    for child in children:
        alone, peak = child.ask("latency"), child.ask("peak")
        figures[child.name] = figures_of(runs[child.name], runs["ours, PyTorch"], alone["milliseconds"])
        figures[child.name] |= {"peak_bytes": peak["bytes"], "torch_imported": peak["torch"]}
        child.close()
    aims = {name: {"at_least": least, "found": of(figures)} for name, (least, of) in AIMS.items()}
    return {
        "rows": len(rows),
        "repeats": options.repeats,
        "threads": options.threads,
        "num_beams": beams,
        "data": {"name": data.name, "split": options.split, "fingerprint": data.fingerprint},
        "student": student.fingerprint,
        "hardware": hardware().model_dump(mode="json"),
        "load_average": os.getloadavg()[0],
        "versions": versions(),
        "contenders": figures,
        "aims": {name: aim | {"met": aim["found"] >= aim["at_least"]} for name, aim in aims.items()},
    }


def figures_of(runs: list[dict[str, Any]], native: list[dict[str, Any]], milliseconds: list[float]) -> dict[str, Any]:
    """One contender's figures; ``label_agreement`` is with ours over PyTorch."""
    rows = len(runs[0]["answers"])
    same = [a[0] == b[0] for a, b in zip(runs[0]["answers"], native[0]["answers"], strict=True)]
    by_size = sorted(milliseconds)
    return {
        "examples_per_second": statistics.median(rows / run["clock"] for run in runs),
        "spread": [min(rows / run["clock"] for run in runs), max(rows / run["clock"] for run in runs)],
        "processor_ms_per_example": statistics.median(1000 * run["processor"] / rows for run in runs),
        "seconds": {kind: [run[kind] for run in runs] for kind in ("clock", "processor")},
        "label_agreement": sum(same) / rows,
        "latency_ms": {"p50": statistics.median(by_size), "p95": by_size[int(0.95 * (len(by_size) - 1))]},
    }


def table(report: dict[str, Any]) -> str:
    """All figures for a screen."""
    rows = f"{report['rows']:,} rows of {report['data']['name']}"
    head = f"{rows}, {report['num_beams']} beams, {report['threads']} threads, "
    lines = [
        f"{head}medians of {report['repeats']} rounds (slowest-fastest), load average {report['load_average']:.1f}",
        "",
    ]
    columns = "{:16} {:>26} {:>12} {:>16} {:>10} {:>7}"
    lines.append(columns.format("", "examples/s by the clock", "CPU ms/ex.", "one: p50/p95 ms", "peak MB", "labels"))
    for name, figures in report["contenders"].items():
        rate = f"{figures['examples_per_second']:.1f} ({figures['spread'][0]:.1f}-{figures['spread'][1]:.1f})"
        alone = f"{figures['latency_ms']['p50']:.1f} / {figures['latency_ms']['p95']:.1f}"
        peak = f"{figures['peak_bytes'] / 1e6:,.0f}"
        processor = f"{figures['processor_ms_per_example']:.1f}"
        lines.append(columns.format(name, rate, processor, alone, peak, f"{figures['label_agreement']:.3f}"))
    lines.append("")
    for name, aim in report["aims"].items():
        verdict = "met" if aim["met"] else "not met"
        lines.append(f"{name:30} {aim['found']:6.2f}   aim: at least {aim['at_least']:g}   {verdict}")
    return "\n".join(lines)


def _ratio(figures: Figures, name: str, other: str) -> float:
    """How many times faster: the median over rounds, each against the same round of the other."""
    pairs = zip(figures[name]["seconds"]["clock"], figures[other]["seconds"]["clock"], strict=True)
    return float(statistics.median(b / a for a, b in pairs))


def _any() -> Any:
    from reasondistill.students.package.manifest import ParityLimits

    return ParityLimits(label_agreement=0, probability_difference=1, greedy_identity=0, explanation_rougeL=0)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("student", nargs="?", default="builtin:scenes", help="a run, or a student's folder")
    parser.add_argument("--data", default="scenes", help="as for `predict`")
    parser.add_argument("--split", help="as for `predict`")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=cores, help="cores that each contender may use")
    parser.add_argument("--num-beams", type=int, help="instead of the student's own setting")
    parser.add_argument("--latency-rows", type=int, default=100, help="rows that are answered one by one")
    parser.add_argument("--quick", action="store_true", help="a look: 96 rows, 2 rounds, 10 rows one by one")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rows, options.repeats, options.latency_rows = min(options.rows, 96), 2, 10
    return options


if __name__ == "__main__":
    raise SystemExit(main())
