"""OpenAI's chat completions: what almost every server speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.teacher_replies import TokenUsage
from reasondistill.teachers.answer_formats import Parts, schema
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.teach_settings import ApiTeacher, GgufTeacher
from reasondistill.teachers.teacher_requests import TeacherRequest

OPENAI = "https://api.openai.com/"


class Body(BaseModel):
    """A part of a reply of which only some keys are read."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _Details(Body):
    cached_tokens: int | None = None


class ChatUsage(Body):
    """Tokens, in the words of chat completions."""

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    prompt_tokens_details: _Details | None = None

    def tokens(self) -> TokenUsage:
        """In our words."""
        cached = (self.prompt_tokens_details.cached_tokens or 0) if self.prompt_tokens_details else 0
        return TokenUsage(input=self.prompt_tokens, output=self.completion_tokens, cached=max(cached, 0))


class _Message(Body):
    content: str | None = None
    refusal: str | None = None


class _Choice(Body):
    message: _Message
    finish_reason: str | None = None


class CompletionBody(Body):
    """What replies of both kinds of completions have beside their choices."""

    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: ChatUsage | None = None


class _Completion(CompletionBody):
    choices: list[_Choice] = Field(min_length=1)


class Chat:
    """Bodies and replies of ``/chat/completions``."""

    path = "/chat/completions"

    def parameters(
        self, teacher: ApiTeacher | GgufTeacher, sample: int, parts: Parts, labels: Sequence[str]
    ) -> Mapping[str, object]:
        """The body without model and messages."""
        return {
            **sampling(teacher, sample),
            tokens_parameter(teacher): teacher.max_tokens,
            **(
                {"response_format": {"type": "json_schema", "json_schema": named_schema(parts, labels)}}
                if teacher.answer_format == "json_schema"
                else {}
            ),
            **(teacher.extra if isinstance(teacher, ApiTeacher) else {}),
        }

    def body(self, request: TeacherRequest) -> dict[str, object]:
        return {"model": request.model, "messages": [*request.messages], **request.parameters}

    def read(self, text: str) -> BackendReply:
        """A reply's body. Raises pydantic's ValidationError where it is none."""
        completion = _Completion.model_validate_json(text)
        choice = completion.choices[0]
        return BackendReply(
            text=choice.message.content or "",
            finish_reason="refusal" if choice.message.refusal else choice.finish_reason,
            usage=completion.usage.tokens() if completion.usage else None,
            response_id=completion.id,
            system_fingerprint=completion.system_fingerprint,
            served_model=completion.model,
        )


def sampling(teacher: ApiTeacher | GgufTeacher, sample: int) -> dict[str, object]:
    """Temperature, and the others that were given."""
    given = {"top_p": teacher.top_p, "seed": None if teacher.seed is None else teacher.seed + sample}
    return {"temperature": teacher.temperature, **{name: value for name, value in given.items() if value is not None}}


def named_schema(parts: Parts, labels: Sequence[str]) -> dict[str, object]:
    return {"name": "answer", "strict": True, "schema": schema(parts, labels)}


def tokens_parameter(teacher: ApiTeacher | GgufTeacher) -> str:
    """OpenAI's newer models refuse ``max_tokens``, and few other servers know its new name."""
    if not isinstance(teacher, ApiTeacher):
        return "max_tokens"
    by_server = "max_completion_tokens" if teacher.base_url.startswith(OPENAI) else "max_tokens"
    return teacher.tokens_parameter or by_server
