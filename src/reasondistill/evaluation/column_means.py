"""Means of many columns at once with their bootstrap: what `GroupBootstrap.mean_interval` gives, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reasondistill.contracts.base import Interval
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, ratio

_NUMBERS_PER_PASS = 40_000_000  # bounds memory to some hundreds of megabytes; a pass draws the same groups again


class Means(NamedTuple):
    """Means of K columns: ``value`` (K,), the rows behind each ``n`` (K,), and resampled means (resamples, K).

    A mean of no rows is NaN. ``resampled`` is None with fewer than two groups, which say nothing about spread.
    """

    value: FloatArray
    n: FloatArray
    resampled: FloatArray | None

    def interval(self, k: int) -> Interval | None:
        """The 95% interval of column ``k``'s mean."""
        return None if self.resampled is None else percentiles(self.resampled[:, k])


def column_means(columns: FloatArray, bootstrap: GroupBootstrap) -> Means:
    """Means of ``columns`` (n, K) over the rows that have a value; NaN marks those that have none."""
    present = ~np.isnan(columns)
    return means_of_sums(np.where(present, columns, 0.0), present.astype(np.float64), bootstrap)


def means_of_sums(values: FloatArray, weights: FloatArray, bootstrap: GroupBootstrap) -> Means:
    """Means as sums of ``values`` (n, K), 0 where a row has none, over sums of ``weights`` (n, K), 0 or 1."""
    n_rows, width = values.shape
    total = np.stack([values.sum(axis=0), weights.sum(axis=0)], axis=-1)
    resampled = None
    if bootstrap.n_groups >= 2 and width:
        at_once = max(1, _NUMBERS_PER_PASS // (2 * n_rows))
        parts = []
        for start in range(0, width, at_once):
            some = slice(start, start + at_once)
            sums = bootstrap.sums(np.hstack([values[:, some], weights[:, some]]))
            half = sums.shape[1] // 2
            parts.append(ratio(np.stack([sums[:, :half], sums[:, half:]], axis=-1)))
        resampled = np.concatenate(parts, axis=1)
    return Means(ratio(total), total[:, 1], resampled)


def percentiles(resampled: FloatArray) -> Interval | None:
    """The 2.5th and the 97.5th percentile of resampled values (resamples,); None where no resample has one."""
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def as_column(values: Sequence[float | bool | None]) -> FloatArray:
    """Values of rows as a column (n,), NaN for None."""
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
