"""A student or a package of ours as a teacher: a larger student teaches a smaller one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reasondistill.contracts.teacher_replies import GivenAnswer
from reasondistill.errors import TaskError
from reasondistill.students.student import Student
from reasondistill.tasks.task import Task
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.teach_settings import StudentTeacher
from reasondistill.teachers.teacher_requests import TeacherRequest


class StudentBackend:
    """Labels with probabilities, and explanations, as the student gives them unasked."""

    at_once = 64
    concurrent = 1
    kept = True

    def __init__(self, teacher: StudentTeacher, task: Task) -> None:
        self._student = Student.load(teacher.student)
        theirs = self._student.task
        if (theirs.fields, theirs.labels) != (task.fields, task.labels):
            raise TaskError(
                teacher.student,
                expected=f"a student with the fields {list(task.fields)} and the labels {task.labels}",
                found=f"one with {list(theirs.fields)} and {theirs.labels}",
                fix="Name the task of that student.",
            )
        self.model = f"student@{self._student.fingerprint}"

    def parameters(self, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        return {"parts": [*parts]}

    def answer(self, requests: Sequence[TeacherRequest]) -> list[BackendReply]:
        predictions = self._student.predict([request.question.example for request in requests])
        return [
            BackendReply(
                given=GivenAnswer(label=p.label, explanation=p.explanation, probabilities=p.probabilities),
                finish_reason="length" if p.truncated else "stop",
            )
            for p in predictions
        ]

    def close(self) -> None:
        pass
