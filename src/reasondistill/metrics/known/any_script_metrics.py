"""Overlap in scripts that the English metrics cannot read. Functions: `metrics.any_script`.

Evaluation gives them where it left out the English ones, and never beside them.
"""

from __future__ import annotations

from functools import partial

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.any_script import rouge1_any, rougeL_any
from reasondistill.metrics.metric import Metric


def _of_explanation(row: ScoredRow) -> float | None:
    return rougeL_any(row.explanation or "", row.references) if row.references else None


def _words_of_explanation(row: ScoredRow) -> float | None:
    return rouge1_any(row.explanation or "", row.references) if row.references else None


def _of_answer(row: ScoredRow) -> float | None:
    return None if row.gold is None else rougeL_any(row.label or "", [row.gold, *(row.accepted or ())])


def _words_of_answer(row: ScoredRow) -> float | None:
    return None if row.gold is None else rouge1_any(row.label or "", [row.gold, *(row.accepted or ())])


_references = partial(Metric, family="references", needs=("references",), controlled=True, headline=True)
_answers = partial(Metric, family="answers", about="labels", needs=("gold labels",))

EXPLANATIONS_IN_ANY_SCRIPT = (
    _references(
        "rouge1_intl", "ROUGE-1, any script", "F-score of the words, in unspaced scripts characters, shared with the "
        "best reference", row_score=_words_of_explanation,
    ),
    _references(
        "rougeL_intl", "ROUGE-L, any script", "the same of their longest common subsequence", row_score=_of_explanation,
    ),
)  # fmt: skip

ANSWERS_IN_ANY_SCRIPT = (
    _answers(
        "answer_f1_intl", "Answer F1, any script", "F-score of the words, in unspaced scripts characters, shared with "
        "an accepted answer", row_score=_words_of_answer,
    ),
    _answers(
        "answer_rougeL_intl", "Answer ROUGE-L, any script", "the same of their longest common subsequence",
        row_score=_of_answer,
    ),
)  # fmt: skip
