"""Which systems no other one beats on quality and cost together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reasondistill.metrics.statistics import FloatArray


def dominates(gain: FloatArray, cost: FloatArray) -> NDArray[np.bool_]:
    """Which system beats which: at least as good and as cheap, and better or cheaper.

    Equal systems do not beat each other. A system without a figure (NaN) beats none and is beaten by none.

    Source: Pareto 1906; Miettinen 1999, Nonlinear Multiobjective Optimization, §2.2.

    Args:
        gain: quality where more is better, (…, K) for K systems.
        cost: where less is better, (K,).

    Returns:
        (…, K, K), true at […, i, j] where system i beats system j.
    """
    gains, others = gain[..., :, None], gain[..., None, :]
    costs, other_costs = cost[:, None], cost[None, :]
    result: NDArray[np.bool_] = (gains >= others) & (costs <= other_costs) & ((gains > others) | (costs < other_costs))
    return result


def on_front(gain: FloatArray, cost: FloatArray) -> NDArray[np.bool_]:
    """Which systems no other beats, (…, K); arguments as of `dominates`."""
    kept: NDArray[np.bool_] = np.logical_not(dominates(gain, cost).any(axis=-2))
    return kept
