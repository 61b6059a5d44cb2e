"""Whether a system knows what it knows: probabilities, stated confidence, abstaining.

Functions: `metrics.calibration_error`, `.selective`, `.verbalized_confidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics import calibration_error
from reasondistill.metrics.measure import Given, Measure, mean_measure
from reasondistill.metrics.metric import NO_ROW_SCORE, RANKS_ALL_ROWS, Metric
from reasondistill.metrics.statistics import FloatArray
from reasondistill.metrics.verbalized_confidence import auroc, stated_ece, stated_statistics


def _ece(rows: Sequence[ScoredRow], given: Given) -> Measure | None:
    bins = int(given.settings.get("ece_bins", calibration_error.ECE_BINS))
    statistics = calibration_error.calibration_statistics(
        [row.probabilities or None for row in rows], [row.gold for row in rows], bins
    )
    present = statistics[:, 0].sum(axis=1) > 0
    if not present.any():
        return None

    def function(sums: FloatArray) -> FloatArray:
        return calibration_error.ece(sums.reshape(*sums.shape[:-1], 3, bins))

    return Measure("corpus", statistics.reshape(len(rows), -1), present, function)


def _brier(rows: Sequence[ScoredRow], given: Given) -> Measure | None:
    return mean_measure(
        [
            calibration_error.brier(row.probabilities, row.gold) if row.probabilities and row.gold is not None else None
            for row in rows
        ]
    )


def _of_stated(figure: Callable[[FloatArray, FloatArray], FloatArray], rows: Sequence[ScoredRow]) -> Measure | None:
    """A figure of how often each stated value was wrong and right, (…, 2, L), and of the values, (L,)."""
    given = [row.score("stated_confidence") for row in rows]
    stated = [None if value is None else float(value) for value in given]
    values, statistics = stated_statistics(stated, [None if row.gold is None else row.correct for row in rows])
    if not len(values):
        return None

    def function(sums: FloatArray) -> FloatArray:
        return figure(sums.reshape(*sums.shape[:-1], 2, len(values)), values)

    return Measure("corpus", statistics.reshape(len(rows), -1), statistics.sum(axis=(1, 2)) > 0, function)


_probabilities = partial(Metric, family="confidence", about="labels", needs=("gold labels", "probabilities"))
_stated = partial(Metric, family="confidence", needs=("gold labels", "stated confidence"))
_abstaining = partial(Metric, family="confidence", about="labels", not_resampled=NO_ROW_SCORE)

CONFIDENCE_METRICS = (
    _probabilities(
        "ece", "ECE",
        "expected calibration error: mean distance of accuracy and probability over bins of the probability",
        higher_is_better=False, columns=_ece, depends_on=("ece_bins",), headline=True, weighed=True,
    ),
    _probabilities(
        "brier", "Brier score", "half the squared distance of the probabilities from the gold label's certainty",
        higher_is_better=False, columns=_brier, weighed=True,
    ),
    _probabilities(
        "aurc", "AURC",
        "area under the risk–coverage curve: answers ranked by confidence, the mean share of wrong ones",
        higher_is_better=False, not_resampled=f"{RANKS_ALL_ROWS}, or brier",
    ),
    _stated(
        "stated_rate", "States how sure it is", "share of rows that state a confidence",
        needs=("stated confidence",), score="stated",
    ),
    _stated(
        "stated_ece", "ECE of stated confidence",
        "mean distance of accuracy and stated value, over the values that are stated",
        higher_is_better=False, columns=lambda rows, given: _of_stated(stated_ece, rows),
    ),
    _stated(
        "stated_auroc", "AUROC of stated confidence",
        "how often a right answer is stated with more confidence than a wrong one",
        columns=lambda rows, given: _of_stated(lambda counts, values: auroc(counts), rows),
    ),
    _stated(
        "confidence_auroc", "AUROC of probabilities",
        "the same of the probability of the given label, on the same rows",
        needs=("gold labels", "probabilities", "stated confidence"), not_resampled=RANKS_ALL_ROWS,
    ),
    _abstaining(
        "coverage", "Coverage (share answered)",
        "share of rows that were answered, where predictions say `abstained`",
        higher_is_better=None,
    ),
    _abstaining(
        "selective_accuracy", "Accuracy of what is answered", "share of right labels among the answered rows",
        needs=("gold labels",),
    ),
)  # fmt: skip
