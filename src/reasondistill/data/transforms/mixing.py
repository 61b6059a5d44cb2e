"""Choose the rows of several sources that make up an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reasondistill.config import Mixing


class Mixture:
    """Rows of sources that stand one after the other in one data set, epoch by epoch.

    An epoch has as many rows as all sources together, in random order. Each source goes through all its rows, in a new
    random order each time, before any of them comes again; where it stopped in one epoch, it goes on in the next.

    Args:
        sizes: rows of each source.
        weights: of each source.
        mixing: how they share an epoch.
        seed: decides all orders.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], mixing: Mixing, *, seed: int) -> None:
        self.sizes, self.seed = list(sizes), seed
        exponent = {"proportional": 1.0, "balanced": 0.0, "temperature": 1.0 / mixing.temperature}[mixing.strategy]
        weighted = np.array(weights, dtype=float) * np.array(sizes, dtype=float) ** exponent
        self.shares: list[float] = (weighted / weighted.sum()).tolist()
        self.counts = _whole(np.array(self.shares) * sum(sizes))
        """Rows of each source in an epoch."""

    def __len__(self) -> int:
        return sum(self.sizes)

    @property
    def plain(self) -> bool:
        """Whether an epoch is simply every row once."""
        return self.counts == self.sizes

    def epoch(self, number: int) -> npt.NDArray[np.int64]:
        """Row numbers of epoch ``number`` (from 0); the same again for the same number."""
        begins = np.cumsum([0, *self.sizes[:-1]])
        rows = np.concatenate(
            [
                begin + self._of_source(source, number * count, count)
                for source, (begin, count) in enumerate(zip(begins, self.counts, strict=True))
            ]
        )
        return np.random.default_rng([self.seed, number]).permutation(rows)

    def _of_source(self, source: int, start: int, count: int) -> npt.NDArray[np.int64]:
        """``count`` rows from the endless succession of this source's orders, after the first ``start``."""
        size = self.sizes[source]
        passes = range(start // size, (start + count - 1) // size + 1)
        orders = [np.random.default_rng([self.seed, source, i]).permutation(size) for i in passes]
        rows = np.concatenate([np.empty(0, dtype=np.int64), *orders])
        return rows[start % size : start % size + count]


def _whole(shares: npt.NDArray[np.float64]) -> list[int]:
    """Whole numbers with the same sum: the largest remainders are rounded up."""
    # Away from the floating point's own errors: 2.9999999996 is meant as 3.
    whole = np.floor(shares + 1e-9)
    left = round(float(shares.sum() - whole.sum()))
    for place in np.argsort(whole - shares, kind="stable")[:left]:
        whole[place] += 1
    return [int(value) for value in whole]
