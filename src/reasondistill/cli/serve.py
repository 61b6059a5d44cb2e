"""`reasondistill serve`: an HTTP service and a page over students, or tools for agents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasondistill.cli.shared import quiet_libraries
from reasondistill.cli.terminal import fact, say, stage
from reasondistill.errors import DataError
from reasondistill.serving.service_settings import ServiceSettings

if TYPE_CHECKING:
    from reasondistill.serving.application import Service

_DEFAULT = ServiceSettings()


def _setting(name: str, *words: str, **options: Any) -> Any:
    """The option of a setting: its limits and its help text are those of the field."""
    field = ServiceSettings.model_fields[name]
    for limit in field.metadata:
        options |= {"min": limit.ge} if hasattr(limit, "ge") else {}
        options |= {"max": limit.le} if hasattr(limit, "le") else {}
    return typer.Option(*words, help=field.description, **options)


def serve(
    student: Annotated[
        list[Path],
        typer.Argument(metavar="STUDENT…", help="Runs, students' folders, packages, or builtin:scenes."),
    ],
    host: Annotated[str, _setting("host")] = _DEFAULT.host,
    port: Annotated[int, _setting("port")] = _DEFAULT.port,
    api_key_file: Annotated[Path | None, _setting("api_key_file", metavar="FILE")] = None,
    feedback: Annotated[Path | None, _setting("feedback", metavar="FILE")] = None,
    examples: Annotated[
        str | None, typer.Option(metavar="DATA", help="Rows to try on the page: its first 6 are shown to everyone.")
    ] = None,
    judge: Annotated[Path | None, _setting("judge", metavar="JUDGE")] = None,
    prover: Annotated[bool, _setting("prover", "--prover")] = False,
    near: Annotated[bool, _setting("near", "--near")] = False,
    max_batch: Annotated[int, _setting("max_batch")] = _DEFAULT.max_batch,
    batch_wait_ms: Annotated[float, _setting("batch_wait_ms")] = _DEFAULT.batch_wait_ms,
    max_queue: Annotated[int, _setting("max_queue")] = _DEFAULT.max_queue,
    timeout: Annotated[float, _setting("timeout", min=0.001)] = _DEFAULT.timeout,
    rate: Annotated[int, _setting("rate")] = _DEFAULT.rate,
    drain_seconds: Annotated[float, _setting("drain_seconds")] = _DEFAULT.drain_seconds,
    allowed_host: Annotated[list[str] | None, _setting("allowed_hosts", "--allowed-host", metavar="NAME")] = None,
    log_texts: Annotated[bool, _setting("log_texts", "--log-texts")] = False,
    mcp_http: Annotated[bool, _setting("mcp_http", "--mcp-http")] = False,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Instead of HTTP: tools for agents, over standard input and output.")
    ] = False,
) -> None:
    """Serve students over HTTP, with a page to try them at the address itself.

    Ctrl-C or SIGTERM finishes what was taken and leaves. SIGHUP loads the students anew. docs/serving.md has the paths.
    """
    quiet_libraries()
    if mcp:
        options = {"--near": near, "--feedback": feedback, "--mcp-http": mcp_http, "--examples": examples}
        _serve_tools(student, options, judge=judge, prover=prover)
        return
    from reasondistill.serving.server import make_service, run

    settings = ServiceSettings(
        host=host,
        port=port,
        api_key_file=api_key_file,
        feedback=feedback,
        judge=judge,
        prover=prover,
        near=near,
        mcp_http=mcp_http,
        max_batch=max_batch,
        batch_wait_ms=batch_wait_ms,
        max_queue=max_queue,
        max_inputs=min(_DEFAULT.max_inputs, max_queue),
        timeout=timeout,
        rate=rate,
        drain_seconds=drain_seconds,
        allowed_hosts=tuple(allowed_host or ()),
        log_texts=log_texts,
    )
    stage("loading")
    service = make_service(student, settings)
    service.examples = _examples(examples, student[0], service.described()[0].fields)
    run(service, lambda url: _say_where(service, url))


def _say_where(service: Service, url: str) -> None:
    for served in service.described():
        fact("student", f"{served.name} ({served.fingerprint}): {served.task}, {', '.join(served.fields)}")
    if service.settings.api_key_file is None and service.settings.host not in ("127.0.0.1", "localhost", "::1"):
        say("anyone who reaches this address can ask: --api-key-file asks for a key")
    fact("page", url)
    if service.settings.mcp_http:
        fact("tools for agents", f"{url}/mcp")


def _serve_tools(students: list[Path], options: Mapping[str, object], *, judge: Path | None, prover: bool) -> None:
    """Nothing else is printed: standard output belongs to the protocol.

    Raises:
        DataError: one of ``options``, which only HTTP has, was given.
    """
    if given := [option for option, value in options.items() if value]:
        fix = "Leave it out, or serve over HTTP."
        raise DataError(given[0], expected="none beside --mcp", found="one", fix=fix)
    from reasondistill.serving.hosting import Hosts
    from reasondistill.serving.tool_server import serve_tools

    serve_tools(Hosts.load(students, judge=judge, prover=prover), _DEFAULT)


def _examples(data: str | None, student: Path, fields: list[str]) -> list[dict[str, str]]:
    """Rows for people to try; those of the built-in student where none are named."""
    from reasondistill.data import load_dataset

    if data is None and str(student) != "builtin:scenes":
        return []
    rows = load_dataset(data or "scenes:6")
    return [{name: text for name, text in row.fields.items() if name in fields} for row in rows.examples[:6]]
