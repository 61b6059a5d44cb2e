"""One system on two parts of the data, as train and test: what it loses from the one to the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from reasondistill.comparison.measures import labels_of, measures
from reasondistill.comparison.paired_comparison import groups_of, notes_on, require_known
from reasondistill.comparison.pairs import Columns, Measured, shared
from reasondistill.comparison.systems import System
from reasondistill.contracts.comparison import ComparisonSettings, Gap, Generalisation, Part
from reasondistill.errors import DataError
from reasondistill.metrics.registry import known_metrics
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, percentile_interval

_MEAN_REFERENCES = 0.05  # how far the mean number of references may differ, relative


def generalisation(
    first: System,
    second: System,
    *,
    metrics: Collection[str] | None = None,
    settings: ComparisonSettings | None = None,
) -> Generalisation:
    """The gap between two parts, as ``first`` - ``second``: of train and test, what memory adds.

    The parts share no rows, so nothing is paired: each part's groups are resampled by themselves, and the interval is
    that of the difference of the two.

    Args:
        metrics: only these; None for all that both parts have.

    Raises:
        DataError: the parts share ids or groups, are of two runs or two tasks, or a metric is unknown.
    """
    settings = settings or ComparisonSettings()
    _require_one_system(first, second)
    _require_apart(first, second)
    require_known(metrics, (first, second))
    labels = labels_of((first, second))
    parts = [Measured(part, *measures(part, labels, metrics)) for part in (first, second)]
    # `shared` takes its order from the second.
    names, left_out = shared(parts[1], parts[0])
    if reason := _unlike_references(first, second):
        from_references = _from_references(first)
        left_out |= {name: reason for name in names if name in from_references}
        names = [name for name in names if name not in from_references]
    # Two seeds: the same draws of two unrelated parts would tie them together.
    bootstraps = [
        GroupBootstrap([row.group_key for row in part.rows], resamples=settings.resamples, seed=settings.seed + k)
        for k, part in enumerate((first, second))
    ]
    groups = [groups_of(part) for part in (first, second)]
    names_of = _names(first, second)
    return Generalisation(
        first=Part(name=names_of[0], results=str(first.folder), dataset=first.results.dataset, groups=groups[0]),
        second=Part(name=names_of[1], results=str(second.folder), dataset=second.results.dataset, groups=groups[1]),
        settings=settings,
        metrics=_gaps(names, parts, bootstraps),
        left_out=left_out,
        notes=[note for name, one in zip(names_of, groups, strict=True) for note in notes_on(one, name)],
    )


def _gaps(names: Sequence[str], parts: Sequence[Measured], bootstraps: Sequence[GroupBootstrap]) -> dict[str, Gap]:
    resampled = None
    if all(bootstrap.n_groups > 1 for bootstrap in bootstraps):
        resampled = [_resampled(names, part, bootstrap) for part, bootstrap in zip(parts, bootstraps, strict=True)]
    gaps = {}
    for name in names:
        one, other = (part.measures[name] for part in parts)
        first, second = one.value(), other.value()
        gaps[name] = Gap(
            first=first,
            second=second,
            gap=first - second,
            ci95=percentile_interval(resampled[0][name] - resampled[1][name]) if resampled else None,
            n_first=one.n,
            n_second=other.n,
        )
    return gaps


def _resampled(names: Sequence[str], part: Measured, bootstrap: GroupBootstrap) -> dict[str, FloatArray]:
    """Each metric in each resample of a part, (resamples,)."""
    columns = Columns()
    places = {name: columns.add(part.measures[name].statistics) for name in names}
    if not places:
        return {}
    sums = bootstrap.sums(columns.joined())
    return {name: part.measures[name].function(sums[:, place]) for name, place in places.items()}


def _names(first: System, second: System) -> tuple[str, str]:
    """What the parts are called: the splits that were scored where they say so, else the systems' names."""
    splits = first.results.dataset.split, second.results.dataset.split
    if splits[0] and splits[1] and splits[0] != splits[1]:
        return splits[0], splits[1]
    return first.name, second.name


def _require_one_system(first: System, second: System) -> None:
    if first.run is not None and second.run is not None and first.run != second.run:
        raise DataError(
            second.folder,
            expected=f"another part of the run {first.run}",
            found=f"results of the run {second.run}",
            fix="Name two parts of one system; without --parts, systems are compared on the same part.",
        )
    tasks = [part.results.settings.get("task") for part in (first, second)]
    if tasks[0] != tasks[1]:
        raise DataError(second.folder, expected=f"results of the task {tasks[0]!r}", found=repr(tasks[1]))


def _require_apart(first: System, second: System) -> None:
    """Refuse parts with rows or groups in common: what was learnt on the one would be asked for on the other."""
    for what, keys in (
        ("ids", [{row.id for row in part.rows} for part in (first, second)]),
        ("groups", [{row.group for row in part.rows if row.group is not None} for part in (first, second)]),
    ):
        if both := sorted(keys[0] & keys[1]):
            few = ", ".join(both[:3])
            raise DataError(
                second.folder,
                expected=f"{what} that are not in {first.folder}",
                found=f"{len(both)} in both: {few}{', …' if len(both) > 3 else ''}",
                fix="Parts that overlap measure no generalisation: split by group (`reasondistill data split`).",
            )


def _from_references(system: System) -> tuple[str, ...]:
    teacher = system.results.settings.get("teacher")
    of_the_data = teacher is not None and teacher.get("fingerprint") is None  # its explanations are references
    from_references = tuple(metric.name for metric in known_metrics() if "references" in metric.needs)
    return (*from_references, "student_teacher_agreement") if of_the_data else from_references


def _unlike_references(first: System, second: System) -> str | None:
    """Why overlap with references cannot be compared, where the parts do not have equally many a row."""
    used: list[dict[str, Any]] = [part.results.settings.get("references_used") or {} for part in (first, second)]
    bounds = [(one.get("min"), one.get("max")) for one in used]
    means = [float(one.get("mean") or 0) for one in used]
    if bounds[0] == bounds[1] and abs(means[0] - means[1]) <= _MEAN_REFERENCES * max(means):
        return None
    return (
        f"the parts have {means[0]:.3g} and {means[1]:.3g} references a row on average, and more references raise "
        "the figure"
    )
