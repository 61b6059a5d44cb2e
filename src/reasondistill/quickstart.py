"""The whole way on built-in data: `distilling.distil` with a configuration of its own."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from reasondistill.config import TrainConfig, load_config
from reasondistill.distilling import Distilled, Shown, distil


def quickstart_config(out: Path, *, shuffle_labels: bool = False) -> TrainConfig:
    """The configuration of the quickstart, with its run below ``out``."""
    packaged = resources.files("reasondistill") / "builtin" / "quickstart.yaml"
    with resources.as_file(packaged) as path:
        config = load_config(TrainConfig, path)
    name = f"{config.name}_shuffled" if shuffle_labels else config.name
    data = config.data.model_copy(update={"shuffle_labels": shuffle_labels})
    return config.model_copy(update={"name": name, "runs_dir": str(out), "data": data})


def run_quickstart(out: Path, shown: Shown, *, shuffle_labels: bool = False) -> Distilled:
    """Train on scenes, predict the test split, evaluate and report, as `distil`; the student is not measured.

    Raises:
        MissingExtraError: PyTorch or transformers is not installed.
        UserError: a file in the way, or of another student.
    """
    return distil(quickstart_config(out, shuffle_labels=shuffle_labels), shown, judge="builtin:scenes", measured=False)
