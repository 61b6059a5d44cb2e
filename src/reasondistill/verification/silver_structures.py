"""Silver structures for training: made from proofs of the label, and read out of people's explanations.

A structure is kept where its relation argues for the row's own label and both of its spans are in the fields. What a
person's explanation states is read by templates of English; whether it is true is not asked. A proof is checked, but
says only what the fragment can say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from reasondistill.contracts.records import Example, Explanation
from reasondistill.errors import TaskError
from reasondistill.languages.english_statements import ALL, NONE, Statement, statements
from reasondistill.tasks.structures import Claim, Structure, own_words
from reasondistill.tasks.task import Task
from reasondistill.verification.pair_labels import PairLabels
from reasondistill.verification.pair_prover import PairProver
from reasondistill.verification.proof_spans import spans_of

PROVER: Final = "prover"
"""The source of explanations that are rendered from a proof."""

_LEADING: Final = frozenset("a an the there is are being be also in on at of".split())
"""Words before a span that an explanation may add to the field's own."""


@dataclass
class SilverCounts:
    """How many rows and explanations got a structure.

    Attributes:
        rows, explained: those that were looked at, and those with a structure in the end.
        proved: rows whose own label a proof bears out and gives a structure of.
        explanations, read: of people and teachers; those that a structure was read out of.
        compared, agreed: structures read beside one of a proof; those of them that hold a step of the proof.
        by_label: label → rows with a structure, of how many.
    """

    rows: int = 0
    explained: int = 0
    proved: int = 0
    explanations: int = 0
    read: int = 0
    compared: int = 0
    agreed: int = 0
    by_label: dict[str, tuple[int, int]] = field(default_factory=dict)


