"""How names, figures, times and sizes are written in a report."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

from reasondistill.metrics.registry import metric_of

BASELINE_TITLES: Final = {
    "majority_label": "Majority label",
    "template": "Commonest template",
    "references": "References against each other",
    "student_fewer_references": "Student against as many references",
}
_SOURCES: Final = 3  # of the references, that are named
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """``text`` with every character that neither HTML nor XML can hold replaced by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def metric_title(name: str) -> str:
    """A metric's name as readers know it; an unknown one loses its underscores."""
    return metric_of(name).title


def marked_title(name: str) -> str:
    """`metric_title`, with an arrow where lower is better."""
    metric = metric_of(name)
    return f"{metric.title} ↓" if metric.lower_is_better else metric.title


def baseline_title(name: str) -> str:
    """A baseline's or control's name in words."""
    return BASELINE_TITLES.get(name) or _sentence(name)


def metric_value(name: str, value: float) -> str:
    """A figure with as many decimals as its metric's range asks for; a dash where it is no number."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.{metric_of(name).decimals}f}"


def interval(name: str, ci95: tuple[float, float] | None) -> str:
    """A 95% interval as ``low–high``, or nothing."""
    return "" if ci95 is None else "–".join(metric_value(name, bound) for bound in ci95)


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``4.2 s``, ``3 min 05 s``, ``1 h 02 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def size(n_bytes: int) -> str:
    """Bytes in binary units: ``80.1 MiB``."""
    value = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def listing(items: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def references_of(settings: Mapping[str, object]) -> str:
    """``references`` and, in brackets, whose they are, where ``results.settings`` says so."""
    sources = settings.get("reference_sources")
    if not isinstance(sources, Mapping) or not sources:
        return "references"
    named = [str(source).strip() or "unnamed" for source in sources]
    return f"references ({listing(named[:_SOURCES] + ([f'{len(named) - _SOURCES} more'] if named[_SOURCES:] else []))})"


def flatten(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested dictionaries as ``("outer.inner", "value")``; lists are written on one line.

    What has no name of its own, as the only template of a task without labels, has that of what it is in.
    """
    for key, inner in value.items():
        name = f"{prefix}{key}" if key else prefix.removesuffix(".")
        if isinstance(inner, Mapping) and inner:
            yield from flatten(inner, f"{name}.")
        else:
            yield name, scalar(inner)


def scalar(value: object) -> str:
    """A configuration's value as YAML readers would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(scalar, value)) or "none"
    return str(value) if value != {} else "none"


def slug(text: str) -> str:
    """``text`` as letters, digits and hyphens, for an anchor; at most 40 of them, and never none."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "system"


def _sentence(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
