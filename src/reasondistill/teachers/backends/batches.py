"""OpenAI's batch API: requests go up as a file, answers come down as one within a day, at about half the price.

A batch is known to the server by what is written into its metadata before anything else, so that one whose id was lost
(the process was killed between sending and writing it down) is found again and not paid for twice.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from reasondistill.storage.files import json_line
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.backends.chat import Chat
from reasondistill.teachers.backends.openai_client import ApiBackend
from reasondistill.teachers.retrying import FailedAttemptError, attempts
from reasondistill.teachers.teach_settings import ApiTeacher
from reasondistill.teachers.teacher_requests import TeacherRequest

if TYPE_CHECKING:
    from openai.types import Batch

T = TypeVar("T")

MARK = "reasondistill"
"""The key of a batch's metadata under which the teaching run, and the number of the batch in it, stand."""
MOST_IN_A_BATCH = 50_000
"""Requests that OpenAI takes in one file."""
_DONE = ("completed", "expired", "cancelled", "failed")


@dataclass(frozen=True)
class BatchState:
    """A batch as the server has it; ``mark`` is what was written into its metadata."""

    id: str
    mark: str
    status: str
    output_file: str | None = None
    error_file: str | None = None
    problem: str = ""

    @property
    def done(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in _DONE


class BatchBackend:
    """Sends and fetches batches of chat completions. It answers nothing at once."""

    at_once = MOST_IN_A_BATCH
    concurrent = 1
    kept = True

    def __init__(self, teacher: ApiTeacher, *, check: bool = True) -> None:
        self._api = ApiBackend(teacher, Chat(), check=check)
        self._retry_for = teacher.limits.retry_for
        self.model = teacher.model

    def parameters(self, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        return self._api.parameters(sample, parts, labels)

    def answer(self, requests: Sequence[TeacherRequest]) -> Sequence[BackendReply]:
        raise AssertionError("a batch is submitted and collected")

    def submit(self, requests: Sequence[TeacherRequest], mark: str) -> BatchState:
        """Send requests as one batch.

        Raises:
            FailedAttemptError: the server did not take it.
        """
        dialect = self._api.dialect
        lines = "".join(
            json_line({"custom_id": r.key, "method": "POST", "url": f"/v1{dialect.path}", "body": dialect.body(r)})
            for r in requests
        )
        client = self._api.client
        file = ("requests.jsonl", io.BytesIO(lines.encode("utf-8", "surrogatepass")), "application/jsonl")
        # Uploading twice costs nothing. Making the batch twice would: a lost answer is looked for by its mark.
        uploaded = self._again(lambda: client.client.files.create(file=file, purpose="batch"))
        batch = client.attempt(
            lambda: client.client.batches.create(
                input_file_id=uploaded.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={MARK: mark},
            )
        )
        return _state(batch)

    def states(self, marks: set[str]) -> dict[str, BatchState]:
        """The batches with these marks, as they are now; those that the server does not know are left out.

        Raises:
            FailedAttemptError: the server does not say.
        """
        states: dict[str, BatchState] = {}
        listed = self._again(lambda: list(self._api.client.client.batches.list(limit=100)))
        for batch in listed:
            state = _state(batch)
            if state.mark in marks:
                states.setdefault(state.mark, state)
        return states

    def replies(self, state: BatchState) -> Iterator[tuple[str, BackendReply | FailedAttemptError]]:
        """Key and reply of each request that the server is done with; a key that comes again is passed over.

        Raises:
            FailedAttemptError: its files cannot be fetched.
        """
        seen: set[str] = set()
        for file in filter(None, (state.output_file, state.error_file)):
            text = self._again(lambda file=file: self._api.client.client.files.content(file).text)  # type: ignore[misc]
            for line in text.splitlines():
                key, reply = self._line(line)
                if key and key not in seen:
                    seen.add(key)
                    yield key, reply

    def _line(self, line: str) -> tuple[str, BackendReply | FailedAttemptError]:
        try:
            row = json.loads(line)
            key, response = str(row["custom_id"]), row.get("response") or {}
            status = int(response.get("status_code") or 0)
            if status == 200:
                headers = {"x-request-id": str(response.get("request_id") or "")}
                return key, self._api.read(json.dumps(response["body"]), headers)
        except (ValueError, KeyError, TypeError, AttributeError):
            return "", FailedAttemptError("unreadable line of a batch")
        except FailedAttemptError as error:
            return key, error
        code = (row.get("error") or {}).get("code") or ""
        return key, FailedAttemptError(f"http {status}" if status else f"batch: {code or 'no reply'}")

    def _again(self, send: Callable[[], T]) -> T:
        for attempt in attempts(self._retry_for, lambda error: None):
            with attempt:
                return self._api.client.attempt(send)
        raise AssertionError("the last attempt raises")

    def close(self) -> None:
        self._api.close()


def _state(batch: Batch) -> BatchState:
    errors = getattr(batch.errors, "data", None) or []
    return BatchState(
        id=batch.id,
        mark=(batch.metadata or {}).get(MARK, ""),
        status=batch.status,
        output_file=batch.output_file_id,
        error_file=batch.error_file_id,
        problem="; ".join(str(error.message) for error in errors[:3]),
    )
