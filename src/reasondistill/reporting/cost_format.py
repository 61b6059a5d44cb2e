"""How costs, shares and a base are written."""

from __future__ import annotations

from typing import Final

from reasondistill.contracts.tradeoffs import Base, Estimate, Zero
from reasondistill.reporting.formatting import size

COMPRESSION: Final = "compression"


COST_TITLES: Final = {
    COMPRESSION: "Compression",
    "parameters": "Parameters",
    "checkpoint_bytes": "On disk",
    "rest_memory_bytes": "Memory at rest",
    "peak_memory_bytes": "Peak memory of the process",
    "latency_ms_p50": "Latency, median",
    "examples_per_second": "Throughput ↑",
    "flops_per_example": "FLOPs an example",
    "joules_per_example": "Energy an example",
}
ZERO_TITLES: Final[dict[Zero, str]] = {
    "nothing": "0",
    "chance": "chance",
    "baseline": "the strongest baseline",
}
_THOUSANDS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def cost_value(name: str, value: float) -> str:
    """A cost with three digits and its unit: ``24.9\u00a0M``, ``95.1 MiB``, ``12.3 ms``, ``4.05×``."""
    if name.endswith("_bytes"):
        return size(round(value))
    if name == COMPRESSION:
        return f"{_digits(value)}×"
    if name == "latency_ms_p50":
        return f"{_digits(value)} ms"
    if name == "examples_per_second":
        return f"{_digits(value)}/s"
    if name == "joules_per_example":
        return f"{_digits(value)} J"
    return count(value)


def count(value: float) -> str:
    """A large number with three digits: ``950``, ``24.9\u00a0M``, ``1.06\u00a0G``."""
    for factor, letter in _THOUSANDS:
        if value >= factor:
            return f"{_digits(value / factor)}\u00a0{letter}"
    return _digits(value)


def percent(value: float) -> str:
    """A share in percent with one decimal and a true minus."""
    return f"{100 * value:.1f}%".replace("-", "−")


def percent_estimate(estimate: Estimate | None) -> str:
    """A share with its interval: ``12.3% (8.1% to 16.0%)``."""
    if estimate is None:
        return "–"
    within = "" if estimate.ci95 is None else f" ({' to '.join(map(percent, estimate.ci95))})"
    return percent(estimate.value) + within


def base_text(base: Base) -> str:
    """What compression is counted from, in words."""
    return f"{base.name} with {count(base.parameters)} parameters" + ("" if base.compared else ", not itself compared")


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
