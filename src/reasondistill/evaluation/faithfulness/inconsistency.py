"""Contradicting explanations: does a student say of one premise that X is Y, and elsewhere that it cannot be?

Source: Camburu et al. 2020, Make Up Your Mind! Adversarial Generation of Inconsistent Natural Language Explanations.
There a second model is trained to find inputs that provoke a contradiction. Here related inputs are those with the same
premise in the data, and two edits of each hypothesis: what the explanation itself states, and the denial.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from pydantic import JsonValue

from reasondistill.contracts.faithfulness import DetailTable, FaithfulnessDetails, Quotes
from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Sample, Scores
from reasondistill.evaluation.faithfulness.needs import BOTH, ENGLISH_EXPLANATIONS, PAIR, PREMISES
from reasondistill.evaluation.faithfulness.reconstruction import with_pair
from reasondistill.languages.english_statements import Statement, contradict, deny, parse, same_matter

_QUOTED = 5


class _Explained(NamedTuple):
    """An explanation of a hypothesis, and what it states."""

    answer: Prediction
    hypothesis: str
    statement: Statement | None


class _Related(NamedTuple):
    """Two explanations of one premise; ``rows`` are the rows of their examples, in order."""

    rows: tuple[int, ...]
    kind: str
    first: _Explained
    second: _Explained

    @property
    def readable(self) -> bool:
        return self.first.statement is not None and self.second.statement is not None

    def both(self, compare: Callable[[Statement, Statement], bool]) -> bool:
        a, b = self.first.statement, self.second.statement
        return a is not None and b is not None and compare(a, b)


class Inconsistency(FaithfulnessTest):
    """How often explanations of related inputs contradict each other, as far as templates can tell.

    Attributes:
        edits: also edit hypotheses and let the student explain them.
    """

    name = "inconsistency"
    title = "Does it contradict itself?"
    meaning = (
        "Proves: explanations of related inputs state opposite things, where templates can read both. Tests "
        "consistency, not causes: a consistent student can be wrong about itself every time."
    )
    metrics = ("inconsistency", "inconsistency_coverage")
    needs = (PREMISES, BOTH, ENGLISH_EXPLANATIONS)
    turn = 80

    edits: bool = True

    def measure(self, sample: Sample) -> Outcome:
        explained = [
            _Explained(answer, example.fields["hypothesis"], parse(answer.explanation))
            for example, answer in zip(sample.examples, sample.answers, strict=True)
        ]
        related = [*_of_same_premise(sample.examples, explained)]
        if self.edits:
            related += _edited(sample, explained)
        readable = [pair for pair in related if pair.readable]
        verdicts = [pair.both(contradict) for pair in readable]
        contradicting = [pair for pair, verdict in zip(readable, verdicts, strict=True) if verdict]
        metrics = {}
        if readable:
            metrics["inconsistency"] = sample.share([pair.rows[0] for pair in readable], verdicts)
        if related:
            legible = [pair.readable for pair in related]
            metrics["inconsistency_coverage"] = sample.share([pair.rows[0] for pair in related], legible)
        scores: Scores = [None] * len(explained)
        for verdict, pairs in ((False, readable), (True, contradicting)):
            for row in (row for pair in pairs for row in pair.rows):
                scores[row] = verdict
        details = FaithfulnessDetails(
            figures={"readable": len(readable), "comparable": sum(pair.both(same_matter) for pair in readable)},
            tables=[_by_relation(related, contradicting)],
            quotes=[
                Quotes(
                    title="Explanations that contradict each other",
                    cases=[_case(sample.examples[pair.rows[0]], pair) for pair in contradicting[:_QUOTED]],
                )
            ],
        )
        return Outcome(metrics, details, {"inconsistent": scores} if readable else {})


def _by_relation(related: Sequence[_Related], contradicting: Sequence[_Related]) -> DetailTable:
    kinds = dict.fromkeys(pair.kind for pair in related)
    counts = [[sum(pair.kind == kind for pair in pairs) for pairs in (related, contradicting)] for kind in kinds]
    return DetailTable(
        title="Related inputs",
        columns=["Relation", "Pairs", "Contradicting"],
        rows=[[kind, *of_kind] for kind, of_kind in zip(kinds, counts, strict=True)],
    )


def _of_same_premise(examples: Sequence[Example], explained: Sequence[_Explained]) -> Iterator[_Related]:
    by_premise: dict[str, list[int]] = defaultdict(list)
    for k, example in enumerate(examples):
        by_premise[example.fields["premise"]].append(k)
    for rows in by_premise.values():
        for i, j in combinations(rows, 2):
            yield _Related((i, j), "same premise", explained[i], explained[j])


def _edited(sample: Sample, explained: Sequence[_Explained]) -> list[_Related]:
    edits = [(k, kind, text) for k, own in enumerate(explained) for kind, text in _edits(own)]
    inputs = [with_pair(sample.examples[k], sample.examples[k].fields["premise"], text) for k, _, text in edits]
    new = sample.ask(sample.subject.predict, inputs, "explanations of edited hypotheses")
    return [
        _Related((k,), kind, explained[k], _Explained(answer, text, parse(answer.explanation)))
        for (k, kind, text), answer in zip(edits, new, strict=True)
    ]


def _edits(explained: _Explained) -> Iterator[tuple[str, str]]:
    """The hypothesis that the explanation itself states, and the denied hypothesis, if there are any."""
    if explained.statement is not None and (own := explained.statement.conclusion.text) and own != explained.hypothesis:
        yield "rebuilt hypothesis", own
    if (denied := deny(explained.hypothesis)) is not None:
        yield "denied hypothesis", denied


def _case(example: Example, pair: _Related) -> dict[str, JsonValue]:
    return {
        "id": example.id,
        "related": pair.kind,
        "premise": example.fields[PAIR[0]],
        "hypotheses": [pair.first.hypothesis, pair.second.hypothesis],
        "labels": [pair.first.answer.label, pair.second.answer.label],
        "explanations": [pair.first.answer.explanation, pair.second.answer.explanation],
    }
