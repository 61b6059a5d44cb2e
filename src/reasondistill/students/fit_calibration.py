"""Fitting a student's calibration: engine + validation rows -> temperature and abstain thresholds."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence

from reasondistill.config import Generation
from reasondistill.contracts.records import Example
from reasondistill.errors import ConfigError, DataError
from reasondistill.students.calibration import BeforeAfter, Calibration, CalibrationData, Threshold
from reasondistill.students.engines.answering import label_scores, softmax
from reasondistill.students.engines.engine import Engine
from reasondistill.tasks.task import OutputOrder, Task

LEAST_ROWS = 50
"""With fewer labelled rows a temperature is mostly chance, and none is fitted."""

MOST_ROWS = {"explanation_first": 500}
"""How many rows are scored at most, by output order: there each needs an explanation first."""

_MOST_ROWS = 2000  # with every other order
PRECISIONS = (0.8, 0.85, 0.9, 0.95, 0.99)
"""For which wanted precisions a threshold is looked for."""

VALIDATION_NAMES = ("validation", "valid", "val", "dev")
"""What a part may be called that is taken for validation data without further words."""


def calibrate(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    examples: Iterable[Example],
    generation: Generation,
    *,
    student: str,
    data: CalibrationData,
    precisions: Sequence[float] = (),
) -> Calibration:
    """Fit the temperature of a student's probabilities and choose its abstain thresholds. Nothing is written.

    At most 2,000 of the labelled rows are scored (500 where an explanation has to be written first): those whose ids
    have the smallest SHA-256.

    Args:
        engine: runs the student.
        order: the student's output order.
        examples: validation rows; those without a label are passed over.
        generation: how it writes, where an explanation comes first.
        student: its fingerprint.
        data: what ``examples`` are, to be recorded.
        precisions: target precisions in addition to `PRECISIONS`.

    Raises:
        ConfigError: the student decides on no label.
        DataError: fewer than `LEAST_ROWS` rows have a label.
        CheckpointError: the student's scores are NaN.
    """
    from reasondistill.metrics.selective import CERTAINTY, Ranked, abstain_threshold
    from reasondistill.metrics.temperature import fit_temperature

    if (why := without_labels(task, order)) is not None:
        raise ConfigError("calibrate", expected="a student that decides on a label", found=why)
    chosen, labelled = choose_rows(examples, MOST_ROWS.get(order, _MOST_ROWS))
    if labelled < LEAST_ROWS:
        raise _too_few(data, f"{labelled}" if labelled else "none")
    scores = label_scores(engine, task, order, chosen, generation)
    # Nothing tells the choices of the others apart for this student: it decides on no label there.
    chosen = [example for example, row in zip(chosen, scores, strict=True) if row]
    scores = [row for row in scores if row]
    if len(scores) < LEAST_ROWS:
        raise _too_few(data, f"{len(scores)} whose choices the student's tokenizer can tell apart")
    gold = [task.choices_for(example).index(example.label or "") for example in chosen]
    fit = fit_temperature(scores, gold)
    right = [max(range(len(row)), key=row.__getitem__) == place for row, place in zip(scores, gold, strict=True)]
    ranked = Ranked([max(softmax(row, fit.temperature)) for row in scores], right)
    thresholds = [(p, abstain_threshold(ranked, p)) for p in sorted({*PRECISIONS, *precisions})]
    return Calibration(
        student=student,
        temperature=fit.temperature,
        at_bound=fit.at_bound,
        data=data,
        n=len(chosen),
        labelled=labelled,
        accuracy=sum(right) / len(right),
        nll=BeforeAfter(before=fit.nll_before, after=fit.nll_after),
        ece=BeforeAfter(before=_ece(scores, gold, 1.0), after=_ece(scores, gold, fit.temperature)),
        certainty=CERTAINTY,
        thresholds=[
            Threshold(
                precision=p,
                threshold=t.threshold,
                n=t.n,
                coverage=t.coverage,
                observed=t.precision,
                lower_bound=t.lower_bound,
            )
            for p, t in thresholds
        ],
    )


def _too_few(data: CalibrationData, found: str) -> DataError:
    return DataError(
        data.name if data.split is None else f"{data.name}, {data.split}",
        expected=f"at least {LEAST_ROWS} rows with a label to calibrate on",
        found=found,
        fix="Take more validation data.",
    )


def without_labels(task: Task, order: OutputOrder) -> str | None:
    """Why a student has nothing to calibrate, in words; None where it decides on labels."""
    if order == "explanation_only":
        return "one that writes explanations only"
    return f"the task {task.name!r}, which has none" if task.labels == () else None


def choose_rows(examples: Iterable[Example], most: int) -> tuple[list[Example], int]:
    """At most ``most`` of the labelled rows, those whose ids have the smallest SHA-256, in the order of the data; and
    how many labelled rows there are."""
    labelled = 0

    def keyed() -> Iterable[tuple[bytes, int, Example]]:
        nonlocal labelled
        for place, example in enumerate(examples):
            if example.label is not None:
                labelled += 1
                yield hashlib.sha256(example.id.encode()).digest(), place, example

    smallest = heapq.nsmallest(most, keyed(), key=lambda row: row[:2])
    return [example for _, _, example in sorted(smallest, key=lambda row: row[1])], labelled


def require_validation(split: str | None, *, confirmed: bool) -> None:
    """Refuse a split that is not called validation, unless the caller confirms that it is validation data.

    Raises:
        DataError: it is another part, or all of the data.
    """
    if split in VALIDATION_NAMES or confirmed:
        return
    raise DataError(
        "--split",
        expected="validation: a temperature that is fitted on training rows is too low, and one that is fitted on "
        "test rows spoils the test",
        found=repr(split) if split is not None else "none, which is all of DATA",
        fix="Say --split validation; or --as-validation, if the student has not learnt from these rows and will not "
        "be scored on them.",
    )


def _ece(scores: Sequence[Sequence[float]], gold: Sequence[int], temperature: float) -> float:
    from reasondistill.metrics.calibration_error import calibration_statistics, ece

    probabilities = [dict(zip(map(str, range(len(row))), softmax(row, temperature), strict=True)) for row in scores]
    return float(ece(calibration_statistics(probabilities, [str(place) for place in gold]).sum(axis=0)))
