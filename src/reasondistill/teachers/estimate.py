"""What a teaching run would ask and cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reasondistill.contracts.teacher_replies import TokenUsage
from reasondistill.teachers.prompting import Message
from reasondistill.teachers.reply_store import ReplyStore
from reasondistill.teachers.spending import cost_of, most_cost
from reasondistill.teachers.teach_settings import ApiTeacher, TeacherSettings, price_of
from reasondistill.teachers.teaching_material import Material

SECONDS_AN_ANSWER = 2.0
"""Assumed where no limit says how long a server takes."""


@dataclass(frozen=True)
class Estimate:
    """Of one teacher.

    Attributes:
        requests: different ones; hints after wrong answers come on top.
        stored: of these, how many are answered in the store already; the rest would be sent.
        input_tokens, output_tokens: of those that would be sent, about.
        cost: about; None without prices.
        cost_at_most: with a token for each byte and answers of ``max_tokens``.
        seconds: about; None where nothing is known of the teacher's speed.
        messages: of the first request.
    """

    teacher: str
    model: str
    requests: int
    stored: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    cost_at_most: float | None
    seconds: float | None
    messages: Sequence[Message]


def estimates(ready: Material, store: ReplyStore) -> list[Estimate]:
    """One for each teacher; none is reached or loaded.

    Raises:
        OutputError: the store cannot be read.
    """
    return [_estimate(ready, store, number) for number in range(len(ready.config.teachers))]


def _estimate(ready: Material, store: ReplyStore, number: int) -> Estimate:
    teacher = ready.config.teachers[number]
    asking = ready.asking(teacher, opened=False)
    prices = price_of(teacher)
    seen: set[bytes] = set()
    stored = read = written = 0
    most = 0.0
    messages: Sequence[Message] = ()
    for request, kept in asking.requests(ready.rows.examples, store.get):
        messages = messages or request.messages
        if request.stored_as in seen:
            continue
        seen.add(request.stored_as)
        if kept.answer is not None:
            stored += 1
            continue
        read += request.likely_input_tokens
        written += request.likely_tokens - request.likely_input_tokens
        most += most_cost(request.most_input_tokens, request.max_tokens, prices)
    return Estimate(
        teacher=teacher.name,
        model=asking.backend.model,
        requests=len(seen),
        stored=stored,
        input_tokens=read,
        output_tokens=written,
        cost=None if prices is None else cost_of(TokenUsage(input=read, output=written), prices),
        cost_at_most=None if prices is None else most,
        seconds=_seconds(teacher, len(seen) - stored, read + written),
        messages=messages if asking.form is not None else (),
    )


def _seconds(teacher: TeacherSettings, requests: int, tokens: int) -> float | None:
    if not isinstance(teacher, ApiTeacher) or teacher.api == "batch":
        return None
    limits = teacher.limits
    by_requests = requests * 60 / limits.requests_per_minute if limits.requests_per_minute else 0.0
    by_tokens = tokens * 60 / limits.tokens_per_minute if limits.tokens_per_minute else 0.0
    return max(by_requests, by_tokens, requests * SECONDS_AN_ANSWER / limits.concurrent)
