"""The command line shortens how long waiting threads spin, unless the user says otherwise; the benchmark of it runs."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reasondistill.cli.waiting import BRIEF_SPIN, SPIN_COUNT, shorten_spinning

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("given", "spin"),
    [
        ({}, BRIEF_SPIN),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, None),
        ({"OMP_WAIT_POLICY": ""}, None),
        ({"GOMP_SPINCOUNT": "1000"}, "1000"),
        ({"KMP_BLOCKTIME": "0"}, BRIEF_SPIN),
    ],
)
def test_a_users_own_value_wins(given: dict[str, str], spin: str | None) -> None:
    environment = dict(given)
    shorten_spinning(environment)
    assert environment.get(SPIN_COUNT) == spin
    assert {name: environment[name] for name in given} == given


def test_the_spin_count_is_set_before_a_library_reads_it() -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    texts = ["premise=A man is asleep.", "hypothesis=A man is awake."]
    done = subprocess.run(
        [sys.executable, "-m", "reasondistill.cli", "explain", "builtin:scenes", *texts],
        env={**environment, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    counts = set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr))
    if not counts:
        pytest.skip("the libraries' OpenMP does not say how long it spins")
    assert counts == {BRIEF_SPIN}


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("beside_others")


@pytest.mark.slow  # three processes that load PyTorch, one after the other
def test_the_benchmark_runs(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    assert benchmark.main(["--quick", "--threads", "1", "--json", str(file)]) == 0
    found = json.loads(file.read_text(encoding="utf-8"))
    assert list(found["figures"]) == ["0", "1"]
    assert {way: len(turns) for way, turns in found["seconds_a_step"]["1"].items()} == dict.fromkeys(benchmark.WAYS, 2)
    assert "ratio to spinning" in capsys.readouterr().out


def test_ratios_are_of_turns_that_follow_each_other(benchmark: Any) -> None:
    figures = benchmark.figures({"spinning": [1.0, 2.0, 4.0], "brief": [0.5, 2.0, 1.0]})
    assert figures["brief"]["ratio"] == {"median": 0.5, "min": 0.25, "max": 1.0}
    assert figures["spinning"]["seconds"] == {"median": 2.0, "min": 1.0, "max": 4.0}


def test_busy_processes_end_with_what_they_stand_beside(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def begin(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        begun.append(start(*arguments, **options))
        return begun[-1]

    monkeypatch.setattr(benchmark.subprocess, "Popen", begin)
    with pytest.raises(KeyError, match="None, None"), benchmark.busy(2):
        raise KeyError(*[process.poll() for process in begun])
    assert all(process.returncode is not None for process in begun)


def test_each_way_has_its_own_environment(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")
    ways = {name: benchmark.environment(way) for name, way in benchmark.WAYS.items()}
    assert not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & ways["spinning"].keys()
    assert ways["sleeping"]["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "GOMP_SPINCOUNT" not in ways["sleeping"]
