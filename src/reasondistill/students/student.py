"""Engine + Examples -> Prediction rows: the student as its users see it, and predictions files that survive a stop."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from reasondistill.config import Generation
from reasondistill.contracts.records import Example, Prediction, as_row, parse_record
from reasondistill.contracts.run import RUN_FILE
from reasondistill.errors import ConfigError, DataError, MissingExtraError, OutputError, TaskError
from reasondistill.languages.unknown_tokens import WORTH_SAYING, LossCount, advice, sentences
from reasondistill.runs import find_student
from reasondistill.storage.files import fingerprint, json_line, read_json, read_jsonl, require_place, write_json
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.storage.locks import held
from reasondistill.students.calibration import Calibration, checkpoint_fingerprint
from reasondistill.students.engines import Answer, Engine, answer, explain_for, explanation_scores
from reasondistill.students.package import is_package
from reasondistill.students.student_task import StudentTask
from reasondistill.tasks.task import OutputOrder, Task, explanation_prefix, label_problem
from reasondistill.tasks.verbalized_confidence import Phrase, spoken

if TYPE_CHECKING:
    import pandas as pd

    from reasondistill.data.dataset_loading import Source
    from reasondistill.students.codec import Codec
    from reasondistill.students.package.opening import LoadedPackage

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

_DEFINITION = "task_definition"
"""The key of a predictions file's record that holds its task."""

WINDOW = 512
"""Examples that are in memory at one time, sorted by length for their batches, and written before the next ones are
read: what a stop loses at most."""


