"""A student's answers beside proofs: explanations rendered from a proof of the answer, conflicts, abstentions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.verification import Verdict
from reasondistill.tasks.structures import Structure
from reasondistill.verification.pair_labels import PairLabels
from reasondistill.verification.pair_prover import PairOutcome, PairProver
from reasondistill.verification.silver_structures import StructureFinder, is_telling

OnConflict = Literal["keep", "abstain", "proved"]


@dataclass(frozen=True)
class ProvedAnswers:
    """Gives each answer its verdict.

    Attributes:
        on_conflict: what becomes of an answer where another label is proved: it is only marked, abstained from, or
            replaced by that label.
        require_verified: abstain from every answer that is not verified; neutral ones never are.
        structure: of the task's explanations, where they have one.
    """

    prover: PairProver
    labels: PairLabels
    on_conflict: OnConflict = "keep"
    require_verified: bool = False
    structure: Structure | None = None

    def __call__(self, example: Example, prediction: Prediction) -> Prediction:
        """The answer with ``verdict``, ``proved``, ``proof`` and, where it is verified, the proof's explanation.

        The student's own text is then ``student_explanation``, its structure ``student_structure``, a label that a
        proved one replaces ``student_label``; probabilities stay the student's. A structured explanation stays where no
        step of the proof makes one. ``abstained`` is there where an option asks for it.
        """
        outcome = self.labels.outcome(self.prover, example)
        proved = self.labels.label_of(outcome)
        verdict = verdict_of(proved, prediction.label)
        own_label = {"label": prediction.label}
        if verdict == "conflict" and self.on_conflict == "proved":
            own_label, verdict = {"label": proved, "student_label": prediction.label}, "verified"
            prediction = prediction.model_copy(update={"label": proved})
        row = prediction.model_dump(exclude_none=True) | own_label | {"verdict": verdict}
        if proved is not None and outcome.proof is not None:
            row |= {"proved": proved, "proof": outcome.proof.model_dump(mode="json")}
        if verdict == "verified" and (rendered := self._rendered(example, prediction, outcome)):
            row |= {**rendered, "student_explanation": prediction.explanation}
            row.pop("confidence_phrase", None)
            if prediction.structure is not None:
                row["student_structure"] = prediction.structure
        if self.require_verified or self.on_conflict == "abstain":
            refused = verdict == "conflict" or (self.require_verified and verdict != "verified")
            row["abstained"] = refused or bool(row.get("abstained"))
        return Prediction.model_validate(row)

    def _rendered(self, example: Example, prediction: Prediction, outcome: PairOutcome) -> dict[str, object]:
        """The proof as an explanation, of the task's structure where it has one; empty where no step makes such."""
        if self.structure is None:
            return {"explanation": outcome.explanation}
        finder = StructureFinder(self.structure, self.labels, self.prover)
        claims = finder.proved(example.model_copy(update={"label": prediction.label}))
        telling = next((claim for claim in claims if is_telling(claim)), None)
        return {} if telling is None else {"explanation": self.structure.render(telling), "structure": telling.row}

    def settings(self) -> dict[str, object]:
        """What the answers depend on, for the record of the predictions."""
        return {
            "fragment": self.prover.fragment,
            "lexicon_sha256": self.prover.lexicon.sha256,
            "on_conflict": self.on_conflict,
            "require_verified": self.require_verified,
            **self.labels.settings(),
        }


def verdict_of(proved: str | None, label: str | None) -> Verdict:
    """What a proof of a label, or none, says of an answer."""
    if proved is None or label is None:
        return "unknown"
    return "verified" if proved == label else "conflict"
