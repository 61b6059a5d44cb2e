"""How differences and p-values are written."""

from __future__ import annotations

from reasondistill.reporting.formatting import metric_value


def difference_value(name: str, value: float, digits: int | None = None) -> str:
    """A difference with its sign, to ``digits`` decimals or as many as its metric is written with.

    The minus is one that does not look like a dash between figures.
    """
    text = metric_value(name, abs(value)) if digits is None else f"{abs(value):.{digits}f}"
    if not any(digit in text for digit in "123456789"):
        return text  # "+0.000" would claim a direction
    return f"{'+' if value > 0 else '−'}{text}"


def signed_interval(name: str, ci95: tuple[float, float] | None) -> str:
    """A 95% interval of a difference as ``low to high``, or nothing."""
    return "" if ci95 is None else " to ".join(difference_value(name, bound) for bound in ci95)


def p_value(p: float | None) -> str:
    """A p-value with four decimals, or three from 0.1 on."""
    if p is None:
        return "–"
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.4f}" if p < 0.1 else f"{p:.3f}"
