"""What goes wrong, as typed JSON: RFC 9457 problem details, none of which repeats what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from reasondistill.contracts.service import FieldProblem, Problem

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.exceptions import HTTPException
    from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
_URN: Final = "urn:reasondistill:problem:"
_MOST_ERRORS: Final = 10
_LONGEST: Final = 300


class RequestError(Exception):
    """A request that is not answered as asked.

    Args:
        status: HTTP's.
        kind: what it is, in words joined by hyphens; part of the problem's type.
        detail: what the client can do about it.
        retry_after: seconds after which the same request may succeed.
        headers: more of the reply's.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: tuple[FieldProblem, ...] = (),
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.errors = status, kind, detail, errors
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)


def reply(error: RequestError) -> Response:
    """The reply that says what went wrong."""
    from starlette.responses import Response

    problem = Problem(
        type=f"{_URN}{error.kind}",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=plain(error.detail),
        errors=list(error.errors),
    )
    body = problem.model_dump_json(exclude_defaults=True)
    return Response(body, error.status, media_type=MEDIA_TYPE, headers=error.headers)


def plain(text: str) -> str:
    """A text that UTF-8 can hold, and not too long to read."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def install(app: FastAPI) -> None:
    """Have every error of an application answered as a problem."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    from reasondistill.errors import UserError

    async def answer(request: Request, error: Exception) -> Response:
        return reply(problem_of(error))

    for kind in (RequestError, RequestValidationError, HTTPException, UserError, Exception):
        app.add_exception_handler(kind, answer)


def problem_of(error: Exception) -> RequestError:
    """What is answered where this was raised.

    Of what nobody foresaw the log has the traceback, and the client learns that it is none of its doing.
    """
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    from reasondistill.errors import UserError

    if isinstance(error, RequestError):
        return error
    if isinstance(error, UserError):
        return RequestError(422, "cannot-answer", str(error))
    if isinstance(error, RequestValidationError):
        return invalid(error.errors())
    if isinstance(error, HTTPException):
        return _http_problem(error, dict(error.headers or {}))
    return RequestError(500, "failure", "The service failed. Its log says why, under this reply's X-Request-Id.")


def invalid(listed: Sequence[Mapping[str, Any]]) -> RequestError:
    """Values that do not fit the task's fields; what was sent is not repeated, as it may hold anything.

    Args:
        listed: pydantic's errors.
    """
    problems = tuple(
        FieldProblem(where=plain(".".join(map(str, each["loc"]))), problem=plain(in_words(each)))
        for each in listed[:_MOST_ERRORS]
    )
    count = f" ({_MOST_ERRORS} of {len(listed)} are listed)" if len(listed) > _MOST_ERRORS else ""
    return RequestError(422, "invalid-request", f"The request does not fit /openapi.json{count}.", errors=problems)


def in_words(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors, without what was sent."""
    if error["type"] == "too_long" and isinstance(error.get("input"), str):
        return f"It should have at most {error['ctx']['max_length']:,} characters"
    return "There are no words in it" if error["type"] == "string_pattern_mismatch" else str(error["msg"])


def _http_problem(error: HTTPException, headers: dict[str, str]) -> RequestError:
    if error.status_code == 404:
        return RequestError(404, "no-such-path", "There is nothing here: /openapi.json lists the paths.")
    if error.status_code == 405:
        return RequestError(405, "wrong-method", "The path takes another method.", headers=headers)
    return RequestError(error.status_code, "bad-request", str(error.detail), headers=headers)
