"""Students as tools of the Model Context Protocol, so that agents can ask them over standard input and output.

The tools have the task's own fields as their schema, and answer with the models of the HTTP service. Written against
version 2 of the protocol's official SDK, which is imported where it is used.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from reasondistill.contracts.records import Example
from reasondistill.errors import ConfigError, MissingExtraError, UserError
from reasondistill.serving.hosting import Hosted, Hosts, precisions
from reasondistill.serving.questions import Edit, attribute, compare_edit, explain
from reasondistill.serving.service_settings import ServiceSettings
from reasondistill.serving.task_models import task_models, to_example

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp_types import CallToolResult

    from reasondistill.students.student import Student

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
    """

    name: str
    description: str
    request: type[BaseModel]
    reply: type[BaseModel]
    options: dict[str, object]
    ask: Callable[[Any, Mapping[str, object]], BaseModel]

    def schema(self) -> dict[str, object]:
        """JSON Schema of the arguments."""
        schema = self.request.model_json_schema()
        return schema | {"properties": {**schema["properties"], **self.options}}

    def answer(self, arguments: Mapping[str, object]) -> BaseModel:
        """What the tool gives for these arguments.

        Raises:
            ValidationError: they do not fit the schema.
            UserError: the student cannot answer that.
        """
        options = {name: value for name, value in arguments.items() if name in self.options}
        fields = {name: value for name, value in arguments.items() if name not in options}
        request = self.request.model_validate_json(json.dumps(fields))  # strict, as the HTTP service is
        return self.ask(request, options)


def student_tools(hosts: Hosts, settings: ServiceSettings) -> list[StudentTool]:
    """The tools of students; those of all but the first one carry its name."""
    tools = []
    for place, hosted in enumerate(hosts):
        suffix = "" if place == 0 else "_" + re.sub(r"[^A-Za-z0-9_-]", "-", hosted.name)
        tools += [replace(tool, name=f"{tool.name}{suffix}"[:_LONGEST_NAME]) for tool in _tools_of(hosted, settings)]
    return tools


def _tools_of(hosted: Hosted, settings: ServiceSettings) -> list[StudentTool]:
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
            partial(_explain, student),
        ),
        StudentTool(
            "attributions",
            f"Which words of an example ({subject}) moved the label, and which the reason: each is left out in turn.",
            models.example,
            models.attributions,
            {},
            partial(_attribute, student, settings.max_words),
        ),
    ]
    if student.order == "label_first":
        description = f"What an edit of an example ({subject}) changes, and a reason for every label if that is wanted."
        ask = partial(_compare, student)
        tools.append(StudentTool("counterfactuals", description, models.counterfactual, models.change, {}, ask))
    return tools


def _precision_option(student: Student) -> dict[str, object]:
    known = precisions(student)
    if not known or _PRECISION in student.task.fields:
        return {}
    description = "Also say, as `abstained`, whether to do without the answer for this share of right ones."
    return {_PRECISION: {"type": "number", "enum": known, "description": description}}


def _explain(student: Student, request: BaseModel, options: Mapping[str, object]) -> BaseModel:
    precision = options.get(_PRECISION)
    if precision is not None and not isinstance(precision, int | float):
        raise UserError(_PRECISION, expected="a number, such as 0.9", found=type(precision).__name__)
    [answer] = explain(student, [_checked(student, request)], precision)
    return answer


def _attribute(student: Student, most: int, request: BaseModel, options: Mapping[str, object]) -> BaseModel:
    example = _checked(student, request)
    words = sum(len(text.split()) for text in example.fields.values())
    if words > most:
        raise UserError("the example", problem=f"has {words} words; each is left out, and at most {most} are")
    return attribute(student, example)


def _compare(student: Student, request: Any, options: Mapping[str, object]) -> BaseModel:
    edited = None if request.edited is None else to_example(request.edited, "2")
    return compare_edit(student, Edit(_checked(student, request.original), edited, request.every_label))


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
    try:
        import anyio
        from mcp.server.stdio import stdio_server
    except ImportError as error:
        raise MissingExtraError("tools for agents", "mcp") from error
    server = tool_server(student_tools(hosts, settings))

    async def run() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(run)


def tool_server(tools: list[StudentTool]) -> Server[Any]:
    """The SDK's server over these tools. One call computes at a time: the student uses all cores."""
    from importlib.metadata import version

    import anyio
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
    computing = anyio.Lock()

    async def list_tools(context: object, request: object) -> ListToolsResult:
        return ListToolsResult(tools=described)

    async def call_tool(context: object, request: CallToolRequestParams) -> CallToolResult:
        if (tool := by_name.get(request.name)) is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {request.name!r}; there are {', '.join(by_name)}")
        async with computing:
            return await anyio.to_thread.run_sync(_called, tool, request.arguments or {})

    return Server(
        "reasondistill",
        version=version("reasondistill"),
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _called(tool: StudentTool, arguments: Mapping[str, object]) -> CallToolResult:
    """The tool's result; a mistake in the arguments is told to the agent, which can mend it."""
    from mcp_types import CallToolResult, TextContent

    try:
        reply = tool.answer(arguments)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in error.errors()]
        return CallToolResult(content=[TextContent(type="text", text="; ".join(problems))], is_error=True)
    except UserError as error:
        return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)
    text = TextContent(type="text", text=reply.model_dump_json())
    return CallToolResult(content=[text], structured_content=reply.model_dump(mode="json"))
