"""Metrics that users have registered: scored on each row, with intervals, per label, beside baselines and controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from reasondistill.contracts.results import MetricValue, Results
from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.errors import ConfigError, DataError
from reasondistill.evaluation.controls import fooled
from reasondistill.evaluation.scored_lines import with_columns
from reasondistill.metrics.measure import Given, Measure
from reasondistill.metrics.metric import Metric
from reasondistill.metrics.registry import own_metrics
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap
from reasondistill.storage.lazy_sequences import Mapped

Texts = Mapping[str, Sequence[str | None]]
"""What stands in the place of the system's explanations, by name: one for each row, None where there is none."""


def add_own_metrics(
    results: Results,
    rows: Sequence[ScoredRow],
    bootstrap: GroupBootstrap,
    *,
    labels: Sequence[str],
    baselines: Texts,
    controls: Texts,
    further: Sequence[Metric] = (),
) -> tuple[Results, Sequence[ScoredRow]]:
    """The results and rows with every registered metric that has a value for some row.

    A metric whose ``controlled`` is set is also given the explanations of baselines and controls in the place of the
    system's, on rows without other scores.

    Args:
        labels: to look at apart, as results.per_label does.
        baselines: explanations of what explains nothing; those that ``results`` has among its baselines count.
        controls: explanations of negative controls.
        further: metrics of the package that are scored in the same way.

    Raises:
        DataError: a metric gives a row what is no score.
        ConfigError: a metric is named as a key of the rows, or records settings under a key of the results.
    """
    scored = rows
    for metric in (*further, *own_metrics()):
        if metric.row_score is not None:
            _require_free(metric, scored)
            scored = with_columns(scored, {metric.score: [_row_score(metric, row) for row in scored]})
        own_settings = {metric.name: dict(metric.settings)} if metric.settings else {}
        given = Given(labels, {**results.settings, **own_settings})
        measure = metric.measure(scored, given)
        if measure is None:
            continue
        results = _with_figures(results, metric, measure, scored, bootstrap, labels)
        if metric.controlled:
            of = {name: texts for name, texts in baselines.items() if name in results.baselines} | dict(controls)
            results = _with_controls(results, metric, measure, scored, of)
    return results, scored


def _require_free(metric: Metric, rows: Sequence[ScoredRow]) -> None:
    if any(metric.score in row.model_fields_set for row in rows):
        raise ConfigError(
            f"metric {metric.name}",
            expected="a name that no key of per_example.jsonl has",
            found=metric.score,
            fix="Choose another name.",
        )


def _row_score(metric: Metric, row: ScoredRow) -> bool | int | float | None:
    score: object = metric.row_score(row) if metric.row_score is not None else None
    if isinstance(score, np.generic):
        score = score.item()
    if score is None or (isinstance(score, bool | int | float) and math.isfinite(score)):
        return score
    raise DataError(
        f"metric {metric.name}, id {row.id!r}",
        expected="a finite number, true, false or None as row_score",
        found=repr(score),
    )


def _with_figures(
    results: Results,
    metric: Metric,
    measure: Measure,
    rows: Sequence[ScoredRow],
    bootstrap: GroupBootstrap,
    labels: Sequence[str],
) -> Results:
    if metric.settings and metric.name in results.settings:
        raise ConfigError(
            f"metric {metric.name}", problem="results record other settings by this name", fix="Choose another name."
        )
    gold = np.array([row.gold or "" for row in rows])
    per_label = {label: dict(figures) for label, figures in results.per_label.items()}
    for label in labels:
        inside = measure.present & (gold == label)
        if inside.any():
            figure = _figure(measure.on(inside), int(inside.sum()), measure, bootstrap)
            per_label.setdefault(label, {})[metric.name] = figure
    whole = _figure(measure.statistics, measure.n, measure, bootstrap)
    return results.model_copy(
        update={
            "metrics": {**results.metrics, metric.name: whole},
            "per_label": per_label,
            "settings": {**results.settings, **({metric.name: dict(metric.settings)} if metric.settings else {})},
        }
    )


def _figure(statistics: FloatArray, n: int, measure: Measure, bootstrap: GroupBootstrap) -> MetricValue:
    value = float(measure.function(statistics.sum(axis=0)))
    return MetricValue(value=value, ci95=bootstrap.interval(statistics, measure.function), n=n)


def _with_controls(
    results: Results, metric: Metric, own: Measure, rows: Sequence[ScoredRow], texts_of: Texts
) -> Results:
    baselines, controls = (
        {name: dict(of) for name, of in block.items()} for block in (results.baselines, results.controls)
    )
    beside: dict[str, dict[str, float]] = {}
    for name, texts in texts_of.items():
        measure = metric.measure(
            _explained(rows, texts, metric),
            Given(settings=results.settings),
        )
        if measure is None:
            continue
        both = own.present & measure.present & np.array([text is not None for text in texts])
        if both.any():
            block = baselines if name in baselines else controls
            block.setdefault(name, {})[metric.name] = float(measure.function(measure.on(both).sum(axis=0)))
            beside[name] = {metric.name: float(own.function(own.on(both).sum(axis=0)))}
    only = {name: {k: v for k, v in of.items() if k == metric.name} for name, of in {**baselines, **controls}.items()}
    reached = fooled({}, {n: only[n] for n in baselines}, {n: only[n] for n in controls}, beside)
    settings = {**results.settings, "fooled": {**results.settings.get("fooled", {}), **reached}}
    return results.model_copy(update={"baselines": baselines, "controls": controls, "settings": settings})


def _explained(rows: Sequence[ScoredRow], texts: Sequence[str | None], metric: Metric) -> Sequence[ScoredRow]:
    """Rows with other explanations, and the metric's scores of those; without scores of the system's own."""
    return Mapped(lambda place: _with_text(rows[place], texts[place], metric), range(len(rows)))


def _with_text(row: ScoredRow, text: str | None, metric: Metric) -> ScoredRow:
    plain = {name: getattr(row, name) for name in ScoredRow.model_fields if name in row.model_fields_set}
    changed = ScoredRow.model_validate({**plain, "explanation": text})
    if metric.row_score is None or text is None:
        return changed
    return changed.with_scores({metric.score: _row_score(metric, changed)})
