"""What a request passes before a route sees it, and what every reply carries.

Host, key, rate, and the size and time of its body; security headers, a request id, one log line, one count.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reasondistill.errors import DataError
from reasondistill.serving.monitoring import Monitor, log
from reasondistill.serving.problems import RequestError, reply
from reasondistill.serving.service_settings import ServiceSettings
from reasondistill.storage.files import read_lines

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from reasondistill.serving.lifecycle import Lifecycle

OPEN_PATHS: Final = frozenset({"/", "/health", "/ready"})
"""Paths that need no key: the page asks for one, and load balancers have none."""
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_KEY = re.compile(r"[A-Za-z0-9._~+/-]{16,200}=*")
_MOST_CALLERS = 10_000
_READ_ON = 32
"""Times the limit of a body that is read, and not kept, before the connection is closed."""
_CLOSING: Final = {"Connection": "close"}
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class Keys:
    """Who may ask."""

    def __init__(self, keys: list[str]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    @classmethod
    def load(cls, path: Path) -> Keys:
        """Read a file with one key a line; lines that begin with # are remarks.

        Raises:
            DataError: there is none, or one is too short or has other characters than a header may hold.
        """
        lines = [(number, line.strip()) for number, line in read_lines(path)]
        keys = [(number, line) for number, line in lines if line and not line.startswith("#")]
        wrong = next((number for number, key in keys if not _KEY.fullmatch(key)), None)
        if wrong is not None or not keys:
            raise DataError(
                path if wrong is None else f"{path}:{wrong}",
                expected="one key a line, of 16 to 200 letters, digits, and - . _ ~ + /",
                found="none" if wrong is None else "something else",
                fix="Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )
        return cls([key for _, key in keys])

    def hold(self, key: bytes) -> bool:
        """Whether this is one of them; takes as long whether it is or not."""
        digest = hashlib.sha256(key).digest()
        results = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(results)  # each is compared, so that the time says nothing


class Rate:
    """At most so many requests a minute for each caller, in even steps after a first burst."""

    def __init__(self, a_minute: int) -> None:
        self.a_minute = a_minute
        self._callers: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def wait(self, caller: bytes, now: float) -> float:
        """Seconds until the caller may ask again; 0 where it may now, which is counted."""
        left, since = self._callers.pop(caller, (float(self.a_minute), now))
        left = min(float(self.a_minute), left + (now - since) * self.a_minute / 60)
        may = left >= 1
        self._callers[caller] = (left - 1 if may else left, now)
        while len(self._callers) > _MOST_CALLERS:
            self._callers.popitem(last=False)
        return 0.0 if may else (1 - left) * 60 / self.a_minute


class Gate:
    """ASGI around the application."""

    def __init__(
        self, app: ASGIApp, *, settings: ServiceSettings, keys: Keys | None, monitor: Monitor, lifecycle: Lifecycle
    ) -> None:
        self._app, self._settings, self._keys, self._monitor = app, settings, keys, monitor
        self._lifecycle = lifecycle
        self._rate = Rate(settings.rate) if settings.rate else None
        self._hosts = allowed_hosts(settings)
        self._run, self._numbers = secrets.token_hex(8), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, identity = time.perf_counter(), 500, f"{self._run}-{next(self._numbers)}"
        scope.setdefault("state", {})["request_id"] = identity

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._with_headers(message.get("headers", ()), identity)
            await send(message)

        self._lifecycle.requests += 1
        try:
            try:
                receive = await self._admit(scope, receive)
            except RequestError as error:
                await reply(error)(scope, receive, sending)
            else:
                await self._app(scope, receive, sending)
        finally:
            self._lifecycle.requests -= 1
            self._note(scope, status, time.perf_counter() - begun, identity)

    def _note(self, scope: Scope, status: int, seconds: float, identity: str) -> None:
        # The route's own path: what was asked for may be a text of a user's.
        route = getattr(scope.get("route"), "path", "other")
        self._monitor.answered(route, status, seconds)
        facts = scope["state"].get("facts", {})
        log(
            "request",
            id=identity,
            method=scope["method"],
            route=route,
            status=status,
            ms=round(1e3 * seconds, 1),
            **facts,
        )

    def _with_headers(self, headers: Iterable[tuple[bytes, bytes]], identity: str) -> list[tuple[bytes, bytes]]:
        given = [(bytes(name), bytes(value)) for name, value in headers]
        own = {name.lower() for name, _ in given}
        more = {**_HEADERS, "x-request-id": identity}
        if self._lifecycle.draining:
            more["connection"] = "close"
        return given + [(k.encode(), v.encode()) for k, v in more.items() if k.encode() not in own]

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        headers = {bytes(name).lower(): bytes(value) for name, value in scope["headers"]}
        self._require_host(headers)
        key = _key_in(headers)
        if self._keys is not None and scope["path"] not in OPEN_PATHS and not self._keys.hold(key):
            raise RequestError(
                401,
                "no-key",
                "Send one of the service's keys: Authorization: Bearer KEY.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if self._rate is not None and scope["path"] not in OPEN_PATHS:
            client = str((scope.get("client") or ("",))[0]).encode()
            wait = self._rate.wait(hashlib.sha256(key).digest() if self._keys else client, time.monotonic())
            if wait > 0:
                raise RequestError(
                    429,
                    "too-many-requests",
                    f"No more than {self._rate.a_minute} requests a minute.",
                    retry_after=int(wait) + 1,
                )
        if scope["method"] in ("POST", "PUT", "PATCH"):
            return await self._whole_body(headers, receive)
        return receive

    def _require_host(self, headers: Mapping[bytes, bytes]) -> None:
        if self._hosts is None:
            return
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if name not in self._hosts:
            # A page of another's, whose name was made to lead here, must not reach a service of this machine's.
            raise RequestError(421, "wrong-host", "The service does not go by the name in the Host header.")

    async def _whole_body(self, headers: Mapping[bytes, bytes], receive: Receive) -> Receive:
        """Read the body, within its limits; gives a `receive` that has it, and after it what else comes."""
        limit = self._settings.max_body_bytes
        length = headers.get(b"content-length", b"0")
        given = int(length[:20]) if length.isdigit() else 0
        body = bytearray()
        received = 0
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                more = True
                # What is too large is read on for a while, and forgotten: who is still sending reads no reply.
                while more and received <= _READ_ON * limit and given <= _READ_ON * limit:
                    message = await receive()
                    received += len(message.get("body", b""))
                    if received <= limit:
                        body += message.get("body", b"")
                    more = message["type"] == "http.request" and message.get("more_body", False)
        except TimeoutError as error:
            detail = f"The body took longer than {self._settings.body_seconds:g} seconds to arrive."
            raise RequestError(408, "body-too-slow", detail, headers=_CLOSING) from error
        if max(received, given) > limit:
            raise RequestError(413, "body-too-large", f"A body has at most {limit} bytes.", headers=_CLOSING)
        pending: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def again() -> Message:
            return pending.pop() if pending else await receive()

        return again


def _key_in(headers: Mapping[bytes, bytes]) -> bytes:
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def allowed_hosts(settings: ServiceSettings) -> frozenset[str] | None:
    """The names that a Host header may have; None where any may."""
    named = frozenset(name.lower() for name in settings.allowed_hosts)
    if settings.host in LOOPBACK:
        return named | frozenset(LOOPBACK)
    return named | {settings.host.lower()} if named else None
