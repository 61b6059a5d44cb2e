"""OpenAI's older completions: for base models, which continue a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.backends.backend import BackendReply
from reasondistill.teachers.backends.chat import Body, CompletionBody, sampling, tokens_parameter
from reasondistill.teachers.prompting import Message
from reasondistill.teachers.teach_settings import ApiTeacher
from reasondistill.teachers.teacher_requests import TeacherRequest


class _Choice(Body):
    text: str
    finish_reason: str | None = None


class _Completion(CompletionBody):
    choices: list[_Choice] = Field(min_length=1)


class Completions:
    """Bodies and replies of ``/completions``. An answer ends at an empty line, where a new example would begin."""

    path = "/completions"

    def parameters(self, teacher: ApiTeacher, sample: int, parts: Parts, labels: Sequence[str]) -> Mapping[str, object]:
        ends = {"stop": ["\n\n"], tokens_parameter(teacher): teacher.max_tokens}
        return {**sampling(teacher, sample), **ends, **teacher.extra}

    def body(self, request: TeacherRequest) -> dict[str, object]:
        return {"model": request.model, "prompt": one_text(request.messages), **request.parameters}

    def read(self, text: str) -> BackendReply:
        completion = _Completion.model_validate_json(text)
        choice = completion.choices[0]
        return BackendReply(
            text=choice.text,
            finish_reason=choice.finish_reason,
            usage=completion.usage.tokens() if completion.usage else None,
            response_id=completion.id,
            system_fingerprint=completion.system_fingerprint,
            served_model=completion.model,
        )


def one_text(messages: Sequence[Message]) -> str:
    """Messages as one text: a question and its answer on consecutive lines, an empty line after each answer."""
    ends = {"system": "\n\n", "user": "\n", "assistant": "\n\n"}
    return "".join(f"{message['content'].rstrip()}{ends[message['role']]}" for message in messages)
