"""Label-conditioned explanations: what a student writes when it is made to argue for each label in turn."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated

from pydantic import Field

from reasondistill.contracts.faithfulness import DetailTable, Entry, FaithfulnessDetails, Quotes
from reasondistill.evaluation.faithfulness.common import average
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Sample, left_out
from reasondistill.evaluation.faithfulness.judge_reading import argued_labels, too_few_read, unread_in, why_no_reading
from reasondistill.evaluation.faithfulness.needs import LABEL_FIRST
from reasondistill.metrics.statistics import mean
from reasondistill.metrics.text import Rouge, likeness

_QUOTED = 5


class LabelConditioned(FaithfulnessTest):
    """Force each label on the student: do its explanations follow?

    The student explains each example for each label that it did not give. A judge tells which label an explanation
    argues for; without one ``conditioned_faithfulness`` is not measured.
    """

    name = "label_conditioned"
    title = "Can it argue for any label?"
    meaning = (
        "Proves: how far explanations follow the label that is forced on the student, with the input as it was. A "
        "student that argues for every label as well writes explanations that follow the label, not what decided it. "
        "Does not prove: which of its explanations is right. Neither high nor low is good by itself."
    )
    metrics = ("label_sensitivity", "conditioned_faithfulness")
    needs = (LABEL_FIRST,)
    turn = 30

    examples: Annotated[int, Field(ge=1)] = 200

    def measure(self, sample: Sample) -> Outcome:
        choices = [sample.subject.task.choices_for(example) for example in sample.examples]
        if all(len(labels) < 2 for labels in choices):
            return left_out("there are no two labels to argue for")
        explanations = _for_each_label(sample, choices)
        rouge = Rouge()
        pairs = [list(combinations(texts.values(), 2)) for texts in explanations]
        sensitivity = [average(1 - likeness(rouge, a, b) for a, b in between) for between in pairs]
        differing = [average(float(a != b) for a, b in between) for between in pairs]
        outcome = Outcome(
            {"label_sensitivity": mean(sensitivity, sample.bootstrap)},
            FaithfulnessDetails(figures={"pairs_that_differ": mean(differing, sample.bootstrap)}),
            {"label_sensitivity": [*sensitivity]},
        )
        reason, argued = why_no_reading(sample.judge, sample.subject.task), None
        if reason is None:
            argued = _argued(sample, explanations)
            reason = too_few_read([label for of_example in argued for label in of_example.values()])
        details = outcome.details
        if argued is None or reason is not None:
            details = details.model_copy(update={"not_measured": {"conditioned_faithfulness": reason}})
        else:
            outcome, details = _with_judge(outcome, sample, argued)
        quotes = _quotes(sample, choices, explanations, argued)
        return Outcome(outcome.metrics, details.model_copy(update={"quotes": quotes}), outcome.per_example)


def _for_each_label(sample: Sample, choices: list[tuple[str, ...]]) -> list[dict[str, str]]:
    """Label -> explanation of each example, the label that the student gave last."""
    forced = [
        (k, label)
        for k, (labels, own) in enumerate(zip(choices, sample.labels, strict=True))
        for label in labels
        if label != own
    ]
    sample.progress(f"label-conditioned explanations: writing {len(forced):,}")
    written = sample.subject.explain_for([sample.examples[k] for k, _ in forced], [label for _, label in forced])
    explanations: list[dict[str, str]] = [{} for _ in choices]
    for (k, label), text in zip(forced, written, strict=True):
        explanations[k][label] = text
    for texts, answer in zip(explanations, sample.answers, strict=True):
        if answer.label is not None:
            texts[answer.label] = answer.explanation
    return explanations


def _argued(sample: Sample, explanations: list[dict[str, str]]) -> list[dict[str, str | None]]:
    """Label that was forced -> label that the explanation argues for, as `argued_labels` tells it, of each example."""
    assert sample.judge is not None
    rows = [(k, label, text) for k, texts in enumerate(explanations) for label, text in texts.items()]
    examples, texts = [sample.examples[k] for k, _, _ in rows], [text for _, _, text in rows]
    argued: list[dict[str, str | None]] = [{} for _ in explanations]
    read = argued_labels(sample.judge, sample.subject.task, examples, texts, sample.progress)
    for (k, label, _), of_text in zip(rows, read, strict=True):
        argued[k][label] = of_text
    return argued


def _with_judge(
    outcome: Outcome, sample: Sample, argued: list[dict[str, str | None]]
) -> tuple[Outcome, FaithfulnessDetails]:
    """The outcome with what the judge reads out of the explanations."""
    assert sample.judge is not None
    right = [
        average(None if read is None else float(read == label) for label, read in of_example.items())
        for of_example in argued
    ]
    metrics, scores = dict(outcome.metrics), dict(outcome.per_example)
    if any(value is not None for value in right):
        metrics["conditioned_faithfulness"] = mean(right, sample.bootstrap)
        scores["conditioned_faithfulness"] = [*right]
    foreign = [
        (label, float(read == label))
        for of_example, own in zip(argued, sample.labels, strict=True)
        for label, read in of_example.items()
        if label != own and read is not None
    ]
    rows: list[list[Entry]] = [["All", average(value for _, value in foreign)]]
    rows += [
        [name, average(value for label, value in foreign if label == name)] for name in sample.subject.task.labels or ()
    ]
    figures = dict(outcome.details.figures)
    if unread := sum(unread_in(of_example.values()) for of_example in argued):
        figures["unread"] = unread
    columns = ["Label", "Argued for"]
    table = DetailTable(title="Labels that it did not give", columns=columns, rows=rows)
    own = {"settings": {"judge": sample.judge.settings}, "figures": figures, "tables": [table]}
    return Outcome(metrics, outcome.details, scores), outcome.details.model_copy(update=own)


def _quotes(
    sample: Sample,
    choices: list[tuple[str, ...]],
    explanations: list[dict[str, str]],
    argued: list[dict[str, str | None]] | None,
) -> list[Quotes]:
    """The explanations of the first examples for each label."""
    quotes = []
    for k, example in enumerate(sample.examples[:_QUOTED]):
        cases = [
            {
                "label": f"{label}, as given" if label == sample.labels[k] else label,
                "explanation": explanations[k][label],
                **({} if argued is None else {"argues_for": argued[k][label] or "none"}),
            }
            for label in choices[k]
            if label in explanations[k]
        ]
        texts = " / ".join(example.fields[name] for name in sample.subject.task.fields)
        quotes.append(Quotes(title=f"Made to argue for each label: {texts}", cases=cases))
    return quotes
