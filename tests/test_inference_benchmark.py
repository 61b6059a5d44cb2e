"""The benchmark of inference: its arithmetic by hand, and one small run of all contenders."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "inference_speed.py"


@pytest.fixture
def benchmark() -> Iterator[Any]:
    spec = spec_from_file_location("inference_speed", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def run(clock: float, processor: float, labels: str) -> dict[str, Any]:
    return {"clock": clock, "processor": processor, "answers": [[label, "why"] for label in labels]}


def test_figures_of_a_contender(benchmark: Any) -> None:
    runs = [run(2.0, 1.0, "aabb"), run(4.0, 2.0, "aabb"), run(1.0, 0.4, "aabb")]
    found = benchmark.figures_of(runs, [run(1.0, 1.0, "aaab")], [5.0, 1.0, 3.0])
    assert found["examples_per_second"] == 2.0
    assert found["spread"] == [1.0, 4.0]
    assert found["processor_ms_per_example"] == 250.0
    assert found["label_agreement"] == 0.75
    assert found["latency_ms"] == {"p50": 3.0, "p95": 3.0}


def test_how_many_times_faster_is_said_round_by_round(benchmark: Any) -> None:
    clocks = {"fast": [1.0, 2.0, 10.0], "slow": [4.0, 10.0, 20.0]}
    figures = {name: {"seconds": {"clock": values}} for name, values in clocks.items()}
    assert benchmark._ratio(figures, "fast", "slow") == 4.0  # of 4, 5 and 2


def test_the_table_says_which_aims_are_met(benchmark: Any) -> None:
    one = benchmark.figures_of([run(1.0, 1.0, "ab")], [run(1.0, 1.0, "ab")], [1.0]) | {"peak_bytes": 10**8}
    text = benchmark.table(
        {
            "rows": 2, "repeats": 1, "threads": 2, "num_beams": 4, "load_average": 0.1, "data": {"name": "own"},
            "contenders": {"ours, int8": one},
            "aims": {
                "times transformers": {"at_least": 8.0, "found": 9.0, "met": True},
                "times translate_batch": {"at_least": 2.0, "found": 1.5, "met": False},
            },
        }
    )  # fmt: skip
    assert "2 rows of own, 4 beams, 2 threads" in text
    assert "9.00   aim: at least 8   met" in text
    assert "1.50   aim: at least 2   not met" in text
    assert "2.0 (2.0-2.0)" in text


@pytest.mark.slow
def test_all_contenders_answer_alike(benchmark: Any, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    out = tmp_path / "found.json"
    options = ["--rows", "6", "--repeats", "1", "--threads", "1", "--latency-rows", "1", "--json", str(out)]
    assert benchmark.main(["builtin:scenes", *options]) in (0, 1)  # how fast it was is nobody's business here
    found = json.loads(out.read_text(encoding="utf-8"))
    assert set(found["contenders"]) == set(benchmark.CONTENDERS)
    assert all(one["label_agreement"] == 1.0 for one in found["contenders"].values())
    imported = {name: one["torch_imported"] for name, one in found["contenders"].items()}
    assert [name for name, torch in imported.items() if not torch] == [
        "translate_batch",
        "ours, float32",
        "ours, int8",
    ]
