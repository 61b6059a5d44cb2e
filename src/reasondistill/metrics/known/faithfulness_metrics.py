"""What the tests of faithfulness give; each is computed by its test in `evaluation.faithfulness`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.measure import Given, Measure
from reasondistill.metrics.metric import NO_ROW_SCORE, Metric
from reasondistill.metrics.simulation import las, las_statistics


def _las(rows: Sequence[ScoredRow], given: Given) -> Measure | None:
    keys = ("simulatability", "simulated_from_explanation")
    gain, leaks = ([row.score(key) for row in rows] for key in keys)
    present = np.array([g is not None and x is not None for g, x in zip(gain, leaks, strict=True)])
    if not present.any():
        return None
    statistics = las_statistics(np.array([float(g or 0) for g in gain]), np.array([bool(x) for x in leaks]))
    # A resample may leave a bin empty, and has no LAS then: it counts as 0, so that tests and intervals stay defined.
    return Measure("corpus", statistics * present[:, None], present, lambda sums: np.nan_to_num(las(sums)))


_tested = partial(Metric, family="faithfulness", needs=("the student",))
_judged = partial(Metric, family="faithfulness", needs=("the student", "a judge"))

FAITHFULNESS_METRICS = (
    _judged(
        name="faithfulness",
        title="Faithfulness (argues for the given label)",
        summary="share of explanations that the judge takes for arguments for the predicted label",
        headline=True,
    ),
    _tested(
        name="simulatability",
        title="Simulatability",
        summary="accuracy of a simulator of the student with input and explanation, less that with the input alone",
        range=(-1.0, 1.0),
    ),
    _tested(
        name="las",
        title="LAS",
        summary="leakage-adjusted simulatability: the same, with leaking and other explanations weighing half each",
        range=(-1.0, 1.0),
        columns=_las,
    ),
    _tested(
        name="label_sensitivity",
        title="Label sensitivity",
        summary="1 − ROUGE-L between explanations of an example for two labels",
        higher_is_better=None,
    ),
    _judged(
        name="conditioned_faithfulness",
        title="Argues for a forced label",
        summary="share of explanations for a forced label that argue for it",
        higher_is_better=None,
    ),
    _tested(
        name="robustness_agreement",
        title="Robustness agreement",
        summary="rank correlation of what label and explanation lose under noise",
        range=(-1.0, 1.0),
        not_resampled="it ranks all rows, and is no function of sums over them: compare its intervals",
    ),
    _tested(
        name="label_stability",
        title="Labels kept under noise",
        summary="share of labels that stay when words are replaced",
        higher_is_better=None,
    ),
    _tested(
        name="explanation_stability",
        title="Explanations kept under noise",
        summary="ROUGE-L of the explanation with words replaced to the one without",
        higher_is_better=None,
    ),
    _tested(
        name="importance_agreement",
        title="Importance agreement",
        summary="rank correlation, over words left out, of what the label and what the explanation loses",
        range=(-1.0, 1.0),
    ),
    _tested(
        name="cct",
        title="CCT",
        summary="correlation of how far an inserted word moves the label and whether the explanation mentions it",
        range=(-1.0, 1.0),
        not_resampled=NO_ROW_SCORE,
    ),
    _tested(
        name="phi_cct",
        title="φ-CCT",
        summary="the same with “the label flipped” for how far it moved",
        range=(-1.0, 1.0),
        not_resampled=NO_ROW_SCORE,
    ),
    _tested(
        name="ct_unfaithfulness",
        title="CT, unfaithful",
        summary="of the inserted words that flip the label, the share that is not mentioned",
        higher_is_better=False,
        not_resampled=NO_ROW_SCORE,
    ),
    _tested(
        name="insertion_mention_rate",
        title="Inserted words mentioned",
        summary="share of the inserted words that are mentioned",
        higher_is_better=None,
        not_resampled=NO_ROW_SCORE,
    ),
    _tested(
        name="insertion_mention_rate_unmoved",
        title="Inserted words mentioned that moved nothing",
        summary="the same of the words that hardly move the label",
        higher_is_better=None,
        not_resampled=NO_ROW_SCORE,
    ),
    _tested(
        name="reconstruction_consistency",
        title="Rebuilt inputs keep the label",
        summary="share of inputs rebuilt from explanations that get the label of the original",
        score="reconstruction_kept",
    ),
    _tested(
        name="reconstruction_coverage",
        title="Explanations that can be rebuilt",
        summary="share of explanations that an input could be rebuilt from",
        higher_is_better=None,
        not_resampled=NO_ROW_SCORE,
    ),
    _tested(
        name="inconsistency",
        title="Contradicting explanations",
        summary="share of related pairs, readable by templates, whose explanations contradict each other",
        higher_is_better=False,
        not_resampled=NO_ROW_SCORE,
    ),
    _tested(
        name="inconsistency_coverage",
        title="Pairs that can be read",
        summary="share of related pairs both of whose explanations fit a template",
        higher_is_better=None,
        not_resampled=NO_ROW_SCORE,
    ),
)
