"""Explanations that name the label."""

from __future__ import annotations

from reasondistill.languages.word_splitting import tokens
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool, Verdict


class NamesLabel(Filter):
    """Explanations in which a label stands by its name."""

    name = "names_label"
    title = "Does it argue without naming the label?"
    meaning = (
        'Rejects explanations that name one of the labels, as "the answer is neutral". Off by default: labels such '
        "as positive or billing are words that an explanation may need."
    )
    on = False
    turn = 140

    def left_out(self, pool: Pool) -> str:
        return "the task has no labels" if pool.task.labels == () else ""

    def verdict(self, candidate: Candidate, pool: Pool) -> Verdict:
        text = f" {' '.join(tokens(candidate.answer.explanation))} "
        names = [" ".join(tokens(label)) for label in pool.task.choices_for(candidate.example)]
        named = any(name and f" {name} " in text for name in names)
        return Verdict("names a label" if named else "", float(not named))
