"""Fitting a student's calibration: engine + validation rows -> temperature and abstain thresholds."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from reasondistill.config import Generation
from reasondistill.contracts.records import Example
from reasondistill.errors import ConfigError, DataError
from reasondistill.students.calibration import BeforeAfter, Calibration, CalibrationData, Threshold
from reasondistill.students.engines.answering import label_scores, softmax
from reasondistill.students.engines.engine import Engine
from reasondistill.students.engines.written_answers import sequence_probability, write_answers
from reasondistill.tasks.task import OutputOrder, Task

if TYPE_CHECKING:
    from reasondistill.metrics.selective import Ranked
    from reasondistill.metrics.temperature import Fit

LEAST_ROWS = 50
"""With fewer labelled rows a temperature would be mostly chance: none is fitted."""

MOST_ROWS = {"explanation_first": 500}
"""How many rows are scored at most, by output order: with this one each row needs an explanation first. Of written
answers, too: each is generated."""

_MOST_ROWS = 2000  # with every other order
PRECISIONS = (0.8, 0.85, 0.9, 0.95, 0.99)
"""Target precisions for which thresholds are chosen."""

VALIDATION_NAMES = ("validation", "valid", "val", "dev")
"""Names of splits that are taken for validation data without a confirmation."""


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

    At most 2,000 labelled rows are scored (500 if an explanation has to be written first): those whose ids have the
    smallest SHA-256.

    Args:
        engine: runs the student.
        order: the student's output order.
        examples: validation rows; those without a label are skipped.
        generation: how explanations are written, if they come first; of written answers, what their confidence is.
        student: its fingerprint.
        data: what ``examples`` are, for the record.
        precisions: target precisions in addition to `PRECISIONS`.

    Raises:
        ConfigError: the student decides on no label.
        TooFewRowsError: fewer than `LEAST_ROWS` rows have a label, or an answer of the student's.
        CheckpointError: the student's scores are NaN.
    """
    if (why := without_labels(task, order)) is not None:
        raise ConfigError("calibrate", expected="a student that decides on a label", found=why)
    most = MOST_ROWS["explanation_first"] if task.writes_answers else MOST_ROWS.get(order, _MOST_ROWS)
    chosen, labelled = choose_rows(examples, most)
    if labelled < LEAST_ROWS:
        raise _too_few(data, f"{labelled}" if labelled else "none")
    fitting = _fit_written if task.writes_answers else _fit_decided
    fitted = fitting(engine, task, order, chosen, generation, data)
    calibration = fitted.calibration(student, data, labelled, precisions)
    return calibration.model_copy(update={"samples": generation.samples}) if generation.samples else calibration


class _Fitted(NamedTuple):
    """A temperature, whether each answer is right, and how sure the student is of each at a temperature."""

    fit: Fit
    correct: list[bool]
    confidence: Callable[[float], list[float]]
    ece: Callable[[float], float]

    def calibration(
        self, student: str, data: CalibrationData, labelled: int, precisions: Sequence[float]
    ) -> Calibration:
        from reasondistill.metrics.selective import CERTAINTY, Ranked

        fit, correct = self.fit, self.correct
        ranked = Ranked(self.confidence(fit.temperature), correct)
        return Calibration(
            student=student,
            temperature=fit.temperature,
            at_bound=fit.at_bound,
            data=data,
            n=len(correct),
            labelled=labelled,
            accuracy=sum(correct) / len(correct),
            nll=BeforeAfter(before=fit.nll_before, after=fit.nll_after),
            ece=BeforeAfter(before=self.ece(1.0), after=self.ece(fit.temperature)),
            certainty=CERTAINTY,
            thresholds=[_threshold(ranked, precision) for precision in sorted({*PRECISIONS, *precisions})],
        )


def _fit_decided(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    chosen: Sequence[Example],
    generation: Generation,
    data: CalibrationData,
) -> _Fitted:
    """The temperature of probabilities over labels."""
    from reasondistill.metrics.temperature import fit_temperature

    decided = _decided(engine, task, order, chosen, generation)
    if len(decided) < LEAST_ROWS:
        raise _too_few(data, f"{len(decided)} whose choices the student's tokenizer can tell apart")
    scores = [row for _, row in decided]
    gold = [task.choices_for(example).index(example.label or "") for example, _ in decided]
    return _Fitted(
        fit_temperature(scores, gold),
        [max(range(len(row)), key=row.__getitem__) == place for row, place in zip(scores, gold, strict=True)],
        lambda temperature: [max(softmax(row, temperature)) for row in scores],
        lambda temperature: _ece(scores, gold, temperature),
    )


