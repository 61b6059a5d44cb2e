"""The interface that faithfulness tests use of a student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from reasondistill.contracts.records import Example, Prediction
from reasondistill.counted import Counted
from reasondistill.tasks.task import OutputOrder, Task


class Subject(Protocol):
    """Answers, explains and scores explanations, as `reasondistill.students.student.Student` does."""

    @property
    def task(self) -> Task: ...

    @property
    def order(self) -> OutputOrder: ...

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        """Decided label, probabilities and explanation of each example."""
        ...

    def probabilities(self, examples: Sequence[Example]) -> list[dict[str, float]]:
        """The probabilities of each example's labels, as in `predict`, without the cost of explanations."""
        ...

    def explain_for(self, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
        """Its explanations for given ``labels``; only with the order ``label_first``."""
        ...

    def explanation_scores(
        self, examples: Sequence[Example], labels: Sequence[str | None], explanations: Sequence[str]
    ) -> list[float]:
        """Log-probabilities (nats, sums over tokens) of ``explanations``, with ``label_first`` after ``labels``."""
        ...


Progress = Callable[[str], None]
"""Called with a sentence as the work proceeds."""

_CHUNK = 256
_T = TypeVar("_T")


def ask(
    question: Callable[[Sequence[Example]], Sequence[_T]], examples: Sequence[Example], what: str, progress: Progress
) -> list[_T]:
    """Call `Subject.predict` or `Subject.probabilities` on many examples, in chunks that report progress.

    Args:
        question: the bound method.
        examples: any number; the longest come first, so that batches have similar lengths.
        what: names the work in ``progress``.

    Returns:
        The answers, in the order of ``examples``.
    """
    order = sorted(range(len(examples)), key=lambda place: -sum(map(len, examples[place].fields.values())))
    answers: dict[int, _T] = {}
    for begin in range(0, len(order), _CHUNK):
        progress(Counted(what, begin, len(order)))
        places = order[begin : begin + _CHUNK]
        answers.update(zip(places, question([examples[place] for place in places]), strict=True))
    return [answers[place] for place in range(len(examples))]
