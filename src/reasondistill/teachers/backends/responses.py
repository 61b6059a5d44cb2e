"""OpenAI's responses, the successor of its chat completions. Nothing is stored at the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from reasondistill.contracts.teacher_replies import TokenUsage
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.backends.chat import Body, named_schema, sampling
from reasondistill.teachers.teach_settings import ApiTeacher
from reasondistill.teachers.teacher_requests import TeacherRequest


class _Content(Body):
    type: str
    text: str | None = None
    refusal: str | None = None


class _Item(Body):
    type: str
    content: list[_Content] | None = None


class _Reason(Body):
    reason: str | None = None


class _Details(Body):
    cached_tokens: int | None = None


class _Usage(Body):
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    input_tokens_details: _Details | None = None

    def tokens(self) -> TokenUsage:
        """In our words."""
        cached = (self.input_tokens_details.cached_tokens or 0) if self.input_tokens_details else 0
        return TokenUsage(input=self.input_tokens, output=self.output_tokens, cached=max(cached, 0))


class _Response(Body):
    id: str | None = None
    model: str | None = None
    status: str
    incomplete_details: _Reason | None = None
    usage: _Usage | None = None
    output: list[_Item]


class Responses:
    """Bodies and replies of ``/responses``."""

    path = "/responses"

    def parameters(self, teacher: ApiTeacher, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        chosen = {name: value for name, value in sampling(teacher, sample).items() if name != "seed"}  # it knows none
        body: dict[str, object] = {**chosen, "max_output_tokens": teacher.max_tokens, "store": False}
        if teacher.answer_format == "json_schema":
            body["text"] = {"format": {"type": "json_schema", **named_schema(parts, labels)}}
        return {**body, **teacher.extra}

    def body(self, request: TeacherRequest) -> dict[str, object]:
        return {"model": request.model, "input": [*request.messages], **request.parameters}

    def read(self, text: str) -> BackendReply:
        response = _Response.model_validate_json(text)
        contents = [content for item in response.output if item.type == "message" for content in item.content or ()]
        return BackendReply(
            text="".join(content.text or "" for content in contents if content.type == "output_text"),
            finish_reason=_finish_reason(response, any(content.type == "refusal" for content in contents)),
            usage=response.usage.tokens() if response.usage else None,
            response_id=response.id,
            served_model=response.model,
        )


def _finish_reason(response: _Response, refused: bool) -> str | None:
    """In the words of chat completions."""
    if refused:
        return "refusal"
    if response.status == "completed":
        return "stop"
    reason = response.incomplete_details.reason if response.incomplete_details else None
    return "length" if reason == "max_output_tokens" else reason or response.status
