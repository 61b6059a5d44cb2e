"""What a reader sees first: three figures beside what they have to beat, a sentence, three explanations, the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reasondistill.contracts.results import Results
from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.reporting.document import Figure, FirstScreen, Sample
from reasondistill.reporting.formatting import interval, metric_value, size
from reasondistill.reporting.inputs import Scored, Source
from reasondistill.reporting.sections.examples import card_of
from reasondistill.reporting.sections.headline import HeadlineRow, headline, in_words, right_row

SAMPLES = (("good", 0.9), ("typical", 0.5), ("bad", 0.1))
"""Which explanations are shown: the share of all explanations that score lower."""
_RIGHT = {"label_accuracy": "Right labels", "exact_match": "Exact answers", "execution_accuracy": "Right results"}
HONEST, ROUGH = 0.05, 0.1
"""Up to which calibration error probabilities are said to hold, and to hold roughly."""


def first_screen(source: Source) -> FirstScreen | None:
    """The first screen of a report on one system; None where nothing was scored."""
    scored = source.main
    if scored is None:
        return None
    results = scored.results
    rows = {row.metric: row for row in headline(results)}
    right = right_row(rows)
    explained = next((rows[name] for name in _judging(rows)), None)
    ece = None if right is not None and right.value == 0 else rows.get("ece")  # sure of nothing, as nothing is right
    figures = [
        _figure(_RIGHT[right.metric], right, percent=True) if right else None,
        _figure(f"Explanations: {explained.title}", explained) if explained else None,
        _calibration(ece) if ece else None,
    ]
    return FirstScreen(
        figures=tuple(figure for figure in figures if figure),
        verdict=_verdict(right, explained, ece),
        samples=_samples(scored.rows or (), explained.metric) if explained else (),
        rule="" if explained is None else _rule(explained),
        cost=_cost(source, results),
    )


def first_shown(scored: Scored) -> set[str]:
    """The ids of the examples on the first screen, so that they are not shown twice."""
    judging = _judging({row.metric: row for row in headline(scored.results)})
    samples = _samples(scored.rows or (), judging[0]) if judging else ()
    return {sample.card.id for sample in samples}


def _judging(rows: Mapping[str, HeadlineRow]) -> list[str]:
    """The headline metrics that judge explanations, the most telling first: support, meaning, then overlap."""
    order = ("support", "bertscore_f1", "rougeL", "rougeL_intl")
    return [name for name in order if name in rows]


def _figure(title: str, row: HeadlineRow, *, percent: bool = False) -> Figure:
    def shown(value: float) -> str:
        return f"{value:.1%}" if percent else metric_value(row.metric, value)

    within = ""
    if row.ci95 is not None:
        low, high = (f"{100 * bound:.1f}" for bound in row.ci95)
        within = f"95% interval {low}–{high}%" if percent else f"95% interval {interval(row.metric, row.ci95)}"
    against = ""
    if row.baseline is not None and row.baseline_value is not None:
        against = f"to beat: {shown(row.baseline_value)}, {in_words(row.baseline)}"
    return Figure(title, shown(row.value), within, against, row.verdict)


def _calibration(row: HeadlineRow) -> Figure:
    within = "" if row.ci95 is None else f"95% interval {100 * row.ci95[0]:.1f}–{100 * row.ci95[1]:.1f}"
    verdict = "above" if row.value <= HONEST else "level" if row.value <= ROUGH else "below"
    return Figure(
        "Confidence is off by", f"{100 * row.value:.1f} points", within, "on average (ECE); 0 is honest", verdict
    )


def _verdict(labels: HeadlineRow | None, explained: HeadlineRow | None, ece: HeadlineRow | None) -> str:
    """One sentence of plain words; it claims no more than the intervals show."""
    parts = []
    if labels is not None and labels.baseline is not None:
        does, baseline = ("labels", "label"), "always giving the commonest label"
        if labels.metric != "label_accuracy":
            does, baseline = ("answers", "answer"), in_words(labels.baseline)
        words = {
            "above": f"{does[0]} better than {baseline}",
            "level": f"is not shown to {does[1]} better than {baseline}",
            "below": f"{does[0]} no better than {baseline}",
        }
        parts.append(words[labels.verdict or "above"])
    if explained is not None and explained.baseline is not None:
        baseline = in_words(explained.baseline)
        words = {
            "above": f"explains better than {baseline}",
            "level": f"is not shown to explain better than {baseline}",
            "below": f"does not explain better than {baseline}",
        }
        parts.append(f"{words[explained.verdict or 'above']} (by {explained.title})")
    if ece is not None:
        held = "can be taken at their word" if ece.value <= HONEST else "hold roughly"
        parts.append(f"gives probabilities that {held if ece.value <= ROUGH else 'cannot be trusted as they are'}")
    if not parts:
        return ""
    *first, last = parts
    return f"The student {', '.join(first)}{' and ' if first else ''}{last}."


def _samples(rows: Sequence[ScoredRow], metric: str) -> tuple[Sample, ...]:
    scored = [(score, row) for row in rows if row.explanation and (score := row.score(metric)) is not None]
    scored.sort(key=lambda pair: (pair[0], pair[1].id))
    if len(scored) < len(SAMPLES):
        return ()
    chosen = [(name, scored[min(int(share * len(scored)), len(scored) - 1)][1]) for name, share in SAMPLES]
    return tuple(Sample(name, card_of(row)) for name, row in chosen)


def _rule(explained: HeadlineRow) -> str:
    (first, share), *others = SAMPLES
    rest = ", ".join(f"the {name} one than {share:.0%}" for name, share in others)
    return f"Chosen by rank, not by hand: on {explained.title}, the {first} one scores higher than {share:.0%}, {rest}."


def _cost(source: Source, results: Results) -> str:
    """What an answer costs, as far as it was measured."""
    costs = results.efficiency
    student = source.run.student if source.run is not None else None
    parameters = costs.parameters.total if costs and costs.parameters else student.parameters if student else None
    facts = [] if parameters is None else [_parameters(parameters)]
    if costs is not None:
        facts.append(f"{size(costs.weights_bytes)} of weights")
        facts.append(f"{costs.latency_ms.p50:,.0f} ms an answer")
        batches = " in batches" if costs.throughput.max_rows > 1 else ""
        facts.append(f"{costs.throughput.examples_per_second:,.0f} answers a second{batches}")
        facts.append(costs.hardware.cpu)
    else:
        facts.append("what an answer costs: `reasondistill efficiency` measures it")
    return " · ".join(facts)


def _parameters(count: int) -> str:
    return f"{count / 1e6:,.1f} million parameters" if count >= 100_000 else f"{count:,} parameters"
