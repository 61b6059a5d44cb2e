"""The form of a sweep's ``summary.json``. What the figures mean: docs/sweeps.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.base import Interval
from reasondistill.contracts.comparison import Effect, Family
from reasondistill.contracts.records import parse_record
from reasondistill.contracts.results import DatasetInfo
from reasondistill.storage.files import read_versioned_json, write_json

SCHEMA_VERSION = 1

State = Literal["finished", "running", "failed", "stopped", "waiting"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CellState(_Part):
    """How far a cell is, and where it is not finished, what is known of why."""

    name: str
    variant: str
    seed: int
    state: State
    error: str | None = None


class Figure(_Part):
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


class Variant(_Part):
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


class Against(_Part):
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


class Point(_Part):
    """One variant on a curve."""

    variant: str
    value: float
    mean: float
    ci95: Interval | None


class Curve(_Part):
    """A metric over the values of one numeric key; ``others`` says what its variants change beside it."""

    key: str
    metric: str
    others: str
    points: list[Point]


class Scores(_Part):
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


class SweepSummary(_Part):
    """A sweep: its cells, and their figures on each part that was scored."""

    schema_version: int = SCHEMA_VERSION
    name: str
    cells: list[CellState]
    parts: list[Scores]

    def save(self, path: str | Path) -> None:
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `save` wrote.

        Raises:
            DataError: it is of another schema version, or not such a file.
        """
        mend = "Run `reasondistill sweep` again to write it anew."
        value = read_versioned_json(path, SCHEMA_VERSION, what="a sweep's summary of ", fix=mend)
        return parse_record(cls, value, str(path))
