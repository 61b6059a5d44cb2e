"""Learn from people's votes which features and patterns they accept, and the weight of each component."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.data import Loaded
from reasondistill.errors import DataError
from reasondistill.judges.acceptance import Acceptance
from reasondistill.judges.argued import Argued, argued_of
from reasondistill.judges.components import ACCEPTANCE, VERDICT, Components, Models
from reasondistill.judges.fitting import GoodAgainstSpoiled, weigh_by_votes
from reasondistill.judges.logistic_regression import FloatArray
from reasondistill.judges.patterns import Verdict
from reasondistill.tasks.task import Task

OF_VOTES = (ACCEPTANCE, VERDICT)
Progress = Callable[[str], None]
_LEAST_VOTED, _LEAST_ACCEPTABLE = 100, 10


class Voted(NamedTuple):
    """An explanation that people judged, the share who found it acceptable, and its example."""

    argued: Argued
    acceptable: float
    example: str


def votes_of(voted: Sequence[Loaded], task: Task) -> list[Voted]:
    """Every explanation with votes.

    Raises:
        DataError: there is data, but too few explanations have votes, or nearly all got the same verdict.
    """
    votes = [
        Voted(argued, explanation.votes.acceptable / explanation.votes.of, example.id)
        for data in voted
        for example in data.examples
        for argued, explanation in argued_of(example, task)
        if explanation.votes is not None
    ]
    acceptable = sum(v.acceptable > 0.5 for v in votes)
    if voted and (len(votes) < _LEAST_VOTED or acceptable < _LEAST_ACCEPTABLE or acceptable == len(votes)):
        raise DataError(
            "data.votes",
            expected=f"at least {_LEAST_VOTED} explanations with votes, {_LEAST_ACCEPTABLE} acceptable ones and others",
            found=f"{len(votes)}, {acceptable} of them acceptable to more than half of the people",
            fix="docs/data_formats.md says how votes are written.",
        )
    return votes


def with_votes(models: Models, votes: Sequence[Voted], features: FloatArray) -> Models:
    """The models with those learned from votes; ``features`` (n, D) are the networks' for each voted explanation."""
    acceptable = np.array([v.acceptable for v in votes])
    verdict = Verdict.fit([(v.argued.label, models.delexicalizer.pattern(v.argued)) for v in votes], acceptable)
    return replace(models, verdict=verdict, acceptance=Acceptance.fit(features, acceptable))


def _folds(votes: Sequence[Voted], folds: int) -> NDArray[np.intp]:
    """The fold of each explanation (n,): all of one example in the same."""
    return np.array([int(hashlib.sha256(f"fold {v.example}".encode()).hexdigest(), 16) % folds for v in votes])


def cross_fitted(
    models: Models, votes: Sequence[Voted], components: Components, names: Sequence[str], folds: int, progress: Progress
) -> FloatArray:
    """Components of each voted explanation, (n, C); those that need votes have learned from the other folds'.

    Args:
        models: those without votes.
        votes: the explanations (n).
        components: their components from ``models``.
        names: of the wanted components (C).
        folds: number of folds; all explanations of an example are in one.
        progress: called with a sentence for each fold.
    """
    values = np.stack([components.values(n) if n not in OF_VOTES else np.zeros(len(votes)) for n in names], axis=1)
    fold_of = _folds(votes, folds)
    for fold in sorted(set(fold_of.tolist())):
        progress(f"votes, fold {fold + 1}")
        inside = fold_of == fold
        others = [v for v, f in zip(votes, fold_of, strict=True) if f != fold]
        fitted = with_votes(models, others, components.features[~inside])
        of_fold = components.of(fitted, np.flatnonzero(inside))
        for k, name in enumerate(names):
            if name in OF_VOTES:
                values[inside, k] = of_fold.values(name)
    return values


def cross_weighed(
    names: Sequence[str], values: FloatArray, votes: Sequence[Voted], held_out: GoodAgainstSpoiled, folds: int
) -> FloatArray:
    """The logit of each voted explanation, weights from the other folds, (n,); ``held_out`` as in `weigh_by_votes`."""
    fold_of = _folds(votes, folds)
    acceptable = np.array([v.acceptable for v in votes])
    logits = np.zeros(len(votes))
    for fold in sorted(set(fold_of.tolist())):
        inside = fold_of == fold
        logits[inside] = weigh_by_votes(names, values[~inside], acceptable[~inside], held_out).logit(values[inside])
    return logits
