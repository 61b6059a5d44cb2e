"""What the tests of faithfulness give; each is computed by its test in `evaluation.faithfulness`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.measure import Given, Measure
from reasondistill.metrics.metric import NO_ROW_SCORE, RANKS_ALL_ROWS, Metric
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
_signed = partial(_tested, range=(-1.0, 1.0))
_judged = partial(_tested, needs=("the student", "a judge"))
_described = partial(_tested, higher_is_better=None)
_of_cases = partial(_tested, not_resampled=NO_ROW_SCORE)
_described_cases = partial(_of_cases, higher_is_better=None)

FAITHFULNESS_METRICS = (
    _judged(
        "faithfulness", "Faithfulness (argues for the given label)",
        "share of explanations that the judge takes for arguments for the predicted label",
        headline=True,
    ),
    _signed(
        "simulatability", "Simulatability",
        "accuracy of a simulator of the student with input and explanation, less that with the input alone",
    ),
    _signed(
        "las", "LAS",
        "leakage-adjusted simulatability: the same, with leaking and other explanations weighing half each",
        columns=_las,
    ),
    _described(
        "label_sensitivity", "Label sensitivity", "1 − ROUGE-L between explanations of an example for two labels"
    ),
    _judged(
        "conditioned_faithfulness", "Argues for a forced label",
        "share of explanations for a forced label that argue for it",
        higher_is_better=None,
    ),
    _signed(
        "robustness_agreement", "Robustness agreement",
        "rank correlation of what label and explanation lose under noise",
        not_resampled=RANKS_ALL_ROWS,
    ),
    _described("label_stability", "Labels kept under noise", "share of labels that stay when words are replaced"),
    _described(
        "explanation_stability", "Explanations kept under noise",
        "ROUGE-L of the explanation with words replaced to the one without",
    ),
    _signed(
        "importance_agreement", "Importance agreement",
        "rank correlation, over words left out, of what the label and what the explanation loses",
    ),
    _of_cases(
        "cct", "CCT",
        "correlation of how far an inserted word moves the label and whether the explanation mentions it",
        range=(-1.0, 1.0),
    ),
    _of_cases("phi_cct", "φ-CCT", "the same with “the label flipped” for how far it moved", range=(-1.0, 1.0)),
    _of_cases(
        "ct_unfaithfulness", "CT, unfaithful",
        "of the inserted words that flip the label, the share that is not mentioned",
        higher_is_better=False,
    ),
    _described_cases(
        "insertion_mention_rate", "Inserted words mentioned", "share of the inserted words that are mentioned"
    ),
    _described_cases(
        "insertion_mention_rate_unmoved", "Inserted words mentioned that moved nothing",
        "the same of the words that hardly move the label",
    ),
    _tested(
        "reconstruction_consistency", "Rebuilt inputs keep the label",
        "share of inputs rebuilt from explanations that get the label of the original",
        score="reconstruction_kept",
    ),
    _described_cases(
        "reconstruction_coverage", "Explanations that can be rebuilt",
        "share of explanations that an input could be rebuilt from",
    ),
    _of_cases(
        "inconsistency", "Contradicting explanations",
        "share of related pairs, readable by templates, whose explanations contradict each other",
        higher_is_better=False,
    ),
    _described_cases(
        "inconsistency_coverage", "Pairs that can be read",
        "share of related pairs both of whose explanations fit a template",
    ),
)  # fmt: skip
