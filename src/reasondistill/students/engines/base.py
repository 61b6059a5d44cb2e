"""What runs a student: it scores labels and writes explanations. One interface, whatever is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from reasondistill.config import Generation
from reasondistill.tasks.task import Target

Scored = Literal["label", "explanation"]
"""Which tokens of a target a score is of."""


class Generated(NamedTuple):
    """A text that a student wrote, without the prefix it was given; ``truncated`` if it met the length limit."""

    text: str
    truncated: bool


class Engine(Protocol):
    """Runs a student on texts. Inputs of any number and length; outputs in the order of the inputs."""

    def score(
        self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
    ) -> list[list[float]]:
        """For each prompt, the log-probability (nats, a sum over tokens) of the label's tokens in each target.

        Labels of which one begins another are scored with what follows them (`students.codec.Codec.encode_choices`). A
        prompt has no scores where nothing tells two of its labels apart.

        With ``of="explanation"`` it is that of the explanation's tokens, separator and end among them, given what
        stands before them.
        """
        ...

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        """For each prompt, a text that goes on after the prefix."""
        ...
