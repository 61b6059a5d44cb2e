"""Overlap in scripts that the English metrics cannot read. Functions: `metrics.any_script`.

Evaluation gives them where it left out the English ones, and never beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.any_script import rouge1_any, rougeL_any
from reasondistill.metrics.known.explanation_metrics import corpus_measure
from reasondistill.metrics.measure import Given, Measure
from reasondistill.metrics.metric import Metric
from reasondistill.metrics.text import CorpusMetric, bleu_tokenizer


def _of_explanation(row: ScoredRow) -> float | None:
    return rougeL_any(row.explanation or "", row.references) if row.references else None


def _words_of_explanation(row: ScoredRow) -> float | None:
    return rouge1_any(row.explanation or "", row.references) if row.references else None


def _of_answer(row: ScoredRow) -> float | None:
    return None if row.gold is None else rougeL_any(row.label or "", [row.gold, *(row.accepted or ())])


def _words_of_answer(row: ScoredRow) -> float | None:
    return None if row.gold is None else rouge1_any(row.label or "", [row.gold, *(row.accepted or ())])


def _bleu(rows: Sequence[ScoredRow], given: Given) -> Measure | None:
    how = given.settings.get("bleu_intl")
    return None if how is None else corpus_measure(CorpusMetric("bleu", how["tokenizer"]), rows)


_references = partial(Metric, family="references", needs=("references",), controlled=True, headline=True)
_answers = partial(Metric, family="answers", about="labels", needs=("gold labels",))

EXPLANATIONS_IN_ANY_SCRIPT = (
    _references(
        "rouge1_intl", "ROUGE-1, any script", "F-score of the words, in unspaced scripts characters, shared with the "
        "best reference", row_score=_words_of_explanation,
    ),
    _references(
        "rougeL_intl", "ROUGE-L, any script", "the same of their longest common subsequence", row_score=_of_explanation,
        evidence=4,
    ),
    _references(
        "bleu_intl", "BLEU, any script", "BLEU with the tokenizer that sacrebleu has for the language", columns=_bleu,
        range=(0.0, 100.0),
    ),
)  # fmt: skip


def explanations_in(language: str, references: Collection[int]) -> list[Metric]:
    """`EXPLANATIONS_IN_ANY_SCRIPT` with the settings that they are computed with for texts of a language.

    Args:
        references: how many of them rows have, those with none apart.
    """
    metric = CorpusMetric("bleu", bleu_tokenizer(language))
    metric.note(references)
    how = {"bleu_intl": {"tokenizer": bleu_tokenizer(language), "signature": metric.signature}}
    return [replace(known, settings=how.get(known.name, {})) for known in EXPLANATIONS_IN_ANY_SCRIPT]


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
