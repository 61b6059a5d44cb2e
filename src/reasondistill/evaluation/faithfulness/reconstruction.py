"""Input reconstruction: do the reasons that an explanation gives lead to the same label when they are all there is?

Source: Atanasova et al. 2023, Faithfulness Tests for Natural Language Explanations (section 2.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject, ask
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out, sample
from reasondistill.evaluation.faithfulness.statements import parse
from reasondistill.metrics.statistics import GroupBootstrap, mean

PAIR = ("premise", "hypothesis")
"""The fields of tasks whose explanations the templates can be told of."""

_QUOTED = 5


class ReconstructionSettings(BaseModel):
    """At most ``examples`` are tested; see `outcome.sample`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: Annotated[int, Field(ge=1)] = 500


def input_reconstruction(
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    settings: ReconstructionSettings,
    bootstrap: GroupBootstrap,
    progress: Progress = lambda stage: None,
) -> Outcome:
    """Premise and hypothesis rebuilt from what each explanation states; is the label kept?

    Args:
        subject: the student.
        examples: what it is tested on (n,).
        answers: what it answers them (n,).
        settings: how many are tested.
        bootstrap: of the examples' groups (n,).
        progress: see `Progress`.
    """
    if (reason := why_no_statements(subject)) is not None:
        return left_out(reason)
    places = sample(examples, settings.examples)
    rebuilt = {k: pair for k in places if (pair := rebuild(examples[k], answers[k].explanation)) is not None}
    templates = Counter(found.template for k in rebuilt if (found := parse(answers[k].explanation)) is not None)
    covered: list[float | bool | None] = [None] * len(examples)
    for k in places:
        covered[k] = k in rebuilt
    details: dict[str, Any] = {
        "settings": settings.model_dump(mode="json"),
        "examples": len(places),
        "templates": dict(templates.most_common()),
    }
    metrics = {"reconstruction_coverage": mean(covered, bootstrap)} if places else {}
    if not rebuilt:
        return Outcome(metrics, details, {})
    said = ask(subject.probabilities, list(rebuilt.values()), "labels of inputs rebuilt from explanations", progress)
    new = {k: max(p, key=p.__getitem__) for k, p in zip(rebuilt, said, strict=True)}
    kept: list[float | bool | None] = [None] * len(examples)
    for k, label in new.items():
        kept[k] = label == answers[k].label
    metrics["reconstruction_consistency"] = mean(kept, bootstrap)
    details["by_chance"] = _by_chance([answers[k].label for k in rebuilt], list(new.values()))
    details["lost"] = [_quote(rebuilt[k], answers[k], label) for k, label in new.items() if not kept[k]][:_QUOTED]
    details["kept"] = [_quote(rebuilt[k], answers[k], label) for k, label in new.items() if kept[k]][:_QUOTED]
    return Outcome(metrics, details, {"reconstruction_kept": kept})


def why_no_statements(subject: Subject) -> str | None:
    """Why nothing can be told of the statements of a student's explanations; None where it can."""
    if tuple(subject.task.fields) != PAIR:
        return (
            f"the templates are of inference from a premise; the task has the fields {', '.join(subject.task.fields)}"
        )
    if subject.order in ("label_only", "explanation_only"):
        return "the student does not give both a label and an explanation"
    return None


def rebuild(example: Example, explanation: str) -> Example | None:
    """The pair that an explanation speaks of; None where no template finds both halves in it."""
    statement = parse(explanation)
    if statement is None or not statement.said.text or not statement.asked.text:
        return None
    return with_pair(example, statement.said.text, statement.asked.text)


def with_pair(example: Example, premise: str, hypothesis: str) -> Example:
    return example.model_copy(
        update={"fields": {**example.fields, **dict(zip(PAIR, (premise, hypothesis), strict=True))}}
    )


def _by_chance(before: Sequence[str | None], after: Sequence[str]) -> float:
    """How often the label would be kept if rebuilt inputs were dealt out at random."""
    given, found = Counter(before), Counter(after)
    return sum(times * found[label] for label, times in given.items() if label is not None) / len(before) ** 2


def _quote(rebuilt: Example, answer: Prediction, label: str) -> Mapping[str, Any]:
    return {
        "id": answer.id,
        "explanation": answer.explanation,
        "label_before": answer.label,
        "label": label,
        **{name: rebuilt.fields[name] for name in PAIR},
    }
