"""A request to a teacher: everything that its answer depends on, and the key that this makes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reasondistill.contracts.records import Example
from reasondistill.contracts.teaching import AskingMode
from reasondistill.storage.sqlite_store import content_key
from reasondistill.teachers.answer_formats import Parts
from reasondistill.teachers.prompting import Message

_PER_MESSAGE = 16
"""Tokens that a chat template puts around a message, at most."""


@dataclass(frozen=True)
class Question:
    """What is asked about an example, before it is put into words.

    Attributes:
        argued_label: that the teacher is told to argue for.
        hinted: whether that is the example's right label.
    """

    example: Example
    mode: AskingMode
    sample: int = 0
    argued_label: str | None = None
    hinted: bool = False


@dataclass(frozen=True)
class TeacherRequest:
    """A question in words, for one model.

    Attributes:
        key: hexadecimal; the same for the same model, parameters, messages and sample.
        parameters: of the request's body, such as ``temperature``; they are part of the key.
        parts: what the answer has to have, in this order.
        labels: from which its label has to be.
        schema: that the server is to hold the answer to.
    """

    key: str
    model: str
    messages: tuple[Message, ...]
    parameters: Mapping[str, object]
    question: Question
    parts: Parts
    labels: tuple[str, ...]
    schema: Mapping[str, object] | None = None
    max_tokens: int = 0

    @property
    def most_input_tokens(self) -> int:
        """No tokenizer makes more tokens than there are bytes; what stands around a message is added."""
        texts = [message["content"] for message in self.messages]
        texts += [] if self.schema is None else [json.dumps(self.schema)]
        return sum(len(text.encode("utf-8", "surrogatepass")) + _PER_MESSAGE for text in texts)

    @property
    def likely_input_tokens(self) -> int:
        """About: four characters a token, as in English."""
        return sum(len(message["content"]) // 4 + 4 for message in self.messages)

    @property
    def likely_tokens(self) -> int:
        """Input and about half of what the answer may take."""
        return self.likely_input_tokens + self.max_tokens // 2

    @property
    def stored_as(self) -> bytes:
        """Its key in the store."""
        return bytes.fromhex(self.key)


def request_key(model: str, parameters: Mapping[str, object], messages: Sequence[Message], sample: int) -> str:
    """The key of a request, in hexadecimal (of SHA-256, the first 16 bytes)."""
    plain = json.dumps([model, dict(parameters), [dict(m) for m in messages], sample], sort_keys=True)
    return content_key("teacher's request", plain).hex()
