"""Students as tools of the Model Context Protocol, for agents: over standard input and output, or over HTTP.

The tools have the task's own fields as their schema, and answer with the models of the HTTP service. Written against
version 2 of the protocol's official SDK, which is imported where it is used.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from reasondistill.contracts.records import Example
from reasondistill.errors import ConfigError, UserError, importing
from reasondistill.evaluation.faithfulness.editing import places
from reasondistill.serving.hosting import Hosted, Hosts, precisions
from reasondistill.serving.problems import in_words
from reasondistill.serving.questions import Edit, attribute, compare_edit, explain
from reasondistill.serving.service_settings import ServiceSettings
from reasondistill.serving.task_models import task_models, to_example

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
    from mcp_types import CallToolResult

    from reasondistill.students.student import Student

Turn = Callable[[Callable[[], "CallToolResult"], int, int], Awaitable["CallToolResult"]]
"""Waits until a function may compute, and gives what it returns. Also told: how many rows it computes, and how many
characters its arguments have. A UserError says why it was not computed."""

_INSTRUCTIONS = (
    "A small model that picks a label, says how sure it is, and writes why. It can be wrong in each of these; "
    "a good reason is no proof."
)
_LONGEST_NAME = 64
_PRECISION = "precision"


@dataclass(frozen=True)
class StudentTool:
    """One tool: what it is called, what it takes and gives, and what it does.

    Attributes:
        request: the model of its arguments.
        reply: the model of what it gives.
        options: more of its arguments, as JSON Schema; they are not fields of the task.
        ask: from the request and the options to the reply.
        rows: how many the student computes for a request.
    """

    name: str
    description: str
    request: type[BaseModel]
    reply: type[BaseModel]
    options: dict[str, object]
    ask: Callable[[Any, Mapping[str, object]], BaseModel]
    rows: Callable[[Any], int] = lambda request: 1

    def schema(self) -> dict[str, object]:
        """JSON Schema of the arguments."""
        schema = self.request.model_json_schema()
        return schema | {"properties": {**schema["properties"], **self.options}}

    def question(self, arguments: Mapping[str, object]) -> tuple[Callable[[], BaseModel], int]:
        """What gives the reply to these arguments, and how many rows it computes.

        Raises:
            ValidationError: they do not fit the schema.
        """
        options = {name: value for name, value in arguments.items() if name in self.options}
        fields = {name: value for name, value in arguments.items() if name not in options}
        request = self.request.model_validate_json(json.dumps(fields))  # strict, as the HTTP service is
        return partial(self.ask, request, options), self.rows(request)


def student_tools(hosts: Hosts, settings: ServiceSettings) -> list[StudentTool]:
    """The tools of students; those of all but the first one carry its name."""
    tools = []
    for place, hosted in enumerate(hosts):
        suffix = "" if place == 0 else "_" + re.sub(r"[^A-Za-z0-9_-]", "-", hosted.name)
        own = _tools_of(hosted, partial(hosts.__getitem__, hosted.name), settings)
        tools += [replace(tool, name=f"{tool.name}{suffix}"[:_LONGEST_NAME]) for tool in own]
    return tools


def _tools_of(hosted: Hosted, now: Callable[[], Hosted], settings: ServiceSettings) -> list[StudentTool]:
    """Of a student; ``now`` gives the one that goes by its name when it is asked."""
    student, models = hosted.student, task_models(hosted.name, hosted.student, settings)
    subject = f"{student.task.name}: {', '.join(student.task.fields)}"
    options = _precision_option(student)
    tools = [
        StudentTool(
            "explain",
            f"Label, probabilities and a written reason for one example of the task {subject}.",
            models.example,
            models.answer,
            options,
            partial(_explain, now),
        ),
        StudentTool(
            "attributions",
            f"Which words of an example ({subject}) moved the label, and which the reason: each is left out in turn.",
            models.example,
            models.attributions,
            {},
            partial(_attribute, now, settings.max_words),
            lambda request: 1 + len(places(to_example(request), student.task)),
        ),
    ]
    if student.order == "label_first":
        description = f"What an edit of an example ({subject}) changes, and a reason for every label if that is wanted."
        ask = partial(_compare, now)
        tools.append(StudentTool("counterfactuals", description, models.counterfactual, models.change, {}, ask))
    return tools


def _precision_option(student: Student) -> dict[str, object]:
    known = precisions(student)
    if not known or _PRECISION in student.task.fields:
        return {}
    description = "Also say, as `abstained`, whether to do without the answer for this share of right ones."
    return {_PRECISION: {"type": "number", "enum": known, "description": description}}


def _explain(now: Callable[[], Hosted], request: BaseModel, options: Mapping[str, object]) -> BaseModel:
    precision, hosted = options.get(_PRECISION), now()
    if precision is not None and (isinstance(precision, bool) or not isinstance(precision, int | float)):
        raise UserError(_PRECISION, expected="a number, such as 0.9", found=type(precision).__name__)
    [answer] = explain(hosted.student, [_checked(hosted.student, request)], precision, hosted.proofs)
    return answer


def _attribute(now: Callable[[], Hosted], most: int, request: BaseModel, options: Mapping[str, object]) -> BaseModel:
    hosted = now()
    student = hosted.student
    example = _checked(student, request)
    if (words := len(places(example, student.task))) > most:
        raise UserError("the example", problem=f"has {words} words; each is left out, and at most {most} are")
    return attribute(student, example, hosted.proofs)


def _compare(now: Callable[[], Hosted], request: Any, options: Mapping[str, object]) -> BaseModel:
    hosted = now()
    edited = None if request.edited is None else to_example(request.edited, "2")
    edit = Edit(_checked(hosted.student, request.original), edited, request.every_label)
    return compare_edit(hosted.student, edit, hosted.judge, hosted.proofs)


def _checked(student: Student, row: BaseModel) -> Example:
    example = to_example(row)
    if student.task.labels is None and student.order != "explanation_only":
        student.task.choices_for(example)
    return example


def serve_tools(hosts: Hosts, settings: ServiceSettings) -> None:
    """Speak the protocol over standard input and output until the input ends.

    Raises:
        MissingExtraError: the extra ``mcp`` is not installed.
    """
    with importing("tools for agents", "mcp"):
        import anyio
        from mcp.server.stdio import stdio_server
    computing = anyio.Lock()  # one call at a time: the student uses all cores

    async def turn(compute: Callable[[], CallToolResult], rows: int, length: int) -> CallToolResult:
        async with computing:
            return await anyio.to_thread.run_sync(compute)

    server = tool_server(student_tools(hosts, settings), turn)

    async def run() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(run)


def http_tools(tools: list[StudentTool], turn: Turn, names: frozenset[str] | None) -> StreamableHTTPASGIApp:
    """What answers the protocol's requests over HTTP, while its ``session_manager.run()`` is entered.

    There are no sessions: each request stands for itself.

    Args:
        names: that the service goes by, which alone a web page may come from; None admits all.

    Raises:
        MissingExtraError: the extra ``mcp`` is not installed.
    """
    with importing("tools for agents", "mcp"):
        from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
        from mcp.server.transport_security import TransportSecuritySettings
    hosts = [f"[{name}]" if ":" in name else name for name in sorted(names or ())]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=names is not None,
        allowed_hosts=[f"{host}{port}" for host in hosts for port in ("", ":*")],
        allowed_origins=[f"{way}://{host}{port}" for way in ("http", "https") for host in hosts for port in ("", ":*")],
    )
    server = tool_server(tools, turn)
    manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True, security_settings=security)
    return StreamableHTTPASGIApp(manager)


def tool_server(tools: list[StudentTool], turn: Turn) -> Server[Any]:
    """The SDK's server over these tools."""
    from importlib.metadata import version

    from mcp import MCPError
    from mcp.server import Server
    from mcp_types import INVALID_PARAMS, CallToolRequestParams, ListToolsResult, Tool, ToolAnnotations

    by_name = {tool.name: tool for tool in tools}
    if len(by_name) < len(tools):
        twice = next(name for name, count in Counter(tool.name for tool in tools).items() if count > 1)
        expected = "names that differ in letters and digits"
        raise ConfigError("students", expected=expected, found=f"two tools {twice}", fix="Rename one.")
    described = [
        Tool(
            name=tool.name,
            description=tool.description,
            input_schema=tool.schema(),
            output_schema=tool.reply.model_json_schema(mode="serialization"),
            annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False),
        )
        for tool in tools
    ]

    async def list_tools(context: object, request: object) -> ListToolsResult:
        return ListToolsResult(tools=described)

    async def call_tool(context: object, request: CallToolRequestParams) -> CallToolResult:
        if (tool := by_name.get(request.name)) is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {request.name!r}; there are {', '.join(by_name)}")
        return await _called(tool, request.arguments or {}, turn)

    return Server(
        "reasondistill",
        version=version("reasondistill"),
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _called(tool: StudentTool, arguments: Mapping[str, object], turn: Turn) -> CallToolResult:
    """The tool's result; a mistake in the arguments is told to the agent, which can mend it."""
    try:
        ask, rows = tool.question(arguments)
        return await turn(partial(_replied, ask), rows, sum(len(str(value)) for value in arguments.values()))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {in_words(each)}" for each in error.errors()]
        return _mistake("; ".join(problems))
    except UserError as error:
        return _mistake(str(error))


def _replied(ask: Callable[[], BaseModel]) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    reply = ask()
    text = TextContent(type="text", text=reply.model_dump_json())
    return CallToolResult(content=[text], structured_content=reply.model_dump(mode="json"))


def _mistake(problem: str) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(type="text", text=problem)], is_error=True)
