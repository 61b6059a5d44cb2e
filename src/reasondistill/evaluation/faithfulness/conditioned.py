"""Label-conditioned explanations: what a student writes when it is made to argue for each label in turn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.arguing import NO_JUDGE, preferences, preferred, why_unreadable
from reasondistill.evaluation.faithfulness.common import average, over_sample
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.metrics.text import Rouge, likeness

if TYPE_CHECKING:
    from reasondistill.judges import Judge

_QUOTED = 5


class ConditionedSettings(BaseModel):
    """At most ``examples`` are tested; see `outcome.sample`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: Annotated[int, Field(ge=1)] = 200


def label_conditioned(
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    settings: ConditionedSettings,
    bootstrap: GroupBootstrap,
    progress: Progress = lambda stage: None,
    *,
    judge: Judge | None = None,
) -> Outcome:
    """Force each label on the student: do its explanations follow?

    Args:
        subject: the student; it explains each example for each label that it did not give.
        examples: what it is tested on (n,).
        answers: what it answers them (n,).
        settings: how many are tested.
        bootstrap: of the examples' groups (n,).
        progress: see `Progress`.
        judge: tells which label an explanation argues for; without one ``conditioned_faithfulness`` is left out.
    """
    if subject.order != "label_first":
        return left_out(f"a student of the order {subject.order} has no label before its explanation to be forced")
    test = partial(_label_conditioned, subject, settings, judge, progress)
    return over_sample(test, examples, answers, settings.examples, bootstrap)


def _label_conditioned(
    subject: Subject,
    settings: ConditionedSettings,
    judge: Judge | None,
    progress: Progress,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    bootstrap: GroupBootstrap,
) -> Outcome:
    choices = [subject.task.choices_for(example) for example in examples]
    if all(len(labels) < 2 for labels in choices):
        return left_out("there are no two labels to argue for")
    asked = [
        (place, label) for place, labels in enumerate(choices) for label in labels if label != answers[place].label
    ]
    progress(f"label-conditioned explanations: writing {len(asked):,}")
    written = subject.explain_for([examples[k] for k, _ in asked], [label for _, label in asked])
    said: list[dict[str, str]] = [{} for _ in examples]
    for (place, label), text in zip(asked, written, strict=True):
        said[place][label] = text
    for texts, p in zip(said, answers, strict=True):
        if p.label is not None:
            texts[p.label] = p.explanation
    rouge = Rouge()
    pairs = [list(combinations(texts.values(), 2)) for texts in said]
    sensitivity = [average(1 - likeness(rouge, one, other) for one, other in between) for between in pairs]
    differing = [average(float(one != other) for one, other in between) for between in pairs]
    metrics = {"label_sensitivity": mean(sensitivity, bootstrap)}
    per_example: dict[str, list[float | bool | None]] = {"label_sensitivity": [*sensitivity]}
    details: dict[str, Any] = {
        "settings": settings.model_dump(mode="json") | ({} if judge is None else {"judge": judge.settings}),
        "pairs_that_differ": mean(differing, bootstrap).model_dump(),
    }
    argues: list[dict[str, str | None]] = [{} for _ in examples]
    if judge is None or why_unreadable(judge, subject.task):
        details["conditioned_faithfulness"] = {"left_out": why_unreadable(judge, subject.task) or NO_JUDGE}
    else:
        rows = [(k, label, text) for k, texts in enumerate(said) for label, text in texts.items()]
        found = preferences(judge, subject.task, [examples[k] for k, _, _ in rows], [t for _, _, t in rows], progress)
        for (k, label, _), one in zip(rows, found, strict=True):
            argues[k][label] = preferred(one)
        conditioned = [average(float(found == label) for label, found in one.items()) for one in argues]
        metrics["conditioned_faithfulness"] = mean(conditioned, bootstrap)
        per_example["conditioned_faithfulness"] = [*conditioned]
        forced = [
            (label, float(found == label))
            for one, p in zip(argues, answers, strict=True)
            for label, found in one.items()
            if label != p.label
        ]
        details["labels_that_it_did_not_give"] = {
            "all": average(value for _, value in forced),
            **{name: average(value for label, value in forced if label == name) for name in subject.task.labels or ()},
        }
    details["quoted"] = [
        {
            "id": examples[k].id,
            "fields": {name: examples[k].fields[name] for name in subject.task.fields},
            "label": answers[k].label,
            "explanations": {label: said[k][label] for label in choices[k] if label in said[k]},
            "argues_for": argues[k],
        }
        for k in range(min(_QUOTED, len(examples)))
    ]
    return Outcome(metrics=metrics, details=details, per_example=per_example)
