"""The tables of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from reasondistill.contracts.results import NOT_BASELINES, MetricValue, Results
from reasondistill.contracts.run import RunInfo
from reasondistill.contracts.slices import SliceFigures
from reasondistill.metrics.registry import (
    controlled_metrics,
    evidence_metrics,
    headline_metrics,
    known_metrics,
    metric_names,
)
from reasondistill.reporting.document import Cell, Facts, Table
from reasondistill.reporting.formatting import (
    baseline_title,
    duration,
    flatten,
    interval,
    marked_title,
    metric_title,
    metric_value,
    references_of,
    size,
)
from reasondistill.reporting.inputs import Source
from reasondistill.reporting.sections.headline import not_read

FLAG: Final = "▲"
"""Stands after a baseline's figure that reaches the student's."""


def beside_baselines(results: Results) -> Table | None:
    """The student, then every baseline, then the references: a row each, a column a metric."""
    names = [n for n in headline_metrics() if n in results.metrics and any(n in v for v in results.baselines.values())]
    if not names:
        return None
    baselines = sorted(
        (f for f in results.baselines if f not in NOT_BASELINES), key=lambda f: (f.startswith("copied_"), f)
    )
    compared = [f for f in NOT_BASELINES if f in results.baselines]
    rows = [(Cell("Student", "95% interval"), *(metric_cell(n, results.metrics[n]) for n in names))]
    for baseline in (*baselines, *compared):
        values = results.baselines[baseline]
        rows.append((Cell(baseline_title(baseline)), *_rival_cells(values, results, names, flag=baseline in baselines)))
    note = f"{FLAG} marks a baseline that reaches the student."
    if compared:
        whose = references_of(results.settings)
        note += f" The last rows are no baselines: how far the {whose} agree, and the student on the same terms."
    note += _reference_note(results.settings)
    return Table(
        "The student beside the baselines",
        ("", *(metric_title(n) for n in names)),
        tuple(rows),
        note=note,
        groups=frozenset({1, 1 + len(baselines)} if compared else {1}),
    )


def _reference_note(settings: Mapping[str, object]) -> str:
    """How many references the text metrics saw and what was made of several, as `evaluate` records it."""
    used, aggregate = settings.get("references_used"), settings.get("aggregate")
    if not isinstance(used, Mapping) or not used.get("max") or aggregate not in ("max", "mean"):
        return ""
    low, high = used.get("min"), used["max"]
    several = f"{high} references" if low in (high, None) else f"{low} to {high} references"
    if high == 1:
        return " Every explanation is compared with one reference."
    how = "maximum" if aggregate == "max" else "mean"
    stems = "stemmed" if settings.get("stemmer") else "unstemmed"
    return f" ROUGE ({stems}) and BERTScore: the {how} over {several}; BLEU and chrF use all of them at once."


def all_metrics(results: Results) -> Table:
    """Every metric with its interval and the number of examples behind it."""
    rows = [
        (
            Cell(marked_title(name)),
            Cell(metric_value(name, metric.value)),
            Cell(interval(name, metric.ci95) or "–"),
            Cell(f"{metric.n:,}"),
        )
        for name, metric in sorted(results.metrics.items(), key=lambda item: _reading_place(item[0]))
    ]
    note = "↓: lower is better. Intervals are the student's alone; only a paired test compares two systems."
    note = f"{note} {not_read(results)}".strip()
    return Table("All metrics", ("Metric", "Value", "95% interval", "Examples"), tuple(rows), note=note)


def per_label(results: Results) -> Table | None:
    """A row each label, a column each metric."""
    names = label_metrics(results)
    if not names:
        return None
    rows = [
        (
            Cell(label),
            *(metric_cell(n, values.get(n)) for n in names),
        )
        for label, values in results.per_label.items()
    ]
    return Table("Quality per label", ("Label", *(metric_title(n) for n in names)), tuple(rows))


def label_metrics(results: Results) -> list[str]:
    """The metrics that some label has a figure for, in reading order."""
    evidence = evidence_metrics()
    names = [*(m.name for m in known_metrics() if m.per_label_only), *(n for n in metric_names() if n in evidence)]
    return [n for n in names if any(n in values for values in results.per_label.values())]


def controls(results: Results) -> Table | None:
    """Negative controls, which a sound metric scores below the student."""
    names = [n for n in controlled_metrics() if n in results.metrics and any(n in v for v in results.controls.values())]
    if not names:
        return None
    fooled = results.settings.get("fooled", {})
    rows = [(Cell("Student"), *(Cell(metric_value(n, results.metrics[n].value)) for n in names))]
    for control, values in results.controls.items():
        cells = (
            Cell(metric_value(n, values[n]), flagged=control in fooled.get(n, ())) if n in values else Cell("")
            for n in names
        )
        rows.append((Cell(baseline_title(control)), *cells))
    note = (
        f"{FLAG} marks a control that reaches the student on the same rows: the metric is fooled by it. Shuffled: its "
        "explanation of another example with the same label; other label: one for another label about the same thing."
    )
    head = ("", *(metric_title(n) for n in names))
    return Table("Negative controls", head, tuple(rows), note=note, groups=frozenset({1}))


def other_parts(source: Source) -> Table | None:
    """The headline metrics on every part that was scored, where there are several."""
    if len(source.scored) < 2:
        return None
    return _side_by_side("Every scored part", "Part", [(s.split, s.results) for s in source.scored.values()])


def systems(sources: Sequence[Source]) -> Table | None:
    """The headline metrics of several systems, each on the part that its own headline speaks of."""
    scored = [(source.name, source.main.results) for source in sources if source.main is not None]
    return _side_by_side("Headline metrics", "System", scored) if scored else None


def _side_by_side(title: str, first: str, scored: Sequence[tuple[str, Results]]) -> Table:
    names = [n for n in headline_metrics() if any(n in r.metrics for _, r in scored)]
    rows = [
        (
            Cell(name, f"{r.dataset.n:,} examples"),
            *(metric_cell(n, r.metrics.get(n)) for n in names),
        )
        for name, r in scored
    ]
    note = "Beneath each figure: its 95% interval."
    return Table(title, (first, *(metric_title(n) for n in names)), tuple(rows), note=note)


def run_facts(run: RunInfo) -> list[Facts]:
    """What a run was made of: student, data, machine, timings, library versions, configuration."""
    about = {
        "Made": run.created,
        "Seed": None if run.seed is None else str(run.seed),
        "Git commit": run.git_commit,
        "Parameters": f"{run.student.parameters:,}" if run.student and run.student.parameters is not None else None,
        "Size on disk": size(run.student.bytes) if run.student and run.student.bytes is not None else None,
        "Selected checkpoint": f"step {run.best.step:,}, {run.best.metric} {run.best.value:.4f}" if run.best else None,
    }
    if hardware := run.hardware:
        about["Processor"] = _joined(hardware.cpu, hardware.cores and f"{hardware.cores} cores")
        about["Memory"] = None if hardware.memory_gib is None else f"{hardware.memory_gib:.1f} GiB"
        about["Accelerator"] = hardware.accelerator or "none"
    data = tuple(
        (part, _joined(info.source, None if info.n is None else f"{info.n:,} examples", info.fingerprint) or "")
        for part, info in run.data.items()
    )
    timings = tuple((stage, duration(seconds)) for stage, seconds in run.timings.items())
    facts = [
        Facts("Run", tuple((name, text) for name, text in about.items() if text)),
        Facts("Data", data),
        Facts("Timings", timings),
        Facts("Library versions", tuple(run.versions.items()), folded=True),
        Facts("Configuration", tuple(flatten(run.config)), folded=True),
    ]
    return [fact for fact in facts if fact.items]


def _reading_place(name: str) -> int:
    known = metric_names()  # unknown ones come last, in their own order
    return known.index(name) if name in known else len(known)


def metric_cell(name: str, figure: MetricValue | SliceFigures | None, absent: str = "") -> Cell:
    """A figure with its interval beneath it."""
    return Cell(absent) if figure is None else Cell(metric_value(name, figure.value), interval(name, figure.ci95))


def _rival_cells(values: Mapping[str, float], results: Results, names: Sequence[str], *, flag: bool) -> Iterator[Cell]:
    for name in names:
        if name in values:
            reaches = values[name] >= results.metrics[name].value
            yield Cell(metric_value(name, values[name]), flagged=flag and reaches)
        else:
            yield Cell("")


def _joined(*parts: str | int | None) -> str | None:
    return ", ".join(str(part) for part in parts if part) or None
