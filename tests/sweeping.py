"""Sweeps of a student that learns nothing, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from reasondistill.contracts.comparison import ComparisonSettings

SCENES = "scenes:120@1"
BASE: dict[str, Any] = {
    "name": "base",
    "max_source_length": 64,
    "max_target_length": 48,
    "data": {"train": {"source": SCENES, "split": "train"}, "explanations_per_example": 1},
    "student": {
        "kind": "scratch",
        "d_model": 16,
        "d_ff": 16,
        "d_kv": 8,
        "num_heads": 2,
        "num_layers": 1,
        "num_decoder_layers": 1,
        "vocab_size": 300,
    },
    "training": {
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "save_strategy": "steps",
        "save_steps": 1,
        "report_to": "none",
    },
    "generation": {"num_beams": 1, "max_new_tokens": 3},
}
EVALUATE = {"source": SCENES, "split": "test", "limit": 12, "bertscore": False}
FEW = ComparisonSettings(resamples=50, swaps=99)


def written(folder: Path, **keys: Any) -> Path:
    """A sweep's file; what is not given is small."""
    path = folder / "sweep.yaml"
    value = {"name": "s", "sweeps_dir": str(folder / "sweeps"), "base": BASE, "evaluate": EVALUATE, **keys}
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
    return path


def cells(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, **more} for name in names]
