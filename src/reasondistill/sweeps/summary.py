"""Comparing the finished trials of a sweep: means over seeds, tests against the baseline, curves, trade-offs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import NamedTuple

from reasondistill.comparison.alignment import aligned
from reasondistill.comparison.measures import labels_of, measures
from reasondistill.comparison.paired_comparison import FAMILY, correct, groups_of, notes_on, notes_on_resolution
from reasondistill.comparison.pairs import Measured, compare_pair
from reasondistill.comparison.seeds import mean_of, over_rows_and_seeds, row_interval
from reasondistill.comparison.systems import System, load_system
from reasondistill.comparison.tradeoffs import tradeoffs
from reasondistill.contracts.comparison import Comparison, ComparisonSettings, Family, Pair, SystemInfo
from reasondistill.contracts.sweep import Against, Curve, Figure, Point, Scores, SweepSummary, TrialState, Variant
from reasondistill.contracts.tradeoffs import Tradeoffs
from reasondistill.metrics.registry import metric_of
from reasondistill.metrics.statistics import GroupBootstrap
from reasondistill.sweeps.grid import Sweep, Trial
from reasondistill.sweeps.state import failure_of, run_of, state_of

_ONE_SEED = (
    "{names}: one seed each, so another training may give other figures: intervals and p-values cover "
    "the variation over rows only."
)


class Summary(NamedTuple):
    """A sweep's figures, with a comparison for each part on which two or more variants were scored."""

    sweep: SweepSummary
    comparisons: dict[str, Comparison]


class _Scored(NamedTuple):
    """A variant's finished trainings on one part, by seed."""

    trials: list[Trial]
    runs: dict[int, Measured]


