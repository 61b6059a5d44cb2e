"""The golden files: the commands that make them, and what in them may differ from run to run.

``python tests/invariants/golden.py`` writes them anew, after a change that was meant. Look at the difference in git
before you commit it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
INPUTS, GOLDEN = HERE / "inputs", HERE / "golden"
DATA = "scenes:240@1"

Command = Callable[..., object]
"""Runs ``reasondistill`` with these words in the current folder; fails where the command does."""

MASKED = {"created", "finished", "versions", "git_commit", "hardware", "timings", "config_file"}
"""Keys whose values depend on the time, the machine or the checkout."""

_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_DRAWN = re.compile(r"<(svg|style|script)(?! type=| id=)[^>]*>.*?</\1>", re.DOTALL)
"""Drawings, style sheets and code; a script with rows in it has a type."""
_POLICY = re.compile(r"'sha256-[^']+'")


def train(command: Command) -> dict[str, str]:
    """run.json and metrics.jsonl of a training of four steps: loss and gradient norm of each, with their validation."""
    command("train", INPUTS / "train.yaml", "--set", "runs_dir=.")
    return {name: _masked_text(Path("tiny", name)) for name in ("run.json", "metrics.jsonl")}


def evaluate(command: Command) -> dict[str, str]:
    """results.json and per_example.jsonl of the shipped student, and of one that learned nothing."""
    files = {}
    for system in ("nothing", "shipped"):
        out = Path("results", system)
        predictions = INPUTS / f"{system}.jsonl"
        options = ("--split", "test", "--no-bertscore", "--judge", "builtin:scenes", "--out", out)
        command("evaluate", predictions, DATA, *options)
        files |= {f"{system}/{name}": _masked_text(out / name) for name in ("results.json", "per_example.jsonl")}
    return files


def compare(command: Command) -> dict[str, str]:
    """comparison.json of the two, from the golden results."""
    results = [f"{name}={GOLDEN / name}" for name in ("nothing", "shipped")]
    command("compare", *results, "--resamples", "200", "--swaps", "199", "--out", "comparison")
    return {"comparison.json": _masked_text(Path("comparison", "comparison.json"), paths=("results",))}


def audit(command: Command) -> dict[str, str]:
    """audit.json of the data."""
    command("data", "audit", DATA, "--out", "audit")
    return {"audit.json": _masked_text(Path("audit", "audit.json"))}


def sweep(command: Command) -> dict[str, str]:
    """summary.json of a sweep of two variants with two seeds, from what its trials left behind."""
    shutil.copytree(INPUTS / "sweep", "sweep")
    command("sweep", INPUTS / "sweep.yaml", "--summary")
    return {"summary.json": _masked_text(Path("sweep", "summary", "summary.json"))}


def report(command: Command) -> dict[str, str]:
    """report.html of the golden run with the shipped student's golden results, without figures, styles and code."""
    run = Path("report")
    run.mkdir()
    for name in ("run.json", "metrics.jsonl"):
        shutil.copy(GOLDEN / name, run / name)
    shutil.copytree(GOLDEN / "shipped", run / "results" / "test")
    command("report", run)
    page = (run / "report.html").read_text(encoding="utf-8")
    return {"report.html": _POLICY.sub("'sha256-…'", _DRAWN.sub(r"<\1/>", page))}


PRODUCTS = (train, evaluate, compare, audit, sweep, report)
"""In their order: later ones read what earlier ones made."""


def differences(actual: str, expected: str, tolerance: float) -> list[str]:
    """The lines that differ. Numbers with a decimal point may differ by ``tolerance``, relative or absolute."""
    mine, golden = actual.splitlines(), expected.splitlines()
    found = [] if len(mine) == len(golden) else [f"{len(mine)} lines instead of {len(golden)}"]
    for number, (line, wanted) in enumerate(zip(mine, golden, strict=False), start=1):
        if line != wanted and not _close(line, wanted, tolerance):
            found.append(f"line {number}: {line.strip()[:200]!r} instead of {wanted.strip()[:200]!r}")
    return found


def _close(line: str, wanted: str, tolerance: float) -> bool:
    if _NUMBER.split(line) != _NUMBER.split(wanted):
        return False
    pairs = zip(map(float, _NUMBER.findall(line)), map(float, _NUMBER.findall(wanted)), strict=True)
    return all(abs(a - b) <= tolerance * max(1.0, abs(b)) for a, b in pairs)


def _masked_text(path: Path, paths: tuple[str, ...] = ()) -> str:
    """A JSON or JSON Lines file with its masked values replaced, one value a line."""
    text = path.read_text(encoding="utf-8")
    values = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else [json.loads(text)]
    indent = None if path.suffix == ".jsonl" else 1
    return "".join(json.dumps(_masked(v, {*paths}), ensure_ascii=False, indent=indent) + "\n" for v in values)


def _masked(value: Any, paths: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {k: _mask(k, v) if k in MASKED | paths else _masked(v, paths) for k, v in value.items()}
    return [_masked(item, paths) for item in value] if isinstance(value, list) else value


def _mask(key: str, value: Any) -> Any:
    """A value of the same kind: the report of the golden run reads it."""
    if key == "created":
        return "2026-01-01T00:00:00+00:00"
    if key == "hardware":
        return {"cpu": "a processor", "cores": 2, "accelerator": None, "memory_gib": 8.0}
    if key == "timings":
        return dict.fromkeys(value, 1.0)
    if key == "versions":
        return {"python": "3"}
    return None if value is None else "masked"


def _write() -> None:
    import tempfile

    def command(*words: object) -> None:
        subprocess.run([sys.executable, "-m", "reasondistill.cli", *map(str, words)], check=True)

    for product in PRODUCTS:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            for name, text in product(command).items():
                file = GOLDEN / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
                print(f"{product.__name__}: {file.relative_to(HERE)}")
            os.chdir(HERE)


if __name__ == "__main__":
    _write()
