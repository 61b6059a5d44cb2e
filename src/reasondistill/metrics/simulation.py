"""Leakage-adjusted simulatability (LAS), out of what a simulator got right.

Source: Hase, Zhang, Xie & Bansal 2020, Leakage-Adjusted Simulatability, section 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reasondistill.metrics.statistics import FloatArray


def las_statistics(gain: FloatArray, leaks: NDArray[np.bool_]) -> FloatArray:
    """What `las` needs of each example, (n, 4): its gain and 1 in the leaking bin, then the same in the other bin.

    Args:
        gain: whether the simulator is right with input and explanation, less whether it is with the input alone, (n,).
        leaks: whether it is right with the explanation alone, (n,).
    """
    return np.column_stack([gain * leaks, leaks, gain * ~leaks, ~leaks]).astype(np.float64)


def las(sums: FloatArray) -> FloatArray:
    """Mean of both bins' mean gains, of sums of `las_statistics`, (…, 4) -> (…,); NaN where a bin is empty."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((sums[..., 0] / sums[..., 1] + sums[..., 2] / sums[..., 3]) / 2)
