"""``slices`` of ``results.json``: how a system does on parts of the rows."""

from __future__ import annotations

from reasondistill.contracts.base import Block, Count, Interval


class SliceFigures(Block):
    """A metric on a slice and on the ``rest`` of the rows; ``difference`` = ``value`` - ``rest``.

    ``p`` and ``p_adjusted`` are None for slices too small to be ranked.
    """

    value: float
    ci95: Interval | None
    n: Count
    rest: float | None
    rest_n: Count
    difference: float | None
    difference_ci95: Interval | None
    p: float | None
    p_adjusted: float | None


class MeasuredSlice(Block):
    """The ``n`` rows, a ``share`` of all, that have one value of the property ``family``, and how ``rule`` cuts it."""

    name: str
    family: str
    rule: str
    n: Count
    share: float
    ranked: bool
    metrics: dict[str, SliceFigures]