def _fit_written(
    engine: Engine,
    task: Task,
    order: OutputOrder,
    chosen: Sequence[Example],
    generation: Generation,
    data: CalibrationData,
) -> _Fitted:
    """The temperature of sequence probabilities: right is what `is_accepted`."""
    from reasondistill.metrics.answer_overlap import is_accepted
    from reasondistill.metrics.calibration_error import calibration_statistics, ece
    from reasondistill.metrics.temperature import fit_sequence_temperature

    prompts = [task.render_prompts(order, example) for example in chosen]
    pairs = [(p["label"], p["explanation"]) for p in prompts]
    texts = write_answers(engine, task, order, pairs, generation, explain=False)
    scored = [(text, e) for text, e in zip(texts, chosen, strict=True) if text.score is not None]
    if len(scored) < LEAST_ROWS:
        raise _too_few(data, f"{len(scored)} that the student writes an answer to")
    scores = [text.score or 0.0 for text, _ in scored]
    correct = [is_accepted(task, text.text or "", example.answers) for text, example in scored]

    def confidence(temperature: float) -> list[float]:
        return [sequence_probability(score, temperature) for score in scores]

    def error(temperature: float) -> float:
        probabilities = [{"right": probability} for probability in confidence(temperature)]
        statistics = calibration_statistics(probabilities, ["right" if right else "" for right in correct])
        return float(ece(statistics.sum(axis=0)))

    return _Fitted(fit_sequence_temperature(scores, correct), correct, confidence, error)


def _decided(
    engine: Engine, task: Task, order: OutputOrder, examples: Sequence[Example], generation: Generation
) -> list[tuple[Example, list[float]]]:
    """Examples with the scores of their labels, but those whose choices the tokenizer cannot tell apart."""
    scores = label_scores(engine, task, order, examples, generation)
    return [(example, row) for example, row in zip(examples, scores, strict=True) if row]


def _threshold(ranked: Ranked, precision: float) -> Threshold:
    from reasondistill.metrics.selective import abstain_threshold

    chosen = abstain_threshold(ranked, precision)
    return Threshold(
        precision=precision,
        threshold=chosen.threshold,
        n=chosen.n,
        coverage=chosen.coverage,
        observed=chosen.precision,
        lower_bound=chosen.lower_bound,
    )


class TooFewRowsError(DataError):
    """Too few rows have what a temperature is fitted to."""


def _too_few(data: CalibrationData, found: str) -> TooFewRowsError:
    return TooFewRowsError(
        data.name if data.split is None else f"{data.name}, {data.split}",
        expected=f"at least {LEAST_ROWS} rows with a label to calibrate on",
        found=found,
        fix="Use more validation data.",
    )


def without_labels(task: Task, order: OutputOrder) -> str | None:
    """Why a student has nothing to calibrate, in words; None if it decides on labels."""
    if order == "explanation_only":
        return "one that writes explanations only"
    return None if task.has_answers else f"the task {task.name!r}, which has none"


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
    """Refuse a split that is not named validation, unless the caller confirms that it is validation data.

    Raises:
        DataError: it is another split, or all of the data.
    """
    if split in VALIDATION_NAMES or confirmed:
        return
    raise DataError(
        "--split",
        expected="validation: a temperature fitted on training rows is too low, and fitting on test rows spoils the "
        "test",
        found=repr(split) if split is not None else "none, which is all of DATA",
        fix="Use --split validation; or --as-validation, if the student has not been trained on these rows and will "
        "not be scored on them.",
    )


def _ece(scores: Sequence[Sequence[float]], gold: Sequence[int], temperature: float) -> float:
    from reasondistill.metrics.calibration_error import calibration_statistics, ece

    probabilities = [dict(zip(map(str, range(len(row))), softmax(row, temperature), strict=True)) for row in scores]
    return float(ece(calibration_statistics(probabilities, [str(place) for place in gold]).sum(axis=0)))
