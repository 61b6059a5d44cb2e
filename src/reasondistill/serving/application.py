"""The application: every path, over students that are loaded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from reasondistill.contracts.service import (
    FeedbackReceipt,
    Problem,
    ServedStudent,
    ServedStudents,
    ServiceInfo,
    ServiceLimits,
)
from reasondistill.errors import UserError
from reasondistill.reporting.pages.answers import service_page
from reasondistill.serving import problems
from reasondistill.serving.asking import Asker
from reasondistill.serving.batching import Batcher
from reasondistill.serving.feedback_file import FeedbackFile, GivenFeedback
from reasondistill.serving.gate import Gate, Keys, allowed_hosts
from reasondistill.serving.hosting import Hosts
from reasondistill.serving.lifecycle import Lifecycle
from reasondistill.serving.monitoring import CONTENT_TYPE, Monitor, log
from reasondistill.serving.problems import RequestError
from reasondistill.serving.routes import StudentPaths, student_router
from reasondistill.serving.service_settings import ServiceSettings
from reasondistill.serving.short_way import BodyRoute, ShortWay
from reasondistill.serving.tool_server import http_tools, student_tools

_SAID = {
    400: "The body cannot be read.",
    401: "A key is needed.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    421: "The Host header has another name.",
    422: "Values do not fit.",
    429: "Too many requests, or a full queue.",
    503: "The request waited too long, or the service is leaving.",
}


class Service:
    """Students, queue and paths of one service.

    Args:
        hosts: the students.
        settings: how it runs.
        examples: to click at on the page.
    """

    def __init__(
        self, hosts: Hosts, settings: ServiceSettings, *, examples: list[dict[str, str]] | None = None
    ) -> None:
        self.hosts, self.settings, self.examples = hosts, settings, examples or []
        self.monitor, self.lifecycle = Monitor(), Lifecycle()
        self.keys = None if settings.api_key_file is None else Keys.load(settings.api_key_file)
        self.feedback = None if settings.feedback is None else FeedbackFile(settings.feedback, settings.max_feedback)
        self.batcher = Batcher(
            max_rows=settings.max_batch,
            max_length=settings.max_batch_characters,
            max_queue=settings.max_queue,
            wait_seconds=settings.batch_wait_ms / 1000,
            watcher=self.monitor,
        )
        self.asker = Asker(self.batcher, self.monitor, timeout=settings.timeout)
        self._tools: AbstractAsyncContextManager[None] = nullcontext()

    def application(self) -> Gate:
        """The ASGI application."""
        app = FastAPI(
            title="reasondistill", lifespan=self._lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
        )
        problems.install(app)
        described: dict[int | str, dict[str, Any]] = {
            status: {
                "description": text,
                "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
            for status, text in _SAID.items()
        }
        several = len(list(self.hosts)) > 1
        keep = None if self.feedback is None else self._keep
        routes: dict[str, BodyRoute] = {}
        for place, hosted in enumerate(self.hosts):
            prefixes = [f"/v1/students/{hosted.name}"] if several else []
            for prefix in ["/v1", *prefixes] if place == 0 else prefixes:
                paths = StudentPaths(hosted.name, self.hosts, self.asker, self.settings)
                router = student_router(prefix, paths, keep, described)
                app.include_router(router)
                routes |= {route.path: route for route in router.routes if isinstance(route, BodyRoute)}
        self._add_own_paths(app)
        if self.settings.mcp_http:
            self._add_tools(app)
        way = ShortWay(app, routes)
        return Gate(way, settings=self.settings, keys=self.keys, monitor=self.monitor, lifecycle=self.lifecycle)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self.batcher.start()
        self.monitor.students(self.described())
        async with self._tools:
            self.lifecycle.ready = True
            yield
            self.lifecycle.ready = False
        await asyncio.to_thread(self.batcher.close)

    def described(self) -> list[ServedStudent]:
        """The students that are there now."""
        return [hosted.described() for hosted in self.hosts]

    def info(self) -> ServiceInfo:
        """What `GET /info` says."""
        from importlib.metadata import version

        limits = ServiceLimits(
            max_body_bytes=self.settings.max_body_bytes,
            max_field_characters=self.settings.max_field_characters,
            max_inputs=self.settings.max_inputs,
            max_words=self.settings.max_words,
            timeout_seconds=self.settings.timeout,
        )
        return ServiceInfo(
            version=version("reasondistill"),
            students=self.described(),
            feedback=self.feedback is not None,
            limits=limits,
            examples=self.examples,
        )

    async def reload(self, name: str) -> ServedStudent:
        """Put what a student's folder now holds in its place; requests go on meanwhile."""
        before = self.hosts[name].student.fingerprint
        after = await asyncio.to_thread(self.hosts.reload, name)
        self.monitor.students(self.described())
        log("reload", name=name, before=before, after=after.student.fingerprint)
        return after.described()

    async def _keep(self, body: GivenFeedback, name: str) -> FeedbackReceipt:
        assert self.feedback is not None
        receipt = await asyncio.to_thread(self.feedback.keep, body, self.hosts[name].student)
        self.monitor.feedback(receipt.status)
        return receipt

    def _add_tools(self, app: FastAPI) -> None:
        """`/mcp`: what agents ask takes its turn in the queue, as everybody's questions do."""

        async def turn(compute: Callable[[], Any], rows: int, length: int) -> Any:
            try:
                return await self.asker.call(compute, rows, length)
            except RequestError as error:
                raise UserError("the service", problem=error.detail) from error

        names = allowed_hosts(self.settings)
        tools = http_tools(student_tools(self.hosts, self.settings), turn, names)
        self._tools = tools.session_manager.run()
        app.router.routes.append(_NamedRoute("/mcp", tools, methods=["POST"]))

    def _add_own_paths(self, app: FastAPI) -> None:
        html, policy = service_page(self.described()[0].name)

        @app.get("/", include_in_schema=False)
        async def page() -> Response:
            """The page on which people try the student."""
            return HTMLResponse(html, headers={"Content-Security-Policy": policy})

        @app.get("/v1/models", response_model=ServedStudents)
        async def models() -> Response:
            """The students."""
            return _json(ServedStudents(students=self.described()))

        @app.get("/info", response_model=ServiceInfo)
        async def info() -> Response:
            """Version, students, limits, and examples to try."""
            return _json(self.info())

        @app.get("/health")
        async def health() -> dict[str, str]:
            """Whether the process answers."""
            return {"status": "ok"}

        @app.get("/ready", responses={503: {"description": "Not yet, or no longer.", "model": Problem}})
        async def ready() -> dict[str, str]:
            """Whether it wants requests."""
            if not self.lifecycle.ready or self.lifecycle.draining:
                raise RequestError(503, "not-ready", "The service is starting or leaving.", retry_after=1)
            return {"status": "ready"}

        @app.get("/metrics", include_in_schema=False)
        async def metrics() -> Response:
            """Figures for Prometheus."""
            return Response(self.monitor.page(), media_type=CONTENT_TYPE)

        if self.keys is not None:

            @app.post("/admin/reload", include_in_schema=False)
            async def reload(student: str | None = None) -> Response:
                """Load a student's folder anew."""
                name = next(iter(self.hosts)).name if student is None else student
                if name not in {hosted.name for hosted in self.hosts}:
                    raise RequestError(404, "no-such-student", "/v1/models lists the students.")
                return _json(await self.reload(name))


class _NamedRoute(Route):
    """Says in the request's scope which path it is, as FastAPI's do: the log and the figures name it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, more = super().matches(scope)
        return match, {**more, "route": self}


def _json(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")
