"""Whom a system is compared with: the labels and explanations that a named teacher gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reasondistill.contracts.records import Example, Prediction
from reasondistill.data.prediction_tables import read_any_predictions
from reasondistill.errors import DataError
from reasondistill.evaluation.pairing import Row, by_id, check_labels, few, without_phrase
from reasondistill.metrics.text import is_empty
from reasondistill.storage.files import fingerprint
from reasondistill.tasks.task import Task


class ReferenceAnswer(NamedTuple):
    """What a teacher gave for one row; explanations of nothing but white space are none."""

    label: str | None
    explanations: tuple[str, ...]


def _in_own_words(answer: ReferenceAnswer | None, task: Task, example: Example) -> ReferenceAnswer | None:
    texts = () if answer is None else (task.own_words(text, example.fields) for text in answer.explanations)
    return answer and answer._replace(explanations=tuple(texts))


@dataclass(frozen=True)
class ReferenceTeacher:
    """A teacher's answers by the ids of their rows, which may be others than those that are scored.

    ``gold_labels`` says that its labels are the data's own, so that it is right by construction. ``fingerprint`` is a
    content hash of a teacher that does not come with the data.
    """

    name: str
    taught: dict[str, ReferenceAnswer]
    gold_labels: bool = False
    fingerprint: str | None = None

    @classmethod
    def of_predictions(cls, name: str, predictions: Iterable[Prediction]) -> ReferenceTeacher:
        """A teacher whose labels and explanations are a system's predictions.

        Raises:
            DataError: an id is doubled.
        """
        answers = by_id(_where(name), [without_phrase(prediction) for prediction in predictions])
        content = sorted([answer.id, answer.label or "", answer.explanation] for answer in answers.values())
        return cls(
            name,
            {answer.id: ReferenceAnswer(answer.label, _written([answer.explanation])) for answer in answers.values()},
            fingerprint=fingerprint(*content),
        )

    @classmethod
    def of_source(cls, name: str, examples: Iterable[Example]) -> ReferenceTeacher:
        """A teacher whose explanations are among the data's own, those whose ``source`` is ``name``.

        Only those that argue for the example's own label count, and that label is the teacher's.

        Raises:
            DataError: an id is doubled, or no explanation has this source.
        """
        taught: dict[str, ReferenceAnswer] = {}
        sources: dict[str, None] = {}
        for example in by_id("data", list(examples)).values():
            sources.update(dict.fromkeys(explanation.source for explanation in example.references))
            texts = [explanation.text for explanation in example.references if explanation.source == name]
            if texts:
                taught[example.id] = ReferenceAnswer(example.label, _written(texts))
        if not taught:
            raise DataError(
                _where(name),
                expected=f"a source of the data's explanations: {', '.join(map(repr, sources)) or 'there is none'}",
                found=repr(name),
                fix="Name one of them, or a file of predictions: NAME=FILE.",
            )
        return cls(name, taught, gold_labels=True)

    def answers_to(self, rows: Sequence[Row], task: Task) -> list[ReferenceAnswer | None]:
        """Its answer to each row, None where it has neither a label nor an explanation.

        Raises:
            DataError: it has none for any row, or a label that is not one of the task's.
        """
        answers = [_in_own_words(self.taught.get(row.example.id), task, row.example) for row in rows]
        answered = [
            answer if answer is not None and (answer.label is not None or answer.explanations) else None
            for answer in answers
        ]
        if not any(answered):
            raise DataError(
                _where(self.name),
                expected=f"a label or an explanation for at least one of the {len(rows)} scored rows",
                found=f"{len(self.taught)} answers, none of use here"
                + (f": {few([*self.taught])}" if self.taught else ""),
                fix="Name the answers to the same data, and to the same part of it.",
            )
        if task.labels != ():
            given = [
                (row.example, answer.label)
                for row, answer in zip(rows, answers, strict=True)
                if answer and answer.label is not None
            ]
            check_labels(_where(self.name), given, task)
        return answered


class MatchedTeacher(NamedTuple):
    """A teacher and its answer to each scored row, None where it has none."""

    teacher: ReferenceTeacher
    answers: list[ReferenceAnswer | None]


def named(
    teachers: Iterable[ReferenceTeacher | str] | Mapping[str, str | None], examples: Sequence[Example]
) -> list[ReferenceTeacher]:
    """Teachers by name: of the predictions in their file, or, without one, of the explanations of that source.

    Raises:
        DataError: a file is not usable, or no explanation has this source.
    """
    files: Iterable[tuple[ReferenceTeacher | str, str | None]]
    files = teachers.items() if isinstance(teachers, Mapping) else [(teacher, None) for teacher in teachers]
    return [
        teacher
        if isinstance(teacher, ReferenceTeacher)
        else ReferenceTeacher.of_source(teacher, examples)
        if file is None
        else ReferenceTeacher.of_predictions(teacher, read_any_predictions(file))
        for teacher, file in files
    ]


def match_teachers(teachers: Sequence[ReferenceTeacher], rows: Sequence[Row], task: Task) -> list[MatchedTeacher]:
    """Teachers beside the scored rows, in their order.

    Raises:
        DataError: two have one name; one has no answer to any row, or a label that is not one of the task's.
    """
    names = [teacher.name for teacher in teachers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError("teachers", expected="a name of its own for each", found=f"{twice[0]!r} more than once")
    return [MatchedTeacher(teacher, teacher.answers_to(rows, task)) for teacher in teachers]


def _where(name: str) -> str:
    return f"teacher {name!r}"


def _written(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if not is_empty(text))
