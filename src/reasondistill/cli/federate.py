"""`reasondistill federate`: a student from clients whose rows stay apart, simulated in one place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.next_steps import say_next_of
from reasondistill.cli.options import SetOption
from reasondistill.cli.shared import needs_extra, quiet_libraries
from reasondistill.cli.terminal import fact, going_on, say, wide_say
from reasondistill.cli.train import say_trained
from reasondistill.cli.watching import watching

if TYPE_CHECKING:
    from rich.table import Table

    from reasondistill.contracts.federation import FederationRecord


def federate(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML file: a training's configuration with a block `federation` (docs/federated.md lists its "
            "keys). With --resume, also a run.",
        ),
    ],
    overrides: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run of this name.")] = False,
) -> None:
    """Train a student on the rows of several clients, of whom only updates of its weights are averaged.

    A simulation on one machine: it says what accuracy federated training costs, for which client, in how many rounds
    and bytes. The run is like any other; the same command with --resume goes on with one that was stopped.
    """
    from reasondistill.config import federation_config
    from reasondistill.contracts.federation import FEDERATION_FILE, FederationRecord
    from reasondistill.errors import DataError

    quiet_libraries()
    with needs_extra("train"):
        from reasondistill.training.federated.federate import config_of_federation
        from reasondistill.training.federated.federate import federate as run_federation
    of_run = resume and (config / FEDERATION_FILE).is_file()
    if of_run and overrides:
        raise DataError("--set", expected="none beside a run", found="some", fix="A run is resumed as it was begun.")
    loaded = config_of_federation(config) if of_run else federation_config(config, overrides or ())
    begun = Path(loaded.runs_dir) / loaded.name / FEDERATION_FILE

    def advice() -> str:
        there = begun.is_file()
        option = " with --resume" if there and not resume else ""
        return f"the same command{option} {'goes on' if there else 'begins anew'}"

    with going_on(advice), watching() as watcher:
        run = run_federation(loaded, resume=resume, watcher=watcher)
    record = FederationRecord.load(run.folder / FEDERATION_FILE)
    if any(client.held_out for client in record.clients):
        wide_say(_clients(record))
    else:
        say("No client held rows out, so that none tested the student: federation.held_out is the share.")
    _say_costs(record)
    say_trained(run)
    say_next_of(run)


def _clients(record: FederationRecord) -> Table:
    from rich.table import Table

    from reasondistill.reporting.formatting import metric_title

    title = f"{metric_title(record.measure)} on each client's held-out rows"
    table = Table("client", "rows", "held out", *record.systems, title=title, title_justify="left")
    for client in record.clients:
        values = (getattr(system.scores[client.name], record.measure) for system in record.systems.values())
        table.add_row(client.name, f"{client.rows:,}", f"{client.held_out:,}", *map(_figure, values))
    table.add_section()
    table.add_row("mean, by rows", "", "", *(_figure(system.mean) for system in record.systems.values()))
    table.add_row("worst", "", "", *(_figure(system.worst) for system in record.systems.values()))
    return table


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _say_costs(record: FederationRecord) -> None:
    sent = f"{record.bytes_down / 1e6:,.1f} MB to clients, {record.bytes_up / 1e6:,.1f} MB from them"
    fact("sent", sent)
    if (reached := record.reached) is not None:
        share = f"{reached.share:.0%} of the pooled student's mean"
        if reached.round is None:
            fact("reached", f"not {share}")
        else:
            fact("reached", f"{share} in round {reached.round}, after {(reached.bytes or 0) / 1e6:,.1f} MB")
    if record.epsilon is not None:
        fact("privacy", f"epsilon {record.epsilon:.2f} at delta {record.delta:g}, for a client (a simulation)")
