"""Metrics of written answers: each beside what copies a field, takes its longest sentence, or says the commonest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.records import Example
from reasondistill.evaluation.abstention import score_selective
from reasondistill.evaluation.labels import add_calibration_error
from reasondistill.evaluation.pairing import Row, right_answers
from reasondistill.evaluation.score_table import ScoreTable
from reasondistill.evaluation.scored import Scored
from reasondistill.languages.unknown_tokens import TOO_MANY
from reasondistill.metrics.answer_overlap import (
    TOLERANCE,
    answer_rouge,
    exact_match,
    longest_sentence,
    numeric_match,
    token_f1,
)
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.metrics.text import Rouge
from reasondistill.tasks.task import Task

Scores = dict[str, bool | float | None]
"""A row's score by metric."""


def score_answers(
    rows: Sequence[Row],
    task: Task,
    settings: EvaluationSettings,
    bootstrap: GroupBootstrap,
    train_examples: Iterable[Example] | None = None,
) -> tuple[Scored, Sequence[Row]]:
    """Score the written answers of rows that have accepted ones; ``rows`` of the result has the scores of each.

    Returns:
        The figures, and the rows with a verdict where answers are queries.
    """
    scored = Scored(rows=ScoreTable(len(rows)))
    if not task.writes_answers:
        return scored, rows
    if missing := _missing(rows):
        scored.settings["label"] = {"left_out": missing}
        return scored, rows
    scorer = _Scorer(settings, of_queries=task.answer == "query")
    for scores, row in zip(scored.rows, rows, strict=True):
        scores.update(scorer.scores(row.prediction.label or "", row.example))
    _leave_out_unread(scored, scorer, rows)
    for name in scored.rows[0]:
        values = [None if value is None else float(value) for value in (row[name] for row in scored.rows)]
        if any(value is not None for value in values):
            scored.metrics[name] = mean(values, bootstrap)
    known = [row.example.label for row in rows] if train_examples is None else [e.label for e in train_examples]
    commonest = next((answer for answer, _ in Counter(filter(None, known)).most_common(1)), None)
    _score_baselines(scored, scorer, rows, task, commonest)
    if task.answer == "query":
        from reasondistill.evaluation.query_answers import judged_queries, right_by_one_query

        rows = judged_queries(rows, settings.database, scored, bootstrap)
        if commonest is not None:
            scored.baselines["commonest_answer"] |= right_by_one_query(commonest, rows, settings.database)
    _score_confidence(scored, rows, task, bootstrap)
    score_selective(scored, rows, task, bootstrap)
    scored.settings["answers"] = {
        "normalised": "SQuAD 1.1: case, punctuation and a, an, the do not count",
        "tolerance": TOLERANCE,
        "rouge": f"rouge-score {version('rouge-score')}, F, {'stemmed' if settings.stemmer else 'not stemmed'}",
        "aggregate": settings.aggregate,
    }
    return scored, rows


def _leave_out_unread(scored: Scored, scorer: _Scorer, rows: Sequence[Row]) -> None:
    """ROUGE is left out where it cannot read too many of the accepted answers, however many of the system's it can."""
    known = [row.example.answers for row in rows if row.example.answers]
    unread = sum(not any(map(scorer.reads, answers)) for answers in known)
    names = [name for name in scored.rows[0] if name.startswith("answer_rouge")]
    if unread <= TOO_MANY * len(known) or not names:
        return
    for row in scored.rows:
        row.update(dict.fromkeys(names))
    why = (
        f"{unread:,} of {len(known):,} rows were not read: rouge-score keeps a-z and 0-9 only. Others read any script."
    )
    scored.settings["unread_answers"] = dict.fromkeys(names, why)


def _missing(rows: Sequence[Row]) -> str | None:
    """Why answers cannot be scored; None where they can. A system that writes nothing at all is wrong, not left out."""
    if all(row.example.label is None for row in rows):
        return "no answer is known for any row"
    only_explains = any(row.prediction.explanation for row in rows) and not any(row.prediction.label for row in rows)
    return "no row is answered" if only_explains else None


class _Scorer:
    def __init__(self, settings: EvaluationSettings, *, of_queries: bool) -> None:
        self._of_queries = of_queries
        self._rouge = Rouge(stemmer=settings.stemmer)
        self._aggregate = settings.aggregate

    def reads(self, text: str) -> bool:
        """Whether ROUGE can read a text."""
        return self._rouge.reads(text)

    def scores(self, answer: str, example: Example) -> Scores:
        """Of one answer; all None where no answer is known."""
        accepted = example.answers
        if self._of_queries:  # the words of two queries say little; their trees and results say it
            return {"answer_f1": token_f1(answer, accepted) if accepted else None}
        overlaps = answer_rouge(self._rouge, answer, accepted, self._aggregate)
        if not accepted:
            return dict.fromkeys(["exact_match", "answer_f1", "numeric_match", *overlaps])
        return {
            "exact_match": exact_match(answer, accepted),
            "answer_f1": token_f1(answer, accepted),
            "numeric_match": numeric_match(answer, accepted),
            **overlaps,
        }


def _score_baselines(scored: Scored, scorer: _Scorer, rows: Sequence[Row], task: Task, commonest: str | None) -> None:
    """What needs no student: a copied field, the longest sentence of the input, the commonest answer."""
    answerers: dict[str, Callable[[Example], str]] = {
        f"copied_{name}": (lambda example, name=name: example.fields[name])  # type: ignore[misc]
        for name in task.fields
    }
    answerers["longest_sentence"] = lambda example: longest_sentence(
        max((example.fields[name] for name in task.fields), key=len)
    )
    if commonest is not None:
        answerers["commonest_answer"] = lambda _: commonest
    for name, answer in answerers.items():
        figures = [scorer.scores(answer(row.example), row.example) for row in rows]
        means = {metric: _mean([row[metric] for row in figures]) for metric in scored.metrics if metric in figures[0]}
        scored.baselines[name] = {metric: value for metric, value in means.items() if value is not None}


def _mean(values: Sequence[bool | float | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _score_confidence(scored: Scored, rows: Sequence[Row], task: Task, bootstrap: GroupBootstrap) -> None:
    """Whether the probability of the answer's sequence says how often such answers are right."""
    # As of a label that is right or wrong: its only entry is the answer's.
    given = [{"given": p} if (p := row.prediction.probability) is not None else None for row in rows]
    verdicts = right_answers(rows, task)
    gold = [None if right is None else "given" if right else "" for right in verdicts]
    add_calibration_error(scored, given, gold, bootstrap)
