"""What explanations are like: beside references, to a judge, by themselves. Functions: `metrics.text`, `.bertscore`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.measure import Measure
from reasondistill.metrics.metric import Metric
from reasondistill.metrics.statistics import FloatArray
from reasondistill.metrics.text import CorpusMetric, readable

_ROWS_AT_ONCE = 2_000  # sacrebleu keeps the n-grams of all references it is given, some 50 kB a row


def corpus_measure(metric: CorpusMetric, rows: Sequence[ScoredRow]) -> Measure | None:
    """A figure of the whole corpus as counts that add up over rows; None if no row could be read."""
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


_references = partial(Metric, family="references", needs=("references",), controlled=True, weighed=True)
_rouge = partial(_references, depends_on=("aggregate", "stemmer", "rouge"))
_wording = partial(Metric, family="wording")

REFERENCE_METRICS = (
    _rouge("rouge1", "ROUGE-1", "F-score of the words shared with a reference"),
    _rouge("rouge2", "ROUGE-2", "F-score of the word pairs shared with a reference"),
    _rouge(
        "rougeL", "ROUGE-L", "F-score of the longest common subsequence of words with a reference",
        headline=True, evidence=3,
    ),
    _references(
        "bleu", "BLEU", "4-gram precision with brevity penalty against all references, over the whole corpus",
        columns=lambda rows, given: corpus_measure(CorpusMetric("bleu"), rows), range=(0.0, 100.0), headline=True,
    ),
    _references(
        "chrf", "chrF", "F2 of character 1- to 6-grams against the nearest reference, over the whole corpus",
        columns=lambda rows, given: corpus_measure(CorpusMetric("chrf"), rows), range=(0.0, 100.0), headline=True,
    ),
    _references(
        "bertscore_f1", "BERTScore F1", "F1 of greedily matched contextual word vectors with a reference",
        depends_on=("aggregate", "bertscore"), headline=True, evidence=2,
    ),
)  # fmt: skip

SUPPORT_METRICS = (
    Metric(
        "support", "Support", "how well an explanation argues for its label, by a learned judge",
        family="support", needs=("a judge",), depends_on=("support", "judge"), headline=True, controlled=True,
        evidence=1, phrase="support for the predicted label", weighed=True,
    ),
)  # fmt: skip

WORDING_METRICS = (
    _wording(
        "distinct_2", "Distinct-2", "distinct word pairs over all word pairs of the corpus",
        not_resampled="it falls as a corpus grows and as rows repeat: neither a resample nor another part is "
        "comparable",
    ),
    _wording(
        "copy_rate", "Copy rate", "share of explanations that restate an input field",
        higher_is_better=False, score="copy", score_title="Copy", depends_on=("copy_threshold",),
    ),
)  # fmt: skip

LENGTH_METRICS = (
    _wording(
        "explanation_length", "Explanation length, words", "mean number of words",
        range=(0.0, math.inf), unit="words", higher_is_better=None, score="length", score_title="Words",
    ),
    _wording(
        "empty_rate", "Empty explanations", "share of explanations of nothing but white space",
        higher_is_better=False, score="empty", score_title="Empty",
    ),
)  # fmt: skip
