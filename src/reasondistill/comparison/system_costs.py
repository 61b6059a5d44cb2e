"""What a system costs, out of the efficiency of its results. Only here is known which figure is which cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reasondistill.comparison.measures import differences
from reasondistill.comparison.systems import System
from reasondistill.contracts.efficiency import Efficiency

PARAMETERS: Final = "parameters"
_BYTES: Final = "checkpoint_bytes"
_BUSY: Final = 0.5  # load average from which on a machine is called busy

Conditions = dict[str, object]


def _on_these_rows(costs: Efficiency) -> Conditions:
    return {"settings.examples": costs.settings.examples, **_rows(costs)}


def _on_this_machine(costs: Efficiency) -> Conditions:
    device = {} if costs.measured.device is None else {"measured.device": costs.measured.device}
    machine, settings = costs.hardware.model_dump(), costs.settings.model_dump()
    return {"hardware": machine, "settings": settings, **_rows(costs), **device}


def _rows(costs: Efficiency) -> Conditions:
    return {} if costs.dataset is None else {"dataset": costs.dataset.model_dump()}


@dataclass(frozen=True)
class Cost:
    """A cost, its figure (None where it was not measured), and ``conditions``: what it was measured on and with."""

    name: str
    of: Callable[[Efficiency], float | None]
    higher_is_better: bool = False
    conditions: Callable[[Efficiency], Conditions] = lambda costs: {}


COSTS: Final = (
    Cost(PARAMETERS, lambda costs: costs.parameters.total if costs.parameters else None),
    Cost(_BYTES, lambda costs: costs.checkpoint_bytes),
    Cost(
        "rest_memory_bytes",
        lambda costs: costs.memory.rest_bytes if costs.memory else None,
        conditions=_on_this_machine,
    ),
    Cost(
        "peak_memory_bytes",
        lambda costs: costs.memory.peak_bytes if costs.memory else None,
        conditions=_on_this_machine,
    ),
    Cost("latency_ms_p50", lambda costs: costs.latency_ms.p50, conditions=_on_this_machine),
    Cost(
        "examples_per_second",
        lambda costs: costs.throughput.examples_per_second,
        higher_is_better=True,
        conditions=_on_this_machine,
    ),
    Cost(
        "flops_per_example",
        lambda costs: costs.flops_per_example.total if costs.flops_per_example else None,
        conditions=_on_these_rows,
    ),
    Cost("joules_per_example", lambda costs: costs.energy_joules_per_example, conditions=_on_this_machine),
)
"""In the order in which they are shown."""


def costs_of(system: System) -> dict[str, float]:
    """The costs that are known of a system, by the names of `COSTS`; what was not measured, or is 0, is left out."""
    costs, size = system.results.efficiency, system.size
    figures: dict[str, float | None] = {}
    if costs is not None:
        figures = {cost.name: cost.of(costs) for cost in COSTS}
    elif size is not None:
        figures = {PARAMETERS: size.parameters, _BYTES: size.bytes}
    return {name: float(value) for name, value in figures.items() if value is not None and value > 0}


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
    known = {system.name: costs for system in systems if (costs := system.results.efficiency) is not None}
    busy = [f"{name} ({costs.load_average:.1f})" for name, costs in known.items() if (costs.load_average or 0) >= _BUSY]
    if busy:
        yield f"The machine was not idle (load average) when these were timed: {', '.join(busy)}."
    first = next(iter(known), "")
    for name, costs in known.items():
        ours, theirs = ({"versions": measured.versions} for measured in (known[first], costs))
        if different := differences(ours, theirs, first, name):
            yield f"Timed with other versions of libraries: {different}."


def _difference(cost: Cost, first: System, other: System) -> str | None:
    known = [costs for system in (first, other) if (costs := system.results.efficiency) is not None]
    if len(known) < 2:
        return None
    ours, theirs = map(cost.conditions, known)
    different = differences(ours, theirs, first.name, other.name)
    return f"measured under different conditions: {different}" if different else None