def with_structures(
    examples: Iterable[Example],
    task: Task,
    prover: PairProver,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[list[Example], SilverCounts]:
    """The examples with a structure before each explanation that one can be had of, those first.

    The explanation's own text stays behind it; a proof's is the template's. Explanations for another label stay as
    they are.

    Raises:
        TaskError: the task's explanations have no structure.
        DataError: it has not the fields and labels of a pair.
    """
    if not isinstance(task.structure, Structure):
        raise TaskError(
            f"task {task.name}",
            expected="a task with a structure of relations",
            found="none" if task.structure is None else task.structure.form,
            fix="Name one: --task nli_structured.",
        )
    silver = _Silver(task.structure, StructureFinder(task.structure, PairLabels.of(task), prover))
    rows = []
    for example in examples:
        rows.append(silver.row(example))
        progress(len(rows))
    return rows, silver.counts


class StructureFinder:
    """Finds structures of premise and hypothesis, under the first relation that argues for a row's label.

    Args:
        structure: of the task.
        labels: the task's fields and labels by their roles.
        prover: proves pairs.
    """

    def __init__(self, structure: Structure, labels: PairLabels, prover: PairProver) -> None:
        self._structure = structure
        self._labels = labels
        self._prover = prover

    def proved(self, example: Example) -> list[Claim]:
        """What a proof of the row's own label claims, the most telling first; only steps that replace a word, if any.

        None where another label is proved, or none.
        """
        outcome = self._labels.outcome(self._prover, example)
        if outcome.proof is None or example.label is None or outcome.proof.conclusion != self._role(example.label):
            return []
        pair = example.fields[self._labels.premise], example.fields[self._labels.hypothesis]
        spans = spans_of(outcome.proof, *pair, self._prover.lexicon)
        claims = [self._claim(*of_step, example) for of_step in spans]
        known = [claim for claim in claims if claim is not None]
        return [claim for claim in known if is_telling(claim)] or known[
            ::-1
        ]  # what is done says more than who is there

    def read(self, text: str, example: Example) -> Claim | None:
        """What an explanation claims: a structure that it has already, or what one of its sentences states."""
        if (given := self._structure.parse(text, example.fields)) is not None:
            return given
        if example.label is None:
            return None
        for statement in statements(text):
            spans = statement.condition.rest, statement.conclusion.rest
            if _role_of(statement) != self._role(example.label) or not all(spans):
                continue
            turned = [spans[::-1]] if statement.holds == NONE else []  # neither comes first where both cannot be
            for start, end in (spans, *turned):
                if (claim := self._claim(start, end, example)) is not None:
                    return claim
        return None

    def _claim(self, start: str, end: str, example: Example) -> Claim | None:
        structure, fields = self._structure, example.fields
        first = _located(structure, start, fields[structure.from_field])
        second = _located(structure, end, fields[structure.to_field])
        relation = structure.relations_for(example.label)[0]
        return None if first is None or second is None else Claim(relation, first, second)

    def _role(self, label: str) -> str:
        roles = {self._labels.entailment: "entailment", self._labels.contradiction: "contradiction"}
        return roles.get(label, "neutral")


def is_telling(claim: Claim) -> bool:
    """Whether a claim says more than that both sentences have the same words."""
    return claim.from_span.casefold() != claim.to_span.casefold()


class _Silver:
    """Puts structures before a task's explanations, and counts."""

    def __init__(self, structure: Structure, finder: StructureFinder) -> None:
        self.counts = SilverCounts()
        self._structure = structure
        self._finder = finder

    def row(self, example: Example) -> Example:
        proved = self._finder.proved(example)
        claims = {e.text: self._finder.read(e.text, example) for e in example.references}
        read = {text: claim for text, claim in claims.items() if claim is not None}
        self._count(example, proved, [read[e.text] for e in example.references if e.text in read])
        own = [self._marked(e, read[e.text]) for e in example.references if e.text in read]
        made = [Explanation(text=self._structure.explanation(claim), source=PROVER) for claim in proved[:1]]
        # What only says that words are the same comes after what people said.
        first = [*made, *own] if proved and is_telling(proved[0]) else [*own, *made]
        others = [e for e in example.explanations if e.text not in read]
        return example.model_copy(update={"explanations": (*first, *others)})

    def _marked(self, explanation: Explanation, claim: Claim) -> Explanation:
        if own_words(explanation.text) != explanation.text:  # it had one
            return explanation
        return explanation.model_copy(update={"text": self._structure.explanation(claim, explanation.text)})

    def _count(self, example: Example, proved: list[Claim], read: list[Claim]) -> None:
        counts = self.counts
        counts.rows += 1
        counts.explained += bool(proved or read)
        counts.proved += bool(proved)
        counts.explanations += len(example.references)
        counts.read += len(read)
        counts.compared += len(read) if proved else 0
        counts.agreed += sum(any(covers(claim, step) for step in proved) for claim in read)
        had, of = counts.by_label.get(str(example.label), (0, 0))
        counts.by_label[str(example.label)] = had + bool(proved or read), of + 1


def _located(structure: Structure, span: str, field: str) -> str | None:
    """A span as the field spells it, if need be without words that an explanation adds at its beginning."""
    words = span.strip(" .,“”\"'").split()
    while words:
        if (own := structure.located(" ".join(words), field)) is not None:
            return own
        if words[0].lower() not in _LEADING:
            return None
        words = words[1:]
    return None


def _role_of(statement: Statement) -> str:
    return {ALL: "entailment", NONE: "contradiction"}.get(statement.holds, "neutral")


def covers(claim: Claim, step: Claim) -> bool:
    """Whether both spans of a claim hold those of a proof's step, under a relation that argues for the same."""
    pairs = ((claim.from_span, step.from_span), (claim.to_span, step.to_span))
    return claim.relation == step.relation and all(
        f" {inner.casefold()} " in f" {outer.casefold()} " for outer, inner in pairs
    )


def shares(counts: SilverCounts) -> Mapping[str, tuple[int, int]]:
    """What became of the rows and explanations, each as ``(how many, of how many)``."""
    labels = {f"rows of {label}": share for label, share in sorted(counts.by_label.items())}
    return {
        "rows with a structure": (counts.explained, counts.rows),
        **labels,
        "rows with one of a proof": (counts.proved, counts.rows),
        "explanations read": (counts.read, counts.explanations),
        "of those beside a proof, the same words": (counts.agreed, counts.compared),
    }
