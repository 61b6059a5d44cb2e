"""Data in memory, kept with the run that learns from them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from reasondistill.config import TrainConfig
from reasondistill.data.loaded import Loaded
from reasondistill.data.writing import convert
from reasondistill.errors import ConfigError
from reasondistill.runs import DATA_FILE


def keep(data: Loaded, file: Path) -> None:
    """Write the examples, each with its split.

    Raises:
        OutputError: the file cannot be written.
    """
    file.unlink(missing_ok=True)  # of a run that was stopped as it began
    named = zip(data.examples, data.stored.parts(), strict=True)
    convert(replace(data, examples=[e.model_copy(update={"split": str(split)}) for e, split in named]), file)


@contextmanager
def kept_aside(data: Loaded) -> Iterator[Path]:
    """A file of the examples for as long as the run has no folder."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / DATA_FILE
        keep(data, file)
        yield file


def reading(config: TrainConfig, file: Path) -> TrainConfig:
    """The configuration with its sources replaced by one file of examples.

    Raises:
        ConfigError: it has several sources to train on.
    """
    if len(config.data.train_sources) > 1:
        raise ConfigError(
            "data.train",
            expected="one source, as the data are given in memory",
            found=f"{len(config.data.train_sources)}",
            fix="Join the data before, or name files.",
        )
    changed = {"source": str(file), "columns": None, "size": None}
    source = config.data.train_sources[0]
    train = source.model_copy(update={**changed, "split": source.split or "train"})
    validation = config.data.validation
    if validation is not None:
        validation = validation.model_copy(update={**changed, "split": validation.split or "validation"})
    data = config.data.model_copy(update={"train": train, "validation": validation})
    return config.model_copy(update={"data": data})
