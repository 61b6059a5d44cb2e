"""The form of ``comparison.json`` and ``generalisation.json``. What the tests mean: docs/metrics.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.base import Interval
from reasondistill.contracts.records import parse_record
from reasondistill.contracts.results import DatasetInfo
from reasondistill.contracts.tradeoffs import Tradeoffs
from reasondistill.storage.files import read_versioned_json, write_json

SCHEMA_VERSION = 1

Count = Annotated[int, Field(ge=0)]
PValue = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ComparisonSettings(_Part):
    """``resamples`` are the bootstrap's, for intervals; ``swaps`` the permutation test's, for p-values."""

    resamples: Annotated[int, Field(ge=1)] = 10_000
    swaps: Annotated[int, Field(ge=1)] = 9_999
    seed: Annotated[int, Field(ge=0)] = 0


class SystemInfo(_Part):
    """A system by the name that it has in a comparison, and the folder that its scores were read from."""

    name: str
    results: str


class Groups(_Part):
    """What was resampled and swapped: ``n`` groups of rows, ``largest`` rows in one; rows ``without`` stand alone."""

    n: Count
    largest: Count
    without: Count


class Difference(_Part):
    """``difference`` = ``system`` - ``baseline``, over the ``n`` rows that both have a value for.

    ``ci95`` is None with fewer than two groups.
    """

    system: float
    baseline: float
    difference: float
    ci95: Interval | None = None
    n: Count


class Effect(_Part):
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


class McNemar(_Part):
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


class Pair(_Part):
    """One system against another; ``left_out`` says of each metric that is not compared why it is not."""

    system: str
    baseline: str
    metrics: dict[str, TestedDifference]
    mcnemar: McNemar | None = None
    per_label: dict[str, dict[str, Difference]] = {}
    left_out: dict[str, str] = {}


class Family(_Part):
    """The tests whose p-values were corrected together."""

    correction: Literal["holm"] = "holm"
    tests: Count
    members: str


class _Saved(_Part):
    schema_version: int = SCHEMA_VERSION
    kind: str

    def save(self, path: str | Path) -> None:
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file of this kind.

        Raises:
            DataError: it is of another schema version, or of another kind.
        """
        mend = "Run `reasondistill compare` again to write it anew."
        value = read_versioned_json(path, SCHEMA_VERSION, what="a file of ", fix=mend)
        return parse_record(cls, value, str(path))


class Comparison(_Saved):
    """Two or more systems on the same rows, by pairs."""

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


class Part(_Part):
    """One part of the data that a system was scored on."""

    name: str
    results: str
    dataset: DatasetInfo
    groups: Groups


class Gap(_Part):
    """``gap`` = ``first`` - ``second``; its interval takes the two parts as independent samples."""

    first: float
    second: float
    gap: float
    ci95: Interval | None = None
    n_first: Count
    n_second: Count


class Generalisation(_Saved):
    """One system on two parts that share no row and no group."""

    kind: Literal["generalisation"] = "generalisation"
    first: Part
    second: Part
    settings: ComparisonSettings
    metrics: dict[str, Gap]
    left_out: dict[str, str] = {}
    notes: list[str] = []
