"""What a test of faithfulness found, and which examples it looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reasondistill.contracts.records import Example
from reasondistill.contracts.results import Metric
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, ratio


@dataclass(frozen=True)
class Outcome:
    """What one test found.

    Attributes:
        metrics: by name, as docs/metrics.md describes them; a metric without a single case is left out.
        details: what belongs beside them and can be written as JSON: settings, sizes, coverage, quoted examples;
            ``left_out`` says why a test does not apply.
        per_example: score name -> one value for each of the examples given, None where the test says nothing of it.
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    per_example: dict[str, list[float | bool | None]] = field(default_factory=dict)


def left_out(reason: str) -> Outcome:
    """Of a test that does not apply."""
    return Outcome(details={"left_out": reason})


def pooled(
    places: Sequence[int],
    statistics: FloatArray,
    function: Callable[[FloatArray], FloatArray],
    examples: int,
    bootstrap: GroupBootstrap,
) -> Metric:
    """A function of sums over cases, of which an example can have several.

    Args:
        places: the example of each case, (cases,).
        statistics: additive statistics of each case, (cases, S).
        function: takes column sums (..., S) to values (...,).
        examples: how many there are.
        bootstrap: of the examples' groups.
    """
    rows = np.zeros((examples, statistics.shape[1]))
    np.add.at(rows, np.asarray(places, dtype=np.intp), statistics)
    value = float(function(rows.sum(axis=0)))
    return Metric(value=value, ci95=bootstrap.interval(rows, function), n=len(places))


def share(places: Sequence[int], true: Sequence[bool], examples: int, bootstrap: GroupBootstrap) -> Metric:
    """The share of cases, at least one, in which something is ``true``; see `pooled`."""
    statistics = np.stack([np.array(true, dtype=np.float64), np.ones(len(true))], axis=1)
    return pooled(places, statistics, ratio, examples, bootstrap)


def sample(examples: Sequence[Example], most: int) -> list[int]:
    """Places of at most ``most`` examples, in their order: always the same ones, whatever else is in the set.

    Groups are taken whole, in the order of their names' SHA-256, until the next one does not fit; if not even the first
    fits, its beginning is taken. Rows of a group stay together because some tests compare them with each other.
    """
    clusters: dict[tuple[str, str], list[int]] = {}
    for place, example in enumerate(examples):
        clusters.setdefault(example.cluster, []).append(place)
    chosen: list[int] = []
    for cluster in sorted(clusters, key=lambda cluster: hashlib.sha256(cluster[1].encode("utf-8")).digest()):
        if len(chosen) + len(clusters[cluster]) > most:
            return sorted(chosen or clusters[cluster][:most])
        chosen += clusters[cluster]
    return sorted(chosen)
