"""From a sweep's YAML to its trials: every configuration is built and checked before anything runs."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from os import PathLike
from pathlib import Path
from typing import Any

from reasondistill.config import TrainConfig, load_config, set_key
from reasondistill.data.readers.any_table import sheet_of
from reasondistill.data.readers.in_memory import is_of_datasets
from reasondistill.data.sources import REGISTERED
from reasondistill.errors import ConfigError, UserError
from reasondistill.storage.files import fingerprint
from reasondistill.storage.layered_yaml import Layer, merge, read_layered, validate_config
from reasondistill.sweeps.settings import Scored, SweepSettings

_LONGEST_SLUG = 40  # characters of a value in a trial's name


@dataclass(frozen=True)
class Trial:
    """One training of a sweep, with its evaluations.

    Attributes:
        number: its position among all trials, from 0.
        name: of its run: the variant's name and the seed.
        variant: the name that all its seeds share.
        changes: the variant's changes to the base configuration.
        config: the full training configuration.
        after: the name of the trial whose student it starts from.
    """

    number: int
    name: str
    variant: str
    seed: int
    changes: dict[str, object]
    config: TrainConfig
    after: str | None = None


@dataclass(frozen=True)
class Sweep:
    """A validated sweep.

    ``arguments`` are the command-line arguments with which another process loads the same sweep.
    """

    settings: SweepSettings
    trials: tuple[Trial, ...]
    arguments: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return Path(self.settings.sweeps_dir) / self.settings.name

    @property
    def variants(self) -> dict[str, list[Trial]]:
        """Variant → its trials, one per seed, in order."""
        variants: dict[str, list[Trial]] = {}
        for trial in self.trials:
            variants.setdefault(trial.variant, []).append(trial)
        return variants

    def scored(self, trial: Trial) -> list[Scored]:
        """The evaluations of a trial's student."""
        return [
            evaluation
            for evaluation in self.settings.evaluations
            if evaluation.cells is None or trial.variant in evaluation.cells
        ]

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with."""
        return self.settings.baseline or self.trials[0].variant

    def trial(self, named: str) -> Trial:
        """A trial by its number or name.

        Raises:
            ConfigError: there is none.
        """
        for trial in self.trials:
            if named in (trial.name, str(trial.number)):
                return trial
        names = ", ".join(trial.name for trial in self.trials)
        raise ConfigError("--cell", expected=f"0 to {len(self.trials) - 1}, or one of {names}", found=repr(named))


@dataclass(frozen=True)
class _Variant:
    name: str
    changes: dict[str, object]
    seeds: Sequence[int]
    after: str | None = None


def load_sweep(path: str | PathLike[str], *, small: bool = False, overrides: Sequence[str] = ()) -> Sweep:
    """Read a sweep's YAML and build the configuration of each of its trials.

    Args:
        path: the file.
        small: use the small version.
        overrides: ``key.path=value`` over the file.

    Raises:
        UserError: the file cannot be read, or its content is invalid; all mistakes are named at once.
    """
    if not isinstance(path, str | PathLike):
        raise ConfigError(
            "a sweep",
            expected="the path of its YAML file",
            found=f"a {type(path).__name__}",
            fix="Write it to a file: the configurations that it names are looked for beside it.",
        )
    path = Path(path)
    settings = load_config(SweepSettings, path, overrides)
    if small:
        settings = settings.made_small()
    base = _base(settings, path)
    variants = [
        *_grid(settings),
        *(_Variant(c.name, c.set, c.seeds or settings.seeds, c.after) for c in settings.cells),
    ]
    problems = [*_unsound(settings, variants)]
    trials: list[Trial] = []
    if not problems:
        runs = Path(settings.sweeps_dir) / settings.name / "runs"
        for variant in variants:
            for seed in variant.seeds:
                try:
                    config = _config(base, settings, variant, seed, runs)
                except UserError as error:
                    problems.append(f"variant {variant.name}: {error}".replace("\n", "\n  "))
                    break  # its other seeds have the same mistakes
                after = None if variant.after is None else _named(variant.after, seed)
                name = _named(variant.name, seed)
                trials.append(Trial(len(trials), name, variant.name, seed, variant.changes, config, after))
    problems += _absent_files(settings, trials)
    if problems:
        raise ConfigError.gather(path, list(dict.fromkeys(problems)))
    arguments = (str(path), *(("--small",) if small else ()), *(x for o in overrides for x in ("--set", o)))
    return Sweep(settings, tuple(trials), arguments)


def _base(settings: SweepSettings, path: Path) -> list[Layer]:
    """The base configuration as plain values, included files first."""
    if isinstance(settings.base, str):
        return read_layered(path.parent / settings.base)
    return [Layer(f"{path}: base", settings.base)]


def _config(base: Sequence[Layer], settings: SweepSettings, variant: _Variant, seed: int, runs: Path) -> TrainConfig:
    value, changes = merge(base), variant.changes
    if variant.after is not None:
        before = runs / _named(variant.after, seed)
        value["student"] = {"kind": "hub", "checkpoint": str(before / "student")}
        changes = _filled(changes, str(before))
    own = {"name": _named(variant.name, seed), "seed": seed, "runs_dir": str(runs)}
    # Changes to the base's student do not apply to the student of an earlier run.
    shared = {k: v for k, v in settings.set.items() if variant.after is None or k.split(".")[0] != "student"}
    problems = [
        problem
        for key, given in [*shared.items(), *changes.items(), *own.items()]
        if (problem := set_key(value, key, copy.deepcopy(given)))
    ]
    if problems:
        raise ConfigError.gather("set", problems)
    return validate_config(TrainConfig, value, where=base[-1].name, layers=base)


def _filled(value: object, after: str) -> Any:
    """``value`` with ``{after}`` replaced by the folder of the run that a trial starts from."""
    if isinstance(value, dict):
        return {key: _filled(inner, after) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, after) for inner in value]
    return value.replace("{after}", after) if isinstance(value, str) else value


def _named(variant: str, seed: int) -> str:
    return f"{variant}-s{seed}"


def _grid(settings: SweepSettings) -> Iterator[_Variant]:
    if not settings.grid:
        return
    lasts = [key.split(".")[-1] for key in settings.grid]
    short = {key: last if lasts.count(last) == 1 else key for key, last in zip(settings.grid, lasts, strict=True)}
    for values in product(*settings.grid.values()):
        changes = dict(zip(settings.grid, values, strict=True))
        yield _Variant("_".join(f"{short[key]}-{_slug(v)}" for key, v in changes.items()), changes, settings.seeds)


def _slug(value: object) -> str:
    """A value as part of a folder name: letters, digits, dots and hyphens."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    slug = re.sub(r"[^\w.]+", "-", text).strip("-.") or "none"
    # A file's name has some 255 bytes for all values of a trial.
    return slug if len(slug) <= _LONGEST_SLUG else f"{slug[:_LONGEST_SLUG]}-{fingerprint(text)[:8]}"


