"""Results of systems of several sizes on the same scenes, with what they cost: for tests of trade-offs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation import EvaluationSettings, evaluate

LABELS = ("entailment", "neutral", "contradiction")
HARDWARE = {"cpu": "a processor", "cores": 2, "threads": 1, "memory_gib": 8.0, "accelerator": None}


MEASURED = {
    "student": "0123456789abcdef",
    "engine": "pytorch",
    "precision": "float32",
    "device": "cpu",
    "order": "label_first",
    "num_beams": 1,
    "max_new_tokens": 60,
}


def efficiency(parameters: int, latency: float, **changed: Any) -> dict[str, Any]:
    """A block as `results.json` holds it, with costs that follow from the size."""
    trial = {"examples_per_second": 3000 / latency, "spread": (2900 / latency, 3100 / latency), "max_rows": 16}
    memory = ("peak_bytes", "loaded_bytes", "peak_at_best_batch_bytes")
    return {
        "schema_version": 1,
        "measured": MEASURED,
        "parameters": {"total": parameters, "trainable": parameters, "embedding": 0, "rest": parameters},
        "checkpoint_bytes": 4 * parameters,
        "weights_bytes": 4 * parameters,
        "memory": {"rest_bytes": 4 * parameters, **dict.fromkeys(memory, 300_000_000 + 6 * parameters)},
        "latency_ms": {"p50": latency, **dict.fromkeys(("p90", "p95", "p99", "mean"), 1.5 * latency), "n": 100},
        "throughput": {**trial, "tried": [trial]},
        "flops_per_example": {
            "label": 60 * parameters, "explanation": 240 * parameters, "total": 300 * parameters, "examples": 100,
        },
        "energy_joules_per_example": None,
        "hardware": HARDWARE,
        "load_average": 0.1,
        "versions": {"torch": "2.13.0"},
        "settings": {"examples": 100, "repeats": 3},
        **changed,
    }  # fmt: skip


def answers(examples: list[Example], *, wrong_every: int, copies_every: int) -> list[Prediction]:
    """Each n-th label is a wrong one; each n-th explanation copies the hypothesis instead of the first reference."""
    told = []
    for k, e in enumerate(examples):
        assert e.label is not None
        label = LABELS[(LABELS.index(e.label) + 1) % 3] if k % wrong_every == 0 else e.label
        explanation = e.fields["hypothesis"] if k % copies_every == 0 else e.references[0].text
        probabilities = {x: 0.8 if x == label else 0.1 for x in LABELS}
        told.append(Prediction(id=e.id, label=label, explanation=explanation, probabilities=probabilities))
    return told


def write_results(
    folder: Path, examples: list[Example], cost: dict[str, Any] | None, *, wrong_every: int, copies_every: int
) -> Path:
    """A results folder, with ``cost`` as its efficiency."""
    settings = EvaluationSettings(bertscore=False, resamples=50)
    found = evaluate(
        answers(examples, wrong_every=wrong_every, copies_every=copies_every),
        examples, name="scenes", split="test", settings=settings,
    )  # fmt: skip
    found.save(folder)
    if cost is not None:
        change(folder, efficiency=cost)
    return folder


def change(folder: Path, **blocks: Any) -> None:
    """Put blocks into a results.json."""
    path = folder / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **blocks}), encoding="utf-8")


def three_sizes(folder: Path, examples: list[Example]) -> list[Path]:
    """Labels hold, explanations fall from large to small."""
    return [
        write_results(folder / "large", examples, efficiency(80_000_000, 90.0), wrong_every=20, copies_every=40),
        write_results(folder / "middle", examples, efficiency(24_000_000, 35.0), wrong_every=15, copies_every=4),
        write_results(folder / "small", examples, efficiency(6_000_000, 12.0), wrong_every=12, copies_every=2),
    ]
