"""What people's votes teach a judge: its network, its verdict on patterns, and how much each component counts."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.config import JudgeConfig
from reasondistill.datasets import Loaded
from reasondistill.errors import DataError
from reasondistill.judge.argued import Argued, argued_of
from reasondistill.judge.encoders import Encoded
from reasondistill.judge.fitting import Row, fit, weigh_by_votes
from reasondistill.judge.model import FloatArray, Models, component_values
from reasondistill.judge.patterns import Verdict
from reasondistill.tasks import Task

Progress = Callable[[str], None]
_LEAST_VOTED, _LEAST_ACCEPTABLE = 100, 10


class Voted(NamedTuple):
    """An explanation that people judged: the share of them who found it acceptable, and the example it belongs to."""

    argued: Argued
    acceptable: float
    example: str


def votes_of(voted: Sequence[Loaded], task: Task) -> list[Voted]:
    """Every explanation with votes.

    Raises:
        DataError: there is data, and too few in it have votes, or nearly all were judged alike.
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
            found=f"{len(votes)}, {acceptable} of them acceptable to more than half of the people asked",
            fix="docs/data_formats.md says how votes are written.",
        )
    return votes


def with_votes(
    models: Models,
    votes: Sequence[Voted],
    keep: Sequence[Row],
    encoded: dict[str, Encoded],
    config: JudgeConfig,
    progress: Progress,
    what: str,
) -> Models:
    """The models after people's verdicts; ``keep`` holds rows of the first training, so that nothing is forgotten."""
    network = copy.deepcopy(models.network)
    fit(
        network,
        [*(Row(v.argued, v.acceptable) for v in votes), *keep],
        encoded,
        how=config.votes_training,
        seed=config.seed,
        progress=progress,
        what=what,
    )
    verdict = Verdict.fit(
        [(v.argued.label, models.delexicalizer.pattern(v.argued)) for v in votes],
        np.array([v.acceptable for v in votes]),
    )
    return replace(models, network=network, verdict=verdict)


def _folds(votes: Sequence[Voted], folds: int) -> NDArray[np.intp]:
    """The fold of each explanation (n,): all of one example in the same."""
    return np.array([int(hashlib.sha256(f"fold {v.example}".encode()).hexdigest(), 16) % folds for v in votes])


def cross_fitted(
    models: Models,
    votes: Sequence[Voted],
    keep: Sequence[Row],
    encoded: dict[str, Encoded],
    names: Sequence[str],
    config: JudgeConfig,
    progress: Progress,
) -> FloatArray:
    """Components of each voted explanation from models that were fitted to the other folds, (n, C)."""
    folds = _folds(votes, config.votes_training.folds)
    values = np.zeros((len(votes), len(names)))
    for fold in sorted(set(folds.tolist())):
        others = [v for v, f in zip(votes, folds, strict=True) if f != fold]
        fitted = with_votes(models, others, keep, encoded, config, progress, f"votes, fold {fold + 1}")
        inside = [v.argued for v, f in zip(votes, folds, strict=True) if f == fold]
        values[folds == fold] = component_values(fitted, inside, encoded, names)
    return values


def cross_weighed(names: Sequence[str], values: FloatArray, votes: Sequence[Voted], config: JudgeConfig) -> FloatArray:
    """The logit of each voted explanation from weights of the other folds, (n,)."""
    folds = _folds(votes, config.votes_training.folds)
    acceptable = np.array([v.acceptable for v in votes])
    logits = np.zeros(len(votes))
    for fold in sorted(set(folds.tolist())):
        inside = folds == fold
        logits[inside] = weigh_by_votes(names, values[~inside], acceptable[~inside]).logit(values[inside])
    return logits
