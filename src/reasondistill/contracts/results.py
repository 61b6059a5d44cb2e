"""The form of ``results.json``: written by evaluation, read by comparison and reports."""

from __future__ import annotations

from typing import Any

from reasondistill.contracts.agreement import TeacherAgreement
from reasondistill.contracts.base import Block, DatasetInfo, OrEmpty, Versioned, rename_keys
from reasondistill.contracts.base import MetricValue as MetricValue
from reasondistill.contracts.efficiency import Efficiency
from reasondistill.contracts.error_analysis import ErrorSummary
from reasondistill.contracts.faithfulness import FaithfulnessDetails
from reasondistill.contracts.notebook_tables import html_table
from reasondistill.contracts.scored_confidence import ScoredConfidence
from reasondistill.contracts.slices import MeasuredSlice
from reasondistill.contracts.verification import Verification
from reasondistill.storage.files import JsonObject

NOT_BASELINES = ("references", "student_fewer_references")
"""Entries of ``baselines`` that stand beside a system for comparison, but are nothing that it has to beat."""


class Confusion(Block):
    """``counts[i][j]`` examples of gold label ``labels[i]`` were given ``labels[j]``."""

    labels: list[str]
    counts: list[list[int]]


def _from_version_1(value: JsonObject) -> JsonObject:
    """Baselines were called floors."""
    settings = value["settings"]
    for block in (value, settings, settings.get("unread", {})):
        if "floors" in block:
            rename_keys(block, floors="baselines")
    return value


class Results(Versioned):
    """One system's scores on one split of one data set. Metric names and their meaning: docs/metrics.md."""

    what = "results"
    again = "reasondistill evaluate"
    migrations = {1: _from_version_1}

    schema_version: int = 2

    dataset: DatasetInfo
    settings: dict[str, Any]
    metrics: dict[str, MetricValue]
    per_label: dict[str, dict[str, MetricValue]] = {}
    confusion: Confusion | None = None
    baselines: dict[str, dict[str, float]] = {}
    controls: dict[str, dict[str, float]] = {}
    calibration: ScoredConfidence = ScoredConfidence()
    slices: list[MeasuredSlice] = []
    errors: ErrorSummary = ErrorSummary()
    faithfulness: dict[str, FaithfulnessDetails] = {}
    """What each test of faithfulness says beside its metrics, by its name."""
    agreement: dict[str, TeacherAgreement] = {}
    """With each teacher, by its name."""
    efficiency: OrEmpty[Efficiency] = None
    """What the student costs, where that was measured."""
    verification: OrEmpty[Verification] = None
    """What was proved of the answers, where `verify` looked."""

    def strongest_baseline(self, metric: str) -> tuple[str, float] | None:
        """The baseline with the highest figure of a metric, and that figure; None where none has one."""
        figures = {
            name: of[metric] for name, of in self.baselines.items() if metric in of and name not in NOT_BASELINES
        }
        return max(figures.items(), key=lambda item: item[1], default=None)

    def _repr_html_(self) -> str:
        def shown(metric: MetricValue) -> str:
            interval = "" if metric.ci95 is None else f" ({metric.ci95[0]:.3f} – {metric.ci95[1]:.3f})"
            return f"{metric.value:.3f}{interval}, n = {metric.n:,}"

        title = f"{self.dataset.name}, {self.dataset.split or 'all'}: {self.dataset.n:,} rows"
        return html_table(title, {name: shown(metric) for name, metric in self.metrics.items()})
