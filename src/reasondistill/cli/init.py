"""`reasondistill init`: a commented configuration for a data set."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from reasondistill.cli.options import NameOption, OverridesOption, StudentNameOption
from reasondistill.cli.planning import plan, say_plan
from reasondistill.cli.table_options import TableOptions, takes_table
from reasondistill.cli.terminal import fact


@takes_table
def init(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA",
            help="A data set: a file, a folder or a registered name; or a file for each split (train.csv dev.csv).",
        ),
    ],
    table: TableOptions,
    student: StudentNameOption = None,
    name: NameOption = None,
    overrides: OverridesOption = None,
    out: Annotated[Path | None, typer.Option(help="A new YAML file. Default: NAME.yaml.")] = None,
) -> None:
    """Write the configuration that `train DATA` uses, with a comment on each block, to be changed by hand."""
    from reasondistill.storage.files import atomic_write, require_new_file
    from reasondistill.training.planned_yaml import as_yaml

    planned = plan(data, table, student, name, overrides)
    path = require_new_file(Path(f"{planned.plan.config.name}.yaml") if out is None else out)
    say_plan(planned.plan)
    text = as_yaml(planned.plan, " ".join(data))
    with atomic_write(path) as stream:
        stream.write(text)
    fact("configuration", path)
    fact("next", f"reasondistill train {quote(str(path))}")
