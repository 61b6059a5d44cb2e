"""Contradicting explanations: does a student say of one premise that X is Y, and elsewhere that it cannot be?

Source: Camburu et al. 2020, Make Up Your Mind! Adversarial Generation of Inconsistent Natural Language Explanations.
There a second model is trained to look for inputs that draw a contradiction out. Here related inputs are those with the
same premise in the data, and two edits of each hypothesis: what the explanation itself states, and the denial.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject, ask
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out, sample, share
from reasondistill.evaluation.faithfulness.reconstruction import PAIR, why_no_statements, with_pair
from reasondistill.evaluation.faithfulness.statements import Statement, contradict, parse, same_matter
from reasondistill.metrics.statistics import GroupBootstrap

_QUOTED = 5
_BE = re.compile(r"\b(is|are|was|were)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(is|are|was|were) not\b", re.IGNORECASE)


class InconsistencySettings(BaseModel):
    """At most ``examples`` are tested (`outcome.sample`); with ``edits`` their hypotheses are edited and explained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: Annotated[int, Field(ge=1)] = 500
    edits: bool = True


class _Said(NamedTuple):
    """An explanation of a hypothesis, and what it states."""

    answer: Prediction
    hypothesis: str
    statement: Statement | None


class _Related(NamedTuple):
    """Two explanations of one premise; ``places`` are those of their examples, the first one first."""

    places: tuple[int, ...]
    kind: str
    first: _Said
    second: _Said

    @property
    def readable(self) -> bool:
        return self.first.statement is not None and self.second.statement is not None

    def both(self, compare: Callable[[Statement, Statement], bool]) -> bool:
        a, b = self.first.statement, self.second.statement
        return a is not None and b is not None and compare(a, b)


def contradicting_explanations(
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    settings: InconsistencySettings,
    bootstrap: GroupBootstrap,
    progress: Progress = lambda stage: None,
) -> Outcome:
    """How often explanations of related inputs contradict each other, as far as templates can tell.

    Args:
        subject: the student.
        examples: what it is tested on (n,).
        answers: what it answers them (n,).
        settings: how many are tested, and whether with edits.
        bootstrap: of the examples' groups (n,).
        progress: see `Progress`.
    """
    if (reason := why_no_statements(subject)) is not None:
        return left_out(reason)
    said = {
        k: _Said(answers[k], examples[k].fields["hypothesis"], parse(answers[k].explanation))
        for k in sample(examples, settings.examples)
    }
    related = [*_of_same_premise(examples, said)]
    if settings.edits:
        related += _edited(subject, examples, said, progress)
    readable = [pair for pair in related if pair.readable]
    verdicts = [pair.both(contradict) for pair in readable]
    found = [pair for pair, verdict in zip(readable, verdicts, strict=True) if verdict]
    kinds = list(dict.fromkeys(pair.kind for pair in related))
    details = {
        "settings": settings.model_dump(mode="json"),
        "examples": len(said),
        "pairs": {kind: sum(pair.kind == kind for pair in related) for kind in kinds},
        "readable": len(readable),
        "comparable": sum(pair.both(same_matter) for pair in readable),
        "contradicting": {kind: sum(pair.kind == kind for pair in found) for kind in kinds},
        "quoted": [_quote(examples[pair.places[0]], pair) for pair in found[:_QUOTED]],
    }
    n, metrics = len(examples), {}
    if readable:
        metrics["inconsistency"] = share([pair.places[0] for pair in readable], verdicts, n, bootstrap)
    if related:
        legible = [pair.readable for pair in related]
        metrics["inconsistency_coverage"] = share([pair.places[0] for pair in related], legible, n, bootstrap)
    scores: list[float | bool | None] = [None] * n
    for verdict, pairs in ((False, readable), (True, found)):
        for place in (place for pair in pairs for place in pair.places):
            scores[place] = verdict
    return Outcome(metrics, details, {"inconsistent": scores} if readable else {})


def _of_same_premise(examples: Sequence[Example], said: Mapping[int, _Said]) -> Iterator[_Related]:
    by_premise: dict[str, list[int]] = defaultdict(list)
    for k in said:
        by_premise[examples[k].fields["premise"]].append(k)
    for places in by_premise.values():
        for i, j in combinations(places, 2):
            yield _Related((i, j), "same premise", said[i], said[j])


def _edited(
    subject: Subject, examples: Sequence[Example], said: Mapping[int, _Said], progress: Progress
) -> list[_Related]:
    edits = [(k, kind, text) for k, one in said.items() for kind, text in _edits(one)]
    inputs = [with_pair(examples[k], examples[k].fields["premise"], text) for k, _, text in edits]
    new = ask(subject.predict, inputs, "explanations of edited hypotheses", progress)
    return [
        _Related((k,), kind, said[k], _Said(answer, text, parse(answer.explanation)))
        for (k, kind, text), answer in zip(edits, new, strict=True)
    ]


def _edits(said: _Said) -> Iterator[tuple[str, str]]:
    """A hypothesis out of what the explanation says is asked, and the hypothesis denied; as far as there are such."""
    if said.statement is not None and (own := said.statement.asked.text) and own != said.hypothesis:
        yield "rebuilt hypothesis", own
    if (denied := deny(said.hypothesis)) is not None:
        yield "denied hypothesis", denied


def deny(text: str) -> str | None:
    """``text`` with "not" behind its first form of "be", or without it where one has it; None where there is none."""
    if _DENIED.search(text):
        return _DENIED.sub(r"\1", text, count=1)
    return _BE.sub(r"\1 not", text, count=1) if _BE.search(text) else None


def _quote(example: Example, pair: _Related) -> dict[str, Any]:
    return {
        "id": example.id,
        "related": pair.kind,
        "premise": example.fields[PAIR[0]],
        "hypotheses": [pair.first.hypothesis, pair.second.hypothesis],
        "labels": [pair.first.answer.label, pair.second.answer.label],
        "explanations": [pair.first.answer.explanation, pair.second.answer.explanation],
    }
