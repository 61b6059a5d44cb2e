"""What explanations are like: beside references, to a judge, by themselves. Functions: `metrics.text`, `.bertscore`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.measure import Given, Measure
from reasondistill.metrics.metric import Metric
from reasondistill.metrics.statistics import FloatArray
from reasondistill.metrics.text import CorpusMetric, readable

_ROWS_AT_ONCE = 2_000  # sacrebleu keeps the n-grams of all references it is given, some 50 kB a row


def _bleu(rows: Sequence[ScoredRow], given: Given) -> Measure | None:
    return _corpus("bleu", rows)


def _chrf(rows: Sequence[ScoredRow], given: Given) -> Measure | None:
    return _corpus("chrf", rows)


def _corpus(name: Literal["bleu", "chrf"], rows: Sequence[ScoredRow]) -> Measure | None:
    metric = CorpusMetric(name)
    read = {
        k: references
        for k, row in enumerate(rows)
        if (references := readable(row.explanation or "", row.references or [], metric.reads))
    }
    places = list(read)
    if not places:
        return None
    counts = []
    for start in range(0, len(places), _ROWS_AT_ONCE):
        some = places[start : start + _ROWS_AT_ONCE]
        counts.append(metric.statistics([rows[k].explanation or "" for k in some], [read[k] for k in some]))
    statistics = np.zeros((len(rows), counts[0].shape[1]))
    statistics[places] = np.concatenate(counts)
    present = np.zeros(len(rows), dtype=bool)
    present[places] = True

    def function(sums: FloatArray) -> FloatArray:
        return metric.scores(sums.reshape(-1, sums.shape[-1])).reshape(sums.shape[:-1])

    return Measure("corpus", statistics, present, function)


REFERENCE_METRICS = (
    Metric(
        name="rouge1",
        title="ROUGE-1",
        summary="F-score of the words shared with a reference",
        family="references",
        needs=("references",),
        depends_on=("aggregate", "stemmer", "rouge"),
        controlled=True,
        weighed=True,
    ),
    Metric(
        name="rouge2",
        title="ROUGE-2",
        summary="F-score of the word pairs shared with a reference",
        family="references",
        needs=("references",),
        depends_on=("aggregate", "stemmer", "rouge"),
        controlled=True,
        weighed=True,
    ),
    Metric(
        name="rougeL",
        title="ROUGE-L",
        summary="F-score of the longest common subsequence of words with a reference",
        family="references",
        needs=("references",),
        depends_on=("aggregate", "stemmer", "rouge"),
        headline=True,
        controlled=True,
        evidence=3,
        weighed=True,
    ),
    Metric(
        name="bleu",
        title="BLEU",
        summary="4-gram precision with brevity penalty against all references, over the whole corpus",
        columns=_bleu,
        family="references",
        range=(0.0, 100.0),
        needs=("references",),
        headline=True,
        controlled=True,
        weighed=True,
    ),
    Metric(
        name="chrf",
        title="chrF",
        summary="F2 of character 1- to 6-grams against the nearest reference, over the whole corpus",
        columns=_chrf,
        family="references",
        range=(0.0, 100.0),
        needs=("references",),
        headline=True,
        controlled=True,
        weighed=True,
    ),
    Metric(
        name="bertscore_f1",
        title="BERTScore F1",
        summary="F1 of greedily matched contextual word vectors with a reference",
        family="references",
        needs=("references",),
        depends_on=("aggregate", "bertscore"),
        headline=True,
        controlled=True,
        evidence=2,
        weighed=True,
    ),
)

SUPPORT_METRICS = (
    Metric(
        name="support",
        title="Support",
        summary="how well an explanation argues for its label, by a learned judge",
        family="support",
        needs=("a judge",),
        depends_on=("support", "judge"),
        headline=True,
        controlled=True,
        evidence=1,
        phrase="support for the predicted label",
        weighed=True,
    ),
)

WORDING_METRICS = (
    Metric(
        name="distinct_2",
        title="Distinct-2",
        summary="distinct word pairs over all word pairs of the corpus",
        family="wording",
        not_resampled="it falls as a corpus grows and as rows repeat: neither a resample nor another part is "
        "comparable",
    ),
    Metric(
        name="copy_rate",
        title="Copy rate",
        summary="share of explanations that restate an input field",
        family="wording",
        higher_is_better=False,
        score="copy",
        score_title="Copy",
        depends_on=("copy_threshold",),
    ),
)

LENGTH_METRICS = (
    Metric(
        name="explanation_length",
        title="Explanation length, words",
        summary="mean number of words",
        family="wording",
        range=(0.0, math.inf),
        unit="words",
        higher_is_better=None,
        score="length",
        score_title="Words",
    ),
    Metric(
        name="empty_rate",
        title="Empty explanations",
        summary="share of explanations of nothing but white space",
        family="wording",
        higher_is_better=False,
        score="empty",
        score_title="Empty",
    ),
)
