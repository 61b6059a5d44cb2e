"""The student as its users see it: an engine and examples -> predictions."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from reasondistill.config import Generation
from reasondistill.contracts.records import Example, Prediction, Predictions, parse_record
from reasondistill.contracts.run import RUN_FILE
from reasondistill.errors import CheckpointError, ConfigError, TaskError, importing
from reasondistill.languages.unknown_tokens import LossCount
from reasondistill.runs import find_student
from reasondistill.storage.files import real_path
from reasondistill.storage.hub import UploadOptions, download, is_hub_id, upload
from reasondistill.students.asked_example import asked_choices, asked_fields, listed_texts
from reasondistill.students.calibration import Calibration, as_calibrated, checkpoint_fingerprint
from reasondistill.students.engines import Answer, Engine, answer, explain_for, explanation_scores
from reasondistill.students.package import is_package
from reasondistill.tasks.task import OutputOrder, Task, explanation_prefix
from reasondistill.tasks.verbalized_confidence import Phrase, spoken

if TYPE_CHECKING:
    import pandas as pd

    from reasondistill.data.dataset_loading import Source
    from reasondistill.students.codec import Codec
    from reasondistill.students.package.opening import LoadedPackage

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


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
    """Its temperature and abstain thresholds; without it, probabilities come from the raw scores."""
    phrases: tuple[Phrase, ...] = ()
    """The phrases that end its explanations and say how sure it is."""
    folder: Path | None = None
    """Its folder; None for a student made in memory."""

    @classmethod
    def load(cls, path: str | PathLike[str], *, calibrated: bool = True) -> Student:
        """Load a student from its folder, the run that made it, an exported package, or the Hugging Face hub.

        Args:
            path: the folder or run, ``builtin:scenes``, or the hub's ``owner/name``.
            calibrated: use its calibration, if it has one; otherwise return raw probabilities.

        Raises:
            CheckpointError: there is no student, its calibration belongs to another one, or a package was changed.
            MissingExtraError: PyTorch or transformers, or for a package CTranslate2, is not installed.
        """
        folder = find_student(path)
        if is_package(folder):
            from reasondistill.students.package.opening import load_package

            return replace(cls._packaged(load_package(folder), calibrated=calibrated), folder=folder)
        with importing(f"running the student {folder}", "train"):
            from reasondistill.students.checkpoint import load_checkpoint
            from reasondistill.students.engines.pytorch import TorchEngine
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
    def from_pretrained(cls, path: str | PathLike[str], *, calibrated: bool = True, **options: object) -> Student:
        """`load`, with the options that `huggingface_hub.snapshot_download` takes for a student on the hub.

        >>> Student.from_pretrained("me/tickets", revision="v2", token="hf_…")

        Raises:
            CheckpointError: as `load`; the hub does not have it, or cannot be reached.
        """
        return cls.load(download(os.fspath(path), **options) if is_hub_id(path) else path, calibrated=calibrated)

    def push_to_hub(self, repo_id: str, **options: Unpack[UploadOptions]) -> str:
        """Upload the student's folder to the Hugging Face hub, with its task, calibration and card.

        >>> student.push_to_hub("me/tickets", private=True)

        Args:
            repo_id: ``owner/name``; it is made if it is not there.
            **options: ``commit_message``, ``commit_description``, ``private``, ``token``, ``revision``, ``create_pr``.

        Returns:
            the address of the commit.

        Raises:
            CheckpointError: the student was made in memory; the hub refuses it, or cannot be reached.
        """
        if self.folder is None:
            raise CheckpointError("student", expected="one that was loaded from a folder", found="one made in memory")
        if self.calibration is None or self.calibration == Calibration.load(self.folder):
            return upload(self.folder, repo_id, **options)
        from reasondistill.students.model_card import keep_calibration

        with tempfile.TemporaryDirectory() as temporary:  # it was calibrated since it was loaded
            folder = Path(shutil.copytree(self.folder, Path(temporary) / "student"))
            keep_calibration(folder, self.calibration)
            return upload(folder, repo_id, **options)

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
        """Answer one example, with its fields as keyword arguments or, whatever their names, as a mapping.

        Args:
            fields: field -> text.
            choices: the choices, if the task has no labels of its own.
            precision: as in `predict`.
            **named: fields by name.

        Raises:
            ConfigError: there is no abstain threshold for that precision.
            DataError: a field or the choices are missing, or the task has no such field or takes no choices.
            TaskError: the student's tokenizer cannot tell the choices apart.
        """
        given = asked_fields(self.task, fields, named)
        choices = asked_choices(self.task, self.order, choices)
        example = parse_record(Example, {"id": "1", "fields": given, "choices": choices}, "explain")
        prediction = self.predict([self.task.check(example)], precision=precision)[0]
        if prediction.label is None and choices and self.order != "explanation_only":
            raise TaskError(
                "choices",
                expected="choices that differ in the student's tokens",
                found=f"{list(choices)}, of which it cannot tell two apart",
                fix="Reword one of them.",
            )
        return prediction

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
        examples: Source | Iterable[str],
        *,
        generation: Generation | None = None,
        free: bool = False,
        precision: float | None = None,
    ) -> Predictions: ...

    def predict(
        self,
        examples: Any,
        *,
        generation: Generation | None = None,
        free: bool = False,
        precision: float | None = None,
    ) -> pd.DataFrame | Predictions:
        """Answer examples, in order.

        Args:
            examples: examples, or whatever `load_dataset` takes; for a task with one field, also texts, of which an
                empty one gets an empty answer. For a pandas DataFrame a copy is returned, with ``label``,
                ``probability`` and ``explanation``: empty in rows that lack a field.
            generation: how explanations are written; by default the student's own settings.
            free: also let the student write label and explanation freely, and parse that.
            precision: also mark, as ``abstained``, the predictions to abstain from at this target precision.

        Raises:
            ConfigError: there is no abstain threshold for that precision.
            DataError: a field of the task is missing.
        """
        # Not above: help would import pyarrow.
        from reasondistill.data.dataset_loading import are_texts, as_sequence, examples_for

        if type(examples).__name__ == "DataFrame" and hasattr(examples, "iloc"):
            return self._answered(examples, generation, free, precision)
        examples = as_sequence(examples)
        texts = examples if are_texts(examples) else None
        examples = examples_for(self.task, examples)
        threshold = None if precision is None else self.threshold_for(precision)
        answers = self._answers(examples, generation or self.generation, free=free)
        rows = zip(examples, answers, strict=True)
        predictions = Predictions(_prediction(example, a, threshold, self.phrases) for example, a in rows)
        if texts is None or len(predictions) == len(texts):
            return predictions
        name, rows_of = predictions[0].id.rpartition(":")[0], enumerate(_by_row(predictions, len(texts)), start=1)
        return Predictions(p or Prediction(id=f"{name}:{row}", label=None) for row, p in rows_of)

    def _answered(
        self, frame: pd.DataFrame, generation: Generation | None, free: bool, precision: float | None
    ) -> pd.DataFrame:
        """A copy of a frame with the answers to its rows."""
        from reasondistill.data.dataset_loading import examples_for
        from reasondistill.data.readers.in_memory import with_named_index

        rows = with_named_index(frame)
        rows = rows.drop(columns=[c for c in ("label", "explanation", "id", "split", "group") if c in rows.columns])
        examples = examples_for(self.task, rows) if len(rows) else []
        answers = self.predict(examples, generation=generation, free=free, precision=precision)
        in_order = _by_row(answers, len(frame))
        if own := [name for name in ("label", "probability", "explanation") if name in frame.columns]:
            _LOG.warning("the answers take the place of the frame's own %s: rename them to keep both", ", ".join(own))
        answered = frame.copy()
        answered["label"] = [None if a is None else a.label for a in in_order]
        answered["probability"] = [None if a is None else a.confidence for a in in_order]
        answered["explanation"] = [None if a is None else a.explanation for a in in_order]
        return answered

    def probabilities(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        """The probability of each label, by example; explanations are written only if the label depends on them.

        Empty for a task whose answers are texts: they have no table of probabilities.
        """
        if self.task.writes_answers:
            return [{} for _ in examples]
        return [a.probabilities for a in self._answers(examples, self.generation, explain=False)]

    def _answers(self, examples: Sequence[Example], generation: Generation, **how: bool) -> Iterable[Answer]:
        temperature = 1.0 if self.calibration is None else self.calibration.temperature
        generation = as_calibrated(self.calibration, generation)
        return answer(self.engine, self.task, self.order, examples, generation, temperature=temperature, **how)

    def explain_for(self, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
        """The explanations that it writes for given ``labels``, one for each example.

        Raises:
            TaskError: its order is not ``label_first``.
        """
        labels = listed_texts("labels", labels)
        written = explain_for(self.engine, self.task, self.order, examples, labels, self.generation)
        return [w.text for w in written]

    def explanation_scores(
        self, examples: Sequence[Example], labels: Sequence[str | None], explanations: Sequence[str]
    ) -> list[float]:
        """Log-probabilities (nats) of writing ``explanations``, with ``label_first`` after ``labels``.

        Raises:
            TaskError: its order is ``label_only``.
        """
        labels, explanations = listed_texts("labels", labels), listed_texts("explanations", explanations)
        return explanation_scores(self.engine, self.task, self.order, examples, labels, explanations)

    def require_room(self, generation: Generation) -> None:
        """Check that the student has enough positions for what it is to write after any of its task's labels.

        Raises:
            ConfigError: ``generation.max_new_tokens`` is more; the message says how many fit.
        """
        if (codec := getattr(self.engine, "codec", None)) is not None:  # as the engines that run a model have it
            codec.require_room({explanation_prefix(self.order, label) for label in self.task.labels or ()}, generation)

    def losses(self, examples: Iterable[Example]) -> dict[str, Any] | None:
        """What its tokenizer loses of the examples' prompts: see `unknown_tokens.LossCount.totals`.

        None if its engine has no tokenizer.
        """
        codec: Codec | None = getattr(self.engine, "codec", None)
        if codec is None:
            return None
        count = LossCount(codec.tokenizer, codec.max_source_length)
        for example in examples:
            for prompt in dict.fromkeys(self.task.render_prompts(self.order, example).values()):
                count.add(example.id, prompt)
        return count.totals()

    def threshold_for(self, precision: float) -> float:
        """The confidence below which to abstain, for a target share of correct labels among the answers.

        Raises:
            ConfigError: the student is not calibrated, or has no threshold for that precision.
        """
        if self.calibration is None:
            raise ConfigError(
                "precision",
                expected="a calibrated student, as abstain thresholds are for calibrated probabilities",
                found="a student without a calibration, or loaded without it",
                fix=f"Calibrate it on validation data: reasondistill calibrate {_calibrated_as(self.folder)}",
            )
        return self.calibration.threshold_for(precision)


def _calibrated_as(folder: Path | None) -> str:
    """What `calibrate` takes for a student: its run, which knows validation data, or the folder and data."""
    run = None if folder is None else real_path(folder).parent
    if run is not None and (run / RUN_FILE).is_file():
        return quote(str(run))
    return f"{quote(str(folder or 'STUDENT'))} DATA --split validation"


def _by_row(predictions: Iterable[Prediction], n: int) -> list[Prediction | None]:
    """The predictions for ``n`` rows in memory that have no ids of their own; None for a row without a text."""
    by_number = {int(prediction.id.rpartition(":")[2]): prediction for prediction in predictions}
    return [by_number.get(number) for number in range(1, n + 1)]


def _prediction(example: Example, a: Answer, threshold: float | None, phrases: Sequence[Phrase]) -> Prediction:
    more: dict[str, Any] = {}
    if threshold is not None:
        sure = max(a.probabilities.values(), default=0.0) if a.probability is None else a.probability
        more["abstained"] = sure < threshold
    if phrases:
        reasons, phrase = spoken(a.explanation, phrases)
        more["confidence_phrase"] = a.explanation.removeprefix(reasons).lstrip() if phrase else ""
        more["stated_confidence"] = phrase.value if phrase else None
    return Prediction(id=example.id, **a._asdict(), **more)
