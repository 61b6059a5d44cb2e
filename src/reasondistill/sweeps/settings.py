"""The YAML of a sweep: trials over a training configuration, their evaluations, and a small version."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, Tag

from reasondistill.config import Config, Positive
from reasondistill.config.base_config import MOST_BEAMS
from reasondistill.config.data_config import one_or_several
from reasondistill.metrics.registry import metric_names, metric_of

RunName = Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Changes = dict[str, object]
"""``key.path`` of a training configuration → its value."""


class Scored(Config):
    """What each trial's student predicts, and how it is evaluated; keys as in `predict` and `evaluate`."""

    name: RunName | None = None
    """Name of the predictions file and the results folder; the split by default."""
    source: str
    """A registered name or a path. Generated data need a seed (``scenes:600@1``), the same for all trials."""
    split: str | None = None
    limit: Positive | None = None
    columns: dict[str, str | list[str]] | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    """Text for fields that only some of the variants' tasks have."""
    cells: list[str] | None = None
    """Evaluate only these variants, such as one whose answers another learns from; by default all."""
    num_beams: Annotated[int, Field(ge=1, le=MOST_BEAMS)] | None = None
    bertscore: bool = True
    judge: str | None = None
    teachers: dict[str, str | None] = Field(default_factory=dict)
    """A teacher's name → the file of its predictions; without one, the data's own explanations of that source."""
    faithfulness_limit: Positive | None = None
    """Use at most N examples in each faithfulness test; by default there are no such tests."""
    efficiency: bool = False
    """Measure the student's costs too; timings need an otherwise idle machine."""

    @property
    def part(self) -> str:
        return self.name or self.split or "all"


Evaluations = Annotated[
    Annotated[Scored, Tag("one")] | Annotated[list[Scored], Field(min_length=1), Tag("several")],
    Discriminator(one_or_several),
]


def _once(value: list[int]) -> list[int]:
    if len(set(value)) < len(value):
        raise ValueError("each seed once")
    return value


Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_once)]


class VariantSettings(Config):
    """One variant: its changes, and the variant whose students it starts from."""

    name: RunName
    set: Changes = Field(default_factory=dict)
    seeds: Seeds | None = None
    """Instead of the sweep's."""
    after: str | None = None
    """Start from the student that this variant trained with the same seed, in place of ``student``.

    ``{after}`` in a value of ``set`` is the folder of that run: a student can learn from the predictions of the one
    before it.
    """
    small: Changes | None = None
    """Instead of ``set`` in the small version."""


class Small(Config):
    """Replacements for a version of the sweep that runs in seconds."""

    base: str | Changes | None = None
    set: Changes = Field(default_factory=dict)
    grid: dict[str, Annotated[list[object], Field(min_length=1)]] | None = None
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
    """Trials, seeds and the metrics to compare."""

    name: RunName
    """Also the name of the folder below ``sweeps_dir``."""
    sweeps_dir: str = "experiments/sweeps"
    base: str | Changes
    """A training configuration: written here, or its file, relative to this one."""
    set: Changes = Field(default_factory=dict)
    """Changes for every trial."""
    grid: dict[str, Annotated[list[object], Field(min_length=1)]] = Field(default_factory=dict)
    """Keys with their values: each combination is a variant."""
    cells: list[VariantSettings] = Field(default_factory=list)
    """Variants by name, in addition to those of the grid."""
    seeds: Seeds = Field(default_factory=lambda: [42])
    baseline: str | None = None
    """The variant that the others are compared with; by default the first."""
    evaluate: Evaluations
    metrics: Annotated[list[str], Field(min_length=1), AfterValidator(_comparable)] = Field(
        default_factory=lambda: ["label_accuracy", "rougeL", "bertscore_f1", "support", "ece"]
    )
    """The metrics to test. Choose them before seeing results; fewer metrics make a smaller family of tests."""
    small: Small | None = None

    @property
    def evaluations(self) -> list[Scored]:
        return self.evaluate if isinstance(self.evaluate, list) else [self.evaluate]

    def made_small(self) -> SweepSettings:
        """The small version, with a folder of its own."""
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
