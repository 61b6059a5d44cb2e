"""Input reconstruction: do the reasons that an explanation gives lead to the same label when they are all there is?

Source: Atanasova et al. 2023, Faithfulness Tests for Natural Language Explanations (section 2.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import JsonValue

from reasondistill.contracts.base import MetricValue
from reasondistill.contracts.faithfulness import DetailTable, FaithfulnessDetails, Quotes
from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Sample, Scores
from reasondistill.evaluation.faithfulness.needs import BOTH, ENGLISH_EXPLANATIONS, LABELS, PAIR, PREMISES
from reasondistill.languages.english_statements import parse
from reasondistill.metrics.statistics import mean

_QUOTED = 5


class Reconstruction(FaithfulnessTest):
    """Premise and hypothesis rebuilt from what each explanation states; is the label kept?"""

    name = "reconstruction"
    title = "Does the explanation by itself lead to the label?"
    meaning = (
        "Proves: inputs rebuilt from what explanations state get the same label. Covers explanations of known forms "
        "only: see the coverage. Does not prove: that the statement is true of the original input."
    )
    metrics = ("reconstruction_consistency", "reconstruction_coverage")
    needs = (PREMISES, BOTH, LABELS, ENGLISH_EXPLANATIONS)
    turn = 70

    def measure(self, sample: Sample) -> Outcome:
        pairs = [rebuild(e, text) for e, text in zip(sample.examples, sample.explanations, strict=True)]
        rebuilt = {k: pair for k, pair in enumerate(pairs) if pair is not None}
        metrics = {"reconstruction_coverage": _mean([pair is not None for pair in pairs], sample)}
        if not rebuilt:
            return Outcome(metrics)
        parsed = [parse(sample.explanations[k]) for k in rebuilt]
        templates = Counter(statement.template for statement in parsed if statement is not None)
        what = "labels of inputs rebuilt from explanations"
        probabilities = sample.ask(sample.subject.probabilities, list(rebuilt.values()), what)
        new = {k: max(p, key=p.__getitem__) for k, p in zip(rebuilt, probabilities, strict=True)}
        kept: Scores = [None if k not in new else new[k] == label for k, label in enumerate(sample.labels)]
        metrics["reconstruction_consistency"] = _mean(kept, sample)

        def quotes(title: str, verdict: bool) -> Quotes:
            chosen = [k for k in new if kept[k] == verdict][:_QUOTED]
            return Quotes(title=title, cases=[_case(rebuilt[k], sample.answers[k], new[k]) for k in chosen])

        details = FaithfulnessDetails(
            figures={"by_chance": _by_chance([sample.labels[k] for k in rebuilt], list(new.values()))},
            tables=[
                DetailTable(
                    title="Templates that explanations fit",
                    columns=["Template", "Explanations"],
                    rows=[[template, n] for template, n in templates.most_common()],
                )
            ],
            quotes=[
                quotes("Rebuilt inputs that got another label", False),
                quotes("Rebuilt inputs that kept their label", True),
            ],
        )
        return Outcome(metrics, details, {"reconstruction_kept": kept})


def _mean(values: Scores, sample: Sample) -> MetricValue:
    """The mean over a sample, with an interval from the groups of all examples."""
    return mean(sample.among_all(values), sample.bootstrap_of_all)


def rebuild(example: Example, explanation: str) -> Example | None:
    """The pair that an explanation speaks of; None where no template finds both halves in it."""
    statement = parse(explanation)
    if statement is None or not statement.condition.text or not statement.conclusion.text:
        return None
    return with_pair(example, statement.condition.text, statement.conclusion.text)


def with_pair(example: Example, premise: str, hypothesis: str) -> Example:
    return example.model_copy(
        update={"fields": {**example.fields, **dict(zip(PAIR, (premise, hypothesis), strict=True))}}
    )


def _by_chance(before: Sequence[str | None], after: Sequence[str]) -> float:
    """How often the label would be kept if rebuilt inputs were dealt out at random."""
    given, new = Counter(before), Counter(after)
    return sum(times * new[label] for label, times in given.items() if label is not None) / len(before) ** 2


def _case(rebuilt: Example, answer: Prediction, label: str) -> dict[str, JsonValue]:
    return {
        "id": answer.id,
        "explanation": answer.explanation,
        "label_before": answer.label,
        "label": label,
        **{name: rebuilt.fields[name] for name in PAIR},
    }
