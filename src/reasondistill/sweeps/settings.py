"""The YAML of a sweep: cells over a training configuration, what they are scored on, and a small version of it all."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag

from reasondistill.config import Config, Positive
from reasondistill.metrics.registry import metric_names, metric_of

RunName = Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Changes = dict[str, Any]
"""``key.path`` of a training configuration → the value that it gets."""


class Scored(Config):
    """What each cell's student is asked, and how its answers are scored; as `predict` and `evaluate` take them."""

    name: RunName | None = None
    """Of the predictions' file and of the results' folder; the split by default."""
    source: str
    """A registered name or a path. Generated data need their own seed (``scenes:600@1``): it is the same for all."""
    split: str | None = None
    limit: Positive | None = None
    columns: dict[str, str | list[str]] | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    """What the rows get in fields that only some of the cells' tasks have."""
    cells: list[str] | None = None
    """Score these cells only, such as one whose answers another cell learns from; by default all."""
    num_beams: Positive | None = None
    bertscore: bool = True
    judge: str | None = None
    teachers: dict[str, str | None] = Field(default_factory=dict)
    """A teacher's name → the file of its predictions; without one, the data's own explanations of that source."""
    faithfulness_limit: Positive | None = None
    """Test faithfulness on at most so many examples a test; by default not at all."""
    efficiency: bool = False
    """Measure what the student costs too; timings want a machine that does nothing else."""

    @property
    def part(self) -> str:
        return self.name or self.split or "all"


def _one_or_several(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


Evaluations = Annotated[
    Annotated[Scored, Tag("one")] | Annotated[list[Scored], Field(min_length=1), Tag("several")],
    Discriminator(_one_or_several),
]


def _once(value: list[int]) -> list[int]:
    if len(set(value)) < len(value):
        raise ValueError("each seed once")
    return value


Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_once)]


class CellSettings(Config):
    """One variant: what it changes, and which other cell's student it goes on from."""

    name: RunName
    set: Changes = Field(default_factory=dict)
    seeds: Seeds | None = None
    """Instead of the sweep's."""
    after: str | None = None
    """Begin with the student that this cell made with the same seed, in place of ``student``.

    ``{after}`` in a value of ``set`` is the folder of that run: a student can learn from what the one before it
    predicted.
    """
    small: Changes | None = None
    """Instead of ``set`` in the small version."""


class Small(Config):
    """What another version of the sweep replaces, so that all of it runs in seconds."""

    base: str | Changes | None = None
    set: Changes = Field(default_factory=dict)
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] | None = None
    seeds: Seeds | None = None
    evaluate: Evaluations | None = None


def _comparable(names: list[str]) -> list[str]:
    for name in names:
        if name not in metric_names():
            raise ValueError(f"{name} is no metric; docs/metrics.md lists them")
        if reason := metric_of(name).not_resampled:
            raise ValueError(f"{name} cannot be compared: {reason}")
    return names


class SweepSettings(Config):
    """Cells, seeds and what they are compared on."""

    name: RunName
    """Also the name of the folder below ``sweeps_dir``."""
    sweeps_dir: str = "experiments/sweeps"
    base: str | Changes
    """A training configuration: in place, or its file, relative to this one."""
    set: Changes = Field(default_factory=dict)
    """Changes for every cell."""
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    """Keys with the values to try: a cell for each combination."""
    cells: list[CellSettings] = Field(default_factory=list)
    """Variants by name, beside those of the grid."""
    seeds: Seeds = Field(default_factory=lambda: [42])
    baseline: str | None = None
    """The cell that the others are tested against; the first by default."""
    evaluate: Evaluations
    metrics: Annotated[list[str], Field(min_length=1), AfterValidator(_comparable)] = Field(
        default_factory=lambda: ["label_accuracy", "rougeL", "bertscore_f1", "support", "ece"]
    )
    """What is tested. Chosen before looking: the fewer, the smaller the family of tests."""
    small: Small | None = None

    @property
    def evaluations(self) -> list[Scored]:
        return self.evaluate if isinstance(self.evaluate, list) else [self.evaluate]

    def made_small(self) -> SweepSettings:
        """The small version, whose folder has another name."""
        small = self.small or Small()
        cells = [c.model_copy(update={"set": c.set if c.small is None else c.small, "seeds": None}) for c in self.cells]
        return self.model_copy(
            update={
                "name": f"{self.name}-small",
                "base": self.base if small.base is None else small.base,
                "set": small.set if small.base is not None else self.set | small.set,
                "grid": self.grid if small.grid is None else small.grid,
                "cells": cells,
                "seeds": small.seeds or self.seeds[:1],
                "evaluate": self.evaluate if small.evaluate is None else small.evaluate,
            }
        )
