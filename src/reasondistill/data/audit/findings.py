"""What a subject of the audit hands on: findings in sentences, and the tables and figures that show them.

A *problem* spoils what is trained or measured; a *warning* needs a decision, or a baseline in the report; a *note* is
good to know. The thresholds are plain judgements and stand at each check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reasondistill.contracts.audit import Finding, Severity
from reasondistill.contracts.audit_numbers import Ids, IdSets
from reasondistill.contracts.base import Interval

SEVERITIES: Final[tuple[Severity, ...]] = ("problem", "warning", "note")
NO_LABEL: Final = "(none)"
ALL_FIELDS: Final = "all fields"

Cell = str | tuple[str, str]
"""A table's cell; the second text stands beneath the first."""


@dataclass(frozen=True)
class NumberTable:
    """Figures in rows; the first column names the row. A rule is drawn above the rows of ``ruled``."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    ruled: frozenset[int] = frozenset()


@dataclass(frozen=True)
class FactList:
    """Names and values; ``folded`` ones are shown on demand."""

    items: Sequence[tuple[str, str]]
    title: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """What every figure has; ``name`` is unique on a page."""

    name: str
    title: str
    caption: str


@dataclass(frozen=True)
class Bars(Figure):
    """A bar for each key of ``counts``, divided by series; as shares of ``of``, or of its own sum.

    A single series without a name is not divided.
    """

    counts: Mapping[str, Mapping[str, int]]
    series: Sequence[str]
    of: int | None = None


@dataclass(frozen=True)
class Points(Figure):
    """Values with their intervals, beside a ``reference`` value."""

    values: Mapping[str, tuple[float, Interval | None]]
    reference: float


@dataclass(frozen=True)
class Grid(Figure):
    """A share for each row and column."""

    shares: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class LengthBars(Figure):
    """Shares of texts by length; ``limit`` is marked."""

    starts: Sequence[int]
    width: int
    shares: Sequence[float]
    unit: str
    limit: int | None


Evidence = str | NumberTable | FactList | Figure
"""What shows findings; a string is a paragraph."""


@dataclass(frozen=True)
class Section:
    """One subject of the audit; ``anchor`` is its name in an address.

    Rows that show its findings are shown with their explanations where these are the subject.
    """

    title: str
    anchor: str
    findings: Sequence[Finding]
    evidence: Sequence[Evidence | None]
    about_explanations: bool = False


def finding(
    severity: Severity, what: str, advice: str, *, ids: Ids | IdSets | None = None, **numbers: int | float | str | None
) -> Finding:
    """A finding; ``what`` begins in lower case and has no full stop, ``advice`` is a sentence."""
    return Finding(severity=severity, what=what, numbers=numbers, ids=ids or [], advice=advice)


def percent(share: float) -> str:
    """A share as people say it: 0%, 0.4%, 12%, 99.9%; never a rounded 0% or 100% where it is not that."""
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.0005:
        return "<0.1%"
    if share > 0.9995:
        return ">99.9%"
    return f"{share:.1%}" if share < 0.1 or share > 0.99 else f"{share:.0%}"


def of_total(n: int, total: int) -> str:
    """``n`` as a share of ``total``, in words; of nothing, 0%."""
    return percent(n / max(total, 1))


def number_of(n: int, noun: str) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
