"""What a system costs, out of the ``efficiency`` block of its results. Only here is known where each figure lies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reasondistill.comparison.loading import System
from reasondistill.comparison.measures import differences

PARAMETERS: Final = "parameters"


@dataclass(frozen=True)
class Cost:
    """A cost and its place in the block; several places are added up. ``measured_on`` names what it depends on."""

    name: str
    places: tuple[str, ...]
    higher_is_better: bool = False
    measured_on: tuple[str, ...] = ()


COSTS: Final = (
    Cost(PARAMETERS, ("parameters.total",)),
    Cost("checkpoint_bytes", ("checkpoint_bytes",)),
    Cost("peak_memory_bytes", ("memory.peak_bytes",), measured_on=("hardware", "settings")),
    Cost("latency_ms_p50", ("latency_ms.p50",), measured_on=("hardware", "settings")),
    Cost(
        "examples_per_second",
        ("throughput.examples_per_second",),
        higher_is_better=True,
        measured_on=("hardware", "settings"),
    ),
    Cost("flops_per_example", ("flops_per_example.label", "flops_per_example.explanation"), measured_on=("settings",)),
)
"""In the order in which they are shown."""


def costs_of(system: System) -> dict[str, float]:
    """The costs that a system's results hold, by the names of `COSTS`; what is absent, or no number, is left out."""
    block = system.results.efficiency
    found = {cost.name: _figure(block, cost.places) for cost in COSTS}
    return {name: value for name, value in found.items() if value is not None}


def unlike_costs(systems: Sequence[System]) -> dict[str, str]:
    """The costs that cannot be compared between ``systems``, and in words why: another machine, other settings."""
    reasons = {}
    for cost in COSTS:
        having = [system for system in systems if cost.name in costs_of(system)]
        for other in having[1:]:
            if reason := _difference(cost, having[0], other):
                reasons[cost.name] = reason
                break
    return reasons


def _difference(cost: Cost, first: System, other: System) -> str | None:
    ours, theirs = (_circumstances(cost, system.results.efficiency) for system in (first, other))
    different = differences(ours, theirs, first.name, other.name)
    return f"measured under different conditions: {different}" if different else None


def _circumstances(cost: Cost, block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: block[key] for key in cost.measured_on if key in block}


def _figure(block: Mapping[str, Any], places: Sequence[str]) -> float | None:
    values = [_number(block, place) for place in places]
    there = [value for value in values if value is not None]
    return sum(there) if len(there) == len(values) else None


def _number(block: Any, place: str) -> float | None:
    for key in place.split("."):
        block = block.get(key) if isinstance(block, Mapping) else None
    usable = isinstance(block, int | float) and not isinstance(block, bool) and math.isfinite(block) and block > 0
    return float(block) if usable else None