def _unsound(settings: SweepSettings, variants: Sequence[_Variant]) -> Iterator[str]:
    """Contradictions between the parts of a sweep."""
    names = [variant.name for variant in variants]
    if not names:
        yield "grid, cells: both are empty: there is nothing to run"
        return
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"cells: {name!r} names two of them; if grid values look alike, list them under cells, each with a name"
    for key, inner in product(settings.grid, settings.grid):
        if inner.startswith(f"{key}."):
            yield f"grid: {key} holds {inner}: one would replace the other; list them under cells, each with a name"
    parts = [scored.part for scored in settings.evaluations]
    for part in sorted({part for part in parts if parts.count(part) > 1}):
        yield f"evaluate: two are called {part!r}: give each a name"
    for scored in settings.evaluations:
        for name in [name for name in scored.cells or () if name not in names]:
            yield f"evaluate: {scored.part}: cells: expected some of {', '.join(names)}, found {name!r}"
    for name in names:
        if all(scored.cells is not None and name not in scored.cells for scored in settings.evaluations):
            yield f"cells.{name}: no part of evaluate is for it"
    if settings.baseline is not None and settings.baseline not in names:
        yield f"baseline: expected one of {', '.join(names)}, found {settings.baseline!r}"
    known: dict[str, _Variant] = {}
    for variant in variants:
        if variant.after is not None:
            before = known.get(variant.after)
            if before is None:
                yield f"cells.{variant.name}.after: expected an earlier variant, found {variant.after!r}"
            elif missing := [seed for seed in variant.seeds if seed not in before.seeds]:
                yield f"cells.{variant.name}.after: {variant.after} has no run with the seeds {missing}"
        for key in ("name", "seed", "runs_dir"):
            if key in variant.changes or key in settings.set:
                yield f"cells.{variant.name}: {key} is set by the sweep" + (" (seeds)" if key == "seed" else "")
        known[variant.name] = variant


def _absent_files(settings: SweepSettings, trials: Sequence[Trial]) -> Iterator[str]:
    """Data, judges and teachers that the sweep needs and that are missing."""
    for trial in trials:
        data = trial.config.data
        for source in [*data.train_sources, *([data.validation] if data.validation else [])]:
            if _absent(source.source) and not _of_the_run_before(trial, Path(source.source)):
                yield f"variant {trial.variant}: data: {source.source}: nothing at this path"
            for name, file in source.teachers.items():
                if not Path(file).is_file():
                    yield f"variant {trial.variant}: data: teachers.{name}: {file}: no file at this path"
            if source.confidence is not None:
                yield from _absent_predictions(settings, trial, Path(source.confidence.predictions))
    for scored in settings.evaluations:
        yield from _absent_of(scored)


def _of_the_run_before(trial: Trial, file: Path) -> bool:
    """Whether a file lies in the run that a trial begins from: it is there when the trial begins."""
    return trial.after is not None and file.is_relative_to(Path(trial.config.runs_dir) / trial.after)


def _absent_predictions(settings: SweepSettings, trial: Trial, file: Path) -> Iterator[str]:
    """Predictions to learn from must exist, or come from the trial that this one starts from."""
    where = f"variant {trial.variant}: data: confidence.predictions: {file}"
    if trial.after is None or file.parent != Path(trial.config.runs_dir) / trial.after / "predictions":
        if not file.is_file():
            yield f"{where}: no file at this path"
        return
    before = trial.after.rpartition("-s")[0]
    parts = [
        evaluation.part for evaluation in settings.evaluations if evaluation.cells is None or before in evaluation.cells
    ]
    if file.stem not in parts:
        yield f"{where}: {before} has predictions of {', '.join(parts)} only, according to evaluate"


def _absent_of(scored: Scored) -> Iterator[str]:
    if _absent(scored.source):
        yield f"evaluate.source: {scored.source}: nothing at this path"
    if scored.judge is not None and not scored.judge.startswith("builtin:") and not Path(scored.judge).exists():
        yield f"evaluate.judge: {scored.judge}: nothing at this path"
    for name, file in scored.teachers.items():
        if file is not None and not Path(file).is_file():
            yield f"evaluate.teachers.{name}: {file}: no file at this path"


def _absent(source: str) -> bool:
    known = source.split(":")[0].split("@")[0] in REGISTERED or is_of_datasets(source)
    return not known and not sheet_of(source)[0].exists()
