"""The form of ``results.json``: written by evaluation, read by comparison and reports."""

from __future__ import annotations

from typing import Any

from reasondistill.contracts.agreement import TeacherAgreement
from reasondistill.contracts.base import Block, DatasetInfo, OrEmpty, Versioned
from reasondistill.contracts.base import Metric as Metric
from reasondistill.contracts.efficiency import Efficiency
from reasondistill.contracts.error_analysis import FoundErrors
from reasondistill.contracts.faithfulness import FaithfulnessDetails
from reasondistill.contracts.notebook_tables import html_table
from reasondistill.contracts.scored_confidence import ScoredConfidence
from reasondistill.contracts.slices import MeasuredSlice

NOT_FLOORS = ("references", "student_fewer_references")
"""Entries of ``floors`` that stand beside a system for comparison, but are nothing that it has to beat."""


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
    calibration: ScoredConfidence = ScoredConfidence()
    slices: list[MeasuredSlice] = []
    errors: FoundErrors = FoundErrors()
    faithfulness: dict[str, FaithfulnessDetails] = {}
    """What each test of faithfulness says beside its metrics, by its name."""
    agreement: dict[str, TeacherAgreement] = {}
    """With each teacher, by its name."""
    efficiency: OrEmpty[Efficiency] = None
    """What the student costs, where that was measured."""

    def _repr_html_(self) -> str:
        def shown(metric: Metric) -> str:
            interval = "" if metric.ci95 is None else f" ({metric.ci95[0]:.3f} – {metric.ci95[1]:.3f})"
            return f"{metric.value:.3f}{interval}, n = {metric.n:,}"

        title = f"{self.dataset.name}, {self.dataset.split or 'all'}: {self.dataset.n:,} rows"
        return html_table(title, {name: shown(metric) for name, metric in self.metrics.items()})
