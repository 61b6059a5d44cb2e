"""The figures that a reader asks for first, each beside the floor that it has to beat; and the summary in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.results import NOT_FLOORS, Metric, Results
from reasondistill.metrics.registry import evidence_metrics, headline_metrics, metric_of
from reasondistill.reporting.formatting import (
    floor_title,
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
    """One metric with its interval and the strongest floor; ``verdict`` says how the student stands to that floor.

    ``above``: the whole interval lies above the floor. ``level``: the value does, the interval does not. ``below``:
    the value does not. Without an interval only the value counts. None where there is no floor.
    """

    metric: str
    title: str
    value: float
    ci95: tuple[float, float] | None
    n: int
    floor: str | None
    floor_value: float | None
    verdict: Verdict | None

    def cells(self) -> tuple[str, str, str, str]:
        """Metric, value, 95% interval and strongest floor, as text for a table."""
        floor = ""
        if self.floor is not None and self.floor_value is not None:
            floor = f"{metric_value(self.metric, self.floor_value)} {floor_title(self.floor).lower()}"
        return self.title, metric_value(self.metric, self.value), interval(self.metric, self.ci95), floor


def headline(results: Results) -> list[HeadlineRow]:
    """The headline metrics that ``results`` holds, in reading order."""
    return [headline_row(results, name) for name in headline_metrics() if name in results.metrics]


def headline_row(results: Results, name: str) -> HeadlineRow:
    """One metric beside its strongest floor."""
    metric = results.metrics[name]
    values = {f: v[name] for f, v in results.floors.items() if name in v and f not in NOT_FLOORS}
    floor = max(values, key=lambda f: values[f], default=None)
    floor_value = None if floor is None else values[floor]
    verdict = None if floor_value is None else _verdict(_on_rows_of(floor, name, results), floor_value)
    return HeadlineRow(name, metric_title(name), metric.value, metric.ci95, metric.n, floor, floor_value, verdict)


def _on_rows_of(floor: str | None, name: str, results: Results) -> Metric:
    """The student's figure on the rows that a floor is scored on: a metric may not be able to read all of them."""
    metric = results.metrics[name]
    fewer = _unread(results).get("floors", {}).get(floor, {}).get(name)
    if not fewer or fewer["student"] is None:
        return metric
    apart = fewer["student"] - metric.value
    within = None if metric.ci95 is None else (metric.ci95[0] + apart, metric.ci95[1] + apart)
    return metric.model_copy(update={"value": fewer["student"], "ci95": within})


def _unread(results: Results) -> Mapping[str, Any]:
    found = results.settings.get("unread")
    return found if isinstance(found, Mapping) else {}


