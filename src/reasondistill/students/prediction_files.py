"""Predictions files that survive a stop, and the record of how each was made."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TypedDict

from reasondistill.config import Generation
from reasondistill.contracts.predictions_record import PredictionsRecord
from reasondistill.contracts.records import Example, Prediction, as_row, parse_record
from reasondistill.contracts.run import RUN_FILE
from reasondistill.errors import DataError, OutputError
from reasondistill.languages.unknown_tokens import WORTH_SAYING, advice, sentences
from reasondistill.runs import find_student
from reasondistill.storage.files import fingerprint, json_line, read_jsonl, require_place
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.storage.locks import held
from reasondistill.students.calibration import as_calibrated
from reasondistill.students.prediction_shards import Shard, joined, parts_of
from reasondistill.students.student import Student
from reasondistill.students.student_task import StudentTask
from reasondistill.tasks.task import Task

_LOG = logging.getLogger(__name__)

WINDOW = 512
"""Examples in memory at a time, sorted by length for their batches and written before the next are read. A stop loses
at most this many answers."""


class PredictOptions(TypedDict, total=False):
    """How `Student.predict` answers, beside the examples."""

    generation: Generation | None
    free: bool
    precision: float | None


def predict_file(
    student: Student,
    examples: Sequence[Example],
    out: str | Path,
    *,
    facts: Mapping[str, object],
    generation: Generation | None = None,
    free: bool = False,
    precision: float | None = None,
    force: bool = False,
    shard: Shard | None = None,
    merge: bool = False,
    finish: Callable[[Example, Prediction], Prediction] = lambda example, answer: answer,
    progress: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write predictions to ``out``, which is returned, and everything they depend on to ``<out>.meta.json``.

    Rows are kept in ``<out>.part`` while the job runs, in the order of ``examples``. After a stop the same call
    resumes behind the last whole window and writes the same bytes as a run without the stop. Only `WINDOW` examples
    and their answers are in memory at a time.

    Args:
        student: answers the examples.
        examples: in the order of the rows to write.
        out: a new file, or one that the same call has finished already: then nothing is done.
        facts: what else the predictions depend on: ``data``, as `PredictedData` says.
        generation: how explanations are written; by default the student's own settings.
        free: see `students.engines.answer`.
        precision: also mark answers to abstain from; see `Student.predict`.
        force: replace predictions of another student, data or setting.
        shard: answer only these rows, into a part of ``out`` beside it.
        merge: answer nothing; join the parts of ``out``, to the bytes that one process would have written.
        finish: makes of each answer the one that is written; ``facts`` say what it depends on.
        progress: called with the number of finished examples.

    Raises:
        DataError: there are no parts to merge, or not all of them.
        ConfigError: there is no abstain threshold for that precision, or the student has too few positions for
            ``generation``.
        OutputError: the file holds predictions of another student, data or setting, or another process is writing it.
    """
    out = require_place(out if shard is None else shard.place(Path(out)))
    settings = as_calibrated(student.calibration, generation or student.generation)
    _require_able(student, settings, precision)
    examples = examples if shard is None else _rows_of(shard, examples)
    shards = parts_of(out) if merge else []
    part = out.with_name(f"{out.name}.part")
    with _alone(out, part):
        record = _record(student, settings, free, precision, facts)
        _claim(out, part, record, force=force)
        if out.exists():
            progress(len(examples))
            return out
        if merge:
            _write(part, joined(shards, out, record, examples, WINDOW))
        else:
            how: PredictOptions = {"generation": settings, "free": free, "precision": precision}
            _answer(student, examples, part, how, finish, progress)
        part.replace(out)
    return out


def _write(part: Path, lines: Iterable[bytes]) -> None:
    with part.open("wb") as stream:
        stream.writelines(lines)


def _require_able(student: Student, generation: Generation, precision: float | None) -> None:
    """Before anything is written: the student has a threshold for that precision, and positions enough."""
    if precision is not None:
        student.threshold_for(precision)
    student.require_room(generation)


def _rows_of(shard: Shard, examples: Sequence[Example]) -> Sequence[Example]:
    rows = shard.rows(len(examples), WINDOW)
    return examples[rows.start : rows.stop]


def _remove_others(out: Path, part: Path, record: PredictionsRecord) -> None:
    """Remove predictions that depend on something else than ``record`` says."""
    before = _record_of(out) if out.is_file() else None
    if before is not None and record.differences(before):
        for file in (out, part, PredictionsRecord.path_of(out)):
            file.unlink(missing_ok=True)


def _warn_of_lost(student: Student, examples: Sequence[Example]) -> None:
    """Log what the student's tokenizer cannot read of many of the prompts."""
    lost = student.losses(examples)
    if lost and (lines := sentences(lost, from_share=WORTH_SAYING)):
        _LOG.warning("%s %s", " ".join(lines), advice(lost))


def _record(
    student: Student, generation: Generation, free: bool, precision: float | None, facts: Mapping[str, object]
) -> PredictionsRecord:
    """Everything that predictions depend on."""
    task = student.task.model_dump(mode="json")
    return PredictionsRecord.model_validate(
        {
            "student": student.fingerprint,
            "task": fingerprint(task, student.order),
            "task_definition": task,
            "generation": generation.model_dump(mode="json"),
            "free": free,
            "calibration": student.calibration.fingerprint if student.calibration else None,
            "precision": precision,
            **facts,
        }
    )


