"""A sweep's files: ``sweep.json``, a failed trial's ``.failed.json``, ``summary.json``. See docs/sweeps.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reasondistill.contracts.base import Block, DatasetInfo, Interval, Versioned, rename_keys
from reasondistill.contracts.comparison import Effect, Family
from reasondistill.storage.files import JsonObject

State = Literal["finished", "running", "failed", "stopped", "waiting"]


SWEEP_FILE = "sweep.json"


class SweepRecord(Versioned):
    """What a sweep's folder was begun with: part of the data → how it is scored, as ``evaluate`` in its YAML says."""

    what = "a sweep"
    again = "reasondistill sweep"

    name: str
    evaluate: dict[str, dict[str, object]] = {}

    @classmethod
    def repair(cls) -> str:
        return "Give the new sweep another name: `--set name=…`."


class TrialFailure(Versioned):
    """Why a trial's last try has no result, and the exit ``status`` of a process that ended without a word."""

    what = "a trial's failure"
    again = "reasondistill sweep"
    migrations = {0: dict}
    """Files without a version have the same keys."""

    error: str
    status: int | None = None


class TrialState(Block):
    """How far a trial is, and where it is not finished, what is known of why."""

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
    """The trials of one name: what it changes, what came of it on one part of the data, and what it cost."""

    name: str
    changes: dict[str, object]
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


def _from_version_1(value: JsonObject) -> JsonObject:
    """Trials were called cells."""
    rename_keys(value, cells="trials")
    return value


class SweepSummary(Versioned):
    """A sweep: its trials, and their figures on each part that was scored."""

    what = "a sweep's summary"
    again = "reasondistill sweep --summary"
    migrations = {1: _from_version_1}

    schema_version: int = 2
    name: str
    trials: list[TrialState]
    parts: list[Scores]