def left_out(results: Results) -> list[tuple[str, str]]:
    """Metrics that could not read too many of the texts, those of one reason together, and the reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in _unread(results).get("left_out", {}).items():
        by_reason.setdefault(reason, []).append(metric_title(name))
    return [(listing(names), reason) for reason, names in by_reason.items()]


def not_read(results: Results) -> str:
    """How many rows do not count in metrics that could not read them, in a sentence; empty where there are none."""
    found = _unread(results)
    rows = {n: k for n, k in found.get("rows", {}).items() if n not in found["left_out"] and n in results.metrics}
    if not rows:
        return ""
    counts = listing([f"{metric_title(name)} {count:,}" for name, count in rows.items()])
    return f"Rows that could not be read, and do not count, of {found['of']:,}: {counts}."


def _verdict(metric: Metric, floor: float) -> Verdict:
    if metric.value <= floor:
        return "below"
    return "level" if metric.ci95 is not None and metric.ci95[0] <= floor else "above"


def summarise(source: Source) -> str:
    """One paragraph on one source: what was scored, accuracy, overlap beside the floors, and calibration."""
    scored = source.main
    if scored is None:
        return f"The run {source.name} has not been evaluated yet: it holds no results."
    results = scored.results
    rows = {row.metric: row for row in headline(results)}
    part = _part_of(results.dataset)
    sentences = [f"Scored on {results.dataset.n:,} examples of {part}."]
    if accuracy := rows.get("label_accuracy"):
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


def _overlap_metrics() -> list[str]:
    """The metrics against references that explanations are judged by."""
    evidence = evidence_metrics()
    return [name for name in headline_metrics() if name in evidence and "references" in metric_of(name).needs]


def _accuracy_sentence(row: HeadlineRow) -> str:
    within = f" (95% interval {100 * row.ci95[0]:.1f}–{100 * row.ci95[1]:.1f}%)" if row.ci95 else ""
    sentence = f"The student gives the gold label for {row.value:.1%}{within}"
    if row.floor_value is None or row.floor is None:
        return f"{sentence}."
    sentence += f", where {_as_floor(row.floor)} gives {row.floor_value:.1%}"
    doubt = {
        "above": "",
        "level": ": its interval reaches down to that floor, so it is not shown to beat it",
        "below": ": it does not beat that floor",
    }
    return f"{sentence}{doubt[row.verdict or 'above']}."


def _overlap_sentence(results: Results, row: HeadlineRow) -> str:
    within = f" (95% interval {interval(row.metric, row.ci95)})" if row.ci95 else ""
    sentence = f"Its explanations reach {row.title} {metric_value(row.metric, row.value)}{within}"
    if row.floor is None or row.floor_value is None:
        return f"{sentence}; no floor was scored beside it."
    strongest = f"{_as_floor(row.floor)} ({metric_value(row.metric, row.floor_value)})"
    verdicts = {
        "above": f"and beat the strongest floor, {strongest}",
        "level": f"above the strongest floor, {strongest}, which lies within that interval: not shown to beat it",
        "below": f"and do not beat the strongest floor, {strongest}",
    }
    sentence += f"{'' if row.verdict == 'above' else ','} {verdicts[row.verdict or 'above']}"
    # Overlap metrics favour copies of the input, so a reader wants to see that floor even where another is higher.
    copied = results.floors.get("copied_hypothesis", {}).get(row.metric)
    if copied is not None and row.floor != "copied_hypothesis":
        sentence += f"; {_as_floor('copied_hypothesis')} reaches {metric_value(row.metric, copied)}"
    return f"{sentence}."


def _empty_sentence(results: Results) -> str:
    metric = results.metrics.get("empty_rate")
    if metric is None or metric.value <= A_FEW:
        return ""
    if metric.value == 1:
        return f"It explains nothing: all {metric.n:,} explanations are empty."
    return f"{round(metric.value * metric.n):,} of {metric.n:,} explanations ({metric.value:.1%}) are empty."


def _as_floor(name: str) -> str:
    if name.startswith("copied_"):
        return f"a copied {name.removeprefix('copied_').replace('_', ' ')}"
    words = {"template": "the commonest template", "majority_label": "always answering the majority label"}
    return words.get(name) or floor_title(name).lower()


def _reference_sentence(results: Results) -> str:
    references = results.floors.get("references", {}).get("rougeL")
    student = results.floors.get("student_fewer_references", {}).get("rougeL")
    if references is None or student is None:
        return ""
    return (
        f"The {references_of(results.settings)} reach ROUGE-L {references:.3f} against each other, "
        f"where the student reaches {student:.3f} against as many of them."
    )


def summarise_several(sources: Sequence[Source]) -> str:
    """One paragraph on several sources: which leads on what, and which does not beat its floor.

    Only systems that were scored on the same rows, in the same way, are ranked.
    """
    scored = [(source.name, source.main.results) for source in sources if source.main is not None]
    by_rows: dict[str, list[tuple[str, Results]]] = {}
    for name, results in scored:
        by_rows.setdefault(results.dataset.fingerprint, []).append((name, results))
    sentences = [f"{len(sources)} systems side by side."]
    if len(by_rows) > 1:
        parts = [
            f"{listing([name for name, _ in of])} on {of[0][1].dataset.n:,} rows of {_part_of(of[0][1].dataset)}"
            for of in by_rows.values()
        ]
        sentences.append(
            f"They were not all scored on the same rows, so their figures do not rank them: {'; '.join(parts)}."
        )
    for alike in by_rows.values():
        among = f"Among {listing([name for name, _ in alike])}, " if len(by_rows) > 1 else ""
        for metric in ("label_accuracy", *_overlap_metrics()):
            sentences += _ranking(metric, [(name, r) for name, r in alike if metric in r.metrics], among)
    for metric in ("label_accuracy", *_overlap_metrics()):
        rows = [(s, headline_row(r, metric)) for s, r in scored if metric in r.metrics]
        behind = [s for s, row in rows if row.verdict in ("below", "level")]
        if behind:
            sentences.append(f"On {metric_title(metric)}, not shown to beat the strongest floor: {listing(behind)}.")
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


def _ranking(name: str, systems: Sequence[tuple[str, Results]], among: str) -> Iterator[str]:
    """Who leads on a metric among systems with the same rows; nothing for fewer than two."""
    if len(systems) < 2:
        return
    title = f"{among}{metric_title(name)}"
    (_, first), *others = systems
    settings_in = metric_of(name).settings_in
    if any(settings_in(first.settings) != settings_in(r.settings) for _, r in others):
        yield f"{title} was measured with different settings, so it ranks nobody."
        return
    if any(first.metrics[name].n != r.metrics[name].n for _, r in others):
        yield f"{title} covers different numbers of rows, so it ranks nobody."
        return
    ranked = sorted(((r.metrics[name], s) for s, r in systems), key=lambda place: -place[0].value)
    (best, leader), (second, follower) = ranked[:2]
    within = f" (95% interval {interval(name, best.ci95)})" if best.ci95 else ""
    if best.value == second.value:
        equal = [s for metric, s in ranked if metric.value == best.value]
        yield f"{title} is highest for {listing(equal)} alike, {metric_value(name, best.value)}{within}."
        return
    sentence = f"{title} is highest for {leader}, {metric_value(name, best.value)}{within}"
    sentence += f", before {follower} with {metric_value(name, second.value)}"
    if best.ci95 and second.ci95 and second.ci95[1] >= best.ci95[0]:
        sentence += "; their intervals overlap, so a paired test has to tell them apart"
    yield f"{sentence}."
