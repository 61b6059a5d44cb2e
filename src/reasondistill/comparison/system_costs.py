"""What a system costs, out of the ``efficiency`` block of its results. Only here is known where each figure lies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reasondistill.comparison.measures import differences
from reasondistill.comparison.systems import System

PARAMETERS: Final = "parameters"
_MACHINE: Final = ("hardware", "settings", "dataset", "measured.device")
_BUSY: Final = 0.5  # load average from which on a machine is called busy


@dataclass(frozen=True)
class Cost:
    """A cost and its place in the block; ``conditions`` are the places of what it was measured on and with."""

    name: str
    place: str
    higher_is_better: bool = False
    conditions: tuple[str, ...] = ()


COSTS: Final = (
    Cost(PARAMETERS, "parameters.total"),
    Cost("checkpoint_bytes", "checkpoint_bytes"),
    Cost("rest_memory_bytes", "memory.rest_bytes", conditions=_MACHINE),
    Cost("peak_memory_bytes", "memory.peak_bytes", conditions=_MACHINE),
    Cost("latency_ms_p50", "latency_ms.p50", conditions=_MACHINE),
    Cost("examples_per_second", "throughput.examples_per_second", higher_is_better=True, conditions=_MACHINE),
    Cost("flops_per_example", "flops_per_example.total", conditions=("settings.examples", "dataset")),
    Cost("joules_per_example", "energy_joules_per_example", conditions=_MACHINE),
)
"""In the order in which they are shown."""


def costs_of(system: System) -> dict[str, float]:
    """The costs that a system's results hold, by the names of `COSTS`; what is absent, or no number, is left out."""
    found = {cost.name: _at(system.results.efficiency, cost.place) for cost in COSTS}
    return {name: float(value) for name, value in found.items() if _is_cost(value)}


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


def remarks(systems: Sequence[System]) -> Iterator[str]:
    """What a reader has to know of how costs were measured, where they can be compared all the same."""
    blocks = {system.name: system.results.efficiency for system in systems}
    busy = [f"{name} ({load:.1f})" for name, block in blocks.items() if (load := _load(block)) >= _BUSY]
    if busy:
        yield f"The machine was not idle (load average) when these were timed: {', '.join(busy)}."
    first = systems[0].name
    for name, block in blocks.items():
        versions = [found if isinstance(found := _at(b, "versions"), dict) else {} for b in (blocks[first], block)]
        if different := differences({"versions": versions[0]}, {"versions": versions[1]}, first, name):
            yield f"Timed with other versions of libraries: {different}."


def _difference(cost: Cost, first: System, other: System) -> str | None:
    ours, theirs = (
        {place: value for place in cost.conditions if (value := _at(system.results.efficiency, place)) is not None}
        for system in (first, other)
    )
    different = differences(ours, theirs, first.name, other.name)
    return f"measured under different conditions: {different}" if different else None


def _at(block: Any, place: str) -> Any:
    for key in place.split("."):
        block = block.get(key) if isinstance(block, Mapping) else None
    return block


def _is_cost(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _load(block: Mapping[str, Any]) -> float:
    value = _at(block, "load_average")
    return float(value) if _is_cost(value) else 0.0
