"""Whether a system knows what it knows: probabilities, stated confidence, abstaining.

Functions: `metrics.calibration_error`, `.selective`, `.verbalized_confidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics import calibration_error
from reasondistill.metrics.measure import Given, Measure, mean_measure
from reasondistill.metrics.metric import NO_ROW_SCORE, Metric
from reasondistill.metrics.statistics import FloatArray
from reasondistill.metrics.verbalized_confidence import auroc, stated_ece, stated_statistics

_RANKS = "it ranks all rows, and is no function of sums over them: compare its intervals"


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


def _stated_ece(rows: Sequence[ScoredRow], given: Given) -> Measure | None:
    return _of_stated(stated_ece, rows)


def _stated_auroc(rows: Sequence[ScoredRow], given: Given) -> Measure | None:
    return _of_stated(lambda counts, values: auroc(counts), rows)


CONFIDENCE_METRICS = (
    Metric(
        name="ece",
        title="ECE",
        summary="expected calibration error: mean distance of accuracy and probability over bins of the probability",
        family="confidence",
        about="labels",
        higher_is_better=False,
        needs=("gold labels", "probabilities"),
        columns=_ece,
        depends_on=("ece_bins",),
        headline=True,
        weighed=True,
    ),
    Metric(
        name="brier",
        title="Brier score",
        summary="half the squared distance of the probabilities from the gold label's certainty",
        family="confidence",
        about="labels",
        higher_is_better=False,
        needs=("gold labels", "probabilities"),
        columns=_brier,
        weighed=True,
    ),
    Metric(
        name="aurc",
        title="AURC",
        summary="area under the risk–coverage curve: answers ranked by confidence, the mean share of wrong ones",
        family="confidence",
        about="labels",
        higher_is_better=False,
        needs=("gold labels", "probabilities"),
        not_resampled=f"{_RANKS}, or brier",
    ),
    Metric(
        name="stated_rate",
        title="States how sure it is",
        summary="share of rows that state a confidence",
        family="confidence",
        needs=("stated confidence",),
        score="stated",
    ),
    Metric(
        name="stated_ece",
        title="ECE of stated confidence",
        summary="mean distance of accuracy and stated value, over the values that are stated",
        family="confidence",
        higher_is_better=False,
        needs=("gold labels", "stated confidence"),
        columns=_stated_ece,
    ),
    Metric(
        name="stated_auroc",
        title="AUROC of stated confidence",
        summary="how often a right answer is stated with more confidence than a wrong one",
        family="confidence",
        needs=("gold labels", "stated confidence"),
        columns=_stated_auroc,
    ),
    Metric(
        name="confidence_auroc",
        title="AUROC of probabilities",
        summary="the same of the probability of the given label, on the same rows",
        family="confidence",
        needs=("gold labels", "probabilities", "stated confidence"),
        not_resampled=_RANKS,
    ),
    Metric(
        name="coverage",
        title="Coverage (share answered)",
        summary="share of rows that were answered, where predictions say `abstained`",
        family="confidence",
        about="labels",
        higher_is_better=None,
        not_resampled=NO_ROW_SCORE,
    ),
    Metric(
        name="selective_accuracy",
        title="Accuracy of what is answered",
        summary="share of right labels among the answered rows",
        family="confidence",
        about="labels",
        needs=("gold labels",),
        not_resampled=NO_ROW_SCORE,
    ),
)
