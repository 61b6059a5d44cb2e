"""Which of a task's fields are premise and hypothesis, and which of its labels a proof can bear out."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from reasondistill.contracts.records import Example
from reasondistill.errors import DataError
from reasondistill.tasks.task import Task
from reasondistill.verification.pair_prover import PairOutcome, PairProver


@dataclass(frozen=True)
class PairLabels:
    """Fields and labels by their roles; an empty label is not proved. Captions are never proved neutral, scenes are."""

    premise: str = "premise"
    hypothesis: str = "hypothesis"
    entailment: str = "entailment"
    contradiction: str = "contradiction"
    neutral: str = ""

    @classmethod
    def of(cls, task: Task) -> PairLabels:
        """Those of the roles' own names.

        Raises:
            DataError: the task has other fields or labels.
        """
        return cls().checked(task)

    def checked(self, task: Task) -> PairLabels:
        """These, if the task has them.

        Raises:
            DataError: it has other fields or labels.
        """
        if missing := [name for name in (self.premise, self.hypothesis) if name not in task.fields]:
            raise DataError(
                f"task {task.name}",
                expected=f"the fields {self.premise} and {self.hypothesis}",
                found=f"{', '.join(task.fields)}, without {missing[0]}",
                fix="Say which fields are premise and hypothesis: --pair premise=FIELD,hypothesis=FIELD; "
                'in Python pair={"premise": FIELD, "hypothesis": FIELD}.',
            )
        if missing := [name for name in self.provable() if name not in (task.labels or ())]:
            raise DataError(
                f"task {task.name}",
                expected=f"the label {missing[0]}",
                found=", ".join(task.labels or ()) or "no labels that all rows share",
                fix="Say which labels can be proved: --proves entailment=LABEL,contradiction=LABEL.",
            )
        return self

    def provable(self) -> list[str]:
        """The labels that can be proved."""
        return [label for label in (self.entailment, self.contradiction, self.neutral) if label]

    def outcome(self, prover: PairProver, example: Example) -> PairOutcome:
        """What can be proved of an example's pair."""
        return prover.outcome(example.fields[self.premise], example.fields[self.hypothesis])

    def label_of(self, outcome: PairOutcome) -> str | None:
        """The label that is proved, if one is."""
        if outcome.proof is None:
            return None
        by_conclusion = {
            "entailment": self.entailment,
            "contradiction": self.contradiction,
            "neutral": self.neutral,
        }
        return by_conclusion[outcome.proof.conclusion] or None

    def settings(self) -> dict[str, str]:
        """For results."""
        return asdict(self)
