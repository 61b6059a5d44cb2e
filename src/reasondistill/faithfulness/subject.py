"""Whose faithfulness is tested: what the tests ask of a student, and nothing else of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reasondistill.records import Example, Prediction
from reasondistill.tasks import OutputOrder, Task


class Subject(Protocol):
    """Answers, explains and tells how likely it is to write a text. `reasondistill.prediction.Student` is one."""

    @property
    def task(self) -> Task: ...

    @property
    def order(self) -> OutputOrder: ...

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        """Decided label, probabilities and explanation of each example."""
        ...

    def probabilities(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        """The probability of each label, example by example: as in `predict`, without the cost of explanations."""
        ...

    def explain_for(self, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
        """What it writes when it is made to argue for ``labels``; only with the order ``label_first``."""
        ...

    def explanation_scores(
        self, examples: Sequence[Example], labels: Sequence[str | None], explanations: Sequence[str]
    ) -> list[float]:
        """Log-probabilities (nats, sums over tokens) of ``explanations``, with ``label_first`` after ``labels``."""
        ...
