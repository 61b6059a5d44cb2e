"""One system on two parts of the data, as train and test: what it loses from the one to the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from reasondistill.comparison.measures import labels_of, measures
from reasondistill.comparison.paired_comparison import groups_of, notes_on, require_known
from reasondistill.comparison.pairs import Columns, Measured, shared
from reasondistill.comparison.systems import System
from reasondistill.contracts.comparison import ComparisonSettings, Gap, Generalisation, Part, Shift
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
    derived: bool = False,
) -> Generalisation:
    """The gap between two parts, as ``first`` - ``second``: of train and test, what memory adds.

    The parts share no rows, so nothing is paired: each part's groups are resampled by themselves, and the interval is
    that of the difference of the two.

    Args:
        metrics: only these; None for all that both parts have.
        derived: the second part may be made of rows of the first, as their counterfactuals are: shared groups are
            noted, not refused, and the parts are named after the systems.

    Raises:
        DataError: the parts share ids or groups, are of two runs or two tasks, or a metric is unknown.
    """
    settings = settings or ComparisonSettings()
    _require_one_system(first, second)
    overlap = [*_overlap(first, second)]
    if not derived:
        _require_apart(second, overlap)
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
    names_of = (first.name, second.name) if derived else _names(first, second)
    return Generalisation(
        first=Part(name=names_of[0], results=str(first.folder), dataset=first.results.dataset, groups=groups[0]),
        second=Part(name=names_of[1], results=str(second.folder), dataset=second.results.dataset, groups=groups[1]),
        settings=settings,
        metrics=_gaps(names, parts, bootstraps),
        left_out=left_out,
        notes=[note for name, group in zip(names_of, groups, strict=True) for note in notes_on(group, name)]
        + [
            f"{len(both):,} {what} are in both {names_of[0]} and {names_of[1]}: their intervals are too wide."
            for what, both in overlap
        ],
    )


def shift(
    base: System,
    others: Sequence[System],
    *,
    metrics: Collection[str] | None = None,
    settings: ComparisonSettings | None = None,
) -> Shift:
    """The gap between what a system is usually scored on and each of several other sets, named after the systems, or
    after their folders where they are of one run.

    Args:
        metrics, settings: as `generalisation`.

    Raises:
        DataError: as `generalisation`, but for groups that a set shares with ``base``.
    """
    if base.run is not None and all(other.run == base.run for other in others):  # the run is the same, the sets differ
        base, *others = (replace(system, name=system.folder.name) for system in (base, *others))
    return Shift(
        sets=[generalisation(base, other, metrics=metrics, settings=settings, derived=True) for other in others]
    )


def _gaps(names: Sequence[str], parts: Sequence[Measured], bootstraps: Sequence[GroupBootstrap]) -> dict[str, Gap]:
    resampled = None
    if all(bootstrap.n_groups > 1 for bootstrap in bootstraps):
        resampled = [_resampled(names, part, bootstrap) for part, bootstrap in zip(parts, bootstraps, strict=True)]
    gaps = {}
    for name in names:
        first, second = (part.measures[name] for part in parts)
        first_value, second_value = first.value(), second.value()
        gaps[name] = Gap(
            first=first_value,
            second=second_value,
            gap=first_value - second_value,
            ci95=percentile_interval(resampled[0][name] - resampled[1][name]) if resampled else None,
            n_first=first.n,
            n_second=second.n,
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


def _overlap(first: System, second: System) -> Iterator[tuple[str, list[str]]]:
    """The ids, and the groups, that two parts have in common."""
    for what, keys in (
        ("ids", [{row.id for row in part.rows} for part in (first, second)]),
        ("groups", [{row.group for row in part.rows if row.group is not None} for part in (first, second)]),
    ):
        if both := sorted(keys[0] & keys[1]):
            yield what, both


def _require_apart(second: System, overlap: Sequence[tuple[str, list[str]]]) -> None:
    """Refuse parts with rows or groups in common: what was learnt on the one would be asked for on the other."""
    for what, both in overlap:
        few = ", ".join(both[:3])
        raise DataError(
            second.folder,
            expected=f"{what} that are not in the first part",
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
    used: list[dict[str, float]] = [part.results.settings.get("references_used") or {} for part in (first, second)]
    bounds = [(figure.get("min"), figure.get("max")) for figure in used]
    means = [float(figure.get("mean") or 0) for figure in used]
    if bounds[0] == bounds[1] and abs(means[0] - means[1]) <= _MEAN_REFERENCES * max(means):
        return None
    return (
        f"the parts have {means[0]:.3g} and {means[1]:.3g} references a row on average, and more references raise "
        "the figure"
    )
