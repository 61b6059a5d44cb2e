"""Fitting a judge's network, and weighing its components."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reasondistill.config import JudgeFitting
from reasondistill.judges.argued import Argued
from reasondistill.judges.encoders import Encoded
from reasondistill.judges.judge import Combination
from reasondistill.judges.logistic_regression import FloatArray, fit_shares
from reasondistill.judges.network import Network, collate

_BATCHES_PER_POOL = 16  # rows of this many batches are sorted by length together: little padding, still shuffled
_WARMUP_STEPS = 50
_SHARE_OF_VOTES = 0.05


class Row(NamedTuple):
    """A training row: an explanation with its target, 1 for good, 0 for bad or anything between, and its weight."""

    argued: Argued
    target: float
    weight: float = 1.0
    with_fields: bool = True


def fit(
    network: Network,
    rows: Sequence[Row],
    encoded: Mapping[str, Encoded],
    *,
    how: JudgeFitting,
    seed: int,
    progress: Callable[[str], None],
    what: str,
) -> None:
    """Fit ``network`` to ``rows`` by binary cross-entropy: AdamW, 50 steps of warm-up, then linearly down to 0."""
    torch.manual_seed(seed)
    steps = max(1, round(how.epochs * len(rows) / how.batch_size))
    optimizer = torch.optim.AdamW(network.parameters(), lr=how.learning_rate, weight_decay=0.01)
    warmup = min(_WARMUP_STEPS, max(1, steps // 5))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warmup) * max(0.0, 1 - step / steps)
    )
    network.train()
    batches = _batches(rows, how.batch_size, random.Random(seed))
    losses: list[float] = []
    for step in range(steps):
        batch = next(batches)
        logits = network(
            collate([row.argued for row in batch], encoded, with_fields=[row.with_fields for row in batch])
        )
        target = torch.tensor([row.target for row in batch])
        weight = torch.tensor([row.weight for row in batch])
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        loss = (each * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 49 or step == steps - 1:
            progress(f"{what}: step {step + 1:,} of {steps:,}, loss {np.mean(losses[-50:]):.3f}")
    network.eval()


def _batches(rows: Sequence[Row], size: int, generator: random.Random) -> Iterator[list[Row]]:
    """Endless batches: each row once per epoch, rows of similar length together, batches in random order."""
    while True:
        order = list(range(len(rows)))
        generator.shuffle(order)
        for start in range(0, len(order), size * _BATCHES_PER_POOL):
            pool = sorted(order[start : start + size * _BATCHES_PER_POOL], key=lambda k: _characters(rows[k]))
            batches = [pool[k : k + size] for k in range(0, len(pool), size)]
            generator.shuffle(batches)
            for batch in batches:
                yield [rows[k] for k in batch]


def _characters(row: Row) -> int:
    return len(row.argued.explanation) + (sum(map(len, row.argued.fields)) if row.with_fields else 0)


def weigh_alike(components: Sequence[str], values: FloatArray, good: NDArray[np.bool_]) -> Combination:
    """Components with equal weights, their sum scaled so that support is the probability of being good.

    Args:
        components: their names (C).
        values: of good and of spoiled explanations that the network was not fitted to, (n, C).
        good: which ones are good, (n,).
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = _moments(values)
    total = ((values - mean) / deviation).sum(axis=1, keepdims=True)
    # Regularised: where nothing is confused, support must not jump from 0 to 1.
    scale = LogisticRegression(C=1.0).fit(total, good)
    # Never against a component: on little or odd data the sum could seem to speak for spoiled ones.
    slope = max(float(scale.coef_[0, 0]), 1e-3)
    return _combination(components, mean, deviation, [slope] * len(components), float(scale.intercept_[0]))


class GoodAgainstSpoiled(NamedTuple):
    """Good and spoiled explanations that the networks were not fitted to: their components (n, C), which are good."""

    values: FloatArray
    good: NDArray[np.bool_]


def weigh_by_votes(
    components: Sequence[str], values: FloatArray, acceptable: FloatArray, held_out: GoodAgainstSpoiled | None = None
) -> Combination:
    """Components weighed by logistic regression on people's verdicts.

    Votes cover the explanations of few models, mostly one, and lack the flaws of others: they cannot show the value of
    a component that detects those. So good and spoiled explanations count too, with a twentieth of the votes' weight.

    Args:
        components: their names (C).
        values: of explanations that the network was not fitted to, (n, C).
        acceptable: the share of people who found each acceptable, in [0, 1] (n,).
        held_out: the good and spoiled ones.
    """
    mean, deviation = _moments(values)
    x, share, count = values, acceptable, np.ones(len(values))
    if held_out is not None:
        x, share = np.concatenate([x, held_out.values]), np.concatenate([share, held_out.good])
        count = np.append(count, np.full(len(held_out.good), _SHARE_OF_VOTES * len(values) / len(held_out.good)))
    weights, bias = fit_shares((x - mean) / deviation, share, strength=1.0, count=count)
    return _combination(components, mean, deviation, weights.tolist(), bias)


def _moments(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    return values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)


def _combination(
    components: Sequence[str], mean: FloatArray, deviation: FloatArray, weight: Sequence[float], bias: float
) -> Combination:
    return Combination(
        components=tuple(components),
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        weight=tuple(weight),
        bias=bias,
    )
