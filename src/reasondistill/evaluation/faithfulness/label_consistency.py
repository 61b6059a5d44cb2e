"""Faithfulness in the plain sense: does the explanation argue for the label that was given? A judge reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reasondistill.contracts.base import MetricValue
from reasondistill.contracts.faithfulness import DetailTable, Entry, FaithfulnessDetails
from reasondistill.contracts.records import Example
from reasondistill.evaluation.faithfulness.common import average, partners
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Sample, left_out
from reasondistill.evaluation.faithfulness.judge_reading import READ, argued_labels, too_few_read, unread_in
from reasondistill.evaluation.faithfulness.needs import JUDGE, LABELS
from reasondistill.languages.unknown_tokens import TOO_MANY
from reasondistill.metrics.statistics import mean

_OTHERS = "explanations of other examples with another label"


class LabelConsistency(FaithfulnessTest):
    """The metric ``faithfulness``: the share of explanations that the judge reads as arguing for the predicted label.

    The student is not run. An empty explanation argues for nothing; one that the judge cannot read has no score.
    """

    name = "label_consistency"
    title = "Does the explanation argue for the label?"
    meaning = (
        "Proves: a judge that is not asked whether the label is right takes this share of the explanations for "
        "arguments for it. Does not prove: that an explanation is true, or is why the label was given: a student that "
        "decides by something else and then argues for its label scores as high."
    )
    metrics = ("faithfulness",)
    controls = (_OTHERS, "copied fields")
    needs = (JUDGE, LABELS)
    turn = 10

    def measure(self, sample: Sample) -> Outcome:
        task, judge, labels = sample.subject.task, sample.judge, sample.labels
        assert judge is not None  # see ``needs``
        argued = argued_labels(judge, task, sample.examples, sample.explanations, sample.progress)
        if reason := too_few_read(argued):
            return left_out(reason)
        others = partners(sample.examples, lambda place, other: labels[place] != labels[other])
        foreign = [None if other is None else argued[other] for other in others]

        def of_texts(texts: Sequence[str], examples: Sequence[Example]) -> Sequence[str | None]:
            return argued_labels(judge, task, examples, texts)

        controls = {_OTHERS: _share(foreign, labels)}
        for name in task.fields:
            copied = of_texts([e.fields[name] for e in sample.examples], sample.examples)
            few = sum(c is None for c, own in zip(copied, argued, strict=True) if own is not None) > TOO_MANY * len(
                copied
            )
            controls[f"copied {name}"] = None if few else _share(copied, labels)
        values = [None if read is None else read == label for read, label in zip(argued, labels, strict=True)]
        figures: dict[str, MetricValue | int | float] = {}
        if unread := unread_in(argued):
            figures["unread"] = unread
        people = [e for e in sample.examples if e.references and e.label is not None]
        of_people = of_texts([e.references[0].text for e in people], people)
        if (value := _share(of_people, [e.label for e in people])) is not None:
            n = len(of_people) - unread_in(of_people)
            figures["references_for_the_gold_label"] = MetricValue(value=value, n=n)
        return Outcome(
            {"faithfulness": mean(values, sample.bootstrap)},
            FaithfulnessDetails(
                settings={"judge": judge.settings, "reads": list(READ)},
                figures=figures,
                controls={name: {"faithfulness": value} for name, value in controls.items()},
                tables=[_by_label(task.labels or (), argued, sample)],
            ),
            {"faithfulness": [*values]},
        )


def _share(argued: Sequence[str | None], wanted: Sequence[str | None]) -> float | None:
    """The share of read explanations that argue for their ``wanted`` label."""
    return average(None if a is None else float(a == w) for a, w in zip(argued, wanted, strict=True))


def _by_label(names: Sequence[str], argued: Sequence[str | None], sample: Sample) -> DetailTable:
    """By given label: the share of explanations that argue for it, and how many argue for which label."""
    rows: list[list[Entry]] = []
    for name in names:
        of_label = [a if label == name else None for a, label in zip(argued, sample.labels, strict=True)]
        if any(a is not None for a in of_label):
            share = mean([None if a is None else float(a == name) for a in of_label], sample.bootstrap)
            counts = Counter(a for a in of_label if a is not None)
            rows.append([name, share, *(counts[other] for other in names), counts.get("", 0)])
    columns = ["Predicted label", "Argues for it", *(f"Argue for {name}" for name in names), "For none"]
    return DetailTable(title="By predicted label", columns=columns, rows=rows)
