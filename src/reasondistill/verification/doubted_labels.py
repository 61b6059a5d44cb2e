"""Rows whose label is not the one that is proved, the worst first."""

from __future__ import annotations

from collections.abc import Sequence

from reasondistill.contracts.audit import DoubtedLabel, LabelProofs
from reasondistill.contracts.records import Example
from reasondistill.tasks.task import Task
from reasondistill.verification.pair_labels import PairLabels
from reasondistill.verification.pair_prover import PairProver


def doubted_labels(examples: Sequence[Example], task: Task) -> LabelProofs:
    """What proofs say of the labels of pairs.

    The worst are those whose label is the other one that can be proved, "premise and hypothesis contradict each other
    under these assumptions; the label says entailment"; among equals, those with fewer assumptions come first.

    Raises:
        DataError: the task has no premise and hypothesis, or no such labels.
    """
    labels, prover = PairLabels.of(task), PairProver()
    doubted: list[DoubtedLabel] = []
    proved = rows = 0
    for example in examples:
        if example.label is None:
            continue
        rows += 1
        outcome = labels.outcome(prover, example)
        label = labels.label_of(outcome)
        if label is None or outcome.proof is None:
            continue
        proved += 1
        if label != example.label:
            doubted.append(
                DoubtedLabel(
                    id=example.id,
                    label=example.label,
                    proved=label,
                    explanation=outcome.explanation,
                    assumptions=outcome.proof.assumptions,
                )
            )
    doubted.sort(key=lambda doubt: (doubt.label not in labels.provable(), len(doubt.assumptions), doubt.id))
    return LabelProofs(rows=rows, proved=proved, agreeing=proved - len(doubted), doubted=doubted)
