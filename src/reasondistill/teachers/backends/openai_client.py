"""One HTTP request to a server that speaks OpenAI's protocol; what it says of failures, in our words, without keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from reasondistill.errors import UserError, importing
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.retrying import FailedAttemptError, asked_pause, tried_again, used_up
from reasondistill.teachers.teach_settings import ApiTeacher
from reasondistill.teachers.teacher_requests import TeacherRequest

if TYPE_CHECKING:
    import openai

T = TypeVar("T")

_LOCAL = {"localhost", "127.0.0.1", "::1", "0.0.0.0"}
_NO_KEY = "none"
_SHORTEST_SECRET = 12
"""Characters of a key from which on it is kept out of texts: keys of providers are far longer."""
"""What is sent to a server on this machine where no key is set: the client wants one."""
_NO_CONNECTION = "no connection"


class Dialect(Protocol):
    """One of OpenAI's endpoints: how a request is written for it, and its reply read."""

    path: str

    def parameters(self, teacher: ApiTeacher, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        """The body without model and messages."""
        ...

    def body(self, request: TeacherRequest) -> dict[str, object]:
        """The whole body."""
        ...

    def read(self, text: str) -> BackendReply:
        """A reply's body. Raises pydantic's ValidationError where it is none."""
        ...


def key_from(variable: str, base_url: str) -> str:
    """The key that an environment variable holds.

    Raises:
        UserError: there is none, and the server is on another machine.
    """
    key = os.environ.get(variable, "").strip()
    if key or urlsplit(base_url).hostname in _LOCAL:
        return key or _NO_KEY
    raise UserError(
        variable,
        expected=f"the key of {base_url} in this environment variable",
        found="none",
        fix=f"Set it: export {variable}=… (or name another variable: key_env). A server without keys takes any text.",
    )


class OpenAIClient:
    """Sends bodies, without retries of its own."""

    def __init__(self, base_url: str, key: str, timeout: float) -> None:
        with importing("asking a server", "teach"):
            import openai
        self.base_url = base_url
        self._key = key
        self.client: openai.OpenAI = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=timeout)

    def require_server(self) -> None:
        """See that something answers there, before hundreds of requests are tried again and again.

        Raises:
            UserError: nothing does.
        """
        try:
            self.attempt(lambda: self.client.models.list())
        except FailedAttemptError as error:
            if error.problem == _NO_CONNECTION:
                raise UserError(
                    self.base_url,
                    expected="a server that answers",
                    found="none",
                    fix="Start it, or correct base_url; it usually ends in /v1.",
                ) from None
            # Anything else is said by the requests themselves: not every server lists its models.

    def post(self, path: str, body: Mapping[str, object]) -> tuple[str, Mapping[str, str]]:
        """The body and the headers of a reply.

        Raises:
            FailedAttemptError: there is none.
        """
        import httpx2

        response = self.attempt(lambda: self.client.post(path, cast_to=httpx2.Response, body=dict(body)))
        return response.text, response.headers

    def attempt(self, send: Callable[[], T]) -> T:
        """Send something.

        Raises:
            FailedAttemptError: it failed.
        """
        import openai

        try:
            return send()
        except openai.APITimeoutError as error:
            raise FailedAttemptError("time limit", again=True, may_have_cost=True) from error
        except openai.APIConnectionError as error:
            unsent = type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout")
            problem = _NO_CONNECTION if unsent else "broken connection"
            raise FailedAttemptError(problem, again=True, may_have_cost=not unsent) from error
        except openai.APIStatusError as error:
            raise self._refused(error) from None  # its own message may hold the key
        except (openai.OpenAIError, ValueError) as error:
            raise FailedAttemptError("unreadable reply", again=True, may_have_cost=True) from error

    def _refused(self, error: openai.APIStatusError) -> FailedAttemptError:
        status = error.status_code
        problem = f"http {status}"
        if status in (401, 403):
            fix = "See that the variable named by key_env holds the key of this server, and that it may use the model."
            fatal = UserError(self.base_url, expected="a server that takes the key", found=problem, fix=fix)
            return FailedAttemptError(problem, fatal=fatal)
        if status in (404, 405):
            found = f"{problem}: {self.message_of(error)}"
            fix = "Correct model or base_url (which usually ends in /v1), or take another `api`."
            fatal = UserError(self.base_url, expected="a server with this model and endpoint", found=found, fix=fix)
            return FailedAttemptError(problem, fatal=fatal)
        after = asked_pause(error.response.headers)
        return FailedAttemptError(problem, again=tried_again(status), after=after, detail=self.message_of(error))

    def message_of(self, error: openai.APIStatusError) -> str:
        """The start of what a server says of an error, in a line, without the key."""
        return self.without_key(" ".join(error.response.text.split()))[:300]

    def without_key(self, text: str) -> str:
        """A text without the key in it, where that is a secret and no word such as EMPTY, which local servers take."""
        return text.replace(self._key, "…") if len(self._key) >= _SHORTEST_SECRET else text

    def close(self) -> None:
        self.client.close()


class ApiBackend:
    """A teacher behind a server."""

    at_once = 1
    kept = True

    def __init__(self, teacher: ApiTeacher, dialect: Dialect, *, check: bool = True) -> None:
        self.teacher = teacher
        self.dialect = dialect
        self.model = teacher.model
        self.concurrent = teacher.limits.concurrent
        key = key_from(teacher.key_env, teacher.base_url) if check else _NO_KEY
        self.client = OpenAIClient(teacher.base_url, key, teacher.limits.timeout)
        if check:
            self.client.require_server()

    def parameters(self, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        return self.dialect.parameters(self.teacher, sample, parts, labels)

    def answer(self, requests: Sequence[TeacherRequest]) -> list[BackendReply]:
        (request,) = requests
        text, headers = self.client.post(self.dialect.path, self.dialect.body(request))
        return [self.read(text, headers)]

    def read(self, text: str, headers: Mapping[str, str]) -> BackendReply:
        """A reply out of a body.

        Raises:
            FailedAttemptError: the body is none.
        """
        try:
            reply = self.dialect.read(text)
        except ValidationError as error:
            raise FailedAttemptError("unreadable reply", again=True, may_have_cost=True) from error
        return replace(
            reply,
            text=self.client.without_key(reply.text),
            request_id=headers.get("x-request-id"),
            pause=used_up(headers),
        )

    def close(self) -> None:
        self.client.close()
