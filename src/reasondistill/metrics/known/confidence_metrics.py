"""Whether a system knows what it knows: probabilities, stated confidence, abstaining.

Functions: `metrics.calibration_error`, `.selective`, `.verbalized_confidence`.
"""

from __future__ import annotations

from reasondistill.metrics.metric import Metric

_RANKS = "it ranks all rows, and is no function of sums over them: compare its intervals"

CONFIDENCE_METRICS = (
    Metric(
        name="ece",
        title="ECE",
        summary="expected calibration error: mean distance of accuracy and probability over bins of the probability",
        family="confidence",
        about="labels",
        higher_is_better=False,
        needs=("gold labels", "probabilities"),
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
    ),
    Metric(
        name="stated_auroc",
        title="AUROC of stated confidence",
        summary="how often a right answer is stated with more confidence than a wrong one",
        family="confidence",
        needs=("gold labels", "stated confidence"),
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
    ),
    Metric(
        name="selective_accuracy",
        title="Accuracy of what is answered",
        summary="share of right labels among the answered rows",
        family="confidence",
        about="labels",
        needs=("gold labels",),
    ),
)
