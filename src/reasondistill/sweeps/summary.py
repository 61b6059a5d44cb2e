"""The finished cells of a sweep, side by side: means over seeds, tests against the baseline, curves, trade-offs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any, NamedTuple

from reasondistill.comparison.alignment import aligned
from reasondistill.comparison.measures import labels_of, measures
from reasondistill.comparison.paired_comparison import FAMILY, correct, groups_of, notes_on, notes_on_resolution
from reasondistill.comparison.pairs import Measured, compare_pair
from reasondistill.comparison.seeds import mean_of, over_rows_and_seeds, row_interval
from reasondistill.comparison.systems import System, load_system
from reasondistill.comparison.tradeoffs import tradeoffs
from reasondistill.contracts.comparison import Comparison, ComparisonSettings, Family, Pair, SystemInfo
from reasondistill.contracts.sweep import Against, CellState, Curve, Figure, Point, Scores, SweepSummary, Variant
from reasondistill.metrics.registry import metric_of
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.sweeps.grid import Cell, Sweep
from reasondistill.sweeps.state import failure_of, run_of, state_of

_ONE_SEED = (
    "{names}: one seed each, so that there is no telling what another training would have given: intervals and "
    "p-values speak of the rows only."
)


class Summary(NamedTuple):
    """A sweep's figures; of each part that two variants or more were scored on, their comparison too."""

    sweep: SweepSummary
    comparisons: dict[str, Comparison]


class _Scored(NamedTuple):
    """A variant's finished trainings on one part, by seed."""

    cells: list[Cell]
    runs: dict[int, Measured]


