"""The forms of ``verify.jsonl`` and of ``verification`` in ``results.json``: which answers a proof bears out."""

from __future__ import annotations

from typing import Literal

from reasondistill.contracts.base import Block, Count, MetricValue
from reasondistill.contracts.proofs import CounterModel, Proof
from reasondistill.contracts.records import Id, Text

VERIFIED_ROWS_FILE = "verify.jsonl"

Verdict = Literal["verified", "unknown", "conflict"]


class VerifiedRow(Block):
    """One pair: what can be proved of it, beside a system's answer.

    Attributes:
        label: that the system gives; None where it gives none.
        verdict: ``verified``: the label is proved. ``conflict``: another one is. ``unknown``: none is.
        proved: the label that is proved; None for none.
        explanation: the proof as a sentence; for a pair without one, the counter-model's, if there is one.
        proof: accepted by the checker; None without one.
        counter_model: for a pair without a proof whose sentences were both read whole.
        outside: why the pair is outside the fragment; None where both sentences were read.
    """

    id: Id
    premise: Text
    hypothesis: Text
    gold: Text | None
    label: Text | None
    verdict: Verdict
    proved: Text | None = None
    explanation: Text = ""
    proof: Proof | None = None
    counter_model: CounterModel | None = None
    outside: Text | None = None


class ProvedLabel(Block):
    """What became of one label.

    Attributes:
        proved: share of all rows for which the prover proves it.
        right: of these, the share whose gold label it is.
        recall: share of the rows with this gold label for which it is proved.
        verified: share of the rows to which the system gave this label that are verified.
        verified_right: of these, the share whose gold label it is.
        conflict_right: of the rows where this is proved and the system says otherwise, the share whose gold it is.
    """

    proved: MetricValue
    right: MetricValue | None = None
    recall: MetricValue | None = None
    verified: MetricValue | None = None
    verified_right: MetricValue | None = None
    conflict_right: MetricValue | None = None


class ShownProof(Block):
    """A row to read in a report."""

    id: str
    premise: Text
    hypothesis: Text
    gold: Text | None
    label: Text | None
    proved: Text | None
    verdict: Verdict
    text: Text
    assumptions: tuple[Text, ...] = ()


class Hybrid(Block):
    """Prover and student together, beside the student alone.

    Attributes:
        student: accuracy of the student's own labels, on all rows.
        hybrid: accuracy where a proved label replaces the student's.
        difference: hybrid less student, paired.
        coverage: share of rows that are left when rows in conflict are abstained on.
        without_conflicts: the student's accuracy on those.
        surest: the student's accuracy on as many of its surest rows; None without probabilities.
        surest_difference: ``without_conflicts`` less ``surest``, paired by resampling the same groups.
    """

    student: MetricValue
    hybrid: MetricValue
    difference: MetricValue
    coverage: MetricValue
    without_conflicts: MetricValue | None = None
    surest: MetricValue | None = None
    surest_difference: MetricValue | None = None


class Verification(Block):
    """What was proved of a system's answers.

    Attributes:
        fragment: its version.
        lexicon_sha256: of what the proofs rest on.
        read: share of pairs whose sentences were both read.
        verified, unknown, conflict: shares of all rows.
        verified_right: of the verified rows, the share whose gold label it is.
        conflict_right: of the rows in conflict, the share in which the proved label is the gold one.
        labels: by label that can be proved.
        assumptions: name → proofs that use it.
        outside: reason → pairs.
        hybrid: None without gold labels.
        shown: a few of each verdict.
    """

    fragment: str
    lexicon_sha256: str
    read: MetricValue
    verified: MetricValue
    unknown: MetricValue
    conflict: MetricValue
    verified_right: MetricValue | None = None
    conflict_right: MetricValue | None = None
    labels: dict[str, ProvedLabel] = {}
    assumptions: dict[str, Count] = {}
    outside: dict[str, Count] = {}
    hybrid: Hybrid | None = None
    shown: list[ShownProof] = []
