"""Bootstrap confidence intervals that respect groups: rows of one group are drawn together (cluster bootstrap)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reasondistill.contracts.base import Interval as Interval
from reasondistill.contracts.results import MetricValue

FloatArray = NDArray[np.float64]

_DRAWS_PER_CHUNK = 2_000_000  # bounds memory to some tens of megabytes
_KEPT_BYTES = 2**30
"""Of draws that are kept from statistic to statistic: making them takes most of the time. A thousand resamples of
550,000 groups are half of it; more are drawn anew each time."""


class GroupBootstrap:
    """Percentile intervals from resampling groups with replacement.

    Rows of one group (in e-SNLI, the captions of one image) are alike: resampling single rows would make intervals
    too narrow. A statistic is computed from column sums over rows, so that a resample is one row of a matrix
    product; only what depends on the order of all rows takes `row_weights`. The same seed draws the same groups for
    every statistic, which keeps their intervals comparable.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 13 (percentile interval); Field & Welsh
    2007 (bootstrapping clustered data).

    Args:
        groups: the group of each row, (n,); rows without one stand alone under a key of their own.
        resamples: how many resamples to draw, at least 1.
        seed: of the draws.
    """

    def __init__(self, groups: Iterable[Hashable], *, resamples: int = 1000, seed: int = 0) -> None:
        numbers: dict[Hashable, int] = {}
        self._group = np.fromiter((numbers.setdefault(group, len(numbers)) for group in groups), dtype=np.intp)
        self.n_groups = len(numbers)
        self._resamples = resamples
        self._seed = seed
        self._kept: NDArray[np.uint8 | np.uint16] | None = None

    def of(self, rows: Sequence[int]) -> GroupBootstrap:
        """The bootstrap of some of the rows, in the order of ``rows``."""
        groups = self._group[np.asarray(rows, dtype=np.intp)].tolist()
        return GroupBootstrap(groups, resamples=self._resamples, seed=self._seed)

    def sums(self, statistics: FloatArray) -> FloatArray:
        """Column sums of ``statistics`` (n, S) in each resample, (resamples, S)."""
        per_group = self.per_group(statistics)
        return np.concatenate([times @ per_group for times in self._draws(self.n_groups)])

    def row_weights(self, rows: Sequence[int]) -> Iterator[FloatArray]:
        """How often each of ``rows`` (n,) is in each resample, for what is no function of sums: chunks of (…, n).

        The resamples are those of `sums`; with fewer than two groups there are none.
        """
        groups = self._group[np.asarray(rows, dtype=np.intp)]
        if self.n_groups >= 2:
            for times in self._draws(max(self.n_groups, len(groups))):
                yield times[:, groups]

    def _draws(self, width: int) -> Iterator[FloatArray]:
        """How often each group is in each resample, (…, groups), in chunks that suit rows of ``width`` numbers."""
        chunk = max(1, _DRAWS_PER_CHUNK // width)
        # A group is drawn once on average: among many, none is drawn 256 times.
        kind = np.dtype(np.uint16 if self.n_groups < 2**16 else np.uint8)
        if self._resamples * self.n_groups * kind.itemsize > _KEPT_BYTES:
            yield from (times.astype(np.float64) for times in self._drawn(chunk))
            return
        if self._kept is None:
            self._kept = np.concatenate([times.astype(kind) for times in self._drawn(chunk)])
        for start in range(0, self._resamples, chunk):
            yield self._kept[start : start + chunk].astype(np.float64)

    def _drawn(self, chunk: int) -> Iterator[NDArray[np.intp]]:
        generator = np.random.default_rng(self._seed)
        for start in range(0, self._resamples, chunk):
            rows = min(chunk, self._resamples - start)
            draws = generator.integers(0, self.n_groups, size=(rows, self.n_groups))
            draws += np.arange(rows)[:, None] * self.n_groups
            yield np.bincount(draws.ravel(), minlength=rows * self.n_groups).reshape(rows, self.n_groups)

    def per_group(self, statistics: FloatArray) -> FloatArray:
        """Column sums of ``statistics`` (n, S) in each group, (groups, S); groups in the order of their first row."""
        sums = np.zeros((self.n_groups, statistics.shape[1]))
        np.add.at(sums, self._group, statistics)
        return sums

    def interval(self, statistics: FloatArray, function: Callable[[FloatArray], FloatArray]) -> Interval | None:
        """The 95% interval of a statistic of column sums.

        Args:
            statistics: additive statistics of each row, (n, S).
            function: takes column sums (resamples, S) to values (resamples,); NaN where a resample has none.

        Returns:
            The 2.5th and 97.5th percentile; None with fewer than two groups, which say nothing about spread.
        """
        if self.n_groups < 2:
            return None
        return percentile_interval(function(self.sums(statistics)))

    def mean_interval(self, values: Sequence[float | None]) -> Interval | None:
        """The 95% interval of the mean of the rows that have a value; the others are None."""
        if sum(value is not None for value in values) == 0:
            return None
        statistics = np.array([(0.0, 0.0) if value is None else (value, 1.0) for value in values])
        return self.interval(statistics, ratio)


def mean(values: Sequence[float | None], bootstrap: GroupBootstrap) -> MetricValue:
    """The mean of the rows that have a value, at least one, with its interval; the others are None."""
    present = [value for value in values if value is not None]
    return MetricValue(value=sum(present) / len(present), ci95=bootstrap.mean_interval(values), n=len(present))


def percentile_interval(values: FloatArray) -> Interval | None:
    """The 2.5th and 97.5th percentile of resampled ``values`` (resamples,); NaN count as no value, None without any."""
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def ratio(sums: FloatArray) -> FloatArray:
    """First column over the second, (…, 2) -> (…,); NaN where the second is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan)


def pair_sums(x: FloatArray, y: FloatArray) -> FloatArray:
    """What `correlation` needs of each pair of values, (n,) and (n,) -> (n, 6)."""
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)


def correlation(sums: FloatArray) -> FloatArray:
    """Pearson's correlation out of summed `pair_sums`, (…, 6) -> (…,); 0 where one side does not vary.

    With one side of 0 and 1 it is the point-biserial correlation, with both the phi coefficient.
    """
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread = np.maximum(n * xx - x * x, 0.0) * np.maximum(n * yy - y * y, 0.0)
    # Rounding leaves a constant side a spread of about 1e-16 of its squares.
    constant = spread <= 1e-12 * (n * xx) * (n * yy)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(constant, 0.0, (n * xy - x * y) / np.sqrt(spread))
