"""The ``calibration`` block of ``results.json``: how well a system knows where it is right."""

from __future__ import annotations

from reasondistill.contracts.base import Block, Count, Interval, Sparse


class CalibrationBin(Block):
    """One bar of a reliability diagram; ``confidence`` and ``accuracy`` are None in an empty bin."""

    low: float
    high: float
    n: Count
    confidence: float | None = None
    accuracy: float | None = None


class CoveragePoint(Block):
    """Answering where the confidence is at least ``threshold``.

    ``wanted`` is the coverage that was aimed at, ``coverage`` what is reached, over ``n`` answers.
    """

    wanted: float | None = None
    coverage: float
    threshold: float
    n: Count | None = None
    accuracy: float
    ci95: Interval | None = None


class StatedValue(Block):
    """A confidence that is stated in words, and the accuracy of the answers that state it."""

    phrase: str | None = None
    """None where several phrases state the value."""
    value: float
    n: Count
    accuracy: float
    ci95: Interval | None = None


class StatedConfidence(Sparse):
    """Confidence in words; ``shuffled_auroc`` is the control: of the same values, shuffled over the rows."""

    values: list[StatedValue] = []
    shuffled_auroc: float | None = None


class ScoredConfidence(Sparse):
    """Reliability bins with their expected calibration error, accuracy at coverage, and confidence in words.

    A part that was not scored is left out.
    """

    bins: list[CalibrationBin] = []
    ece: float | None = None
    coverage: list[CoveragePoint] = []
    stated: StatedConfidence | None = None
