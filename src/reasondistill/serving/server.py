"""A service as a process: it listens, and on a signal is no longer ready, finishes and leaves."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from reasondistill.config import with_values
from reasondistill.errors import ConfigError, MissingExtraError, UserError, importing
from reasondistill.serving.service_settings import ServiceSettings

if TYPE_CHECKING:
    import socket

    import uvicorn

    from reasondistill.runs import Run
    from reasondistill.serving.application import Service
    from reasondistill.serving.gate import Gate
    from reasondistill.students.student import Student

_WHERE = "the settings of the service"


def serve(
    students: Student | Run | str | Path | Iterable[Student | Run | str | Path],
    *,
    settings: ServiceSettings | None = None,
    examples: Iterable[dict[str, str]] | None = None,
    started: Callable[[str], None] = lambda url: None,
    **options: object,
) -> None:
    """Serve students over HTTP until a signal comes.

    Args:
        students: one, or several: students, runs, folders, packages, or ``builtin:scenes``.
        settings: limits and places; ``options`` are fields of `ServiceSettings`, such as ``port=8001``.
        examples: to click at on the page, as their fields.
        started: called with the address when it listens.

    Raises:
        UserError: a student cannot be loaded, or the address is taken.
        MissingExtraError: the extra ``serve`` is not installed.
    """
    chosen = with_values(settings or ServiceSettings(), options, where=_WHERE)
    service = make_service(students, chosen, examples)
    run(service, started)


def asgi_application(
    students: Student | Run | str | Path | Iterable[Student | Run | str | Path], **options: object
) -> Gate:
    """The application of `serve` for another server, which starts it by ASGI's lifespan and handles signals itself.

    Args:
        students: as `serve`.
        options: fields of `ServiceSettings`; with another ``host`` than this machine's own any Host header may come.

    Raises:
        UserError: as `serve`.
    """
    return make_service(students, with_values(ServiceSettings(), options, where=_WHERE)).application()


def make_service(
    students: Student | Run | str | Path | Iterable[Student | Run | str | Path],
    settings: ServiceSettings,
    examples: Iterable[dict[str, str]] | None = None,
) -> Service:
    """Load what a service needs; what is cheap to refuse is refused first.

    Raises:
        UserError: as `serve`.
    """
    if settings.max_inputs > settings.max_queue:
        raise ConfigError(
            "max_inputs", expected=f"at most max_queue ({settings.max_queue})", found=str(settings.max_inputs)
        )
    with importing("serving", "serve"):
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    if settings.mcp_http and find_spec("mcp") is None:
        raise MissingExtraError("tools for agents", "mcp")
    from reasondistill.runs import Run
    from reasondistill.serving.application import Service
    from reasondistill.serving.hosting import Hosts
    from reasondistill.students.student import Student

    several = [students] if isinstance(students, Student | Run | str | Path) else list(students)
    service = Service(Hosts([]), settings, examples=None if examples is None else list(examples))
    places = (each.folder if isinstance(each, Run) else each for each in several)
    service.hosts = Hosts.load(places, judge=settings.judge, near=settings.near, prover=settings.prover)
    return service


def run(service: Service, started: Callable[[str], None]) -> None:
    """Listen until a signal comes, in the main thread.

    Raises:
        UserError: the address cannot be listened on.
    """
    import uvicorn

    from reasondistill.serving.monitoring import log_to_stderr
    from reasondistill.serving.one_write import OneWriteProtocol

    settings = service.settings
    log_to_stderr()
    config = uvicorn.Config(
        service.application(),
        host=settings.host,
        port=settings.port,
        http=OneWriteProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
        h11_max_incomplete_event_size=65_536,
    )
    try:
        listening = config.bind_socket()
    except SystemExit as error:  # uvicorn's own way, which says why in its log only
        raise UserError(
            f"{settings.host}:{settings.port}",
            expected="an address of this machine that is free",
            found="one that cannot be listened on",
            fix="Name another with --port, or another --host; --port 0 takes a free one.",
        ) from error
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    with listening:
        _make_server(config, service, lambda: started(url)).run(sockets=[listening])


def _make_server(config: uvicorn.Config, service: Service, started: Callable[[], None]) -> uvicorn.Server:
    """A server whose signals are the service's: SIGTERM and Ctrl-C leave, SIGHUP loads the students anew."""
    import uvicorn

    class _Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            self._loop = asyncio.get_running_loop()
            if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
                self._loop.add_signal_handler(signal.SIGHUP, self._reload)
            if self.started:
                started()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if service.lifecycle.draining:  # a second time: at once
                self.should_exit = self.force_exit = True
                return
            service.lifecycle.draining = True
            seconds = 0.0 if sig == signal.SIGINT else service.settings.drain_seconds
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._leave)

        def _leave(self) -> None:
            self.should_exit = True

        def _reload(self) -> None:
            for hosted in service.hosts:
                if hosted.path is not None:
                    task = self._loop.create_task(_reloaded(service, hosted.name))
                    _RELOADING.add(task)
                    task.add_done_callback(_RELOADING.discard)

    return _Server(config)


_RELOADING: set[asyncio.Task[None]] = set()
"""Tasks that are under way: the event loop keeps weak references only."""


async def _reloaded(service: Service, name: str) -> None:
    from reasondistill.serving.monitoring import log

    try:
        await service.reload(name)
    except UserError as error:
        log("reload_refused", name=name, problem=str(error))