def summarise(
    sweep: Sweep,
    *,
    settings: ComparisonSettings | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Summary:
    """What the finished cells of a sweep show, whatever became of the others.

    Raises:
        DataError: results are broken, or cells were scored on other rows.
    """
    settings = settings or ComparisonSettings()
    parts: list[Scores] = []
    comparisons: dict[str, Comparison] = {}
    for scored in sweep.settings.evaluations:
        found = _read(sweep, scored.part, progress)
        if not found:
            continue
        progress(f"comparing on {scored.part}")
        scores, comparison = _scores(sweep, scored.part, found, settings)
        parts.append(scores)
        if comparison is not None:
            comparisons[scored.part] = comparison
    return Summary(SweepSummary(name=sweep.settings.name, cells=states_of(sweep), parts=parts), comparisons)


def states_of(sweep: Sweep) -> list[CellState]:
    """How far each cell is."""
    return [
        CellState(
            name=cell.name,
            variant=cell.variant,
            seed=cell.seed,
            state=state_of(sweep, cell),
            error=str(told["error"]) if (told := failure_of(sweep, cell)) else None,
        )
        for cell in sweep.cells
    ]


def _read(sweep: Sweep, part: str, progress: Callable[[str], None]) -> dict[str, _Scored]:
    """Variants with the finished trainings of each, rows of all in one order."""
    systems: dict[str, System] = {}
    for cell in sweep.cells:
        folder = run_of(cell).results(part)
        if (folder / "results.json").is_file():
            progress(f"reading {cell.name}")
            systems[cell.name] = _with_costs(cell, load_system(folder, cell.name))
    if not systems:
        return {}
    first = next(iter(systems.values()))
    systems = {name: aligned(system, first) for name, system in systems.items()}
    labels = labels_of(list(systems.values()))
    found: dict[str, _Scored] = {}
    for variant, cells in sweep.variants.items():
        runs = {
            cell.seed: _measured(cell, systems[cell.name], labels, sweep.settings.metrics)
            for cell in cells
            if cell.name in systems
        }
        if runs:
            found[variant] = _Scored(cells, runs)
    return found


def _measured(cell: Cell, system: System, labels: Sequence[str], metrics: Sequence[str]) -> Measured:
    """Its metrics, without those of what its output order does not write: an empty answer's 0 is no finding."""
    found, left_out = measures(system, labels, metrics)
    writes = {"label_only": "labels", "explanation_only": "explanations"}.get(cell.config.order)
    for name in list(found):
        if writes is not None and metric_of(name).about != writes:
            del found[name]
            left_out[name] = f"{cell.variant} writes {writes} only"
    return Measured(system, found, left_out)


def _with_costs(cell: Cell, system: System) -> System:
    """The system with what its run says of its size, where its costs were not measured."""
    return system if system.results.efficiency else replace(system, size=run_of(cell).info().student)


def _scores(
    sweep: Sweep, part: str, found: Mapping[str, _Scored], settings: ComparisonSettings
) -> tuple[Scores, Comparison | None]:
    baseline = sweep.baseline if sweep.baseline in found else next(iter(found))
    first = next(iter(found[baseline].runs.values())).system
    bootstrap = GroupBootstrap([r.group_key for r in first.rows], resamples=settings.resamples, seed=settings.seed)
    means = {name: mean_of(list(one.runs.values()), name) for name, one in found.items()}
    pairs, exact = _pairs(baseline, found, bootstrap, settings)
    corrected, tests = correct(pairs)
    family = Family(tests=tests, members=FAMILY)
    variants = [_variant(sweep, name, one, means[name], bootstrap) for name, one in found.items()]
    notes = [*notes_on(groups_of(first)), *notes_on_resolution(settings, tests, exact=exact)]
    notes += _notes(sweep, baseline, found)
    scores = Scores(
        part=part,
        dataset=first.results.dataset,
        baseline=baseline,
        variants=variants,
        effects=_effects(sweep, found, corrected),
        left_out={pair.system: pair.left_out for pair in corrected if pair.left_out},
        curves=list(_curves(sweep, variants)),
        family=family,
        notes=notes,
    )
    if not corrected:
        return scores, None
    weighed, missing = _tradeoffs(found, bootstrap)
    comparison = Comparison(
        systems=[
            SystemInfo(name=name, results=", ".join(str(run.system.folder) for run in one.runs.values()))
            for name, one in found.items()
        ],
        dataset=first.results.dataset,
        groups=groups_of(first),
        settings=settings,
        exact=exact,
        family=family,
        pairs=corrected,
        tradeoffs=weighed,
        notes=[*notes, *missing],
    )
    return scores, comparison


def _pairs(
    baseline: str, found: Mapping[str, _Scored], bootstrap: GroupBootstrap, settings: ComparisonSettings
) -> tuple[list[Pair], bool]:
    """Each variant against the baseline, both as means over the seeds that they share, not yet corrected."""
    pairs, exact = [], True
    for name in found:
        if name == baseline or not (seeds := _common([found[name], found[baseline]])):
            continue
        ours, theirs = (mean_of([found[who].runs[seed] for seed in seeds], who) for who in (name, baseline))
        pair, tried_all = compare_pair(ours, theirs, bootstrap, settings)
        pairs.append(pair)
        exact &= tried_all
    return pairs, exact


def _common(several: Sequence[_Scored]) -> list[int]:
    return [seed for seed in several[0].runs if all(seed in one.runs for one in several)]


def _tradeoffs(found: Mapping[str, _Scored], bootstrap: GroupBootstrap) -> tuple[Any, list[str]]:
    """Quality against size. Resamples want every variant with as many seeds: those that all have."""
    seeds = _common(list(found.values()))
    if not seeds:
        return None, ["Trade-offs need a seed that every variant has."]
    return tradeoffs([mean_of([one.runs[seed] for seed in seeds], name) for name, one in found.items()], bootstrap)


def _variant(sweep: Sweep, name: str, one: _Scored, averaged: Measured, bootstrap: GroupBootstrap) -> Variant:
    cell = one.cells[0]
    infos = [run_of(cell).info() for cell in one.cells if cell.seed in one.runs]
    seconds = [sum(info.timings.values()) for info in infos]
    # A fraction keeps other groups with another seed, and so another number of rows.
    rows = [sum(part.n for key, part in i.data.items() if key.startswith("train")) for i in infos]
    return Variant(
        name=name,
        changes=cell.changes,
        after=None if cell.after is None else next(c.variant for c in sweep.cells if c.name == cell.after),
        seeds=list(one.runs),
        parameters=infos[0].student and infos[0].student.parameters,
        training_rows=round(mean(rows)) or None,
        training_seconds=mean(seconds),
        figures={
            metric: _figure(
                averaged, metric, {seed: run.measures[metric].value() for seed, run in one.runs.items()}, bootstrap
            )
            for metric in sweep.settings.metrics
            if metric in averaged.measures
        },
    )


def _figure(averaged: Measured, metric: str, by_seed: dict[int, float], bootstrap: GroupBootstrap) -> Figure:
    values = list(by_seed.values())
    rows = row_interval(averaged, metric, bootstrap)
    value = averaged.measures[metric].value()
    return Figure(
        mean=value,
        sd=stdev(values) if len(values) > 1 else None,
        ci95=over_rows_and_seeds(value, rows, values),
        rows_ci95=rows,
        seeds=by_seed,
        n=averaged.measures[metric].n,
    )


def _effects(sweep: Sweep, found: Mapping[str, _Scored], pairs: Sequence[Pair]) -> list[Against]:
    effects = []
    for metric in sweep.settings.metrics:
        tested = [(pair, pair.metrics[metric]) for pair in pairs if metric in pair.metrics]
        for pair, test in sorted(tested, key=lambda one: -abs(one[1].difference)):
            ours, theirs = found[pair.system], found[pair.baseline]
            seeds = _common([ours, theirs])
            apart = [ours.runs[s].measures[metric].value() - theirs.runs[s].measures[metric].value() for s in seeds]
            effects.append(
                Against(
                    variant=pair.system,
                    metric=metric,
                    difference=test.difference,
                    ci95=over_rows_and_seeds(test.difference, test.ci95, apart),
                    rows_ci95=test.ci95,
                    p=test.p,
                    p_holm=test.p_holm,
                    effect=test.effect,
                    seeds=seeds,
                )
            )
    return effects


def _curves(sweep: Sweep, variants: Sequence[Variant]) -> Iterator[Curve]:
    """A curve for each key with numbers, among variants that are alike in everything else."""
    keys = dict.fromkeys(key for variant in variants for key in variant.changes)
    configs = {cell.variant: cell.config.model_dump(mode="json") for cell in sweep.cells}
    for key in keys:
        lines: dict[tuple[str, ...], list[tuple[float, Variant]]] = {}
        for variant in variants:
            value = _at(configs[variant.name], key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                others = sorted(f"{k}: {v}" for k, v in variant.changes.items() if k != key)
                others += [f"after {variant.after}"] if variant.after else []
                lines.setdefault(tuple(others), []).append((float(value), variant))
        for others_of, line in lines.items():
            if len({value for value, _ in line}) < 2:
                continue
            for metric in sweep.settings.metrics:
                points = [
                    Point(variant=v.name, value=x, mean=f.mean, ci95=f.ci95 or f.rows_ci95)
                    for x, v in sorted(line, key=lambda pair: pair[0])
                    if (f := v.figures.get(metric)) is not None
                ]
                if len(points) > 1:
                    yield Curve(key=key, metric=metric, others=", ".join(others_of), points=points)


def _at(value: Any, key: str) -> Any:
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _notes(sweep: Sweep, baseline: str, found: Mapping[str, _Scored]) -> Iterator[str]:
    if baseline != sweep.baseline:
        yield f"The baseline {sweep.baseline} has no finished cell; {baseline} stands in its place."
    if missing := [cell.name for cell in sweep.cells if cell.seed not in found.get(cell.variant, _NOTHING).runs]:
        yield f"Not finished, and in no figure: {', '.join(missing)}."
    had = {name for one in found.values() for run in one.runs.values() for name in run.measures}
    if unknown := [name for name in sweep.settings.metrics if name not in had]:
        yield f"No student has these metrics, so that nothing is said of them: {', '.join(unknown)}."
    if alone := [name for name, one in found.items() if len(one.runs) == 1]:
        yield _ONE_SEED.format(names=", ".join(alone))


_NOTHING = _Scored([], {})
