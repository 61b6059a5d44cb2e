"""The figures that a reader asks for first, each beside the baseline that it has to beat; and the summary in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.results import MetricValue, Results
from reasondistill.metrics.registry import evidence_metrics, headline_metrics, metric_of
from reasondistill.reporting.formatting import (
    baseline_title,
    interval,
    listing,
    metric_title,
    metric_value,
    references_of,
)
from reasondistill.reporting.inputs import Source

A_FEW: Final = 0.01
"""The first paragraph names empty explanations where they are more than this share."""

Verdict = Literal["above", "level", "below"]


class HeadlineRow(NamedTuple):
    """One metric with its interval and the strongest baseline; ``verdict`` says how the student compares with it.

    ``above``: the whole interval lies above the baseline. ``level``: the value does, the interval does not. ``below``:
    the value does not. Without an interval only the value counts. None where there is no baseline.
    """

    metric: str
    title: str
    value: float
    ci95: tuple[float, float] | None
    n: int
    baseline: str | None
    baseline_value: float | None
    verdict: Verdict | None

    def cells(self) -> tuple[str, str, str, str]:
        """Metric, value, 95% interval and strongest baseline, as text for a table."""
        baseline = ""
        if self.baseline is not None and self.baseline_value is not None:
            baseline = f"{metric_value(self.metric, self.baseline_value)} {baseline_title(self.baseline).lower()}"
        return self.title, metric_value(self.metric, self.value), interval(self.metric, self.ci95), baseline


def headline(results: Results) -> list[HeadlineRow]:
    """The headline metrics that ``results`` holds, in reading order."""
    return [headline_row(results, name) for name in headline_metrics() if name in results.metrics]


def headline_row(results: Results, name: str) -> HeadlineRow:
    """One metric beside its strongest baseline."""
    metric = results.metrics[name]
    baseline, baseline_value = results.strongest_baseline(name) or (None, None)
    verdict = None if baseline_value is None else _verdict(_on_rows_of(baseline, name, results), baseline_value)
    return HeadlineRow(name, metric_title(name), metric.value, metric.ci95, metric.n, baseline, baseline_value, verdict)


def _on_rows_of(baseline: str | None, name: str, results: Results) -> MetricValue:
    """The student's figure on the rows that a baseline is scored on: a metric may not be able to read all of them."""
    metric = results.metrics[name]
    fewer = _unread(results).get("baselines", {}).get(baseline, {}).get(name)
    if not fewer or fewer["student"] is None:
        return metric
    apart = fewer["student"] - metric.value
    within = None if metric.ci95 is None else (metric.ci95[0] + apart, metric.ci95[1] + apart)
    return metric.model_copy(update={"value": fewer["student"], "ci95": within})


def _unread(results: Results) -> Mapping[str, Any]:
    unread = results.settings.get("unread")
    return unread if isinstance(unread, Mapping) else {}


def left_out(results: Results) -> list[tuple[str, str]]:
    """Metrics that could not read too many of the texts, those of one reason together, and the reason."""
    by_reason: dict[str, list[str]] = {}
    unread = {**results.settings.get("unread_answers", {}), **_unread(results).get("left_out", {})}
    for name, reason in unread.items():
        by_reason.setdefault(reason, []).append(metric_title(name))
    return [(listing(names), reason) for reason, names in by_reason.items()]


def not_read(results: Results) -> str:
    """How many rows do not count in metrics that could not read them, in a sentence; empty where there are none."""
    unread = _unread(results)
    rows = {n: k for n, k in unread.get("rows", {}).items() if n not in unread["left_out"] and n in results.metrics}
    if not rows:
        return ""
    counts = listing([f"{metric_title(name)} {count:,}" for name, count in rows.items()])
    return f"Rows that could not be read, and do not count, of {unread['of']:,}: {counts}."


def _verdict(metric: MetricValue, baseline: float) -> Verdict:
    if metric.value <= baseline:
        return "below"
    return "level" if metric.ci95 is not None and metric.ci95[0] <= baseline else "above"


def summarise(source: Source) -> str:
    """One paragraph on one source: what was scored, accuracy, overlap beside the baselines, and calibration."""
    scored = source.main
    if scored is None:
        return f"The run {source.name} has not been evaluated yet: it holds no results."
    results = scored.results
    rows = {row.metric: row for row in headline(results)}
    part = _part_of(results.dataset)
    sentences = [f"Scored on {results.dataset.n:,} examples of {part}."]
    if learned := results.settings.get("learned_rows"):
        sentences.append(
            f"The student learned from {learned:,} of them, or from rows of their groups: it may know them."
        )
    if accuracy := right_row(rows):
        sentences.append(_accuracy_sentence(accuracy))
    sentences += [_overlap_sentence(results, rows[name]) for name in _overlap_metrics() if name in rows]
    if sentence := _reference_sentence(results):
        sentences.append(sentence)
    if names := [title for title, _ in left_out(results)]:
        sentences.append(f"Left out, as they cannot read these texts: {', '.join(names)}.")
    if empty := _empty_sentence(results):
        sentences.append(empty)
    if ece := rows.get("ece"):
        sentences.append(f"Its confidence misses its accuracy by {100 * ece.value:.1f} points on average (ECE).")
    return " ".join(sentences)


def right_row(rows: Mapping[str, HeadlineRow]) -> HeadlineRow | None:
    """The share of right labels, or of right answers where these are texts; None where neither was scored."""
    return next((rows[name] for name in ("label_accuracy", "execution_accuracy", "exact_match") if name in rows), None)


