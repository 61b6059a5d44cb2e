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


def main_answer(tradeoffs: Tradeoffs) -> tuple[Zero, Answer] | None:
    """The answer above the strictest zero point that there is one for: the baseline, else chance, else 0."""
    for zero in reversed(ZEROS):
        if zero in tradeoffs.answers:
            return zero, tradeoffs.answers[zero]
    return None


def answer_text(tradeoffs: Tradeoffs) -> str:
    """The answer and how sure it is, in one paragraph."""
    if tradeoffs.smallest is None:
        fewest = tradeoffs.reference
        return f"{QUESTION} No system has fewer parameters than {fewest}, so there is nothing to tell it from."
    main = main_answer(tradeoffs)
    if main is None:
        return (
            f"{QUESTION} It cannot be told: label accuracy and an explanation metric are needed of {_both(tradeoffs)}."
        )
    zero, answer = main
    sentences = [
        QUESTION,
        f"From {_sized(tradeoffs, tradeoffs.reference)} to {_sized(tradeoffs, tradeoffs.smallest)}, counted above "
        f"{ZERO_TITLES[zero]}: {_head(tradeoffs, zero, answer)}.",
        *_figures(tradeoffs, zero),
        *_otherwise(tradeoffs, zero, answer),
    ]
    return " ".join(sentences)


def reservations(tradeoffs: Tradeoffs) -> str:
    """What the answer hangs on: the zero point, and how many systems there are."""
    if (main := main_answer(tradeoffs)) is None:
        return ""
    others = [
        f"Counted above {ZERO_TITLES[zero]} instead: {_lower(_head(tradeoffs, zero, tradeoffs.answers[zero]))}."
        for zero in reversed(ZEROS)
        if zero in tradeoffs.answers and zero != main[0]
    ]
    measured = sum(system.compression is not None for system in tradeoffs.systems)
    return " ".join(
        [
            *others,
            f"These are {measured} systems, each as it was trained once: the intervals hold for other rows of the same "
            "kind, not for other seeds, recipes or sizes, and they are not corrected for how many there are.",
        ]
    )


def losses_of(tradeoffs: Tradeoffs, system: str, zero: Zero) -> list[Loss]:
    """What ``system`` lost above a zero point, a row for each explanation metric."""
    return [loss for loss in tradeoffs.losses if loss.system == system and loss.zero == zero]


def _figures(tradeoffs: Tradeoffs, zero: Zero) -> Iterator[str]:
    losses = losses_of(tradeoffs, tradeoffs.smallest or "", zero)
    whole = f"of what {tradeoffs.reference} has above {ZERO_TITLES[zero]}"
    if estimated := [loss for loss in losses if loss.difference is not None]:
        yield f"Label accuracy loses {percent_estimate(estimated[0].label_loss)} {whole}."
        for loss in estimated:
            yield (
                f"{metric_title(loss.metric)} loses {percent_estimate(loss.explanation_loss)}; accuracy's loss less "
                f"that is {percent_estimate(loss.difference)}."
            )
        if all(_shows_no_loss(loss) for loss in estimated):
            yield "None of these losses is shown to be above 0."
    for reason in dict.fromkeys(loss.reason for loss in losses if loss.verdict == "undefined"):
        name, _, why = reason.partition(": ")
        yield f"{metric_title(name)} has no share to lose: {why}."


def _otherwise(tradeoffs: Tradeoffs, zero: Zero, answer: Answer) -> Iterator[str]:
    """Sizes in between for which it is the other way round: what was made smaller may matter more than by how much."""
    opposite = {"more": "less", "less": "more"}.get(answer)
    for system in tradeoffs.systems:
        if system.name in (tradeoffs.reference, tradeoffs.smallest):
            continue
        turned = [
            metric_title(loss.metric) for loss in losses_of(tradeoffs, system.name, zero) if loss.verdict == opposite
        ]
        if turned:
            yield f"It is the other way round for {system.name}, by {listing(turned)}."


def _head(tradeoffs: Tradeoffs, zero: Zero, answer: Answer) -> str:
    losses = losses_of(tradeoffs, tradeoffs.smallest or "", zero)
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


def _sized(tradeoffs: Tradeoffs, name: str) -> str:
    system = next(system for system in tradeoffs.systems if system.name == name)
    text = f"{name} ({count(system.costs['parameters'])} parameters"
    if name != tradeoffs.base.name and system.compression is not None:
        text += f", compression {cost_value('compression', system.compression)}"
    return text + ")"


def _both(tradeoffs: Tradeoffs) -> str:
    return f"both {tradeoffs.reference} and {tradeoffs.smallest}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
