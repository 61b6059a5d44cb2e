"""What scoring labels or explanations adds to the results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from reasondistill.contracts.results import Confusion, MetricValue
from reasondistill.contracts.scored_confidence import ScoredConfidence
from reasondistill.evaluation.score_table import ScoreTable
from reasondistill.languages.unknown_tokens import TOO_MANY, UNREADABLE
from reasondistill.metrics.bertscore import BertScore
from reasondistill.metrics.text import UNREAD_LETTERS

BOUNDS: Final = {"tokens": UNREADABLE, "letters": UNREAD_LETTERS, "rows": TOO_MANY}
"""Shares above which a text is not read, and a metric left out, as results record them."""


@dataclass
class Scored:
    """What label metrics or text metrics add to the results."""

    metrics: dict[str, MetricValue] = field(default_factory=dict)
    per_label: dict[str, dict[str, MetricValue]] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    rows: ScoreTable = field(default_factory=ScoreTable)
    templates: list[str | None] = field(default_factory=list)
    """The baseline's filled template of each row."""
    controlled: dict[str, list[str | None]] = field(default_factory=dict)
    """Each control's explanation of each row; see `controls.control_explanations`."""
    controls: dict[str, dict[str, float]] = field(default_factory=dict)
    beside: dict[str, dict[str, float]] = field(default_factory=dict)
    """What the system itself scores on the rows that a control, or a baseline, has a figure of."""
    shuffled: ScoreTable = field(default_factory=ScoreTable)
    """Scores of the control "shuffled within label": a row each of its reference metrics, and one of its support."""
    bertscore: BertScore | None = None
    """What explanations were scored with, for whoever scores more of them."""
    confusion: Confusion | None = None
    calibration: ScoredConfidence = field(default_factory=ScoredConfidence)
