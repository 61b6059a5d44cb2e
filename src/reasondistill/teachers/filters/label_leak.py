"""Explanations whose words alone give the label away."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from reasondistill.metrics.style import FOLDS, held_out_probabilities
from reasondistill.metrics.text import is_empty
from reasondistill.teachers.filters.filter_definition import NO_OPINION, Candidate, Filter, Pool, Verdict

FEWEST: Final = 50


class LabelLeak(Filter):
    """Explanations from which a bag of words guesses the label without the inputs.

    Explanations that repeat or paraphrase their label look convincing to measures that reward support (Jiang et al.
    2024, RoRa). The classifier is logistic regression on words and word pairs, fitted on other groups' explanations.

    Attributes:
        max_probability: from which probability of the label on an explanation is rejected.
    """

    name = "leak"
    title = "Does its wording alone give the label away?"
    meaning = (
        "Rejects explanations whose label a bag of words is nearly sure of. People's do that too where a label has its "
        "own way of arguing (not all …): off by default."
    )
    on = False
    turn = 150

    max_probability: Annotated[float, Field(gt=0, le=1)] = 0.95

    @staticmethod
    def _has_text(candidate: Candidate) -> bool:
        return candidate.label is not None and not is_empty(candidate.answer.explanation)

    def left_out(self, pool: Pool) -> str:
        if not pool.task.labels:
            return "the task has no labels that all rows share"
        rows = [candidate for candidate in pool.candidates if self._has_text(candidate)]
        if len(rows) < FEWEST or len({candidate.example.cluster for candidate in rows}) < FOLDS:
            return f"fewer than {FEWEST} explanations, or fewer than {FOLDS} groups"
        if len({candidate.label for candidate in rows}) < 2:
            return "all explanations argue for the same label"
        return ""

    def verdicts(self, pool: Pool) -> list[Verdict]:
        places = [k for k, candidate in enumerate(pool.candidates) if self._has_text(candidate)]
        rows = [pool.candidates[k] for k in places]
        pool.progress(f"leak: guessing labels from {len(rows):,} explanations")
        probabilities = held_out_probabilities(
            [candidate.answer.explanation for candidate in rows],
            [str(candidate.label) for candidate in rows],
            [candidate.example.cluster for candidate in rows],
        )
        verdicts = [NO_OPINION] * len(pool.candidates)
        for place, probability in zip(places, probabilities.tolist(), strict=True):
            leaks = probability >= self.max_probability
            verdicts[place] = Verdict("its words give the label away" if leaks else "", 1 - probability)
        return verdicts
