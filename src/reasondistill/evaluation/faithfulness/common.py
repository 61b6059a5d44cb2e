"""Shared by several tests: partners for controls, likelihoods, averages."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from reasondistill.contracts.records import Example
from reasondistill.counted import Counted
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject

_CHUNK = 512
_SMALLEST = 1e-12  # a probability that was rounded to 0 has a logarithm all the same


def log_probability(probabilities: Mapping[str, float], label: str | None) -> float:
    """Of ``label``, in nats."""
    return math.log(max(probabilities.get(label or "", 0.0), _SMALLEST))


def explanation_scores(
    subject: Subject,
    examples: Sequence[Example],
    labels: Sequence[str | None],
    explanations: Sequence[str],
    what: str,
    progress: Progress,
) -> list[float]:
    """`Subject.explanation_scores` of many examples, in chunks that report progress; ``what`` names the work."""
    scores: list[float] = []
    for begin in range(0, len(examples), _CHUNK):
        progress(Counted(what, begin, len(examples)))
        part = slice(begin, begin + _CHUNK)
        scores += subject.explanation_scores(examples[part], labels[part], explanations[part])
    return scores


def finite(value: float) -> float | None:
    """``value``, or None if JSON cannot represent it."""
    return value if math.isfinite(value) else None


def average(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None if there are none."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def partners(
    examples: Sequence[Example], fits: Callable[[int, int], bool] = lambda place, other: True
) -> list[int | None]:
    """For each example the place of another example, from another group, for which ``fits(place, other)``.

    It is the next one in the order of the ids' SHA-256: the same examples always get the same partners. None if no
    other example fits.
    """
    order = sorted(range(len(examples)), key=lambda k: hashlib.sha256(examples[k].id.encode("utf-8")).digest())
    groups = [e.cluster for e in examples]
    chosen: list[int | None] = [None] * len(examples)
    for turn, place in enumerate(order):
        later = (order[(turn + step) % len(order)] for step in range(1, len(order)))
        chosen[place] = next((k for k in later if groups[k] != groups[place] and fits(place, k)), None)
    return chosen