def _overlap_metrics() -> list[str]:
    """The metrics against references that explanations are judged by."""
    evidence = evidence_metrics()
    return [name for name in headline_metrics() if name in evidence and "references" in metric_of(name).needs]


def _accuracy_sentence(row: HeadlineRow) -> str:
    within = f" (95% interval {100 * row.ci95[0]:.1f}–{100 * row.ci95[1]:.1f}%)" if row.ci95 else ""
    gives = {"exact_match": "an accepted answer to", "execution_accuracy": "a query with the right result for"}
    sentence = f"The student gives {gives.get(row.metric, 'the gold label for')} {row.value:.1%}{within}"
    if row.baseline_value is None or row.baseline is None:
        return f"{sentence}."
    sentence += f", where {in_words(row.baseline)} gives {row.baseline_value:.1%}"
    doubt = {
        "above": "",
        "level": ": its interval reaches down to that baseline, so it is not shown to beat it",
        "below": ": it does not beat that baseline",
    }
    return f"{sentence}{doubt[row.verdict or 'above']}."


def _overlap_sentence(results: Results, row: HeadlineRow) -> str:
    within = f" (95% interval {interval(row.metric, row.ci95)})" if row.ci95 else ""
    sentence = f"Its explanations reach {row.title} {metric_value(row.metric, row.value)}{within}"
    if row.baseline is None or row.baseline_value is None:
        return f"{sentence}; no baseline was scored beside it."
    strongest = f"{in_words(row.baseline)} ({metric_value(row.metric, row.baseline_value)})"
    verdicts = {
        "above": f"and beat the strongest baseline, {strongest}",
        "level": f"above the strongest baseline, {strongest}, which lies within that interval: not shown to beat it",
        "below": f"and do not beat the strongest baseline, {strongest}",
    }
    sentence += f"{'' if row.verdict == 'above' else ','} {verdicts[row.verdict or 'above']}"
    # Overlap metrics favour copies of the input, so a reader wants to see that baseline even where another is higher.
    copied = results.baselines.get("copied_hypothesis", {}).get(row.metric)
    if copied is not None and row.baseline != "copied_hypothesis":
        sentence += f"; {in_words('copied_hypothesis')} reaches {metric_value(row.metric, copied)}"
    return f"{sentence}."


def _empty_sentence(results: Results) -> str:
    metric = results.metrics.get("empty_rate")
    if metric is None or metric.value <= A_FEW:
        return ""
    if metric.value == 1:
        return f"It explains nothing: all {metric.n:,} explanations are empty."
    return f"{round(metric.value * metric.n):,} of {metric.n:,} explanations ({metric.value:.1%}) are empty."


def in_words(name: str) -> str:
    """A baseline as part of a sentence."""
    if name.startswith("copied_"):
        return f"a copied {name.removeprefix('copied_').replace('_', ' ')}"
    words = {
        "template": "the commonest template",
        "majority_label": "always answering the majority label",
        "commonest_answer": "always giving the commonest answer",
        "longest_sentence": "the input's longest sentence",
        "one_step": "one step from all sentences",
        "chain": "one sentence after the other",
    }
    return words.get(name) or baseline_title(name).lower()


def _reference_sentence(results: Results) -> str:
    references = results.baselines.get("references", {}).get("rougeL")
    student = results.baselines.get("student_fewer_references", {}).get("rougeL")
    if references is None or student is None:
        return ""
    return (
        f"The {references_of(results.settings)} reach ROUGE-L {references:.3f} against each other, "
        f"where the student reaches {student:.3f} against as many of them."
    )


def summarise_several(sources: Sequence[Source], comparison: str = "") -> str:
    """One paragraph on several sources: what tests show of them, and which does not beat its baseline.

    Args:
        comparison: what tests show, in words, where the sources were scored on the same rows. Nothing else ranks them.
    """
    scored = [(source.name, source.main.results) for source in sources if source.main is not None]
    by_rows: dict[str, list[tuple[str, Results]]] = {}
    for name, results in scored:
        by_rows.setdefault(results.dataset.fingerprint, []).append((name, results))
    sentences = [comparison or f"{len(sources)} systems side by side, without a test between them."]
    if len(by_rows) > 1:
        parts = [
            f"{listing([name for name, _ in of])} on {of[0][1].dataset.n:,} rows of {_part_of(of[0][1].dataset)}"
            for of in by_rows.values()
        ]
        sentences.append(
            f"They were not all scored on the same rows, so their figures do not rank them: {'; '.join(parts)}."
        )
    for metric in ("label_accuracy", *_overlap_metrics()):
        rows = [(s, headline_row(r, metric)) for s, r in scored if metric in r.metrics]
        behind = [s for s, row in rows if row.verdict in ("below", "level")]
        if behind:
            sentences.append(f"On {metric_title(metric)}, not shown to beat the strongest baseline: {listing(behind)}.")
    empty = [(s, r.metrics["empty_rate"].value) for s, r in scored if "empty_rate" in r.metrics]
    if named := [f"{share:.1%} of the explanations of {s}" for s, share in empty if share > A_FEW]:
        sentences.append(f"Empty are {listing(named)}.")
    if unread := [f"{s} ({', '.join(title for title, _ in names)})" for s, r in scored if (names := left_out(r))]:
        sentences.append(f"Left out, as they cannot read the texts: {listing(unread)}.")
    if unscored := [s.name for s in sources if s.main is None]:
        sentences.append(f"Not evaluated yet: {listing(unscored)}.")
    return " ".join(sentences)


def _part_of(dataset: DatasetInfo) -> str:
    return f"the {dataset.split} part of {dataset.name}" if dataset.split else dataset.name
