"""A teacher of this process that is not loaded: enough to count what it would be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.teacher_requests import TeacherRequest


class UnopenedBackend:
    """Has no model's fingerprint, so that nothing is found in the store under its keys."""

    at_once = 1
    concurrent = 1
    kept = False

    def __init__(self, name: str) -> None:
        self.model = f"{name} (not loaded)"

    def parameters(self, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        return {}

    def answer(self, requests: Sequence[TeacherRequest]) -> list[BackendReply]:
        raise AssertionError("a teacher that was not opened is not asked")

    def close(self) -> None:
        pass
