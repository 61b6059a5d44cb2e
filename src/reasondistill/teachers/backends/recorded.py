"""A file of answers as a teacher: asked again, it answers the same, at no cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reasondistill.contracts.teacher_replies import GivenAnswer
from reasondistill.data.transforms.selection import read_teacher
from reasondistill.storage.files import file_fingerprint
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.teach_settings import RecordedTeacher
from reasondistill.teachers.teacher_requests import TeacherRequest

NOT_RECORDED = "not recorded"


class RecordedBackend:
    """Answers of rows by their ids; several of a row are its samples."""

    at_once = 1000
    concurrent = 1
    kept = False

    def __init__(self, teacher: RecordedTeacher) -> None:
        self._answers = read_teacher(teacher.name, teacher.file)
        self.model = f"{Path(teacher.file).name}@{file_fingerprint(teacher.file)}"

    def parameters(self, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        return {"parts": [*parts]}

    def answer(self, requests: Sequence[TeacherRequest]) -> list[BackendReply]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: TeacherRequest) -> BackendReply:
        question = request.question
        answers = self._answers.get(question.example.id, [])
        if question.argued_label is not None:
            answers = [(label, text) for label, text in answers if label in (None, question.argued_label)]
        if question.sample >= len(answers):
            return BackendReply(finish_reason=NOT_RECORDED)
        label, text = answers[question.sample]
        return BackendReply(given=GivenAnswer(label=label, explanation=text), finish_reason="stop")

    def close(self) -> None:
        pass
