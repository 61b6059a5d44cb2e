"""The form of a sweep's ``summary.json``. What the figures mean: docs/sweeps.md."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from reasondistill.contracts.base import Block, DatasetInfo, Interval, Versioned
from reasondistill.contracts.comparison import Effect, Family

State = Literal["finished", "running", "failed", "stopped", "waiting"]


class CellState(Block):
    """How far a cell is, and where it is not finished, what is known of why."""

    name: str
    variant: str
    seed: int
    state: State
    error: str | None = None


class Figure(Block):
    """A metric's mean over seeds.

    ``ci95`` covers the choice of rows and of seeds together, None with one seed; ``rows_ci95`` that of rows alone, with
    these trainings. ``sd`` is the standard deviation between seeds.
    """

    mean: float
    sd: float | None
    ci95: Interval | None
    rows_ci95: Interval | None
    seeds: dict[int, float]
    n: Annotated[int, Field(ge=0)]


class Variant(Block):
    """A cell's trainings: what it changes, what came of it on one part of the data, and what it cost."""

    name: str
    changes: dict[str, Any]
    after: str | None = None
    seeds: list[int]
    """Those that are finished."""
    parameters: int | None = None
    training_rows: int | None = None
    training_seconds: float | None = None
    """The mean over seeds, denoising included; without what it goes on from."""
    figures: dict[str, Figure]


class Against(Block):
    """A variant against the baseline, on the ``seeds`` that both have: ``difference`` = its mean - the baseline's.

    Intervals as in `Figure`, of the difference. ``p`` is that of a permutation test over groups of rows with these
    trainings, ``p_holm`` after correction over the part's family of tests.
    """

    variant: str
    metric: str
    difference: float
    ci95: Interval | None
    rows_ci95: Interval | None
    p: float | None
    p_holm: float | None
    effect: Effect | None
    seeds: list[int]


class Point(Block):
    """One variant on a curve."""

    variant: str
    value: float
    mean: float
    ci95: Interval | None


class Curve(Block):
    """A metric over the values of one numeric key; ``others`` says what its variants change beside it."""

    key: str
    metric: str
    others: str
    points: list[Point]


class Scores(Block):
    """All that is known on one part of the data; ``effects`` come metric by metric, the largest difference first."""

    part: str
    dataset: DatasetInfo
    baseline: str
    variants: list[Variant]
    effects: list[Against]
    left_out: dict[str, dict[str, str]] = {}
    """Variant → metric → why it is not compared with the baseline."""
    curves: list[Curve] = []
    family: Family
    notes: list[str] = []


class SweepSummary(Versioned):
    """A sweep: its cells, and their figures on each part that was scored."""

    what = "a sweep's summary"
    again = "reasondistill sweep --summary"

    name: str
    cells: list[CellState]
    parts: list[Scores]
