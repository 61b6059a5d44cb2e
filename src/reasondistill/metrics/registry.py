"""All metrics by name, in the order in which reports show them; users add their own with `register`."""

from __future__ import annotations

import re

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.errors import ConfigError
from reasondistill.metrics.known.answer_metrics import ANSWER_METRICS
from reasondistill.metrics.known.any_script_metrics import ANSWERS_IN_ANY_SCRIPT, EXPLANATIONS_IN_ANY_SCRIPT
from reasondistill.metrics.known.confidence_metrics import CONFIDENCE_METRICS
from reasondistill.metrics.known.explanation_metrics import (
    LENGTH_METRICS,
    REFERENCE_METRICS,
    SUPPORT_METRICS,
    WORDING_METRICS,
)
from reasondistill.metrics.known.faithfulness_metrics import FAITHFULNESS_METRICS
from reasondistill.metrics.known.label_metrics import LABEL_METRICS, PER_LABEL_METRICS
from reasondistill.metrics.known.structure_metrics import STRUCTURE_METRICS
from reasondistill.metrics.known.teacher_metrics import TEACHER_METRICS
from reasondistill.metrics.known.tree_metrics import TREE_METRICS
from reasondistill.metrics.metric import Metric

_SHIPPED = {
    metric.name: metric
    for metric in (
        *LABEL_METRICS,
        *ANSWER_METRICS,
        *ANSWERS_IN_ANY_SCRIPT,
        *REFERENCE_METRICS,
        *EXPLANATIONS_IN_ANY_SCRIPT,
        *SUPPORT_METRICS,
        *STRUCTURE_METRICS,
        *TREE_METRICS,
        *TEACHER_METRICS,
        *FAITHFULNESS_METRICS,
        *WORDING_METRICS,
        *CONFIDENCE_METRICS,
        *PER_LABEL_METRICS,
        *LENGTH_METRICS,
    )
}
_OWN: dict[str, Metric] = {}
_TAKEN = {*ScoredRow.model_fields, *(metric.score for metric in _SHIPPED.values())}
_NAME = re.compile(r"[A-Za-z]\w*")


def known_metrics() -> tuple[Metric, ...]:
    """All metrics, in reading order, users' own last."""
    return (*_SHIPPED.values(), *_OWN.values())


def own_metrics() -> tuple[Metric, ...]:
    """The metrics that were registered with `register`."""
    return tuple(_OWN.values())


def metric_of(name: str) -> Metric:
    """The metric of that name; for an unknown name, a metric with what the name tells."""
    return _SHIPPED.get(name) or _OWN.get(name) or Metric(name=name, higher_is_better=None)


def metric_names() -> tuple[str, ...]:
    """The names of `known_metrics`."""
    return (*_SHIPPED, *_OWN)


def headline_metrics() -> tuple[str, ...]:
    """The names of the metrics that reports show first."""
    return tuple(metric.name for metric in known_metrics() if metric.headline)


def controlled_metrics() -> tuple[str, ...]:
    """The names of the metrics that must be lower for explanations that explain nothing."""
    return tuple(metric.name for metric in known_metrics() if metric.controlled)


def evidence_metrics() -> tuple[str, ...]:
    """The names of the metrics for explanations, the strongest evidence first."""
    ranked = [(metric.evidence, metric.name) for metric in known_metrics() if metric.evidence is not None]
    return tuple(name for _, name in sorted(ranked))


def register(metric: Metric) -> Metric:
    """Add your own metric to evaluation, comparison and reports, in this process.

    Registering a name again replaces it, so that a notebook's cell can be run twice.

    Raises:
        ConfigError: the name is taken, or is none; or the metric does not say how rows become its value.
    """
    if not _NAME.fullmatch(metric.name):
        raise ConfigError(
            "metrics.register",
            expected="letters, digits and underscores as a metric's name, a letter first",
            found=repr(metric.name),
        )
    if metric.name in _SHIPPED or metric.score in _TAKEN:
        raise ConfigError(
            "metrics.register",
            expected="a name that no metric of the package and no key of per_example.jsonl has",
            found=metric.name if metric.name in _SHIPPED else metric.score,
            fix="Choose another name: one name stands for one definition.",
        )
    ways = [metric.row_score is not None, metric.row_sums is not None and metric.value is not None]
    if sum(ways) != 1 or metric.columns is not None:
        raise ConfigError(
            f"metric {metric.name}",
            expected="row_score, or row_sums with value",
            found="both" if all(ways) else "neither" if not any(ways) else "columns",
            fix="row_score gives a row's score, of which the figure is the mean.",
        )
    if metric.evidence is not None or metric.per_label_only:
        raise ConfigError(
            f"metric {metric.name}",
            problem="evidence and per_label_only are for metrics of the package",
            fix="Leave them out.",
        )
    if metric.controlled and not metric.higher_is_better:
        raise ConfigError(
            f"metric {metric.name}",
            expected="higher_is_better=True where controlled is set",
            found=str(metric.higher_is_better),
            fix="Baselines and controls have to score lower than the system.",
        )
    _OWN[metric.name] = metric
    return metric


def forget(name: str) -> None:
    """Undo `register`."""
    _OWN.pop(name, None)
