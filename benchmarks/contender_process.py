"""A contender in a process of its own, as the training benchmarks see it: started, asked, ended.

With the arguments that all contenders share, and what is recorded of the machine. `training_child.py` is the process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CHILD = Path(__file__).with_name("training_child.py")


class Child:
    """A contender's process: a word in, a line of JSON out."""

    def __init__(self, request: Mapping[str, Any], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        folder.mkdir()
        self.log = folder / "log.txt"
        (folder / "request.json").write_text(json.dumps({**request, "folder": str(folder)}), encoding="utf-8")
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(CHILD), str(folder / "request.json")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=None if environment is None else dict(environment),
            )

    def ask(self, words: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(words, file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"a process ended without an answer to {words!r}:\n{self.log.read_text()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.process.communicate("end\n")
            if self.process.returncode:
                raise RuntimeError(f"a process ended badly:\n{self.log.read_text()[-2000:]}")
        else:
            self.process.kill()
            self.process.communicate()


def settings(**given: Any) -> dict[str, Any]:
    """transformers' arguments for every contender; what is not named is transformers' default."""
    return {
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_steps": 50,
        "bf16": False,
        "use_cpu": True,
        **given,
    }


def facts(options: argparse.Namespace) -> dict[str, Any]:
    """What was measured where."""
    return {
        "student": options.student,
        "source": options.data.name if options.data else "scenes",
        "asked": {name: value for name, value in vars(options).items() if isinstance(value, int | str)},
        "threads": options.threads,
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "processor": platform.processor() or platform.machine(),
        "versions": {
            name: version(name) for name in ("reasondistill", "torch", "transformers", "accelerate", "tokenizers")
        },
    }
