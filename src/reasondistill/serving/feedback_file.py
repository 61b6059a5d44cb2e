"""What people say of answers, in one SQLite file: each thing once, and never more than fits."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from reasondistill.contracts.feedback import Feedback, Verdict
from reasondistill.contracts.service import FeedbackReceipt
from reasondistill.errors import OutputError
from reasondistill.serving.monitoring import log
from reasondistill.serving.problems import RequestError
from reasondistill.serving.task_models import to_example
from reasondistill.storage.files import json_line, require_place
from reasondistill.storage.sqlite_store import Store, content_key, require_store
from reasondistill.students.student import Student


class ShownAnswer(Protocol):
    """The answer that a verdict is about; ``student`` is its fingerprint, where a request names it."""

    student: str | None
    label: str | None
    explanation: str


class GivenFeedback(Protocol):
    """What the models of feedback share, whichever the task is; see `task_models.TaskModels`."""

    example: BaseModel
    answer: ShownAnswer
    verdict: Verdict
    label: str | None
    explanation: str | None
    by: str
    why: str
    group: str | None


class FeedbackFile:
    """Keeps verdicts. One that is answered is on the disk.

    Args:
        path: a new file, or one that a service wrote before.
        most: rows in it.

    Raises:
        OutputError: something else is there, or it cannot be written.
    """

    def __init__(self, path: Path, most: int) -> None:
        require_store(require_place(path))
        self._store, self._most = Store(path), most
        self._alone = threading.Lock()
        self._count = self._store.count()

    def keep(self, body: GivenFeedback, student: Student) -> FeedbackReceipt:
        """Keep what a request says of an answer, unless it is there already.

        Raises:
            RequestError: 422, label and verdict contradict each other; 409, the file is full; 503, it cannot be
                written.
        """
        if problem := _contradiction(body):
            raise RequestError(422, "contradiction", problem)
        example = to_example(body.example)
        feedback = Feedback(
            student=body.answer.student or student.fingerprint,
            task=student.task.name,
            fields=dict(example.fields),
            choices=None if example.choices is None else list(example.choices),
            label=body.answer.label,
            explanation=body.answer.explanation,
            verdict=body.verdict,
            corrected_label=body.label,
            corrected_explanation=body.explanation,
            by=body.by,
            why=body.why,
            group=body.group,
            received=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        key = content_key(json_line(feedback.model_dump(mode="json", exclude={"received"})))
        with self._alone:
            if self._store.get_many([key]):
                return FeedbackReceipt(status="known", key=key.hex())
            if self._count >= self._most:
                raise RequestError(409, "feedback-full", "The file for feedback is full. Tell who runs the service.")
            try:
                self._store.put_many({key: feedback.model_dump_json().encode()})
            except OutputError as error:
                log("feedback_not_kept", problem=str(error))
                raise RequestError(503, "not-kept", "The feedback could not be written.", retry_after=60) from error
            self._count += 1
        return FeedbackReceipt(status="kept", key=key.hex())


def _contradiction(body: GivenFeedback) -> str | None:
    """What is wrong with a verdict whose correction says something else."""
    if body.label is None or body.answer.label is None:
        return None
    if body.verdict == "right" and body.label != body.answer.label:
        return "An answer that is right has the label that was shown: leave label out, or say wrong."
    if body.verdict == "wrong" and body.label == body.answer.label and body.explanation is None:
        return "An answer that is wrong has another label, or needs another explanation: correct one of them."
    return None
