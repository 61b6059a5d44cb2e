"""`rd.Client`: a service from Python, with the same models on both sides."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from reasondistill.contracts.feedback import Verdict
from reasondistill.contracts.service import (
    Answer,
    Answers,
    Attributions,
    Counterfactual,
    FeedbackReceipt,
    NearExample,
    NearExamples,
    Problem,
    ServedStudent,
    ServedStudents,
    ServiceInfo,
)
from reasondistill.errors import UserError, importing

if TYPE_CHECKING:
    import httpx

Reply = TypeVar("Reply", bound=BaseModel)

_RETRIED: Final = (429, 503)
_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0


class ServiceError(UserError):
    """A service did not answer as asked; ``problem_details`` is what it said, ``status`` HTTP's (0: no reply)."""

    def __init__(self, url: str, status: int, details: Problem | None, problem: str) -> None:
        super().__init__(url, problem=problem)
        self.status, self.problem_details = status, details


class Client:
    """A service of `reasondistill serve`.

    >>> with Client("http://127.0.0.1:8000") as client:
    ...     client.explain(premise="A man is sleeping on a beach.", hypothesis="A man is awake outdoors.").label
    'contradiction'

    Args:
        url: where the service is.
        key: one of its keys, where it wants one.
        student: which of its students answers; the first one by default.
        timeout: seconds to wait for a reply.
        retries: how often to ask again where the service is busy; it says when.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        student: str | None = None,
        timeout: float = 60.0,
        retries: int = 5,
    ) -> None:
        with importing("asking a service", "serve"):
            import httpx
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http: httpx.Client = httpx.Client(base_url=url, headers=headers, timeout=timeout)
        self._prefix = "/v1" if student is None else f"/v1/students/{quote(student, safe='')}"
        self._retries = retries

    def explain(
        self,
        fields: Mapping[str, str] | None = None,
        /,
        *,
        choices: Sequence[str] | None = None,
        precision: float | None = None,
        **named: str,
    ) -> Answer:
        """The answer to one example; the arguments are those of `Student.explain`.

        Raises:
            ServiceError: the service refuses it, or does not answer.
        """
        return self._post(Answer, "/explain", _example(fields, named, choices), precision)

    def explain_many(self, examples: Iterable[Mapping[str, object]], *, precision: float | None = None) -> list[Answer]:
        """The answers to several examples, each its fields and perhaps ``choices``, in their order.

        Raises:
            ServiceError: as `explain`.
        """
        return self._post(Answers, "/explain", {"inputs": [dict(each) for each in examples]}, precision).answers

    def attributions(
        self, fields: Mapping[str, str] | None = None, /, *, choices: Sequence[str] | None = None, **named: str
    ) -> Attributions:
        """Which words moved the label, and which the explanation.

        Raises:
            ServiceError: as `explain`.
        """
        return self._post(Attributions, "/attributions", _example(fields, named, choices))

    def counterfactual(
        self,
        original: Mapping[str, object],
        edited: Mapping[str, object] | None = None,
        *,
        every_label: bool = False,
    ) -> Counterfactual:
        """An example beside an edited one, or an explanation for every label.

        Raises:
            ServiceError: as `explain`.
        """
        body = {"original": dict(original), "edited": None if edited is None else dict(edited)}
        return self._post(Counterfactual, "/counterfactuals", {**body, "every_label": every_label})

    def near(
        self, fields: Mapping[str, str] | None = None, /, *, choices: Sequence[str] | None = None, **named: str
    ) -> list[NearExample]:
        """The rows that the student learned from and that read most like an example; for a service with ``--near``.

        Raises:
            ServiceError: as `explain`.
        """
        return self._post(NearExamples, "/near", _example(fields, named, choices)).examples

    def feedback(
        self,
        example: Mapping[str, object],
        answer: Answer,
        verdict: Verdict,
        *,
        label: str | None = None,
        explanation: str | None = None,
        by: str = "",
        why: str = "",
        group: str | None = None,
    ) -> FeedbackReceipt:
        """Say whether an answer is right, and perhaps what would have been.

        Raises:
            ServiceError: as `explain`; also where the service keeps no feedback.
        """
        shown = {"label": answer.label, "explanation": answer.explanation, "student": answer.student}
        body = {"example": dict(example), "answer": shown, "verdict": verdict, "label": label}
        more = {"explanation": explanation, "by": by, "why": why, "group": group}
        return self._post(FeedbackReceipt, "/feedback", {**body, **more})

    def info(self) -> ServiceInfo:
        """Version, students and limits."""
        return self._read(ServiceInfo, self._send("GET", "/info"))

    def students(self) -> list[ServedStudent]:
        """The service's students."""
        return self._read(ServedStudents, self._send("GET", "/v1/models")).students

    def ready(self) -> bool:
        """Whether the service wants requests."""
        import httpx

        try:
            return self._http.get("/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, kind: type[Reply], path: str, body: object, precision: float | None = None) -> Reply:
        query = "" if precision is None else f"?precision={precision:g}"
        return self._read(kind, self._send("POST", f"{self._prefix}{path}{query}", body))

    def _send(self, method: str, path: str, body: object = None) -> httpx.Response:
        import httpx

        for attempt in range(self._retries + 1):
            try:
                response = self._http.request(method, path, json=body)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._error(0, None, f"does not answer ({type(error).__name__}: {error})") from error
            if response.status_code not in _RETRIED or attempt == self._retries:
                return response
            time.sleep(_pause(response, attempt))
        raise AssertionError("the loop returns")

    def _read(self, kind: type[Reply], response: httpx.Response) -> Reply:
        if response.is_success:
            try:
                return kind.model_validate_json(response.content)
            except ValidationError as error:
                raise self._error(response.status_code, None, "answers what this client cannot read") from error
        try:
            details = Problem.model_validate_json(response.content)
        except ValidationError:
            raise self._error(response.status_code, None, f"answers {response.status_code}") from None
        listed = "; ".join(f"{each.where}: {each.problem}" for each in details.errors)
        problem = f"answers {details.status}: {details.detail}" + (f" ({listed})" if listed else "")
        raise self._error(details.status, details, problem)

    def _error(self, status: int, details: Problem | None, problem: str) -> ServiceError:
        return ServiceError(str(self._http.base_url), status, details, problem)


def _example(
    fields: Mapping[str, str] | None, named: Mapping[str, str], choices: Sequence[str] | None
) -> dict[str, object]:
    return {**(fields or {}), **named, **({} if choices is None else {"choices": list(choices)})}


def _pause(response: httpx.Response, attempt: int) -> float:
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        seconds = _PAUSE * 2**attempt
    return min(_LONGEST_PAUSE, max(0.0, seconds))
