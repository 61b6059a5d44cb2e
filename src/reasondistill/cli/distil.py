"""`reasondistill distil`: from a data set to a student and a report on it, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.next_steps import say_next
from reasondistill.cli.options import JudgeOption, NameOption, OverridesOption, StudentNameOption
from reasondistill.cli.shared import print_headline, quiet_libraries
from reasondistill.cli.status import status_line
from reasondistill.cli.table_options import TableOptions, takes_table
from reasondistill.cli.terminal import fact, going_on, progress, stage
from reasondistill.cli.train import configuration, say_trained
from reasondistill.cli.watching import watching

if TYPE_CHECKING:
    from reasondistill.config import Source
    from reasondistill.distilling import Shown
    from reasondistill.training.planning import DataFile


@takes_table
def distil(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA|CONFIG",
            help="A data set or a YAML file, as `train` takes it; or a file a split: train.csv dev.csv test.csv.",
        ),
    ],
    table: TableOptions,
    student: StudentNameOption = None,
    name: NameOption = None,
    overrides: OverridesOption = None,
    judge: JudgeOption = None,
    measured: Annotated[
        bool,
        typer.Option(
            "--faithfulness/--no-faithfulness",
            help="Measure the student's faithfulness and its costs too (default), for two and a half minutes at most: "
            "--set evaluation.budget=SECONDS.",
        ),
    ] = True,
) -> None:
    """Train, calibrate, predict, evaluate, report: from a data set to a student and a page about it.

    Run again, it continues from what is already there. What is scored is the test split, or else the validation split.
    """
    from reasondistill.distilling import distil as run_distil
    from reasondistill.run_data import require_same_config

    quiet_libraries()
    config, test = configuration([Path(name) for name in data], table, student, name, overrides)
    require_same_config(config)
    with going_on(lambda: "the same command goes on from what is there"):
        finished = run_distil(
            config,
            shown(),
            test=_source(test),
            judge=None if judge is None else str(judge),
            measured=measured,
        )
    say_trained(finished.run)
    print_headline(finished.results, f"{finished.results.dataset.name}, {finished.split}")
    fact("report", finished.report)
    say_next("explain", finished.run.folder)


def shown() -> Shown:
    """What goes on, on the terminal."""
    from reasondistill.distilling import Shown

    return Shown(stage, progress, watching, status_line)


def _source(file: DataFile | None) -> Source | None:
    from reasondistill.config import Source

    return None if file is None else Source(**file.named(split=None))
