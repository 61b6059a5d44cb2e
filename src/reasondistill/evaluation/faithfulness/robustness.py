"""Robustness equivalence: does noise in the input move the label and the explanation together?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.stats import rankdata

from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.results import Metric
from reasondistill.evaluation.faithfulness.common import (
    explanation_scores,
    log_probability,
    over_sample,
    partners,
    without_both,
)
from reasondistill.evaluation.faithfulness.editing import noised, places, word_at
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject, ask
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, correlation, mean, pair_sums
from reasondistill.metrics.text import Rouge, likeness


class RobustnessSettings(BaseModel):
    """At most ``examples`` are tested (see `outcome.sample`); ``levels`` are the shares of their words replaced.

    ``seed`` is the noise's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: Annotated[int, Field(ge=1)] = 200
    levels: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(default=(0.1, 0.2, 0.35, 0.5), min_length=1)
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.levels)):
            raise ValueError("the levels of noise have to increase")
        return self


def robustness(
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    settings: RobustnessSettings,
    bootstrap: GroupBootstrap,
    progress: Progress = lambda stage: None,
) -> Outcome:
    """Replace growing shares of the input's words by random ones, and see what label and explanation lose.

    After the robustness equivalence of Wiegreffe, Marasović & Smith 2021, whose noise is in the embeddings; words can
    be replaced whatever runs the student.

    Args:
        subject: the student; it answers each example once for each level.
        examples: what it is tested on (n,); where it explains nothing, nothing can be tested.
        answers: what it answers them (n,).
        settings: how many are tested, and the noise.
        bootstrap: of the examples' groups (n,).
        progress: see `Progress`.
    """
    test = partial(_robustness, subject, settings, progress)
    return over_sample(test, examples, answers, settings.examples, bootstrap, explained=True)


def _robustness(
    subject: Subject,
    settings: RobustnessSettings,
    progress: Progress,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    bootstrap: GroupBootstrap,
) -> Outcome:
    if reason := without_both(answers):
        return left_out(reason)
    pool = [word_at(e, place) for e in examples for place in places(e, subject.task)]
    if not pool:
        return left_out("no example has a word to replace")
    levels, times = settings.levels, len(settings.levels)
    edited = [one for e in examples for one in noised(e, subject.task, levels, pool, settings.seed)]
    after = ask(subject.predict, edited, "answers to inputs with noise", progress)
    labels = [p.label for p in answers for _ in levels]
    said = [p.explanation for p in answers for _ in levels]
    what = "likelihood of explanations under noise"
    plain = explanation_scores(subject, examples, labels[::times], said[::times], what, progress)
    noisy = explanation_scores(subject, edited, labels, said, what, progress)
    before = [log_probability(p.probabilities, p.label) for p in answers]
    then = [log_probability(p.probabilities, label) for p, label in zip(after, labels, strict=True)]
    rouge = Rouge()

    def shaped(values: Sequence[float]) -> FloatArray:
        return np.array(values, dtype=np.float64).reshape(len(examples), times)

    label_drop = np.array(before)[:, None] - shaped(then)
    explanation_drop = np.array(plain)[:, None] - shaped(noisy)
    kept = shaped([float(p.label == label) for p, label in zip(after, labels, strict=True)])
    alike = shaped([likeness(rouge, p.explanation, text) for p, text in zip(after, said, strict=True)])
    agreement = _agreement(label_drop, explanation_drop)
    stability, explanation_stability = kept.mean(axis=1).tolist(), alike.mean(axis=1).tolist()
    columns = (kept, alike, label_drop, explanation_drop)
    return Outcome(
        metrics={
            "robustness_agreement": Metric(
                value=float(correlation(agreement.sum(axis=0))),
                ci95=bootstrap.interval(agreement, correlation),
                n=len(examples),
            ),
            "label_stability": mean(stability, bootstrap),
            "explanation_stability": mean(explanation_stability, bootstrap),
        },
        details={
            "settings": settings.model_dump(mode="json"),
            "curves": _curves(levels, examples, [*answers, *after], columns, bootstrap),
            "controls": {"explanations of other examples": _control(examples, label_drop, explanation_drop)},
        },
        per_example={"label_stability": stability, "explanation_stability": explanation_stability},
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


def _curves(
    levels: Sequence[float],
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    columns: Sequence[FloatArray],
    bootstrap: GroupBootstrap,
) -> list[dict[str, Any]]:
    """A row for each level, the one without noise first.

    Args:
        answers: those without noise, then those of the first example at each level, of the second …
        columns: label kept, explanation kept, drop of the label, drop of the explanation: (n, levels) each.
    """
    n, times = len(examples), len(levels)
    names = ("label_stability", "explanation_stability", "label_drop", "explanation_drop")
    untouched = (1.0, 1.0, 0.0, 0.0)
    rows = []
    for k, share in enumerate((0.0, *levels)):
        given = answers[:n] if k == 0 else answers[n + k - 1 :: times]
        right = [None if e.label is None else float(e.label == p.label) for e, p in zip(examples, given, strict=True)]
        figures = [[u] * n if k == 0 else c[:, k - 1].tolist() for u, c in zip(untouched, columns, strict=True)]
        if any(r is not None for r in right):
            figures.append(right)
        row = zip((*names, "label_accuracy"), figures, strict=False)
        rows.append({"share": share, **{name: mean(values, bootstrap).model_dump() for name, values in row}})
    return rows
