"""The interface of engines, which score labels and write explanations for a student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from reasondistill.config import Generation
from reasondistill.students.codec import Codec
from reasondistill.students.line_grammar import Allowed
from reasondistill.tasks.task import Target

Scored = Literal["label", "explanation"]
"""The tokens of a target that a score covers."""


class Generated(NamedTuple):
    """A generated text, without its prefix; ``truncated`` if it reached the length limit."""

    text: str
    truncated: bool


def plainest(max_new_tokens: int) -> Generation:
    """Greedy search without penalties: what is copied from an input repeats tokens by its nature."""
    return Generation(num_beams=1, repetition_penalty=1.0, length_penalty=1.0, max_new_tokens=max_new_tokens)


class Engine(Protocol):
    """Runs a student on texts. Inputs of any number and length; outputs in the order of the inputs."""

    def score(
        self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
    ) -> list[list[float]]:
        """For each prompt, the log-probability (nats, a sum over tokens) of the label's tokens in each target.

        If one label begins another, both are scored with what follows them (`students.codec.Codec.encode_choices`). A
        prompt has no scores if two of its labels cannot be told apart.

        With ``of="explanation"`` the score covers the explanation's tokens, with separator and end, given what
        precedes them.
        """
        ...

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        """For each prompt, a text that continues the prefix."""
        ...


@runtime_checkable
class SamplingEngine(Protocol):
    """An engine that can draw texts at random."""

    def sample(
        self, prompts: Sequence[str], prefixes: Sequence[str], max_new_tokens: int, seed: int
    ) -> list[Generated]:
        """For each prompt, a text that continues the prefix, each token drawn with the probability that it has.

        The same prompts and seed give the same texts.
        """
        ...


@runtime_checkable
class RuledEngine(Protocol):
    """An engine that can be held to a grammar."""

    codec: Codec

    def generate_within(
        self, prompts: Sequence[str], prefixes: Sequence[str], rules: Sequence[Allowed], max_new_tokens: int
    ) -> list[Generated]:
        """For each prompt, the text that continues the prefix, by the likeliest of the allowed tokens at each step."""
        ...
