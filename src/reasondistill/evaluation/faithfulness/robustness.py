"""Robustness equivalence: does noise in the input move the label and the explanation together?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.stats import rankdata

from reasondistill.contracts.base import MetricValue
from reasondistill.contracts.faithfulness import DetailTable, FaithfulnessDetails
from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.common import explanation_scores, log_probability, partners
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Sample, left_out
from reasondistill.evaluation.faithfulness.editing import noised, places, word_at
from reasondistill.evaluation.faithfulness.needs import EXPLANATIONS, PROBABILITIES
from reasondistill.metrics.statistics import FloatArray, correlation, mean, pair_sums
from reasondistill.metrics.text import Rouge, likeness

_DRAWN = ("label kept", "explanation kept", "accuracy")


class Robustness(FaithfulnessTest):
    """Replace growing shares of the input's words by random ones, and see what label and explanation lose.

    After the robustness equivalence of Wiegreffe, Marasović & Smith 2021, whose noise is in the embeddings; words can
    be replaced whatever runs the student, which answers each example once for each level.

    Attributes:
        levels: the shares of words that are replaced.
        seed: of the noise.
    """

    name = "robustness"
    title = "Do label and explanation break together?"
    meaning = (
        "Proves: inputs whose label suffers most from noise are those whose explanation does (1: always; 0: "
        "unrelated). Necessary for a common cause. Does not prove one: both can hang on how hard an input is to read."
    )
    metrics = ("robustness_agreement", "label_stability", "explanation_stability")
    controls = ("explanations of other examples",)
    needs = (EXPLANATIONS, PROBABILITIES)
    turn = 40

    examples: Annotated[int, Field(ge=1)] = 200
    levels: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(default=(0.1, 0.2, 0.35, 0.5), min_length=1)
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.levels)):
            raise ValueError("the levels of noise have to increase")
        return self

    def measure(self, sample: Sample) -> Outcome:
        task, examples, bootstrap = sample.subject.task, sample.examples, sample.bootstrap
        pool = [word_at(e, place) for e in examples for place in places(e, task)]
        if not pool:
            return left_out("no example has a word to replace")
        edited = [noisy for e in examples for noisy in noised(e, task, self.levels, pool, self.seed)]
        after = sample.ask(sample.subject.predict, edited, "answers to inputs with noise")
        kept, alike, *drops = self._losses(sample, edited, after)
        agreement = _agreement(*drops)
        stability, explanation_stability = kept.mean(axis=1).tolist(), alike.mean(axis=1).tolist()
        together = MetricValue(
            value=float(correlation(agreement.sum(axis=0))),
            ci95=bootstrap.interval(agreement, correlation),
            n=len(examples),
        )
        return Outcome(
            {
                "robustness_agreement": together,
                "label_stability": mean(stability, bootstrap),
                "explanation_stability": mean(explanation_stability, bootstrap),
            },
            FaithfulnessDetails(
                controls={"explanations of other examples": {"robustness_agreement": _control(examples, *drops)}},
                tables=[self._curves(sample, after, (kept, alike, *drops))],
            ),
            {"label_stability": stability, "explanation_stability": explanation_stability},
        )

    def _losses(self, sample: Sample, edited: Sequence[Example], after: Sequence[Prediction]) -> list[FloatArray]:
        """Label kept, likeness of explanations, drop of the label, drop of the explanation: (n, levels) each."""
        labels = [label for label in sample.labels for _ in self.levels]
        texts = [text for text in sample.explanations for _ in self.levels]
        subject, what = sample.subject, "likelihood of explanations under noise"
        plain = explanation_scores(subject, sample.examples, sample.labels, sample.explanations, what, sample.progress)
        noisy = explanation_scores(subject, edited, labels, texts, what, sample.progress)
        before = [log_probability(p.probabilities, p.label) for p in sample.answers]
        then = [log_probability(p.probabilities, label) for p, label in zip(after, labels, strict=True)]
        rouge = Rouge()

        def shaped(values: Sequence[float]) -> FloatArray:
            return np.array(values, dtype=np.float64).reshape(len(sample.examples), len(self.levels))

        return [
            shaped([float(p.label == label) for p, label in zip(after, labels, strict=True)]),
            shaped([likeness(rouge, p.explanation, text) for p, text in zip(after, texts, strict=True)]),
            np.array(before)[:, None] - shaped(then),
            np.array(plain)[:, None] - shaped(noisy),
        ]

    def _curves(self, sample: Sample, after: Sequence[Prediction], losses: Sequence[FloatArray]) -> DetailTable:
        """A row for each level, the one without noise first.

        Args:
            after: the answers to the first example at each level, to the second …
            losses: see `_losses`.
        """
        n, times = len(sample.examples), len(self.levels)
        untouched = (1.0, 1.0, 0.0, 0.0)
        judged = any(e.label is not None for e in sample.examples)
        rows = []
        for k, share in enumerate((0.0, *self.levels)):
            given = sample.answers if k == 0 else after[k - 1 :: times]
            right = [
                None if e.label is None else float(e.label == p.label)
                for e, p in zip(sample.examples, given, strict=True)
            ]
            of_level = [[u] * n if k == 0 else c[:, k - 1].tolist() for u, c in zip(untouched, losses, strict=True)]
            of_level[2:2] = [right] if judged else []
            rows.append([share, *(mean(values, sample.bootstrap) for values in of_level)])
        drawn = list(_DRAWN if judged else _DRAWN[:2])
        return DetailTable(
            title="Under noise",
            columns=["share of words replaced", *drawn, "label drop", "explanation drop"],
            rows=rows,
            note="Share of labels kept, likeness (ROUGE-L) of explanations to those without noise, and label accuracy "
            "where there are gold labels, by the share of the input's words that was replaced; bands are 95% "
            "intervals. Drops are mean losses of log-probability, in nats.",
            drawn=drawn,
        )


def _agreement(label_drop: FloatArray, explanation_drop: FloatArray) -> FloatArray:
    """Statistics of each example, (n, 6), for Spearman's correlation of drops (n, levels) ranked within each level."""
    middle = (len(label_drop) + 1) / 2
    x, y = (rankdata(drop, axis=0) - middle for drop in (label_drop, explanation_drop))
    return np.asarray(pair_sums(x.ravel(), y.ravel()).reshape(*x.shape, -1).sum(axis=1))


def _control(examples: Sequence[Example], label_drop: FloatArray, explanation_drop: FloatArray) -> float | None:
    """The same correlation beside another example's explanation: what is left of it was no agreement."""
    others = partners(examples)
    here = [k for k, other in enumerate(others) if other is not None]
    there = [other for other in others if other is not None]
    if not here:
        return None
    return float(correlation(_agreement(label_drop[here], explanation_drop[there]).sum(axis=0)))
