"""The label that an explanation argues for, according to a judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from reasondistill.contracts.records import Example
from reasondistill.evaluation.faithfulness.model_under_test import Progress
from reasondistill.languages.unknown_tokens import TOO_MANY, UNREADABLE
from reasondistill.metrics.text import is_empty
from reasondistill.tasks.task import Task

if TYPE_CHECKING:
    from reasondistill.judges import Judge

READ: Final = ("evidence", "contrast")
"""The judge's components that distinguish labels without regard to whether the label is correct for the fields."""
NO_LABEL: Final = ""
"""The result for an explanation that argues for no label more than for all others."""
NO_JUDGE: Final = "there is no judge (--judge) to tell which label an explanation argues for"


def why_no_reading(judge: Judge | None, task: Task) -> str | None:
    """Why no judge can tell which label an explanation argues for."""
    if judge is None:
        return NO_JUDGE
    if not task.labels or len(task.labels) < 2:
        return "the task has no labels of its own to argue for"
    if lacking := [name for name in READ if name not in judge.info.combination.components]:
        return f"the judge has no component {' or '.join(lacking)}"
    return None


def argued_labels(
    judge: Judge,
    task: Task,
    examples: Sequence[Example],
    explanations: Sequence[str],
    progress: Progress = lambda stage: None,
) -> list[str | None]:
    """The label that each explanation argues for, or `NO_LABEL`; None where the judge's encoder cannot read it."""
    readable = [k for k, reads in enumerate(judge.encoder.reads(explanations)) if reads]
    read = preferences(judge, task, [examples[k] for k in readable], [explanations[k] for k in readable], progress)
    labels = {k: preferred(of_label) or NO_LABEL for k, of_label in zip(readable, read, strict=True)}
    return [labels.get(k) for k in range(len(explanations))]


def too_few_read(argued: Sequence[str | None]) -> str | None:
    """Why a metric is left out, if the judge could not read too many explanations; else None."""
    if (unread := unread_in(argued)) <= TOO_MANY * len(argued):
        return None
    return (
        f"{unread:,} of {len(argued):,} explanations were not read: more than {UNREADABLE:.0%} of the tokens, or of "
        "the characters, are unknown to the judge's encoder. Train a judge with another one."
    )


def unread_in(argued: Iterable[str | None]) -> int:
    """How many explanations the judge could not read."""
    return sum(label is None for label in argued)


def preferences(
    judge: Judge,
    task: Task,
    examples: Sequence[Example],
    explanations: Sequence[str],
    progress: Progress = lambda stage: None,
) -> list[dict[str, float]]:
    """How much each explanation argues for each of the task's labels: label -> sum of `READ`, in standard deviations.

    Support is not suitable: it also depends on whether explanation and label fit the fields, so that every explanation
    of a wrong label has little. An explanation of white space has no preferences.
    """
    from reasondistill.judges import Argued, fields_of

    labels = task.labels or ()
    combination = judge.info.combination
    scale = {name: combination.deviation[combination.components.index(name)] for name in READ}
    rows = [
        Argued(fields_of(example, task), label, text)
        for example, text in zip(examples, explanations, strict=True)
        for label in labels
    ]
    judged = iter(judge.explained(rows, progress))
    read = [{label: next(judged).components for label in labels} for _ in explanations]
    return [
        {}
        if is_empty(text)
        else {label: sum(parts[name] / scale[name] for name in READ) for label, parts in of_label.items()}
        for text, of_label in zip(explanations, read, strict=True)
    ]


def preferred(preferences: Mapping[str, float]) -> str | None:
    """The label with the highest preference; None if there is a tie or none."""
    if not preferences:
        return None
    best = max(preferences, key=preferences.__getitem__)
    return best if sum(value == preferences[best] for value in preferences.values()) == 1 else None
