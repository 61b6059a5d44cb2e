"""The form of ``comparison.json`` and ``generalisation.json``. What the tests mean: docs/metrics.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reasondistill.contracts.base import Block, Count, DatasetInfo, Interval, Versioned, rename_keys
from reasondistill.contracts.tradeoffs import Tradeoffs
from reasondistill.storage.files import JsonObject

PValue = Annotated[float, Field(ge=0, le=1)]


class ComparisonSettings(Block):
    """``resamples`` are the bootstrap's, for intervals; ``swaps`` the permutation test's, for p-values."""

    resamples: Annotated[int, Field(ge=1)] = 10_000
    swaps: Annotated[int, Field(ge=1)] = 9_999
    seed: Annotated[int, Field(ge=0)] = 0


class SystemInfo(Block):
    """A system by the name that it has in a comparison, and the folder that its scores were read from."""

    name: str
    results: str


class Groups(Block):
    """What was resampled and swapped: ``n`` groups of rows, ``largest`` rows in one; rows ``without`` stand alone."""

    n: Count
    largest: Count
    without: Count


class Difference(Block):
    """``difference`` = ``system`` - ``baseline``, over the ``n`` rows that both have a value for.

    ``ci95`` is None with fewer than two groups.
    """

    system: float
    baseline: float
    difference: float
    ci95: Interval | None = None
    n: Count


class Effect(Block):
    """A difference in units that do not depend on the metric; ``value`` is None where it is infinite."""

    name: Literal["cohens_d_z", "cohens_g"]
    value: float | None
    ci95: Interval | None = None


class TestedDifference(Difference):
    """With a two-sided ``p`` (None with fewer than two groups), ``p_holm`` after correction over the family.

    ``effect`` is None for a metric that has no value for each row.
    """

    p: PValue | None = None
    p_holm: PValue | None = None
    effect: Effect | None = None


class McNemar(Block):
    """Rows whose label only one of the two has right, and McNemar's exact test of them.

    ``odds_ratio`` is ``system_only`` / ``baseline_only``, None where that is infinite or undefined; the upper bound
    of its interval is None where infinite.
    """

    system_only: Count
    baseline_only: Count
    p: PValue | None
    p_holm: PValue | None = None
    odds_ratio: float | None
    odds_ratio_ci95: tuple[float, float | None] | None


class Pair(Block):
    """One system against another; ``left_out`` says of each metric that is not compared why it is not."""

    system: str
    baseline: str
    metrics: dict[str, TestedDifference]
    mcnemar: McNemar | None = None
    per_label: dict[str, dict[str, Difference]] = {}
    left_out: dict[str, str] = {}


class Family(Block):
    """The tests whose p-values were corrected together."""

    correction: Literal["holm"] = "holm"
    tests: Count
    members: str


def _from_version_1(value: JsonObject) -> JsonObject:
    """The zero point ``baseline`` of trade-offs was called floor."""
    tradeoffs = value.get("tradeoffs") or {}
    curves = tradeoffs.get("curves", [])
    blocks = [tradeoffs.get("answers", {})]
    blocks += [block for curve in curves for block in (curve["zeros"], curve.get("undefined", {}))]
    blocks += [point.get("kept", {}) for curve in curves for point in curve["points"]]
    for block in blocks:
        if "floor" in block:
            rename_keys(block, floor="baseline")
    for loss in tradeoffs.get("losses", []):
        loss["zero"] = "baseline" if loss["zero"] == "floor" else loss["zero"]
    return value


class Comparison(Versioned):
    """Two or more systems on the same rows, by pairs."""

    what = "a comparison"
    again = "reasondistill compare"
    migrations = {1: _from_version_1}

    schema_version: int = 2

    kind: Literal["comparison"] = "comparison"
    systems: list[SystemInfo]
    dataset: DatasetInfo
    groups: Groups
    settings: ComparisonSettings
    exact: bool
    """Whether the permutation test tried every swap of groups, not a sample of them."""
    family: Family
    pairs: list[Pair]
    tradeoffs: Tradeoffs | None = None
    """Where the results of two systems or more say what these cost."""
    notes: list[str] = []


class Part(Block):
    """One part of the data that a system was scored on."""

    name: str
    results: str
    dataset: DatasetInfo
    groups: Groups


class Gap(Block):
    """``gap`` = ``first`` - ``second``; its interval takes the two parts as independent samples."""

    first: float
    second: float
    gap: float
    ci95: Interval | None = None
    n_first: Count
    n_second: Count


class Generalisation(Versioned):
    """One system on two parts that share no row and no group."""

    what = "a generalisation"
    again = "reasondistill compare --parts"

    kind: Literal["generalisation"] = "generalisation"
    first: Part
    second: Part
    settings: ComparisonSettings
    metrics: dict[str, Gap]
    left_out: dict[str, str] = {}
    notes: list[str] = []


class Shift(Versioned):
    """One system on the rows that it is usually scored on, and on sets of other kinds: a `Generalisation` each."""

    what = "a shift"
    again = "reasondistill compare --parts"

    kind: Literal["shift"] = "shift"
    sets: Annotated[list[Generalisation], Field(min_length=1)]
