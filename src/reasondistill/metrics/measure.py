"""A metric of one system as columns that add up over rows, so that any resample or swap of rows is a sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.metrics.statistics import FloatArray, ratio

Kind = Literal["score", "binary", "corpus"]


@dataclass(frozen=True)
class Measure:
    """A metric of one system.

    ``statistics`` (n, S) are 0 where a row has no value, ``present`` (n,) says which have one, and ``function`` takes
    column sums (…, S) to values (…,). Of a ``score`` the first column is the row's score; of a ``binary`` one, whether
    something is true of the row.
    """

    kind: Kind
    statistics: FloatArray
    present: NDArray[np.bool_]
    function: Callable[[FloatArray], FloatArray]

    @property
    def n(self) -> int:
        """How many rows have a value."""
        return int(self.present.sum())

    def value(self) -> float:
        """The metric over all rows that have a value."""
        return float(self.function(self.statistics.sum(axis=0)))

    def on(self, rows: NDArray[np.bool_]) -> FloatArray:
        """``statistics`` with 0 outside ``rows`` (n,)."""
        return self.statistics * rows[:, None]


class Given(NamedTuple):
    """What figures depend on beside their rows: every label that occurs anywhere, and ``results.settings``."""

    labels: Sequence[str] = ()
    settings: Mapping[str, Any] = {}


def mean_measure(scores: Sequence[float | bool | None]) -> Measure | None:
    """The mean of a score of each row, None for a row without one; None if no row has one."""
    present = np.array([score is not None for score in scores])
    if not present.any():
        return None
    filled = np.array([0.0 if score is None else float(score) for score in scores])
    binary = all(score is None or isinstance(score, bool) for score in scores)
    return Measure("binary" if binary else "score", np.column_stack([filled, present]), present, ratio)


def summed_measure(
    sums: Sequence[Sequence[float] | None], function: Callable[[FloatArray], FloatArray]
) -> Measure | None:
    """A function of sums over rows; None for a row that adds nothing, None if no row adds anything."""
    present = np.array([row is not None for row in sums])
    if not present.any():
        return None
    width = max(len(row) for row in sums if row is not None)
    statistics = np.array([[0.0] * width if row is None else row for row in sums], dtype=np.float64)

    def quiet(sums: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample may hold no row that adds anything
            return function(sums)

    return Measure("corpus", statistics, present, quiet)