def _answer(
    student: Student,
    examples: Sequence[Example],
    part: Path,
    options: PredictOptions,
    finish: Callable[[Example, Prediction], Prediction],
    progress: Callable[[int], None],
) -> None:
    """Append the answers that ``part`` still lacks, window by window."""
    _warn_of_lost(student, examples)
    done = _resume(part, examples)
    progress(done)
    with part.open("a", encoding="utf-8", newline="\n") as stream:
        while done < len(examples):
            # Within a window the engine takes long prompts first, and batches prompts of similar length.
            window = list(examples[done : done + WINDOW])
            for example, answer in zip(window, student.predict(window, **options), strict=True):
                stream.write(json_line(as_row(finish(example, answer))))
            stream.flush()
            done += len(window)
            progress(done)


def maker_of(predictions: str | Path, student: str | PathLike[str]) -> Student:
    """The student that made a predictions file, with the settings that it used for them.

    Args:
        predictions: written by `predict_file`, with their record ``<name>.meta.json`` next to them.
        student: its folder or run.

    Raises:
        CheckpointError: there is no such student.
        DataError: there is no record, or it names another student.
    """
    file = PredictionsRecord.path_of(predictions)
    fix = "Predict with this student (`reasondistill predict`), and keep the record next to the predictions."
    expected = f"the record of how {Path(predictions).name} was made, by the student that is to be tested"
    record = _record_of(predictions)
    if record is None:
        raise DataError(file, expected=expected, found="no such file", fix=fix)
    maker = Student.load(student, calibrated=record.calibration is not None)
    if record.student != maker.fingerprint:
        found = f"that of the student {record.student}, not {maker.fingerprint}"
        raise DataError(file, expected=expected, found=found, fix=fix)
    if record.calibration != (maker.calibration.fingerprint if maker.calibration else None):
        raise DataError(file, expected=expected, found="another calibration than the student has now", fix=fix)
    return replace(maker, generation=Generation.model_validate(record.generation))


def made_by(predictions: str | Path) -> str | None:
    """The fingerprint of the student that made a predictions file; None if no record names it."""
    record = _record_of(predictions)
    return None if record is None else record.student


def task_answered(predictions: str | Path) -> Task | None:
    """The task of a predictions file: from its record, else from the student of the run that it lies in.

    None if there is neither.

    Raises:
        DataError: the record is broken.
        CheckpointError: the run's student is broken.
    """
    record = _record_of(predictions)
    if record is None:
        return None
    if record.task_definition is not None:
        where = f"{PredictionsRecord.path_of(predictions)}: task_definition"
        return validate_config(Task, record.task_definition, where=where)
    run = Path(predictions).resolve().parent.parent
    if not (run / RUN_FILE).is_file():
        return None
    settings = StudentTask.load(find_student(run))
    # Predictions of another student may lie in a run's folder.
    return settings.task if record.task == fingerprint(settings.task.model_dump(mode="json"), settings.order) else None


def _record_of(predictions: str | Path) -> PredictionsRecord | None:
    file = PredictionsRecord.path_of(predictions)
    return PredictionsRecord.load(file) if file.is_file() else None


@contextmanager
def _alone(out: Path, part: Path) -> Iterator[None]:
    """Keep a second process from appending to the same file."""
    lock_file = part.with_name(f"{part.name}.lock")
    with held(
        lock_file,
        of=out,
        expected="predictions that no other process is writing",
        found="another process at work on them",
        fix="Wait for it, or name another file with --out.",
    ):
        try:
            yield
        finally:
            lock_file.unlink(missing_ok=True)


def _claim(out: Path, part: Path, record: PredictionsRecord, *, force: bool) -> None:
    """Begin, or resume, the job that ``record`` describes; with ``force`` in place of another."""
    if force:
        _remove_others(out, part, record)
    before = _record_of(out)
    if before is not None:
        if differing := record.differences(before):
            raise OutputError(
                out,
                expected="predictions of this student, data and settings, or none",
                found=f"ones that differ in {', '.join(differing)} (see {PredictionsRecord.path_of(out).name})",
                fix="Replace them with --force, or name another file with --out.",
            )
    elif out.exists():
        raise OutputError(
            out, expected="a new file", found="one without a record of how it was made", fix="Name another file."
        )
    else:
        part.unlink(missing_ok=True)
        record.save(PredictionsRecord.path_of(out))


def _resume(part: Path, examples: Sequence[Example]) -> int:
    """How many examples a part file answers in whole windows; the rest of the file is dropped.

    Dropped are a last line that a stop tore, rows in another order (as earlier versions wrote them), and the rows of
    an unfinished window: the last digits of scores depend on what shares a batch, so the whole window is answered
    again.
    """
    if not part.exists():
        return 0
    with part.open("rb") as stream:
        os.truncate(part, sum(len(line) for line in stream if line.endswith(b"\n")))
    if part.stat().st_size == 0:
        return 0
    kept = 0
    for (number, row), example in zip(read_jsonl(part), examples, strict=False):
        if parse_record(Prediction, row, f"{part}:{number}").id != example.id:
            break
        kept += 1
    if kept < len(examples):
        kept -= kept % WINDOW
    with part.open("rb") as stream:
        os.truncate(part, sum(map(len, islice(stream, kept))))
    return kept
