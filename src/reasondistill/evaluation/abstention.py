"""Answering only where the confidence is high: the coverage curve, and what a system itself abstained from."""

from __future__ import annotations

from collections.abc import Sequence

from reasondistill.contracts.results import MetricValue
from reasondistill.contracts.scored_confidence import CoveragePoint
from reasondistill.errors import DataError
from reasondistill.evaluation.pairing import Row, right_answers
from reasondistill.evaluation.scored import Scored
from reasondistill.metrics.selective import Ranked, coverage_curve
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.tasks.task import Task


def score_selective(scored: Scored, rows: Sequence[Row], task: Task, bootstrap: GroupBootstrap) -> None:
    """Add the curve to ``scored.calibration`` and ``aurc`` to its metrics; where predictions say ``abstained``, also
    ``coverage`` and ``selective_accuracy``. Nothing is fitted on these rows.

    The confidence is the probability of the given label. The curve is of the rows with a gold label, a given one and
    probabilities.

    Raises:
        DataError: ``abstained`` is no truth value somewhere, or is said of some rows only.
    """
    ranked = [
        (place, sure, right)
        for place, (row, right) in enumerate(zip(rows, right_answers(rows, task), strict=True))
        if right is not None and (sure := row.prediction.confidence) is not None
    ]
    if ranked:
        places, confidence, correct = zip(*ranked, strict=True)
        points, area, interval = coverage_curve(Ranked(confidence, correct), bootstrap, places)
        scored.metrics["aurc"] = MetricValue(value=area, ci95=interval, n=len(ranked))
        curve = [CoveragePoint.model_validate(point._asdict()) for point in points]
        scored.calibration = scored.calibration.model_copy(update={"coverage": curve})
    _score_abstained(scored, rows, bootstrap)


def _score_abstained(scored: Scored, rows: Sequence[Row], bootstrap: GroupBootstrap) -> None:
    abstained: list[object] = [(row.prediction.model_extra or {}).get("abstained") for row in rows]
    if all(value is None for value in abstained):
        return
    if wrong := [row.example.id for row, value in zip(rows, abstained, strict=True) if not isinstance(value, bool)]:
        raise DataError(
            "predictions",
            expected="abstained: true or false in every row, or in none",
            found=f"something else in {len(wrong)}, such as {wrong[0]}",
            fix="Complete the key, or leave it out.",
        )
    scored.metrics["coverage"] = mean([float(not value) for value in abstained], bootstrap)
    judged = [None if value else row.correct for row, value in zip(rows, abstained, strict=True)]
    right = [None if correct is None else float(correct) for correct in judged]
    if any(value is not None for value in right):
        scored.metrics["selective_accuracy"] = mean(right, bootstrap)
