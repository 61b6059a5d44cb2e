"""Timing: repeated passes over examples, and figures from their times."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from reasondistill.contracts.efficiency import Latency, Trial
from reasondistill.evaluation.efficiency.energy import EnergyMeter

T = TypeVar("T")


@dataclass(frozen=True)
class Pass:
    """One pass over all items: the seconds of each call and, with a meter, the energy of all of them."""

    seconds: tuple[float, ...]
    joules: float | None = None


def timed_passes(
    work: Callable[[T], object],
    items: Sequence[T],
    repeats: int,
    meter: EnergyMeter | None = None,
    clock: Callable[[], float] = time.perf_counter,
    most: float = math.inf,
) -> list[Pass]:
    """Do ``work`` on each of ``items``, ``repeats`` times over, and time every call.

    The first pass ends when it has taken ``most`` seconds; later passes have the same items.
    """
    passes: list[Pass] = []
    for _ in range(repeats):
        before = meter.readings() if meter is not None else None
        seconds: list[float] = []
        for item in items[: len(passes[0].seconds)] if passes else items:
            begun = clock()
            work(item)
            seconds.append(clock() - begun)
            if not passes and sum(seconds) >= most:
                break
        joules = meter.joules_since(before) if meter is not None and before is not None else None
        passes.append(Pass(tuple(seconds), joules))
    return passes


def latency(passes: Sequence[Pass], label_only: Sequence[Pass] = ()) -> Latency:
    """Percentiles over every call, in milliseconds; between two calls they are interpolated linearly."""
    milliseconds = [1000 * s for timed in passes for s in timed.seconds]
    p50, p90, p95, p99 = (float(value) for value in np.percentile(milliseconds, [50, 90, 95, 99]))
    labels = [1000 * s for timed in label_only for s in timed.seconds]
    return Latency(
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        mean=statistics.fmean(milliseconds),
        n=len(milliseconds),
        label_only_p50=statistics.median(labels) if labels else None,
    )


def trial(max_rows: int, n: int, passes: Sequence[Pass]) -> Trial:
    """Examples a second, and joules for each, at a batch size: ``n`` examples in every pass."""
    rates = [n / sum(timed.seconds) for timed in passes]
    joules = [timed.joules / n for timed in passes if timed.joules is not None]
    return Trial(
        max_rows=max_rows,
        examples_per_second=statistics.median(rates),
        spread=(min(rates), max(rates)),
        joules_per_example=statistics.median(joules) if joules else None,
    )
