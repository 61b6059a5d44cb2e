"""Label metrics of paired rows: accuracy, F1, confusion, calibration, and the majority baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reasondistill.contracts.records import Prediction
from reasondistill.contracts.results import Confusion, MetricValue
from reasondistill.contracts.scored_confidence import CalibrationBin, ScoredConfidence
from reasondistill.evaluation.abstention import score_selective
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.scored import Scored
from reasondistill.metrics import calibration_error, label
from reasondistill.metrics.baselines import majority
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, mean
from reasondistill.storage.lazy_sequences import Mapped
from reasondistill.tasks.task import Task


def score_labels(rows: Sequence[Row], task: Task, bootstrap: GroupBootstrap) -> Scored:
    scored = Scored()
    told = ((row.example.label, row.prediction.label, _parsed(row.prediction)) for row in rows)
    gold, predicted, parsed = map(list, zip(*told, strict=True))
    if any(value is not None for value in parsed):
        scored.metrics["parse_rate"] = mean(parsed, bootstrap)
    if task.labels == () or not any(gold):
        scored.settings["label"] = {"left_out": "no row has a gold label"}
        return scored
    if not any(predicted):
        scored.settings["label"] = {"left_out": "the system gives no label for any row"}
        return scored
    correct = [None if g is None else float(g == p) for g, p in zip(gold, predicted, strict=True)]
    scored.metrics["label_accuracy"] = mean(correct, bootstrap)
    known = [g for g in gold if g is not None]
    if task.labels:
        _score_classes(scored, gold, predicted, task.labels, bootstrap)
        most_frequent = majority(known)
        guessed = label.label_statistics(known, [most_frequent] * len(known), task.labels)
        scored.baselines["majority_label"] = {
            "label_accuracy": label.accuracy(known, [most_frequent] * len(known)),
            "label_macro_f1": float(label.macro_f1(guessed.sum(axis=0))),
        }
    _score_calibration(scored, Mapped(lambda row: row.prediction.probabilities or None, rows), gold, bootstrap)
    score_selective(scored, rows, task, bootstrap)
    return scored


def _parsed(prediction: Prediction) -> float | None:
    """Whether a label was found in what the system wrote; None where that is not known."""
    if prediction.raw_output is None and prediction.parsed_label is None:
        return None
    return float(prediction.parsed_label is not None)


def _score_classes(
    scored: Scored,
    gold: Sequence[str | None],
    predicted: Sequence[str | None],
    labels: Sequence[str],
    bootstrap: GroupBootstrap,
) -> None:
    # "" is no label of any task: rows without a gold label count nowhere.
    statistics = label.label_statistics([g or "" for g in gold], predicted, labels)
    n = sum(g is not None for g in gold)

    def metric(function: Callable[[FloatArray], FloatArray], n: int) -> MetricValue:
        def of_flat(sums: FloatArray) -> FloatArray:
            return function(sums.reshape(*sums.shape[:-1], 3, len(labels)))

        flat = statistics.reshape(len(statistics), -1)
        return MetricValue(value=float(of_flat(flat.sum(axis=0))), ci95=bootstrap.interval(flat, of_flat), n=n)

    scored.metrics["label_macro_f1"] = metric(label.macro_f1, n)
    for k, name in enumerate(labels):
        rates = {"precision": label.precision, "recall": label.recall, "f1": label.f1}
        scored.per_label[name] = {
            rate: metric(lambda counts, of=of, k=k: of(counts)[..., k], gold.count(name))  # type: ignore[misc]
            for rate, of in rates.items()
        }
    rows = [(g, p) for g, p in zip(gold, predicted, strict=True) if g is not None]
    names, counts = label.confusion([g for g, _ in rows], [p for _, p in rows], labels)
    scored.confusion = Confusion(labels=names, counts=counts)


def _score_calibration(
    scored: Scored,
    probabilities: Sequence[Mapping[str, float] | None],
    gold: Sequence[str | None],
    bootstrap: GroupBootstrap,
) -> None:
    if not add_calibration_error(scored, probabilities, gold, bootstrap):
        return
    scored.metrics["brier"] = mean(
        [
            calibration_error.brier(p, g) if p and g is not None else None
            for p, g in zip(probabilities, gold, strict=True)
        ],
        bootstrap,
    )


def add_calibration_error(
    scored: Scored,
    probabilities: Sequence[Mapping[str, float] | None],
    gold: Sequence[str | None],
    bootstrap: GroupBootstrap,
) -> bool:
    """Score how far probabilities are off, with the bins of the reliability diagram; False where no row has both."""
    statistics = calibration_error.calibration_statistics(probabilities, gold)
    sums = statistics.sum(axis=0)
    n = int(sums[0].sum())
    if n == 0:
        return False

    def of_flat(sums: FloatArray) -> FloatArray:
        return calibration_error.ece(sums.reshape(*sums.shape[:-1], 3, -1))

    value = float(calibration_error.ece(sums))
    interval = bootstrap.interval(statistics.reshape(len(statistics), -1), of_flat)
    scored.metrics["ece"] = MetricValue(value=value, ci95=interval, n=n)
    bins = [CalibrationBin.model_validate(values) for values in calibration_error.reliability_bins(sums)]
    scored.calibration = ScoredConfidence(bins=bins, ece=value)
    scored.settings["ece_bins"] = calibration_error.ECE_BINS
    return True
