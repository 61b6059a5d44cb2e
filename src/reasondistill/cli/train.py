"""`reasondistill train`: a student out of a data set as it is, or out of a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.launching import ran_in_processes
from reasondistill.cli.next_steps import say_next_of
from reasondistill.cli.options import NameOption, OverridesOption, ProcessesOption, RestartsOption, StudentNameOption
from reasondistill.cli.planning import is_config, plan, say_plan
from reasondistill.cli.shared import needs_extra, quiet_libraries
from reasondistill.cli.table_options import TableOptions, takes_table
from reasondistill.cli.terminal import fact, going_on
from reasondistill.cli.watching import watching
from reasondistill.errors import DataError

if TYPE_CHECKING:
    from reasondistill.config import TrainConfig
    from reasondistill.runs import Run
    from reasondistill.training.planning import DataFile


@takes_table
def train(
    config: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA|CONFIG",
            help="A data set (a file, a folder, a registered name or a hub id), or a file for each split (train.csv "
            "dev.csv); or a YAML file, as `init` writes it (docs/configuration.md lists all keys). With --resume, also "
            "a run.",
        ),
    ],
    table: TableOptions,
    student: StudentNameOption = None,
    name: NameOption = None,
    overrides: OverridesOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run of this name.")] = False,
    processes: ProcessesOption = None,
    max_restarts: RestartsOption = 0,
) -> None:
    """Train a student on a data set, or as a configuration says.

    Looks at the data, says what its columns hold and how the student is trained, and trains it; asks nothing.
    RUNS_DIR/NAME (experiments/runs/NAME) receives checkpoints, a log of both losses, and the student.
    """
    from reasondistill.contracts.run import RUN_FILE

    quiet_libraries()
    if ran_in_processes(processes, max_restarts):
        return
    with needs_extra("train"):
        from reasondistill.training.train import train as run_training
    loaded, _ = configuration(config, table, student, name, overrides, resume=resume)
    begun = Path(loaded.runs_dir) / loaded.name / RUN_FILE

    def advice() -> str:
        there = begun.is_file()  # a run that made no step is not kept
        option = {(True, False): " with --resume", (False, True): " without --resume"}.get((there, resume), "")
        return f"the same command{option} {'goes on' if there else 'begins anew'}"

    with going_on(advice), watching() as watcher:
        run = run_training(loaded, resume=resume, watcher=watcher)
    say_trained(run)
    say_next_of(run)


def configuration(
    names: Sequence[Path],
    table: TableOptions,
    student: str | None,
    name: str | None,
    overrides: list[str] | None,
    *,
    resume: bool = False,
) -> tuple[TrainConfig, DataFile | None]:
    """The configuration that a file is, or the one planned for data; and a file of test rows.

    Raises:
        UserError: as `plan`; the configuration is not valid, or options stand beside it that belong to a data set.
    """
    from reasondistill.config import TrainConfig, load_config
    from reasondistill.contracts.run import RUN_FILE
    from reasondistill.runs import config_of_run
    from reasondistill.storage.layered_yaml import validate_config

    config = names[0]
    of_run = resume and (config / RUN_FILE).is_file()
    if len(names) > 1 or not (of_run or is_config(config)):
        planned = plan([str(path) for path in names], table, student, name, overrides)
        say_plan(planned.plan)
        return planned.plan.config, planned.test
    given = {
        "--name": name if of_run else None,
        "--set": (overrides or None) if of_run else None,
        "--student": student,
        "--task": table.task,
        "--columns": table.columns,
        "--text and others": table.choice,
    }
    if wrong := [option for option, value in given.items() if value is not None]:
        raise DataError(
            ", ".join(wrong),
            expected="a data set beside it",
            found=f"{config}, which says it itself",
            fix="Leave it out: a run is resumed as it was begun."
            if of_run
            else "Leave it out, or change the key with --set, such as --set student.kind=scratch.",
        )
    loaded = config_of_run(config) if of_run else load_config(TrainConfig, config, overrides or ())
    if name is not None:
        loaded = validate_config(TrainConfig, loaded.model_dump(mode="json") | {"name": name}, where="--name")
    return loaded, None


def say_trained(run: Run) -> None:
    """Print what came of a training: the student, its best validation, its calibration."""
    from reasondistill.students.calibration import Calibration

    info = run.info()
    size = f"{info.student.parameters:,} parameters" if info.student else ""
    best = f", best {info.best.metric} {info.best.value:.4f} at step {info.best.step}" if info.best else ""
    fact("student", f"{run.student} ({size}{best})")
    if (calibration := Calibration.load(run.student)) is not None:
        ece = calibration.ece
        fitted = f"temperature {calibration.temperature:.3f}, ECE {ece.before:.3f} -> {ece.after:.3f}"
        fact("calibration", f"{fitted} on validation")
