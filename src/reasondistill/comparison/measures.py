"""The metrics of a system that can be compared, why others cannot, and where the settings of two systems differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from reasondistill.comparison.systems import System
from reasondistill.errors import DataError
from reasondistill.metrics.measure import Given, Measure
from reasondistill.metrics.metric import NO_ROW_SCORE
from reasondistill.metrics.registry import metric_of

_MOST = 3  # differing settings to name
_TOLERANCE = 1e-6  # relative; between the mean of the rows and what results.json says


def labels_of(systems: Collection[System]) -> list[str]:
    """Every label that is gold or given anywhere. Macro-F1 ignores those that do not occur in a resample."""
    return sorted({x for s in systems for row in s.rows for x in (row.gold, row.label) if x is not None})


def measures(
    system: System, labels: Sequence[str], only: Collection[str] | None = None
) -> tuple[dict[str, Measure], dict[str, str]]:
    """The metrics of ``system`` that can be compared, and of the others why they cannot.

    Args:
        labels: as `labels_of` the systems that are compared.
        only: the metrics asked for; None for all of them.

    Raises:
        DataError: the rows do not give the label accuracy of results.json.
    """
    given = Given(labels, system.results.settings)
    measures: dict[str, Measure] = {}
    left_out: dict[str, str] = {}
    for name, metric in system.results.metrics.items():
        if only is not None and name not in only:
            continue
        known = metric_of(name)
        if known.not_resampled:
            left_out[name] = known.not_resampled
            continue
        measure = known.measure(system.rows, given)
        if measure is None:
            left_out[name] = NO_ROW_SCORE
        elif abs(measure.value() - metric.value) > _TOLERANCE * max(1.0, abs(metric.value)):
            if name == "label_accuracy":
                raise DataError(
                    system.folder,
                    expected=f"rows that give the label accuracy of results.json, {metric.value:.6f}",
                    found=f"{measure.value():.6f}",
                    fix="Evaluate again: the two files must come from one evaluation.",
                )
            left_out[name] = (
                f"the rows of {system.name} give {measure.value():.6g}, its results.json {metric.value:.6g}"
            )
        else:
            measures[name] = measure
    return measures, left_out


def unlike(name: str, first: System, second: System) -> str | None:
    """In words, how the settings of a metric differ between two systems; None where they do not."""
    ours, theirs = (metric_of(name).settings_in(system.results.settings) for system in (first, second))
    different = differences(ours, theirs, first.name, second.name)
    return f"measured with different settings: {different}" if different else None


def differences(ours: Mapping[str, object], theirs: Mapping[str, object], first: str, second: str) -> str:
    """In words, where two nested dictionaries of settings differ, naming a few; empty where they do not."""
    first_flat, second_flat = _flat(ours), _flat(theirs)
    different = [
        f"{key} is {first_flat.get(key, 'absent')} for {first}, {second_flat.get(key, 'absent')} for {second}"
        for key in {**first_flat, **second_flat}
        if first_flat.get(key) != second_flat.get(key)
    ]
    more = f"; {len(different) - _MOST} more" if len(different) > _MOST else ""
    return "; ".join(different[:_MOST]) + more


def _flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
