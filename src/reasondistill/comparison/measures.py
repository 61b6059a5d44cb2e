"""A system's metrics as columns that add up over rows, so that any resample or swap of rows is a sum.

A metric can be compared if it is the mean of a score that ``per_example.jsonl`` has for each row, or if it can be
computed anew from what the rows hold: label macro-F1, ECE, the Brier score, BLEU and chrF.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reasondistill.comparison.systems import System
from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.errors import DataError
from reasondistill.metrics import calibration_error, label
from reasondistill.metrics.simulation import las, las_statistics
from reasondistill.metrics.statistics import FloatArray, ratio
from reasondistill.metrics.text import CorpusMetric, readable
from reasondistill.metrics.verbalized_confidence import auroc, stated_ece, stated_statistics

SCORE_OF = {
    "label_accuracy": "correct",
    "copy_rate": "copy",
    "explanation_length": "length",
    "empty_rate": "empty",
    "stated_rate": "stated",
    "student_teacher_label_agreement": "teacher_label_agreement",
    "student_teacher_agreement": "teacher_agreement",
    "reconstruction_consistency": "reconstruction_kept",
}
"""Metrics whose score in per_example.jsonl has another name."""

_UNSOUND = {
    "distinct_2": "it falls as a corpus grows and as rows repeat: neither a resample nor another part is comparable",
    "aurc": "it ranks all rows, and is no function of sums over them: compare its intervals, or brier",
    "confidence_auroc": "it ranks all rows, and is no function of sums over them: compare its intervals",
    "robustness_agreement": "it ranks all rows, and is no function of sums over them: compare its intervals",
}
_ROWS_AT_ONCE = 2_000  # sacrebleu keeps the n-grams of all references it is given, some 50 kB a row
_MOST = 3  # differing settings to name
_TOLERANCE = 1e-6  # relative; between the mean of the rows and what results.json says

Kind = Literal["score", "binary", "corpus"]


@dataclass(frozen=True)
class Measure:
    """A metric of one system.

    ``statistics`` (n, S) are 0 where a row has no value, ``present`` (n,) says which have one, and ``function`` takes
    column sums (…, S) to values (…,). Of a ``score`` the first column is the row's score; of a ``binary`` one, whether
    something is true of the row.
    """

    kind: Kind
    statistics: FloatArray
    present: NDArray[np.bool_]
    function: Callable[[FloatArray], FloatArray]

    @property
    def n(self) -> int:
        """How many rows have a value."""
        return int(self.present.sum())

    def value(self) -> float:
        """The metric over all rows that have a value."""
        return float(self.function(self.statistics.sum(axis=0)))

    def on(self, rows: NDArray[np.bool_]) -> FloatArray:
        """``statistics`` with 0 outside ``rows`` (n,)."""
        return self.statistics * rows[:, None]


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
    found: dict[str, Measure] = {}
    left_out: dict[str, str] = {}
    for name, metric in system.results.metrics.items():
        if only is not None and name not in only:
            continue
        if name in _UNSOUND:
            left_out[name] = _UNSOUND[name]
            continue
        measure = _measure(name, system, labels)
        if measure is None:
            left_out[name] = "per_example.jsonl has no score of it for each row"
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
            found[name] = measure
    return found, left_out


def _measure(name: str, system: System, labels: Sequence[str]) -> Measure | None:
    rows = system.rows
    if name == "label_macro_f1":
        return _macro_f1(rows, labels)
    if name == "ece":
        return _ece(rows, int(system.results.settings.get("ece_bins", calibration_error.ECE_BINS)))
    if name in ("stated_ece", "stated_auroc"):
        return _stated(name, rows)
    if name in ("bleu", "chrf"):
        return _corpus(rows, CorpusMetric("bleu" if name == "bleu" else "chrf"))
    if name == "las":
        return _las(rows)
    if name == "brier":
        return _scores([_brier(row) for row in rows])
    values = [row.score(SCORE_OF.get(name, name)) for row in rows]
    return _scores(values)


def _scores(values: Sequence[float | bool | None]) -> Measure | None:
    present = np.array([value is not None for value in values])
    if not present.any():
        return None
    filled = np.array([0.0 if value is None else float(value) for value in values])
    binary = all(value is None or isinstance(value, bool) for value in values)
    return Measure("binary" if binary else "score", np.column_stack([filled, present]), present, ratio)


def _las(rows: Sequence[ScoredRow]) -> Measure | None:
    keys = ("simulatability", "simulated_from_explanation")
    gain, leaks = ([row.score(key) for row in rows] for key in keys)
    present = np.array([g is not None and x is not None for g, x in zip(gain, leaks, strict=True)])
    if not present.any():
        return None
    statistics = las_statistics(np.array([float(g or 0) for g in gain]), np.array([bool(x) for x in leaks]))
    # A resample may leave a bin empty, and has no LAS then: it counts as 0, so that tests and intervals stay defined.
    return Measure("corpus", statistics * present[:, None], present, lambda sums: np.nan_to_num(las(sums)))


def _brier(row: ScoredRow) -> float | None:
    return calibration_error.brier(row.probabilities, row.gold) if row.probabilities and row.gold is not None else None


def _macro_f1(rows: Sequence[ScoredRow], labels: Sequence[str]) -> Measure | None:
    present = np.array([row.gold is not None for row in rows])
    if not present.any():
        return None
    statistics = label.label_statistics([row.gold or "" for row in rows], [row.label for row in rows], labels)

    def function(sums: FloatArray) -> FloatArray:
        return label.macro_f1(sums.reshape(*sums.shape[:-1], 3, len(labels)))

    return Measure("corpus", statistics.reshape(len(rows), -1), present, function)


def _ece(rows: Sequence[ScoredRow], bins: int) -> Measure | None:
    statistics = calibration_error.calibration_statistics(
        [row.probabilities or None for row in rows], [row.gold for row in rows], bins
    )
    present = statistics[:, 0].sum(axis=1) > 0
    if not present.any():
        return None

    def function(sums: FloatArray) -> FloatArray:
        return calibration_error.ece(sums.reshape(*sums.shape[:-1], 3, bins))

    return Measure("corpus", statistics.reshape(len(rows), -1), present, function)


def _stated(name: str, rows: Sequence[ScoredRow]) -> Measure | None:
    given = [row.score("stated_confidence") for row in rows]
    stated = [None if value is None else float(value) for value in given]
    values, statistics = stated_statistics(stated, [None if row.gold is None else row.correct for row in rows])
    if not len(values):
        return None

    def function(sums: FloatArray) -> FloatArray:
        shaped = sums.reshape(*sums.shape[:-1], 2, len(values))
        return stated_ece(shaped, values) if name == "stated_ece" else auroc(shaped)

    return Measure("corpus", statistics.reshape(len(rows), -1), statistics.sum(axis=(1, 2)) > 0, function)


def _corpus(rows: Sequence[ScoredRow], metric: CorpusMetric) -> Measure | None:
    read = {
        k: references
        for k, row in enumerate(rows)
        if (references := readable(row.explanation or "", row.references or [], metric.reads))
    }
    places = list(read)
    if not places:
        return None
    counts = []
    for start in range(0, len(places), _ROWS_AT_ONCE):
        some = places[start : start + _ROWS_AT_ONCE]
        counts.append(metric.statistics([rows[k].explanation or "" for k in some], [read[k] for k in some]))
    statistics = np.zeros((len(rows), counts[0].shape[1]))
    statistics[places] = np.concatenate(counts)
    present = np.zeros(len(rows), dtype=bool)
    present[places] = True

    def function(sums: FloatArray) -> FloatArray:
        return metric.scores(sums.reshape(-1, sums.shape[-1])).reshape(sums.shape[:-1])

    return Measure("corpus", statistics, present, function)


def settings_of(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What a metric's figure depends on, as results.json records it. Figures that differ in it are not comparable."""
    for test, how in settings.get("faithfulness", {}).items():
        if name in how["metrics"]:
            return {test: {key: value for key, value in how.items() if key != "metrics"}}
    keys = {
        **dict.fromkeys(("rouge1", "rouge2", "rougeL"), ("aggregate", "stemmer", "rouge")),
        "bertscore_f1": ("aggregate", "bertscore"),
        "label_macro_f1": ("task",),
        "copy_rate": ("copy_threshold",),
        "ece": ("ece_bins",),
        "support": ("support", "judge"),
        "student_teacher_label_agreement": ("teacher",),
        "student_teacher_agreement": ("teacher", "aggregate", "bertscore"),
    }.get(name, (name,))
    return {key: settings[key] for key in keys if key in settings}


def unlike(name: str, first: System, second: System) -> str | None:
    """In words, how the settings of a metric differ between two systems; None where they do not."""
    ours, theirs = (settings_of(name, system.results.settings) for system in (first, second))
    different = differences(ours, theirs, first.name, second.name)
    return f"measured with different settings: {different}" if different else None


def differences(ours: dict[str, Any], theirs: dict[str, Any], first: str, second: str) -> str:
    """In words, where two nested dictionaries of settings differ, naming a few; empty where they do not."""
    one, other = _flat(ours), _flat(theirs)
    different = [
        f"{key} is {one.get(key, 'absent')} for {first}, {other.get(key, 'absent')} for {second}"
        for key in {**one, **other}
        if one.get(key) != other.get(key)
    ]
    more = f"; {len(different) - _MOST} more" if len(different) > _MOST else ""
    return "; ".join(different[:_MOST]) + more


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
