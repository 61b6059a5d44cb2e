"""Answers whose label a proof contradicts, or that no proof bears out."""

from __future__ import annotations

from reasondistill.tasks.task import Task
from reasondistill.teachers.filters.filter_definition import NO_OPINION, Filter, Pool, Verdict
from reasondistill.verification.answer_verdicts import verdict_of
from reasondistill.verification.pair_labels import PairLabels
from reasondistill.verification.pair_prover import PairProver


class Verified(Filter):
    """Answers by what can be proved of their pair of sentences.

    Attributes:
        relations: a YAML file of relations that are laid over the shipped ones.
        require: reject every answer without a proof, too; neutral labels are never proved.
    """

    name = "verified"
    title = "Does a proof bear out its label?"
    meaning = (
        "Rejects answers for another label than the one that is proved of premise and hypothesis, which is rare. The "
        "text is not looked at: an explanation of a proved label can still be bad."
    )
    on = False
    turn = 155

    relations: str | None = None
    require: bool = False

    def prepare(self, task: Task) -> None:
        """See that the task has premise, hypothesis and labels that can be proved, and read the relations.

        Raises:
            DataError: it has not, or there is no such file.
            ConfigError: there are mistakes in the relations.
        """
        PairLabels.of(task)
        PairProver(self.relations)

    def verdicts(self, pool: Pool) -> list[Verdict]:
        """Of each candidate.

        Raises:
            DataError: the task has no premise and hypothesis, or no labels that can be proved.
        """
        labels, prover = PairLabels.of(pool.task), PairProver(self.relations)
        verdicts: list[Verdict] = []
        for candidate in pool.candidates:
            proved = labels.label_of(labels.outcome(prover, candidate.example))
            verdict = verdict_of(proved, candidate.label)
            if verdict == "conflict":
                verdicts.append(Verdict(f"a proof of {proved} contradicts its label", 0.0))
            elif verdict == "verified":
                verdicts.append(Verdict("", 1.0))
            else:
                verdicts.append(Verdict("no proof bears out its label") if self.require else NO_OPINION)
        return verdicts
