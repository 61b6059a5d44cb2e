"""What every teacher can do, whatever it is: answer requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reasondistill.contracts.teacher_replies import GivenAnswer, TokenUsage
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.teacher_requests import TeacherRequest


@dataclass(frozen=True)
class BackendReply:
    """What came back for one request: a text to be read, or an answer as it is.

    Attributes:
        usage: None where the server does not say.
        pause: seconds for which the server's limits are used up.
    """

    text: str = ""
    given: GivenAnswer | None = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None
    response_id: str | None = None
    request_id: str | None = None
    system_fingerprint: str | None = None
    served_model: str | None = None
    pause: float | None = None


class Backend(Protocol):
    """A way of reaching a teacher. Adding one: a file here, an entry in `open_backend.py`, its keys in the settings.

    Attributes:
        model: what the answers depend on, besides parameters and messages; it becomes part of requests' keys.
        at_once: how many requests `answer` takes.
        concurrent: how many threads may call `answer` at once.
        kept: whether replies are worth keeping in the store.
    """

    model: str
    at_once: int
    concurrent: int
    kept: bool

    def parameters(self, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        """What else an answer depends on; it is sent with a request, and is part of its key."""
        ...

    def answer(self, requests: Sequence[TeacherRequest]) -> Sequence[BackendReply]:
        """One reply for each request.

        Raises:
            FailedAttemptError: none came.
            UserError: none can come: the model cannot be used.
        """
        ...

    def close(self) -> None:
        """End what was begun for it."""
        ...
