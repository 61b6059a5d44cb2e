"""Faithfulness in the plain sense: does the explanation argue for the label that was given? A judge reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.common import average, over_sample, partners
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.metrics.text import is_empty
from reasondistill.tasks.task import Task

if TYPE_CHECKING:
    from reasondistill.judges import Judge

NO_JUDGE = "there is no judge (--judge) to tell which label an explanation argues for"
READ = ("evidence", "contrast")
"""The judge's components that tell labels apart without asking whether the label is right for these fields."""


def preferences(
    judge: Judge,
    task: Task,
    examples: Sequence[Example],
    explanations: Sequence[str],
    progress: Progress = lambda stage: None,
) -> list[dict[str, float]]:
    """How much each explanation argues for each of the task's labels: label -> sum of `READ`, in standard deviations.

    Support would be the wrong thing: it also asks whether explanation and label fit the fields, so that every
    explanation of a wrong label has little. An explanation of nothing but white space has no preferences.
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
    found = iter(judge.explained(rows, progress))
    read = [{label: next(found).components for label in labels} for _ in explanations]
    return [
        {}
        if is_empty(text)
        else {label: sum(parts[name] / scale[name] for name in READ) for label, parts in of_label.items()}
        for text, of_label in zip(explanations, read, strict=True)
    ]


def preferred(preferences: Mapping[str, float]) -> str | None:
    """The label that is argued for more than every other; None where there is none."""
    if not preferences:
        return None
    best = max(preferences, key=preferences.__getitem__)
    return best if sum(value == preferences[best] for value in preferences.values()) == 1 else None


def why_unreadable(judge: Judge | None, task: Task) -> str | None:
    """Why no judge can tell which label an explanation argues for."""
    if judge is None:
        return NO_JUDGE
    if not task.labels or len(task.labels) < 2:
        return "the task has no labels of its own to argue for"
    if lacking := [name for name in READ if name not in judge.info.combination.components]:
        return f"the judge has no component {' or '.join(lacking)}"
    return None


class ArguingSettings(BaseModel):
    """At most ``examples`` are read; see `outcome.sample`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: Annotated[int, Field(ge=1)] = 500


def label_consistency(
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    settings: ArguingSettings,
    bootstrap: GroupBootstrap,
    progress: Progress = lambda stage: None,
    *,
    judge: Judge | None = None,
) -> Outcome:
    """The metric ``faithfulness``: the share of explanations that the judge reads as arguing for the predicted label.

    Args:
        subject: the student, whose task has labels of its own; it is asked nothing.
        examples: what it is tested on (n,).
        answers: what it answers them (n,); an empty explanation argues for nothing.
        settings: how many are tested.
        bootstrap: of the examples' groups (n,).
        progress: see `Progress`.
        judge: of this task.
    """
    test = partial(_label_consistency, subject.task, settings, judge, progress)
    return over_sample(test, examples, answers, settings.examples, bootstrap)


def _label_consistency(
    task: Task,
    settings: ArguingSettings,
    judge: Judge | None,
    progress: Progress,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    bootstrap: GroupBootstrap,
) -> Outcome:
    if judge is None or why_unreadable(judge, task):
        return left_out(why_unreadable(judge, task) or NO_JUDGE)
    labels = [p.label for p in answers]
    if not any(labels):
        return left_out("the student gives no label")
    said = [p.explanation for p in answers]
    read = [preferred(p) for p in preferences(judge, task, examples, said, progress)]
    values: list[float | bool | None] = [
        None if label is None else found == label for label, found in zip(labels, read, strict=True)
    ]
    others = partners(examples, lambda place, other: labels[other] is not None and labels[place] != labels[other])
    shuffled = [
        None if other is None or label is None else read[other] == label
        for other, label in zip(others, labels, strict=True)
    ]

    def of_texts(texts: Sequence[str], wanted: Sequence[str | None], whose: Sequence[Example]) -> float | None:
        found = preferences(judge, task, whose, texts)
        return average(None if w is None else float(preferred(p) == w) for p, w in zip(found, wanted, strict=True))

    people = [(e.references[0].text, e.label, e) for e in examples if e.references and e.label is not None]
    return Outcome(
        metrics={"faithfulness": mean(values, bootstrap)},
        details={
            "settings": settings.model_dump(mode="json") | {"judge": judge.settings, "reads": list(READ)},
            "per_predicted_label": _per_label(task.labels or (), labels, read, bootstrap),
            "controls": {
                "explanations of other examples with another label": average(shuffled),
                **{f"copied {n}": of_texts([e.fields[n] for e in examples], labels, examples) for n in task.fields},
            },
            "people": {
                "value": of_texts([t for t, _, _ in people], [x for _, x, _ in people], [e for _, _, e in people]),
                "n": len(people),
            },
        },
        per_example={"faithfulness": values},
    )


def _per_label(
    names: Sequence[str], labels: Sequence[str | None], read: Sequence[str | None], bootstrap: GroupBootstrap
) -> dict[str, Any]:
    """Of each label that was given: the share that argues for it, and how many argue for which label."""
    figures = {}
    for name in names:
        values = [float(found == name) if label == name else None for found, label in zip(read, labels, strict=True)]
        if any(value is not None for value in values):
            argued = Counter(found or "none" for found, label in zip(read, labels, strict=True) if label == name)
            figures[name] = {**mean(values, bootstrap).model_dump(), "argued_for": dict(argued.most_common())}
    return figures
