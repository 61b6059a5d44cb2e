"""Label-conditioned explanations: the student explains each label in turn."""

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
        metrics, scores = {"label_sensitivity": mean(sensitivity, sample.bootstrap)}, {"label_sensitivity": sensitivity}
        details = FaithfulnessDetails(figures={"pairs_that_differ": mean(differing, sample.bootstrap)})
        reason, argued = _argued(sample, explanations)
        if reason is None:
            right = [
                average(None if read is None else float(read == label) for label, read in of_example.items())
                for of_example in argued
            ]
            metrics["conditioned_faithfulness"] = mean(right, sample.bootstrap)
            scores["conditioned_faithfulness"] = right
            details = _with_judge(details, sample, argued)
        else:
            details = details.model_copy(update={"not_measured": {"conditioned_faithfulness": reason}})
        quotes = _quotes(sample, choices, explanations, argued)
        return Outcome(
            metrics,
            details.model_copy(update={"quotes": quotes}),
            {name: [*values] for name, values in scores.items()},
        )


def _for_each_label(sample: Sample, choices: list[tuple[str, ...]]) -> list[dict[str, str]]:
    """Label -> explanation for each example; the student's own label is last."""
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


def _argued(sample: Sample, explanations: list[dict[str, str]]) -> tuple[str | None, list[dict[str, str | None]]]:
    """Forced label -> the label that its explanation argues for (see `argued_labels`), of each example.

    The first value says why there is no figure, if so; the dictionaries are empty if the judge read nothing.
    """
    argued: list[dict[str, str | None]] = [{} for _ in explanations]
    if (reason := why_no_reading(sample.judge, sample.subject.task)) or sample.judge is None:
        return reason, argued
    rows = [(k, label, text) for k, texts in enumerate(explanations) for label, text in texts.items()]
    examples, texts = [sample.examples[k] for k, _, _ in rows], [text for _, _, text in rows]
    read = argued_labels(sample.judge, sample.subject.task, examples, texts, sample.progress)
    for (k, label, _), of_text in zip(rows, read, strict=True):
        argued[k][label] = of_text
    return too_few_read(read), argued


def _with_judge(
    details: FaithfulnessDetails, sample: Sample, argued: list[dict[str, str | None]]
) -> FaithfulnessDetails:
    """The details with the judge's settings, and its reading of explanations for labels that were not given."""
    foreign = [
        (label, float(read == label))
        for of_example, own in zip(argued, sample.labels, strict=True)
        for label, read in of_example.items()
        if label != own and read is not None
    ]
    rows: list[list[Entry]] = [["All", average(value for _, value in foreign)]]
    for name in sample.subject.task.labels or ():
        rows.append([name, average(value for label, value in foreign if label == name)])
    table = DetailTable(title="Labels that it did not give", columns=["Label", "Argued for"], rows=rows)
    unread = sum(unread_in(of_example.values()) for of_example in argued)
    return details.model_copy(
        update={
            "settings": {} if sample.judge is None else {"judge": sample.judge.settings},
            "figures": {**details.figures, **({"unread": unread} if unread else {})},
            "tables": [table],
        }
    )


def _quotes(
    sample: Sample,
    choices: list[tuple[str, ...]],
    explanations: list[dict[str, str]],
    argued: list[dict[str, str | None]],
) -> list[Quotes]:
    """The explanations of the first examples for each label."""
    quotes = []
    for k, example in enumerate(sample.examples[:_QUOTED]):
        cases = [
            {
                "label": f"{label}, as given" if label == sample.labels[k] else label,
                "explanation": explanations[k][label],
                **({"argues_for": argued[k][label] or "none"} if argued[k] else {}),
            }
            for label in choices[k]
            if label in explanations[k]
        ]
        texts = " / ".join(example.fields[name] for name in sample.subject.task.fields)
        quotes.append(Quotes(title=f"Made to argue for each label: {texts}", cases=cases))
    return quotes
