"""`reasondistill sweep`: baselines and ablations as one resumable grid."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.next_steps import say_next
from reasondistill.cli.options import SetOption
from reasondistill.cli.shared import needs_extra, quiet_libraries
from reasondistill.cli.terminal import fact, going_on, say, stage, wide_say
from reasondistill.errors import DataError
from reasondistill.storage.locks import BusyError

if TYPE_CHECKING:
    from reasondistill.sweeps import Sweep
    from reasondistill.sweeps.processes import Outcome


_GOES_ON = "the same command goes on"


class Launcher(StrEnum):
    process = "process"
    accelerate = "accelerate"


TrialOption = Annotated[
    str | None, typer.Option("--cell", metavar="N", help="Run only this trial, by number or name, in this process.")
]
JobsOption = Annotated[
    int, typer.Option(min=0, help="Trials to run at once, each in its own process. 0: run in this process.")
]


def sweep(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="A YAML file, as configs/sweep_….yaml; docs/sweeps.md lists all keys."),
    ],
    overrides: SetOption = None,
    small: Annotated[
        bool, typer.Option("--small", help="Run the small version, which takes seconds or minutes.")
    ] = False,
    jobs: JobsOption = 1,
    launcher: Annotated[Launcher, typer.Option(help="How to start a trial's process.")] = Launcher.process,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the trials and their states; run nothing.")] = False,
    trial: TrialOption = None,
    summary: Annotated[bool, typer.Option("--summary", help="Only compare the finished trials.")] = False,
) -> None:
    """Run every trial of a grid of training configurations, then compare them on the same rows.

    A stopped sweep resumes: finished trials are not run again. A failed trial is reported at the end and does not stop
    the others. Every configuration is checked before anything runs.
    """
    from reasondistill.sweeps import load_sweep

    _require_one({"--dry-run": dry_run, "--cell": trial is not None, "--summary": summary})
    options = [word for override in overrides or () for word in ("--set", override)] + (["--small"] if small else [])
    loaded = load_sweep(config, small=small, overrides=overrides or ())
    if dry_run:
        with needs_extra("train"):
            from reasondistill.sweeps.trial import check_trainings

            quiet_libraries()
            check_trainings(loaded)
            _print_trials(loaded)
        say_next("sweep", config, *options)
        return
    with needs_extra("train"):
        from reasondistill.sweeps import state
        from reasondistill.sweeps.processes import run_sweep
        from reasondistill.sweeps.trial import check_scored, check_trainings
    quiet_libraries()
    if summary:
        _summarise(loaded)
        return
    if trial is not None:
        _run_one(loaded, trial)
        say_next("sweep", config, *options, "--summary")
        return
    check_trainings(loaded)
    check_scored(loaded)
    state.begin(loaded)
    _print_trials(loaded)
    with going_on(lambda: _GOES_ON):
        outcomes = run_sweep(loaded, jobs=jobs, launcher=launcher.value, say=say)
    _summarise(loaded)
    if failed := [outcome for outcome in outcomes if outcome.error is not None]:
        _print_failures(loaded, failed)
        raise typer.Exit(1)


def _require_one(options: dict[str, bool]) -> None:
    given = [name for name, on in options.items() if on]
    if len(given) > 1:
        raise DataError(" and ".join(given), problem="exclude each other", fix="Give one of them.")


def _run_one(loaded: Sweep, name: str) -> None:
    from reasondistill.sweeps import state
    from reasondistill.sweeps.processes import BUSY
    from reasondistill.sweeps.trial import run_trial

    trial = loaded.trial(name)
    state.begin(loaded)
    try:
        with going_on(lambda: _GOES_ON):
            run_trial(loaded, trial, progress=stage)
    except BusyError as error:
        say(str(error))
        raise typer.Exit(BUSY) from None
    fact("results", state.run_of(trial).folder / "results")


def _print_trials(loaded: Sweep) -> None:
    from rich.table import Table

    from reasondistill.sweeps.state import state_of

    table = Table("trial", "name", "seed", "changes", "state", title=str(loaded.folder), title_justify="left")
    for trial in loaded.trials:
        changes = [f"{key} = {value}" for key, value in trial.changes.items()]
        changes += [f"continues from {trial.after}"] if trial.after else []
        row = (
            str(trial.number),
            trial.name,
            str(trial.seed),
            "\n".join(changes) or "the base",
            state_of(loaded, trial),
        )
        table.add_row(*row)
    wide_say(table)


def _summarise(loaded: Sweep) -> None:
    from rich.table import Table

    from reasondistill.reporting.formatting import metric_title, metric_value
    from reasondistill.reporting.pages.sweep import write_summary
    from reasondistill.sweeps.summary import summarise

    results = summarise(loaded, progress=stage)
    if not results.sweep.parts:
        say("no trial has a result yet")
        return
    for scores in results.sweep.parts:
        metrics = list(dict.fromkeys(metric for variant in scores.variants for metric in variant.figures))
        title = f"{scores.dataset.name}, {scores.part}: means over seeds"
        table = Table("variant", "seeds", *map(metric_title, metrics), title=title, title_justify="left")
        for variant in scores.variants:
            shown = [metric_value(m, variant.figures[m].mean) if m in variant.figures else "–" for m in metrics]
            table.add_row(variant.name, str(len(variant.seeds)), *shown)
        wide_say(table)
        for note in scores.notes:
            say(note)
    file = write_summary(results, loaded.folder / "summary")
    fact("summary", file)
    say_next("runs", Path(loaded.trials[0].config.runs_dir))


def _print_failures(loaded: Sweep, failed: list[Outcome]) -> None:
    from textwrap import indent

    from reasondistill.sweeps.state import log_of

    for outcome in failed:
        log = log_of(loaded, outcome.trial)
        fact("failed", f"{outcome.trial.name}{f' (log: {log})' if log.exists() else ''}", style="bold red")
        say(indent(outcome.error or "", "    "))
    say("The others are finished. Fix the cause and run the same command again: it runs only these trials.")
