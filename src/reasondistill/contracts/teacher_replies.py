"""What is kept of requests to teachers: all attempts, with what they brought and cost, and batches on their way."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reasondistill.contracts.base import Block, Count, Versioned
from reasondistill.contracts.records import Name, Probability, Text

Outcome = Literal["answered", "cut", "refused", "failed"]
"""``cut``: by ``max_tokens``, or in the middle of its JSON; ``refused``: by a content filter, or the model itself."""

Amount = Annotated[float, Field(ge=0)]


class TokenUsage(Block):
    """Tokens, as the server counted them; ``cached`` ones are among ``input``."""

    input: Count
    output: Count
    cached: Count = 0


class GivenAnswer(Block):
    """An answer of a teacher that writes no text to be read: a classifier, a student, a file."""

    label: Name | None = None
    explanation: Text = ""
    probabilities: dict[Text, Probability] = Field(default_factory=dict)


class Attempt(Block):
    """One attempt at a request.

    Attributes:
        run: the teaching run that sent it.
        at: when its reply came, in UTC.
        problem: why it is not answered, in a few words that are the same for the same cause: "http 429".
        cost: what the tokens cost; None where nobody knows whether, or how much, was charged.
        at_most: what it can have cost, where ``cost`` is None.
        seconds: from sending to the reply; 0 for batches, which take hours.
        batch: the mark of the batch that it was sent in.
    """

    run: Text
    at: Text
    outcome: Outcome
    problem: Text = ""
    text: Text = ""
    given: GivenAnswer | None = None
    finish_reason: Text | None = None
    usage: TokenUsage | None = None
    cost: Amount | None = 0.0
    at_most: Amount = 0.0
    seconds: Amount = 0.0
    response_id: Text | None = None
    request_id: Text | None = None
    system_fingerprint: Text | None = None
    served_model: Text | None = None
    batch: Text | None = None


class KeptRequest(Block):
    """All attempts at one request, in their order."""

    attempts: list[Attempt] = Field(default_factory=list)

    @property
    def answer(self) -> Attempt | None:
        """The attempt that brought an answer; the first, should there be several."""
        return next((attempt for attempt in self.attempts if attempt.outcome == "answered"), None)

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    def with_attempt(self, attempt: Attempt) -> KeptRequest:
        return KeptRequest(attempts=[*self.attempts, attempt])


class SentBatch(Block):
    """A batch that was sent, or was about to be: it is written down first, and known to the server by its mark.

    Attributes:
        keys: of its requests.
        most: what it can cost at most.
        collected: whether its answers are in the store.
    """

    mark: Text
    teacher: Text
    keys: list[Text]
    most: Amount
    collected: bool = False


class SentBatches(Versioned):
    """``batches.json`` of a teaching run."""

    what = "a list of batches"
    again = "reasondistill teach"

    batches: list[SentBatch] = []