@dataclass(frozen=True)
class Student:
    """A student that answers and explains.

    >>> student = Student.load("experiments/runs/quickstart")
    >>> student.explain(premise="A man is asleep.", hypothesis="A man is swimming.").label
    'contradiction'
    """

    engine: Engine
    task: Task
    order: OutputOrder
    generation: Generation
    fingerprint: str
    calibration: Calibration | None = None
    """Its temperature and abstain thresholds; without it probabilities are those of the raw scores."""
    phrases: tuple[Phrase, ...] = ()
    """With which it ends its explanations to say how sure it is."""
    folder: Path | None = None
    """Where it lies; None for one that was made in memory."""

    @classmethod
    def load(cls, path: str | Path, *, calibrated: bool = True) -> Student:
        """Load a student from its folder, from the run that made it, or from a package that `export` made of it.

        Args:
            path: the folder or run.
            calibrated: with its calibration, where it has one; else with raw probabilities.

        Raises:
            CheckpointError: there is none, it has another student's calibration, or a package is not as it was written.
            MissingExtraError: PyTorch or transformers, or for a package CTranslate2, is not installed.
        """
        folder = find_student(path)
        if is_package(folder):
            from reasondistill.students.package.opening import load_package

            return replace(cls._packaged(load_package(folder), calibrated=calibrated), folder=folder)
        try:
            from reasondistill.students.checkpoint import load_checkpoint
            from reasondistill.students.engines.pytorch import TorchEngine
        except ImportError as error:
            raise MissingExtraError(f"running the student {folder}", "train") from error
        checkpoint = load_checkpoint(folder, calibrated=calibrated)
        checkpoint.model.eval()
        settings, identity = checkpoint.settings, checkpoint_fingerprint(folder)
        return cls(
            engine=TorchEngine(checkpoint.model, checkpoint.codec),
            task=settings.task,
            order=settings.order,
            generation=settings.generation,
            fingerprint=identity,
            calibration=Calibration.load(folder, student=identity) if calibrated else None,
            phrases=settings.phrases,
            folder=folder,
        )

    @classmethod
    def _packaged(cls, package: LoadedPackage, *, calibrated: bool) -> Student:
        return cls(
            engine=package.engine,
            task=package.settings.task,
            order=package.settings.order,
            generation=package.settings.generation,
            fingerprint=package.manifest.fingerprint,
            calibration=package.calibration if calibrated else None,
            phrases=package.settings.phrases,
        )

    def explain(
        self,
        fields: Mapping[str, str] | None = None,
        /,
        *,
        choices: Sequence[str] | None = None,
        precision: float | None = None,
        **named: str,
    ) -> Prediction:
        """Answer one example, its fields given by name or, whatever their names, as a mapping.

        Args:
            fields: field -> text.
            choices: what to choose from, where the task has no labels of its own.
            precision: that of `predict`.
            **named: fields too.

        Raises:
            ConfigError: there is no abstain threshold for that precision.
            DataError: a field of the task is missing, or one is given that it does not have; or choices are.
            TaskError: the student's tokenizer cannot tell the choices apart.
        """
        given = self._fields(fields, named)
        choices = self._choices(choices)
        example = parse_record(Example, {"id": "1", "fields": given, "choices": choices}, "explain")
        prediction = self.predict([self.task.check(example)], precision=precision)[0]
        if prediction.label is None and choices and self.order != "explanation_only":
            raise TaskError(
                "choices",
                expected="ones that differ in the student's tokens",
                found=f"{list(choices)}, of which it cannot tell two apart",
                fix="Reword one of them.",
            )
        return prediction

    def _fields(self, fields: Mapping[str, str] | None, named: Mapping[str, str]) -> dict[str, str]:
        if fields is not None and not isinstance(fields, Mapping):
            raise DataError("explain", expected="fields by name, or a mapping of them", found=repr(fields))
        given = {**(fields or {}), **named}
        if twice := sorted(set(fields or ()) & set(named)):
            raise DataError("explain", expected="each field once", found=f"{twice} twice", fix="Leave one out.")
        if unknown := [name for name in given if name not in self.task.fields]:
            raise DataError(
                "explain",
                expected=f"the fields {list(self.task.fields)}",
                found=f"{sorted(unknown, key=str)}",
                fix="Leave them out.",
            )
        return given

    def _choices(self, choices: Sequence[str] | None) -> tuple[str, ...] | None:
        """The choices that were given, if the task takes and needs them."""
        if self.task.labels is not None:
            if choices is not None:
                raise DataError(
                    "choices",
                    expected=f"none, as the task {self.task.name!r} has the labels {list(self.task.labels)}",
                    found=repr(choices),
                    fix="Leave them out.",
                )
            return None
        listed = () if choices is None else _listed("choices", choices)
        if not listed and self.order != "explanation_only":
            raise DataError(
                "choices",
                expected=f"what to choose from, which the task {self.task.name!r} needs",
                found="none",
                fix='Give them: choices=["bank", "river"], or --choices "bank;river".',
            )
        if problem := label_problem([text for text in listed if isinstance(text, str)]):
            raise DataError("choices", problem=problem)
        return listed or None

    @overload
    def predict(
        self,
        examples: pd.DataFrame,
        *,
        generation: Generation | None = None,
        free: bool = False,
        precision: float | None = None,
    ) -> pd.DataFrame: ...

    @overload
    def predict(
        self,
        examples: Source | Sequence[str],
        *,
        generation: Generation | None = None,
        free: bool = False,
        precision: float | None = None,
    ) -> list[Prediction]: ...

    def predict(
        self,
        examples: Any,
        *,
        generation: Generation | None = None,
        free: bool = False,
        precision: float | None = None,
    ) -> Any:
        """Answer examples, in their order; what `students.engines.answer` says of the arguments holds here.

        Args:
            examples: or whatever `load_dataset` takes; for a task with one field, texts. Of a pandas DataFrame a copy
                comes back, with ``label``, ``probability`` and ``explanation``: empty where a row lacks a field.

        With a wanted ``precision`` each prediction also says whether it is to be ``abstained`` from; its label stays.

        Raises:
            ConfigError: there is no abstain threshold for that precision.
            DataError: the task's fields are not there.
        """
        from reasondistill.data.dataset_loading import examples_for  # not above: help would import pyarrow

        if type(examples).__name__ == "DataFrame" and hasattr(examples, "iloc"):
            return self._answered(examples, generation=generation, free=free, precision=precision)
        examples = examples_for(self.task, examples)
        threshold = None if precision is None else self.threshold_for(precision)
        answers = answer(
            self.engine,
            self.task,
            self.order,
            examples,
            generation or self.generation,
            free=free,
            temperature=1.0 if self.calibration is None else self.calibration.temperature,
        )
        return [_prediction(example, a, threshold, self.phrases) for example, a in zip(examples, answers, strict=True)]

    def _answered(self, frame: pd.DataFrame, **options: Any) -> pd.DataFrame:
        """A copy of a frame with its rows' answers."""
        from reasondistill.data.dataset_loading import examples_for

        rows = frame.drop(columns=[c for c in ("label", "explanation", "id", "split", "group") if c in frame.columns])
        examples = examples_for(self.task, rows)
        answers = self.predict(examples, **options)
        by_row = {int(a.id.rpartition(":")[2]) - 1: a for a in answers}  # rows without a text have none
        in_order = [by_row.get(row) for row in range(len(frame))]
        answered = frame.copy()
        columns: dict[str, list[Any]] = {
            "label": [a and a.label for a in in_order],
            "probability": [a and a.probabilities.get(a.label or "") for a in in_order],
            "explanation": [a and a.explanation for a in in_order],
        }
        for name, values in columns.items():
            answered[name] = values
        return answered

    def probabilities(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        """The probability of each label, example by example; explanations are not written where it needs none."""
        answers = answer(
            self.engine,
            self.task,
            self.order,
            examples,
            self.generation,
            explain=False,
            temperature=1.0 if self.calibration is None else self.calibration.temperature,
        )
        return [a.probabilities for a in answers]

    def explain_for(self, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
        """What it writes when it is made to argue for ``labels``, one for each example.

        Raises:
            TaskError: its order is not ``label_first``.
        """
        labels = _listed("labels", labels)
        written = explain_for(self.engine, self.task, self.order, examples, labels, self.generation)
        return [w.text for w in written]

    def explanation_scores(
        self, examples: Sequence[Example], labels: Sequence[str | None], explanations: Sequence[str]
    ) -> list[float]:
        """How likely it is to write ``explanations``: log-probabilities in nats, with ``label_first`` after ``labels``.

        Raises:
            TaskError: its order is ``label_only``.
        """
        labels, explanations = _listed("labels", labels), _listed("explanations", explanations)
        return explanation_scores(self.engine, self.task, self.order, examples, labels, explanations)

    def require_room(self, generation: Generation) -> None:
        """Hold what is to be written to the positions that the student has, as far as its task's labels tell.

        Raises:
            ConfigError: ``generation.max_new_tokens`` is more; the message has what fits.
        """
        if (codec := getattr(self.engine, "codec", None)) is not None:  # as the engines that run a model have it
            codec.require_room({explanation_prefix(self.order, label) for label in self.task.labels or ()}, generation)

    def losses(self, examples: Iterable[Example]) -> dict[str, Any] | None:
        """What its tokenizer cannot read of the prompts of examples: see `unknown_tokens.LossCount.found`.

        None where its engine takes texts as they are.
        """
        codec: Codec | None = getattr(self.engine, "codec", None)
        if codec is None:
            return None
        count = LossCount(codec.tokenizer, codec.max_source_length)
        for example in examples:
            for prompt in dict.fromkeys(self.task.render_prompts(self.order, example).values()):
                count.add(example.id, prompt)
        return count.found()

    def threshold_for(self, precision: float) -> float:
        """Below which confidence to abstain, for a wanted share of right labels among the answers.

        Raises:
            ConfigError: the student is not calibrated, or has no threshold for that precision.
        """
        if self.calibration is None:
            raise ConfigError(
                "precision",
                expected="a calibrated student, as abstain thresholds are for calibrated probabilities",
                found="one without a calibration, or one whose calibration was left out",
                fix="Make it one on validation data: reasondistill calibrate STUDENT DATA --split validation.",
            )
        return self.calibration.threshold_for(precision)


def _listed(what: str, texts: Sequence[T]) -> tuple[T, ...]:
    """The texts of a list; a text alone is refused: its letters would be taken for texts."""
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise DataError(what, expected="a list of texts", found=repr(texts), fix=f"Write [{texts!r}].")
    return tuple(texts)


def _prediction(example: Example, a: Answer, threshold: float | None, phrases: Sequence[Phrase]) -> Prediction:
    more: dict[str, Any] = {}
    if threshold is not None:
        more["abstained"] = max(a.probabilities.values(), default=0.0) < threshold
    if phrases:
        reasons, phrase = spoken(a.explanation, phrases)
        more["confidence_phrase"] = a.explanation.removeprefix(reasons).lstrip() if phrase else ""
        more["stated_confidence"] = phrase.value if phrase else None
    return Prediction(id=example.id, **a._asdict(), **more)


def predict_file(
    student: Student,
    examples: Sequence[Example],
    out: str | Path,
    *,
    facts: dict[str, Any],
    generation: Generation | None = None,
    free: bool = False,
    precision: float | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write predictions to ``out``, and everything they depend on to ``<out>.meta.json``.

    Rows are kept in ``<out>.part`` while the job runs, in the order of ``examples``. The same call after a stop goes on
    behind the last whole window, and writes the bytes that it would have written without the stop. `WINDOW` examples
    and their answers are in memory at one time, however many there are.

    Args:
        student: who answers.
        examples: what is asked.
        out: a new file, or one that the same call has finished before: then nothing is done.
        facts: what else the predictions depend on, such as the data's name and fingerprint.
        generation: how explanations are written, if not as the student's own settings say.
        free: see `students.engines.answer`.
        precision: also say of which answers to abstain; see `Student.predict`.
        progress: called with how many examples are done.

    Raises:
        ConfigError: there is no abstain threshold for that precision, or the student has too few positions for
            ``generation``.
        OutputError: predictions of another student, data or setting are there, or another process is writing them.
    """
    out = require_place(out)
    if precision is not None:
        student.threshold_for(precision)  # before anything is written
    settings = generation or student.generation
    student.require_room(settings)
    meta = {
        "schema_version": 1,
        "student": student.fingerprint,
        "task": fingerprint(student.task.model_dump(mode="json"), student.order),
        _DEFINITION: student.task.model_dump(mode="json"),
        "generation": settings.model_dump(mode="json"),
        "free": free,
        "calibration": student.calibration.fingerprint if student.calibration else None,
        "precision": precision,
        **facts,
    }
    part, meta_file = out.with_name(f"{out.name}.part"), _meta_file(out)
    options: dict[str, Any] = {"generation": settings, "free": free, "precision": precision}
    with _alone(out, part):
        _claim(out, part, meta_file, meta)
        if out.exists():
            progress(len(examples))
            return out
        lost = student.losses(examples)
        if lost and (lines := sentences(lost, from_share=WORTH_SAYING)):
            _LOG.warning("%s %s", " ".join(lines), advice(lost))
        _answer(student, examples, part, options, progress)
        part.replace(out)
    return out


def _answer(
    student: Student, examples: Sequence[Example], part: Path, options: dict[str, Any], progress: Callable[[int], None]
) -> None:
    """Append what ``part`` lacks yet, window by window."""
    done = _resume(part, examples)
    progress(done)
    with part.open("a", encoding="utf-8", newline="\n") as stream:
        while done < len(examples):
            # Within a window the engine takes long prompts first, and puts alike lengths into one batch.
            window = list(examples[done : done + WINDOW])
            for row in student.predict(window, **options):
                stream.write(json_line(as_row(row)))
            stream.flush()
            done += len(window)
            progress(done)


def maker_of(predictions: str | Path, student: str | Path) -> Student:
    """The student that made a predictions file, with the settings that it made them with.

    Args:
        predictions: as `predict_file` wrote them, their record ``<name>.meta.json`` beside them.
        student: its folder or run.

    Raises:
        CheckpointError: there is no such student.
        DataError: there is no record, or it names another student.
    """
    predictions = Path(predictions)
    meta_file = _meta_file(predictions)
    fix = "Predict with this student (`reasondistill predict`), and keep the record beside the predictions."
    expected = f"the record of how {predictions.name} was made, by the student that is to be tested"
    if not meta_file.is_file():
        raise DataError(meta_file, expected=expected, found="no such file", fix=fix)
    meta = read_json(meta_file)
    maker = Student.load(student, calibrated=meta.get("calibration") is not None)
    if meta.get("student") != maker.fingerprint:
        found = f"that of the student {meta.get('student')}, not {maker.fingerprint}"
        raise DataError(meta_file, expected=expected, found=found, fix=fix)
    calibration = maker.calibration.fingerprint if maker.calibration else None
    if meta.get("calibration") != calibration:
        raise DataError(meta_file, expected=expected, found="another calibration than the student has now", fix=fix)
    return replace(maker, generation=Generation.model_validate(meta.get("generation")))


def made_by(predictions: str | Path) -> str | None:
    """The fingerprint of the student that made a predictions file; None if no record names it."""
    meta_file = _meta_file(Path(predictions))
    said = read_json(meta_file).get("student") if meta_file.is_file() else None
    return said if isinstance(said, str) else None


def task_answered(predictions: str | Path) -> Task | None:
    """The task that a predictions file answers: as its record says, else as the student of the run says it lies in.

    None where neither is there.

    Raises:
        DataError: the record is broken.
        CheckpointError: the run's student is.
    """
    predictions = Path(predictions)
    meta_file = _meta_file(predictions)
    meta = read_json(meta_file) if meta_file.is_file() else {}
    if (definition := meta.get(_DEFINITION)) is not None:
        return validate_config(Task, definition, where=f"{meta_file}: {_DEFINITION}")
    run = predictions.resolve().parent.parent
    if not meta or not (run / RUN_FILE).is_file():
        return None
    settings = StudentTask.load(find_student(run))
    # Predictions of another student may lie in a run's folder.
    return (
        settings.task
        if meta.get("task") == fingerprint(settings.task.model_dump(mode="json"), settings.order)
        else None
    )


def _meta_file(predictions: Path) -> Path:
    return predictions.with_name(f"{predictions.stem}.meta.json")


@contextmanager
def _alone(out: Path, part: Path) -> Iterator[None]:
    """Keep a second process from appending to the same file."""
    lock_file = part.with_name(f"{part.name}.lock")
    with held(
        lock_file,
        of=out,
        expected="predictions that no other process is writing",
        found="another one at work on them",
        fix="Wait for it, or name another file with --out.",
    ):
        try:
            yield
        finally:
            lock_file.unlink(missing_ok=True)


def _claim(out: Path, part: Path, meta_file: Path, meta: dict[str, Any]) -> None:
    """Begin, or go on with, the job that ``meta`` describes."""
    if meta_file.exists():
        before = read_json(meta_file)
        before.setdefault(_DEFINITION, meta[_DEFINITION])  # earlier versions wrote the task's fingerprint alone
        differing = sorted(key for key in before.keys() | meta.keys() if before.get(key) != meta.get(key))
        if differing:
            raise OutputError(
                out,
                expected="predictions of this student, data and settings, or none",
                found=f"ones that differ in {', '.join(differing)} (see {meta_file.name})",
                fix="Name another file with --out, or move the old predictions away.",
            )
    elif out.exists():
        raise OutputError(
            out, expected="a new file", found="one without a record of how it was made", fix="Name another file."
        )
    else:
        part.unlink(missing_ok=True)
        write_json(meta_file, meta)


def _resume(part: Path, examples: Sequence[Example]) -> int:
    """How many of the first examples a part file has whole windows of answers to; what it holds beyond them is dropped.

    That is a last line that a stop tore, rows in another order, as they were kept before windows were, and the rows of
    a window that a stop cut short: scores depend in their last digits on what is in a batch together, so that the
    window is answered again as a whole.
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


def dump(predictions: Iterable[Prediction]) -> str:
    """Predictions as JSON, for a screen."""
    return json.dumps([as_row(p) for p in predictions], ensure_ascii=False, indent=2)
