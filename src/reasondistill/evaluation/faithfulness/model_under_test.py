"""Whose faithfulness is tested: what the tests ask of a student, and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from reasondistill.contracts.records import Example, Prediction
from reasondistill.tasks.task import OutputOrder, Task


class Subject(Protocol):
    """Answers, explains and tells how likely it is to write a text. `reasondistill.students.student.Student` is one."""

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


Progress = Callable[[str], None]
"""Called with a sentence as the work goes on."""

_CHUNK = 256
_T = TypeVar("_T")


def ask(
    question: Callable[[Sequence[Example]], Sequence[_T]], examples: Sequence[Example], what: str, progress: Progress
) -> list[_T]:
    """Ask `Subject.predict` or `Subject.probabilities` about many examples, in chunks, so that one sees it go on.

    Args:
        question: the bound method.
        examples: of any number; the longest are asked first, so that batches are full of alike lengths.
        what: names the work in ``progress``.

    Returns:
        The answers, in the order of ``examples``.
    """
    order = sorted(range(len(examples)), key=lambda place: -sum(map(len, examples[place].fields.values())))
    answers: dict[int, _T] = {}
    for begin in range(0, len(order), _CHUNK):
        progress(f"{what}: {begin:,} of {len(order):,}")
        places = order[begin : begin + _CHUNK]
        answers.update(zip(places, question([examples[place] for place in places]), strict=True))
    return [answers[place] for place in range(len(examples))]
