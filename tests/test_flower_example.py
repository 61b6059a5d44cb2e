"""The example with Flower runs its rounds; skipped where Flower is not installed, which needs its own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reasondistill.students.student import Student

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow  # Ray starts processes that import torch
def test_the_example_with_flower_trains_a_student(tmp_path: Path) -> None:
    pytest.importorskip("flwr", reason="Flower is not installed: see examples/federate_with_flower.py")
    pytest.importorskip("ray", reason="Ray, for Flower's simulation, is not installed")
    options = ["--out", tmp_path / "student", "--state", tmp_path / "state", "--rounds", "2", "--clients", "4"]
    done = subprocess.run(
        [sys.executable, "examples/federate_with_flower.py", "configs/federated_tickets.yaml", *map(str, options)],
        cwd=ROOT,
        env=os.environ | {"FLWR_TELEMETRY_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "round 2: label accuracy" in done.stdout
    assert Student.load(tmp_path / "student").explain(text="I cannot log in.").label is not None
