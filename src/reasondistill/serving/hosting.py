"""Students by name, and the swap of one for another that its folder now holds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from reasondistill.contracts.run import RUN_FILE
from reasondistill.contracts.service import ServedStudent
from reasondistill.contracts.update import refusal_of
from reasondistill.errors import CheckpointError, ConfigError, DataError, UserError, importing
from reasondistill.serving.questions import codec_of
from reasondistill.students.student import Student

if TYPE_CHECKING:
    from reasondistill.judges import Judge
    from reasondistill.serving.near_rows import NearRows
    from reasondistill.verification.answer_verdicts import ProvedAnswers

_LOG = logging.getLogger(__name__)

Beside = TypeVar("Beside")


@dataclass(frozen=True)
class Hosted:
    """A student, and what stands beside it.

    Attributes:
        path: that it can be loaded from anew; None for one that was made in memory.
        judge: of its arguments.
        near: finds the rows that it learned from.
        proofs: says of its answers which are proved.
    """

    name: str
    student: Student
    path: Path | None
    judge: Judge | None = None
    near: NearRows | None = None
    proofs: ProvedAnswers | None = None

    def described(self) -> ServedStudent:
        """What the service says of it."""
        student, calibration, codec = self.student, self.student.calibration, codec_of(self.student)
        task = student.task
        return ServedStudent(
            name=self.name,
            fingerprint=student.fingerprint,
            kind="package" if type(student.engine).__name__ == "CTranslate2Engine" else "checkpoint",
            task=task.name,
            fields=list(task.fields),
            optional=list(task.optional),
            labels=None if task.labels is None else list(task.labels),
            order=student.order,
            calibrated=calibration is not None,
            temperature=None if calibration is None else calibration.temperature,
            precisions=precisions(student),
            max_source_tokens=None if codec is None else codec.max_source_length,
            judge=None if self.judge is None else self.judge.info.name,
            near=self.near is not None,
        )


def precisions(student: Student) -> list[float]:
    """At which a student can abstain."""
    thresholds = () if student.calibration is None else student.calibration.thresholds
    return [row.precision for row in thresholds if row.threshold is not None]


class Hosts:
    """The students of a service, by name. The first one answers where none is named."""

    def __init__(self, hosted: Iterable[Hosted]) -> None:
        self._by_name = {each.name: each for each in hosted}
        self._loading = threading.Lock()

    def __iter__(self) -> Iterator[Hosted]:
        return iter(list(self._by_name.values()))

    def __getitem__(self, name: str) -> Hosted:
        return self._by_name[name]

    @classmethod
    def load(
        cls,
        students: Iterable[Student | str | Path],
        *,
        judge: str | Path | None = None,
        near: bool = False,
        prover: bool = False,
    ) -> Hosts:
        """Load students; each is named after its folder.

        Args:
            judge: of their arguments: a folder, or ``builtin:scenes``.
            near: have each show rows that it learned from.
            prover: have a prover say which of their answers are proved.

        Raises:
            UserError: one of them cannot be loaded; the judge, the rows or the prover fit none of them. Where they fit
                some, the others go without, and the log says so.
        """
        loaded_judge = None if judge is None else _load_judge(judge)
        loaded: dict[str, tuple[Path | None, Student]] = {}
        for each in students:
            student = each if isinstance(each, Student) else Student.load(each)
            path = student.folder if isinstance(each, Student) else Path(each)
            name = _distinct(name_of(path, student), loaded)
            if student.folder is not None and (reasons := refusal_of(student.folder)) is not None:
                _LOG.warning("%s was not published: %s", name, reasons)
            loaded[name] = path, student
        judges = _fitting("judge", loaded, lambda _, student: _for_task(loaded_judge, student)) if loaded_judge else {}
        rows = _fitting("near", loaded, _near_rows) if near else {}
        proofs = _fitting("prover", loaded, _proofs_for) if prover else {}
        return cls(
            Hosted(name, student, path, judges.get(name), rows.get(name), proofs.get(name))
            for name, (path, student) in loaded.items()
        )

    def reload(self, name: str) -> Hosted:
        """Load a student's folder anew and put it in the place of the one that is there.

        Jobs that wait keep the student that they were made for. Takes as long as loading does.

        Raises:
            CheckpointError: it is damaged, or answers another task, whose fields would be others than those of the
                service's description.
        """
        with self._loading:
            before = self._by_name[name]
            if before.path is None:
                raise CheckpointError(name, expected="a student with a folder", found="one made in memory")
            student = Student.load(before.path)
            _require_alike(before, student)
            near = None if before.near is None else _near_rows(before.path, student)
            after = replace(before, student=student, near=near)
            self._by_name[name] = after
            return after


def _load_judge(path: str | Path) -> Judge:
    with importing("a judge", "train"):
        from reasondistill.judges import Judge
    judge = Judge.load(path)
    judge.cache = False  # what people ask is not written to the disk
    return judge


def _fitting(
    option: str,
    students: Mapping[str, tuple[Path | None, Student]],
    make: Callable[[Path | None, Student], Beside],
) -> dict[str, Beside]:
    """What stands beside each student that it fits, by name.

    Raises:
        UserError: it fits none of them.
    """
    made: dict[str, Beside] = {}
    errors: dict[str, UserError] = {}
    for name, (path, student) in students.items():
        try:
            made[name] = make(path, student)
        except UserError as error:
            errors[name] = error
    if not made:
        raise next(iter(errors.values()))
    for name, why in errors.items():
        _LOG.warning("%s is served without --%s: %s", name, option, why)
    return made


def _for_task(judge: Judge, student: Student) -> Judge:
    judge.refuse_task(student.task)
    return judge


def _proofs_for(path: Path | None, student: Student) -> ProvedAnswers:
    from reasondistill.verification import PairProver
    from reasondistill.verification.answer_verdicts import ProvedAnswers
    from reasondistill.verification.pair_labels import PairLabels

    try:
        labels = PairLabels.of(student.task)
    except DataError as error:
        fix = "Leave out --prover (in Python prover=True): it reads pairs whose fields and labels have the usual names."
        raise DataError(error.where, expected=error.expected, found=error.found, fix=fix) from error
    return ProvedAnswers(PairProver(), labels)


def _near_rows(path: Path | None, student: Student) -> NearRows:
    from reasondistill.serving.near_rows import NearRows

    if path is None:
        raise ConfigError("near", expected="a student of a run", found="one made in memory")
    return NearRows.of_run(path, student.task)


def _require_alike(before: Hosted, student: Student) -> None:
    old, new = before.student, student
    changed = [
        what
        for what, a, b in (
            ("fields", old.task.fields, new.task.fields),
            ("labels", old.task.labels, new.task.labels),
            ("optional fields", old.task.optional, new.task.optional),
        )
        if a != b
    ]
    if changed:
        raise CheckpointError(
            before.path or before.name,
            expected=f"a student of the task that {before.name} answers",
            found=f"other {', '.join(changed)}",
            fix="Start another service for it.",
        )


def name_of(path: Path | None, student: Student) -> str:
    """What to call a student: after its folder, or after the run that it lies in."""
    if path is None:
        return student.task.name
    if str(path) == "builtin:scenes":
        return "scenes"
    folder = path.resolve()
    of_a_run = folder.name == "package" and (folder.parent / RUN_FILE).is_file()
    return folder.parent.name if folder.name == "student" or of_a_run else folder.name


def _distinct(name: str, taken: Iterable[str]) -> str:
    word = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name).strip(".") or "student"
    taken, number, candidate = set(taken), 1, word
    while candidate in taken:
        number += 1
        candidate = f"{word}-{number}"
    return candidate
