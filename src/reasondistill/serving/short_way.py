"""The short way of a request: its path, its body straight into the route's model, its function.

FastAPI parses JSON first, resolves what a route depends on, and has layers around that; together they take as long as a
small student's answer. It describes these paths, and serves all others.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from reasondistill.serving.problems import RequestError, invalid, problem_of, reply

_LOG = logging.getLogger("uvicorn.error")
"""Where uvicorn tells of what an application raises."""

Handler = Callable[[Request], Awaitable[Response]]


class BodyRoute(APIRoute):
    """A route whose function takes ``body``, and ``request`` where it names it, and gives a response."""

    @cached_property
    def handler(self) -> Handler:
        """What reads the body and calls the function."""
        parameters = inspect.signature(self.endpoint).parameters
        annotation: Any = parameters["body"].annotation
        model: TypeAdapter[BaseModel] = TypeAdapter(annotation)
        endpoint, wants_request = self.endpoint, "request" in parameters

        async def handle(request: Request) -> Response:
            body = _read(model, request, await request.body())
            response: Response = await (endpoint(body, request) if wants_request else endpoint(body))
            return response

        return handle


class ShortWay:
    """ASGI around the application: a POST to the path of one of these routes goes straight to it.

    Args:
        app: what answers all other requests.
        routes: by path.
    """

    def __init__(self, app: ASGIApp, routes: dict[str, BodyRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        posted = scope["type"] == "http" and scope["method"] == "POST"
        route = self._routes.get(scope["path"]) if posted else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.handler(Request(scope, receive))
        except Exception as error:  # noqa: BLE001 - also a bug's is answered
            problem = problem_of(error)
            if problem.status == 500:
                _LOG.exception("A bug.", exc_info=error)
            response = reply(problem)
        await response(scope, receive, send)


def _read(model: TypeAdapter[BaseModel], request: Request, content: bytes) -> BaseModel:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise RequestError(422, "invalid-request", "The body is JSON: send Content-Type: application/json.")
    try:
        return model.validate_json(content)
    except ValidationError as error:
        raise invalid([each | {"loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]) from error
