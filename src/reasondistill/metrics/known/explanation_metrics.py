"""What explanations are like: beside references, to a judge, by themselves. Functions: `metrics.text`, `.bertscore`."""

from __future__ import annotations

import math

from reasondistill.metrics.metric import Metric

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
