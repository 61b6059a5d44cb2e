"""What several tests need: samples, partners for controls, likelihoods, how alike two explanations are."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from reasondistill.contracts.records import Example, Prediction
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out, sample
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.metrics.text import is_empty

Test = Callable[[Sequence[Example], Sequence[Prediction], GroupBootstrap], Outcome]
"""A test of all the examples that it is given, with the answers to them and a bootstrap over them."""

_CHUNK = 512
_SMALLEST = 1e-12  # a probability that was rounded to 0 has a logarithm all the same


def over_sample(
    test: Test,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    most: int,
    bootstrap: GroupBootstrap,
    *,
    explained: bool = False,
) -> Outcome:
    """What ``test`` finds on at most ``most`` of the examples (see `outcome.sample`), told of all of them.

    Args:
        test: gets the sample only.
        examples: all of them (n,).
        answers: to ``examples`` (n,).
        most: examples in the sample.
        bootstrap: of the examples' groups (n,).
        explained: leave examples out whose explanation is empty.
    """
    places = [k for k in sample(examples, most) if not (explained and is_empty(answers[k].explanation))]
    if not places:
        return left_out("the student explains no example")
    found = test([examples[k] for k in places], [answers[k] for k in places], bootstrap.of(places))
    scores: dict[str, list[float | bool | None]] = {name: [None] * len(examples) for name in found.per_example}
    for name, values in found.per_example.items():
        for place, value in zip(places, values, strict=True):
            scores[name][place] = value
    sizes = {"examples": len(places)}
    return Outcome(found.metrics, found.details if "left_out" in found.details else sizes | found.details, scores)


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
    """`Subject.explanation_scores` of many examples, in chunks, so that one sees it go on; ``what`` names the work."""
    scores: list[float] = []
    for begin in range(0, len(examples), _CHUNK):
        progress(f"{what}: {begin:,} of {len(examples):,}")
        part = slice(begin, begin + _CHUNK)
        scores += subject.explanation_scores(examples[part], labels[part], explanations[part])
    return scores


def finite(value: float) -> float | None:
    """``value``, or None for what JSON cannot hold."""
    return value if math.isfinite(value) else None


def average(values: Iterable[float | None]) -> float | None:
    """The mean of those that are there; None without any."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def without_both(predictions: Sequence[Prediction]) -> str | None:
    """Why there is nothing to hold side by side: no labels with probabilities, or no explanations."""
    if any(p.label is None or not p.probabilities for p in predictions):
        return "the student gives no label that its explanations could be held beside"
    return None


def partners(
    examples: Sequence[Example], fits: Callable[[int, int], bool] = lambda place, other: True
) -> list[int | None]:
    """For each example the place of another one, of another group, for which ``fits(place, other)``.

    It is the next one in the order of the ids' SHA-256: the same examples always get the same partners. None for an
    example that no other one fits.
    """
    order = sorted(range(len(examples)), key=lambda k: hashlib.sha256(examples[k].id.encode("utf-8")).digest())
    groups = [e.cluster for e in examples]
    found: list[int | None] = [None] * len(examples)
    for turn, place in enumerate(order):
        later = (order[(turn + step) % len(order)] for step in range(1, len(order)))
        found[place] = next((k for k in later if groups[k] != groups[place] and fits(place, k)), None)
    return found
