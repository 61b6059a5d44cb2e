"""`reasondistill update`: a finished run goes on with new data, and is published only where it forgot nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.launching import ran_in_processes
from reasondistill.cli.next_steps import say_next
from reasondistill.cli.options import Columns, JudgeOption, ProcessesOption, RestartsOption, SetOption
from reasondistill.cli.shared import mapping, needs_extra, quiet_libraries
from reasondistill.cli.status import status_line
from reasondistill.cli.terminal import fact, going_on, say, wide_say
from reasondistill.cli.train import say_trained
from reasondistill.cli.watching import watching
from reasondistill.storage.launched import place

if TYPE_CHECKING:
    from reasondistill.contracts.update import UpdateRecord


def update(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run, which stays as it is.")],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA|CONFIG",
            help="What is new: a data set with the columns of the run's; or a YAML file with keys of a training's "
            "configuration, laid over the run's.",
        ),
    ],
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATA",
            help="What the student has to hold; repeatable. Default: what the run, and those before it, held out.",
        ),
    ] = None,
    replay: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Learn this share of the run's own training groups again.")
    ] = None,
    self_replay: Annotated[
        str | None, typer.Option(metavar="DATA", help="Learn the run's own answers to these texts again.")
    ] = None,
    distillation: Annotated[
        float | None, typer.Option(min=0.0, help="Weight of the divergence from the run's own probabilities.")
    ] = None,
    ewc: Annotated[float | None, typer.Option(min=0.0, help="Weight of elastic weight consolidation.")] = None,
    lora: Annotated[bool, typer.Option("--lora", help="Train low-rank adapters only; they are merged.")] = False,
    new_label: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="A label that joins the task; repeatable.")
    ] = None,
    grow_vocabulary: Annotated[
        bool, typer.Option("--grow-vocabulary", help="Give a small vocabulary the words of DATA that it lacks.")
    ] = False,
    margin: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The most that a kept figure may lose. Default: 0.02.")
    ] = None,
    publish_undecided: Annotated[
        bool,
        typer.Option(
            "--publish-undecided",
            help="Publish the student though the kept rows are too few to show that it holds, if nothing fell. The "
            "same command with it publishes one that was tested before.",
        ),
    ] = False,
    columns: Columns = None,
    judge: JudgeOption = None,
    name: Annotated[str | None, typer.Option(help="Name of the new run. Default: RUN-update.")] = None,
    overrides: SetOption = None,
    processes: ProcessesOption = None,
    max_restarts: RestartsOption = 0,
) -> None:
    """Go on from a run with new data, and publish the student only if it holds what the run knew.

    Without --replay, --self-replay, --distillation, --ewc or --lora nothing keeps it from forgetting. What is not
    published stays beside its parent, with the report (docs/continual.md). Run again, it goes on from what is there.
    """
    quiet_libraries()
    if ran_in_processes(processes, max_restarts):
        return
    with needs_extra("train"):
        from reasondistill.updating import update as run_update
    from reasondistill.reporting import build_report

    again = going_on(lambda: "the same command goes on from what is there")
    with again, watching() as watcher, status_line() as tell:
        updated = run_update(
            run,
            data,
            keep=keep or (),
            replay=replay,
            self_replay=self_replay,
            distillation=distillation,
            ewc=ewc,
            lora={} if lora else None,
            new_labels=new_label or (),
            grow_vocabulary=grow_vocabulary,
            margin=margin,
            columns=mapping(columns),
            overrides=overrides or (),
            name=name,
            judge=judge,
            publish_undecided=publish_undecided,
            watcher=watcher,
            progress=tell,
        )
    if not place().first:  # the first of several processes writes the report
        return
    say_trained(updated.run)
    say_record(updated.record)
    fact("report", build_report([updated.run.folder], updated.run.folder).html)
    say_next("export" if updated.record.published else "report", updated.run.folder)


def say_record(record: UpdateRecord) -> None:
    """Print the figures of both students, and the verdict."""
    from rich.table import Table

    from reasondistill.reporting.formatting import metric_title
    from reasondistill.reporting.sections.forgetting import verdict_words
    from reasondistill.reporting.signed import difference_value, signed_interval

    table = Table("rows", "metric", "parent", "student", "difference", "95% interval", "verdict")
    for tested in record.sets:
        for figure in tested.figures:
            if figure.label is None:
                table.add_row(
                    f"{tested.kind}: {tested.name}, {tested.split or 'all'}",
                    metric_title(figure.metric),
                    f"{figure.parent:.3f}",
                    f"{figure.child:.3f}",
                    difference_value(figure.metric, figure.difference),
                    signed_interval(figure.metric, figure.ci95),
                    figure.verdict if tested.decides else "",
                )
    wide_say(table)
    fact("published", verdict_words(record))
    for reason in record.reasons:
        say(reason)
    if not record.published and record.undecided:
        say(
            "Nothing fell. Name more held-out rows (--keep DATA --name NAME), or run it again with --publish-undecided."
        )
