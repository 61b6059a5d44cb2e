"""Labels for rows without one: by the votes of teachers and samples, with the share that agrees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.teaching import TeacherAnswer
from reasondistill.tasks.task import Task


class Vote(NamedTuple):
    """The label that teachers gave to a row, the probability of each label, and how many answers voted."""

    label: str
    probabilities: dict[str, float]
    answers: int

    @property
    def confidence(self) -> float:
        """The probability of the label that won."""
        return self.probabilities[self.label]


def votes_free(answer: TeacherAnswer) -> bool:
    """Whether an answer's label is the teacher's own choice: it was not told one, and the answer can be used."""
    return answer.label is not None and not (answer.hinted or answer.argued_label is not None or answer.problem)


def distribution(answer: TeacherAnswer, choices: Sequence[str]) -> dict[str, float]:
    """The probability that an answer gives to each of the choices; all of it to its label where it names none."""
    given = {label: answer.probabilities.get(label, 0.0) for label in choices}
    total = sum(given.values())
    if total <= 0:
        return {label: float(label == answer.label) for label in choices}
    return {label: value / total for label, value in given.items()}


def vote(answers: Iterable[TeacherAnswer], choices: Sequence[str]) -> Vote | None:
    """The label of one row: each teacher weighs the same, and so does each of its samples.

    Of equally probable labels the one that stands first among the choices is taken. None where no answer is a free
    choice of one of them.
    """
    by_teacher: dict[str, list[dict[str, float]]] = {}
    for answer in answers:
        if votes_free(answer) and answer.label in choices:
            by_teacher.setdefault(answer.teacher, []).append(distribution(answer, choices))
    if not by_teacher:
        return None
    means = [_mean(samples, choices) for samples in by_teacher.values()]
    probabilities = _mean(means, choices)
    label = max(choices, key=lambda choice: probabilities[choice])  # the first of equals
    return Vote(label, probabilities, sum(map(len, by_teacher.values())))


def _mean(rows: Sequence[Mapping[str, float]], choices: Sequence[str]) -> dict[str, float]:
    return {label: sum(row[label] for row in rows) / len(rows) for label in choices}


def votes_of_rows(
    examples: Iterable[Example], answers: Mapping[str, Sequence[TeacherAnswer]], task: Task
) -> dict[str, Vote]:
    """The vote on each row without a label, by its id; rows that nobody voted on are not in it.

    Args:
        answers: by the example's id.

    Raises:
        TaskError: the task takes choices from examples, and a row has none.
    """
    if task.labels == ():
        return {}
    unlabelled = (example for example in examples if example.label is None)
    rows = ((example.id, vote(answers.get(example.id, ()), task.choices_for(example))) for example in unlabelled)
    return {identity: outcome for identity, outcome in rows if outcome is not None}


def as_predictions(votes: Mapping[str, Vote]) -> list[Prediction]:
    """Votes in the form of predictions, which `evaluate` scores where the right labels are known."""
    return [Prediction(id=id, label=vote.label, probabilities=vote.probabilities) for id, vote in votes.items()]
