"""The form of ``results.json``: written by evaluation, read by comparison and reports."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, field_serializer, field_validator

from reasondistill.contracts.base import Block, DatasetInfo, Versioned
from reasondistill.contracts.efficiency import Efficiency

NOT_FLOORS = ("references", "student_fewer_references")
"""Entries of ``floors`` that stand beside a system for comparison, but are nothing that it has to beat."""


class Metric(Block):
    """A figure over ``n`` examples; ``ci95`` is the 95% interval of a bootstrap over groups, where one was made."""

    value: float
    ci95: tuple[float, float] | None = None
    n: Annotated[int, Field(ge=0)]


class Confusion(Block):
    """``counts[i][j]`` examples of gold label ``labels[i]`` were given ``labels[j]``."""

    labels: list[str]
    counts: list[list[int]]


class Results(Versioned):
    """One system's scores on one split of one data set. Metric names and their meaning: docs/metrics.md."""

    what = "results"
    again = "reasondistill evaluate"

    dataset: DatasetInfo
    settings: dict[str, Any]
    metrics: dict[str, Metric]
    per_label: dict[str, dict[str, Metric]] = {}
    confusion: Confusion | None = None
    floors: dict[str, dict[str, float]] = {}
    controls: dict[str, dict[str, float]] = {}
    calibration: dict[str, Any] = {}
    slices: list[dict[str, Any]] = []
    errors: dict[str, Any] = {}
    faithfulness: dict[str, Any] = {}
    """What each test of faithfulness found beside its metrics: sizes of bins, coverage, settings."""
    agreement: dict[str, Any] = {}
    """With each teacher: label and explanation agreement, and how the styles of both corpora differ."""
    efficiency: Efficiency | None = None
    """What the student costs; {} in the file where it was not measured."""

    @field_validator("efficiency", mode="before")
    @classmethod
    def _absent(cls, value: object) -> object:
        return value or None

    @field_serializer("efficiency", mode="wrap")
    def _empty(self, value: Efficiency | None, serialise: SerializerFunctionWrapHandler) -> object:
        return {} if value is None else serialise(value)
