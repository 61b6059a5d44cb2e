"""Does explanation quality degrade more gracefully than accuracy? The answer in words, with its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from reasondistill.comparison.degradation import ZEROS
from reasondistill.contracts.tradeoffs import Answer, Loss, Tradeoffs, Zero
from reasondistill.reporting.cost_format import ZERO_TITLES, cost_value, count, percent_estimate
from reasondistill.reporting.formatting import listing, metric_title

QUESTION: Final = "Does explanation quality degrade more gracefully than label accuracy?"
_HEADS: Final[dict[Answer, str]] = {
    "more": "Yes, by {told}",
    "less": "No, by {told}: explanations lose the larger share",
    "mixed": "It depends on the metric: explanations lose the smaller share by {more}, the larger share by {less}",
    "untold": "It cannot be told from these results: by {untold} the interval of the difference holds 0",
    "undefined": "It cannot be told from these results",
}


def main_answer(found: Tradeoffs) -> tuple[Zero, Answer] | None:
    """The answer above the strictest zero point that there is one for: the floor, else chance, else 0."""
    for zero in reversed(ZEROS):
        if zero in found.answers:
            return zero, found.answers[zero]
    return None


def answer_text(found: Tradeoffs) -> str:
    """The answer and how sure it is, in one paragraph."""
    if found.smallest is None:
        return f"{QUESTION} No system has fewer parameters than {found.reference}, so there is nothing to tell it from."
    main = main_answer(found)
    if main is None:
        return f"{QUESTION} It cannot be told: label accuracy and an explanation metric are needed of {_both(found)}."
    zero, answer = main
    sentences = [
        QUESTION,
        f"From {_sized(found, found.reference)} to {_sized(found, found.smallest)}, counted above "
        f"{ZERO_TITLES[zero]}: {_head(found, zero, answer)}.",
        *_figures(found, zero),
        *_otherwise(found, zero, answer),
    ]
    return " ".join(sentences)


def reservations(found: Tradeoffs) -> str:
    """What the answer hangs on: the zero point, and how many systems there are."""
    if (main := main_answer(found)) is None:
        return ""
    others = [
        f"Counted above {ZERO_TITLES[zero]} instead: {_lower(_head(found, zero, found.answers[zero]))}."
        for zero in reversed(ZEROS)
        if zero in found.answers and zero != main[0]
    ]
    measured = sum(system.compression is not None for system in found.systems)
    return " ".join(
        [
            *others,
            f"These are {measured} systems, each as it was trained once: the intervals hold for other rows of the same "
            "kind, not for other seeds, recipes or sizes, and they are not corrected for how many there are.",
        ]
    )


def losses_of(found: Tradeoffs, system: str, zero: Zero) -> list[Loss]:
    """What ``system`` lost above a zero point, a row for each explanation metric."""
    return [loss for loss in found.losses if loss.system == system and loss.zero == zero]


def _figures(found: Tradeoffs, zero: Zero) -> Iterator[str]:
    losses = losses_of(found, found.smallest or "", zero)
    whole = f"of what {found.reference} has above {ZERO_TITLES[zero]}"
    if told := [loss for loss in losses if loss.difference is not None]:
        yield f"Label accuracy loses {percent_estimate(told[0].label_loss)} {whole}."
        for loss in told:
            yield (
                f"{metric_title(loss.metric)} loses {percent_estimate(loss.explanation_loss)}; accuracy's loss less "
                f"that is {percent_estimate(loss.difference)}."
            )
        if all(_shows_no_loss(loss) for loss in told):
            yield "None of these losses is shown to be above 0."
    for reason in dict.fromkeys(loss.reason for loss in losses if loss.verdict == "undefined"):
        name, _, why = reason.partition(": ")
        yield f"{metric_title(name)} has no share to lose: {why}."


def _otherwise(found: Tradeoffs, zero: Zero, answer: Answer) -> Iterator[str]:
    """Sizes in between for which it is the other way round: what was made smaller may matter more than by how much."""
    opposite = {"more": "less", "less": "more"}.get(answer)
    for system in found.systems:
        if system.name in (found.reference, found.smallest):
            continue
        turned = [metric_title(one.metric) for one in losses_of(found, system.name, zero) if one.verdict == opposite]
        if turned:
            yield f"It is the other way round for {system.name}, by {listing(turned)}."


def _head(found: Tradeoffs, zero: Zero, answer: Answer) -> str:
    losses = losses_of(found, found.smallest or "", zero)
    by_verdict = {v: listing([metric_title(loss.metric) for loss in losses if loss.verdict == v]) for v in _VERDICTS}
    text = _HEADS[answer].format(told=by_verdict.get(answer, ""), **by_verdict)
    if answer in ("more", "less", "mixed") and by_verdict["untold"]:
        text += f"; not told apart by {by_verdict['untold']}"
    return text


_VERDICTS: Final = ("more", "less", "untold", "undefined")


def _shows_no_loss(loss: Loss) -> bool:
    both: Sequence[tuple[float, float] | None] = [
        estimate.ci95 if estimate else None for estimate in (loss.label_loss, loss.explanation_loss)
    ]
    return all(interval is not None and interval[0] <= 0 for interval in both)


def _sized(found: Tradeoffs, name: str) -> str:
    system = next(one for one in found.systems if one.name == name)
    text = f"{name} ({count(system.costs['parameters'])} parameters"
    if name != found.base.name and system.compression is not None:
        text += f", compression {cost_value('compression', system.compression)}"
    return text + ")"


def _both(found: Tradeoffs) -> str:
    return f"both {found.reference} and {found.smallest}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