def summarise(
    sweep: Sweep,
    *,
    settings: ComparisonSettings | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Summary:
    """Summarise the finished trials of a sweep; others are ignored.

    Raises:
        DataError: results are broken, or trials were scored on different rows.
    """
    settings = settings or ComparisonSettings()
    parts: list[Scores] = []
    comparisons: dict[str, Comparison] = {}
    for scored in sweep.settings.evaluations:
        by_variant = _read(sweep, scored.part, progress)
        if not by_variant:
            continue
        progress(f"comparing on {scored.part}")
        scores, comparison = _scores(sweep, scored.part, by_variant, settings)
        parts.append(scores)
        if comparison is not None:
            comparisons[scored.part] = comparison
    return Summary(SweepSummary(name=sweep.settings.name, trials=states_of(sweep), parts=parts), comparisons)


def states_of(sweep: Sweep) -> list[TrialState]:
    """The state of each trial."""
    return [
        TrialState(
            name=trial.name,
            variant=trial.variant,
            seed=trial.seed,
            state=state_of(sweep, trial),
            error=failure.error if (failure := failure_of(sweep, trial)) else None,
        )
        for trial in sweep.trials
    ]


def _read(sweep: Sweep, part: str, progress: Callable[[str], None]) -> dict[str, _Scored]:
    """Variants with their finished trainings, all with the rows in the same order."""
    systems: dict[str, System] = {}
    for trial in sweep.trials:
        folder = run_of(trial).results(part)
        if (folder / "results.json").is_file():
            progress(f"reading {trial.name}")
            systems[trial.name] = _with_costs(trial, load_system(folder, trial.name))
    if not systems:
        return {}
    first = next(iter(systems.values()))
    systems = {name: aligned(system, first) for name, system in systems.items()}
    labels = labels_of(list(systems.values()))
    by_variant: dict[str, _Scored] = {}
    for variant, trials in sweep.variants.items():
        runs = {
            trial.seed: _measured(trial, systems[trial.name], labels, sweep.settings.metrics)
            for trial in trials
            if trial.name in systems
        }
        if runs:
            by_variant[variant] = _Scored(trials, runs)
    return by_variant


def _measured(trial: Trial, system: System, labels: Sequence[str], metrics: Sequence[str]) -> Measured:
    """Its metrics, without those of outputs that its order does not write: the 0 of an empty answer means nothing."""
    measured, left_out = measures(system, labels, metrics)
    writes = {"label_only": "labels", "explanation_only": "explanations"}.get(trial.config.order)
    for name in list(measured):
        if writes is not None and metric_of(name).about != writes:
            del measured[name]
            left_out[name] = f"{trial.variant} writes {writes} only"
    return Measured(system, measured, left_out)


def _with_costs(trial: Trial, system: System) -> System:
    """The system with the size that its run records, if its costs were not measured."""
    return system if system.results.efficiency else replace(system, size=run_of(trial).info().student)


def _scores(
    sweep: Sweep, part: str, by_variant: Mapping[str, _Scored], settings: ComparisonSettings
) -> tuple[Scores, Comparison | None]:
    baseline = sweep.baseline if sweep.baseline in by_variant else next(iter(by_variant))
    first = next(iter(by_variant[baseline].runs.values())).system
    bootstrap = GroupBootstrap([r.group_key for r in first.rows], resamples=settings.resamples, seed=settings.seed)
    means = {name: mean_of(list(scored.runs.values()), name) for name, scored in by_variant.items()}
    pairs, exact = _pairs(baseline, by_variant, bootstrap, settings)
    corrected, tests = correct(pairs)
    family = Family(tests=tests, members=FAMILY)
    variants = [_variant(sweep, name, scored, means[name], bootstrap) for name, scored in by_variant.items()]
    notes = [*notes_on(groups_of(first)), *notes_on_resolution(settings, tests, exact=exact)]
    notes += _notes(sweep, part, baseline, by_variant)
    scores = Scores(
        part=part,
        dataset=first.results.dataset,
        baseline=baseline,
        variants=variants,
        effects=_effects(sweep, by_variant, corrected),
        left_out={pair.system: pair.left_out for pair in corrected if pair.left_out},
        curves=list(_curves(sweep, variants)),
        family=family,
        notes=notes,
    )
    if not corrected:
        return scores, None
    weighed, missing = _tradeoffs(by_variant, bootstrap)
    comparison = Comparison(
        systems=[
            SystemInfo(name=name, results=", ".join(str(run.system.folder) for run in scored.runs.values()))
            for name, scored in by_variant.items()
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
    baseline: str, by_variant: Mapping[str, _Scored], bootstrap: GroupBootstrap, settings: ComparisonSettings
) -> tuple[list[Pair], bool]:
    """Each variant against the baseline, both as means over the seeds that they share, not yet corrected."""
    pairs, exact = [], True
    for name in by_variant:
        if name == baseline or not (seeds := _common([by_variant[name], by_variant[baseline]])):
            continue
        ours, theirs = (mean_of([by_variant[who].runs[seed] for seed in seeds], who) for who in (name, baseline))
        pair, tried_all = compare_pair(ours, theirs, bootstrap, settings)
        pairs.append(pair)
        exact &= tried_all
    return pairs, exact


def _common(variants: Sequence[_Scored]) -> list[int]:
    return [seed for seed in variants[0].runs if all(seed in scored.runs for scored in variants)]


def _tradeoffs(by_variant: Mapping[str, _Scored], bootstrap: GroupBootstrap) -> tuple[Tradeoffs | None, list[str]]:
    """Quality against size. Resampling needs as many seeds of every variant: those that all have."""
    seeds = _common(list(by_variant.values()))
    if not seeds:
        return None, ["Trade-offs need a seed that every variant has."]
    return tradeoffs(
        [mean_of([scored.runs[seed] for seed in seeds], name) for name, scored in by_variant.items()], bootstrap
    )


def _variant(sweep: Sweep, name: str, scored: _Scored, averaged: Measured, bootstrap: GroupBootstrap) -> Variant:
    trial = scored.trials[0]
    infos = [run_of(trial).info() for trial in scored.trials if trial.seed in scored.runs]
    seconds = [sum(info.timings.values()) for info in infos]
    # A fraction keeps different groups with each seed, and so a different number of rows.
    rows = [sum(part.n for key, part in i.data.items() if key.startswith("train")) for i in infos]
    return Variant(
        name=name,
        changes=trial.changes,
        after=None if trial.after is None else next(c.variant for c in sweep.trials if c.name == trial.after),
        seeds=list(scored.runs),
        parameters=infos[0].student and infos[0].student.parameters,
        training_rows=round(mean(rows)) or None,
        training_seconds=mean(seconds),
        figures={
            metric: _figure(
                averaged, metric, {seed: run.measures[metric].value() for seed, run in scored.runs.items()}, bootstrap
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


def _effects(sweep: Sweep, by_variant: Mapping[str, _Scored], pairs: Sequence[Pair]) -> list[Against]:
    effects = []
    for metric in sweep.settings.metrics:
        tested = [(pair, pair.metrics[metric]) for pair in pairs if metric in pair.metrics]
        for pair, test in sorted(tested, key=lambda tested_pair: -abs(tested_pair[1].difference)):
            ours, theirs = by_variant[pair.system], by_variant[pair.baseline]
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
    """A curve for each numeric key, over variants that differ in nothing else."""
    keys = dict.fromkeys(key for variant in variants for key in variant.changes)
    configs = {trial.variant: trial.config.model_dump(mode="json") for trial in sweep.trials}
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


def _at(value: object, key: str) -> object:
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _notes(sweep: Sweep, part: str, baseline: str, by_variant: Mapping[str, _Scored]) -> Iterator[str]:
    of_part = [trial for trial in sweep.trials if any(scored.part == part for scored in sweep.scored(trial))]
    if baseline != sweep.baseline:
        scored = any(trial.variant == sweep.baseline for trial in of_part)
        why = "has no finished trial" if scored else f"is not scored on {part} (cells)"
        yield f"The baseline {sweep.baseline} {why}; {baseline} takes its place."
    if missing := [trial.name for trial in of_part if trial.seed not in by_variant.get(trial.variant, _NOTHING).runs]:
        yield f"Not finished, and in no figure: {', '.join(missing)}."
    had = {name for scored in by_variant.values() for run in scored.runs.values() for name in run.measures}
    if unknown := [name for name in sweep.settings.metrics if name not in had]:
        yield f"No student has these metrics: {', '.join(unknown)}."
    if alone := [name for name, scored in by_variant.items() if len(scored.runs) == 1]:
        yield _ONE_SEED.format(names=", ".join(alone))


_NOTHING = _Scored([], {})
