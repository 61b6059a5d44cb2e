"""The form of the ``tradeoffs`` block of ``comparison.json``. What its figures mean: docs/metrics.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reasondistill.contracts.base import Block, Interval
from reasondistill.contracts.results import MetricValue

Zero = Literal["nothing", "chance", "baseline"]
"""What counts as no quality at all: a figure of 0, chance, or the strongest system that explains nothing."""

Verdict = Literal["more", "less", "untold", "undefined"]
"""Does the explanation metric lose a smaller share than label accuracy (``more`` gracefully), a larger one, can it not
be told, or has one of the two no share to lose?"""

Answer = Literal["more", "less", "mixed", "untold", "undefined"]
"""The verdicts of several metrics together; ``undefined`` if all of them are."""


class Estimate(Block):
    """A figure with its paired 95% interval, None with fewer than two groups."""

    value: float
    ci95: Interval | None = None


class SystemSummary(Block):
    """A system's costs beside its scores as `evaluate` gave them.

    ``compression`` is the base's parameters over its own, None for a system that was not measured.
    """

    name: str
    n: Annotated[int, Field(ge=0)]
    costs: dict[str, float]
    compression: float | None
    metrics: dict[str, MetricValue]
    per_label: dict[str, dict[str, MetricValue]] = {}


class Base(Block):
    """What compression is counted from; ``compared`` if it is one of the systems, so that its scores are known too."""

    name: str
    parameters: Annotated[float, Field(gt=0)]
    compared: bool


class Front(Block):
    """The systems that no other beats on a quality and a cost together, the cheapest first.

    ``dominated`` names for each of the others one that beats it. ``share`` is how often a system is on the front when
    groups of rows are resampled, None without resamples. Systems ``without`` a figure of the cost or the quality are
    left out of this front.
    """

    quality: str
    cost: str
    systems: list[str]
    dominated: dict[str, str] = {}
    share: dict[str, float] | None = None
    without: list[str] = []


class CurvePoint(Block):
    """A system on a degradation curve; ``kept`` is its share of the reference's quality above each zero point."""

    system: str
    parameters: float
    compression: float
    quality: Estimate
    kept: dict[Zero, Estimate] = {}


class Curve(Block):
    """A metric from the largest system to the smallest, on ``n`` rows that all of its systems have a value for.

    ``label`` is the gold label of the rows, None for all rows. ``zeros`` are the figures that count as nothing, and
    ``undefined`` says of a zero point why no share is kept above it.
    """

    metric: str
    label: str | None = None
    n: Annotated[int, Field(ge=0)]
    zeros: dict[Zero, float]
    points: list[CurvePoint]
    undefined: dict[Zero, str] = {}


class Loss(Block):
    """What a system has lost of the reference's label accuracy and of an explanation metric, above one zero point.

    ``difference`` = ``label_loss`` - ``explanation_loss``, both shares of what the reference has above the zero point.
    """

    system: str
    metric: str
    zero: Zero
    verdict: Verdict
    label_loss: Estimate | None = None
    explanation_loss: Estimate | None = None
    difference: Estimate | None = None
    reason: str = ""


class Tradeoffs(Block):
    """Quality against cost, and what quality smaller systems keep. ``reference`` is the system whose quality is 1."""

    base: Base
    reference: str
    smallest: str | None
    """The smallest system that is smaller than the reference: the one that the answer is about."""
    systems: list[SystemSummary]
    left_out: dict[str, str] = {}
    costs_left_out: dict[str, str] = {}
    metrics_left_out: dict[str, str] = {}
    """Why ``"<system>: <metric>"`` is on no front and in no curve of that metric."""
    fronts: list[Front] = []
    curves: list[Curve] = []
    losses: list[Loss] = []
    answers: dict[Zero, Answer] = {}
    """For ``smallest``, all explanation metrics taken together; the answer is that above the baseline."""
    notes: list[str] = []
