"""What commands share that train on a data set as it is: its columns, a student's recipe, and what both come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reasondistill.cli.table_options import TableOptions
from reasondistill.cli.terminal import complain
from reasondistill.errors import DataError
from reasondistill.training.recipes import DEFAULT_STUDENT

if TYPE_CHECKING:
    from reasondistill.training.planning import DataFile, Plan


class Planned(NamedTuple):
    """A plan, and the file of test rows, where they have one: its configuration does not name it."""

    plan: Plan
    test: DataFile | None = None


def plan(
    names: Sequence[str], table: TableOptions, student: str | None, name: str | None, overrides: list[str] | None
) -> Planned:
    """Look at a data set, say on standard error what its columns hold, and plan a training on it.

    Args:
        names: of the data set; or of a file for each split, whose names say which: train.csv, dev.csv, test.csv.

    Raises:
        UserError: the data cannot be read or hold nothing to learn from, or the student or a key is unknown.
    """
    from reasondistill.config import lay_over
    from reasondistill.training.planning import plan_training
    from reasondistill.training.recipes import recipe_for

    student = DEFAULT_STUDENT if student is None else student
    recipe_for(student)  # before minutes of reading data
    changes: dict[str, object] = {}
    lay_over(changes, overrides or ())
    options = {"student": student, "name": name, "changes": changes}
    files = _by_split(names)
    train = _read(files["train"], table)
    validation, test = (_like(train, files[split]) if split in files else None for split in ("validation", "test"))
    return Planned(plan_training(train, validation=validation, **options), test=test)  # type: ignore[arg-type]


def _by_split(names: Sequence[str]) -> dict[str, str]:
    """Split → its file, by the words of the files' names; a single file is all of them.

    Raises:
        DataError: a name says none, or two say the same.
    """
    from reasondistill.data.splits import usual_split  # not above: help would import pyarrow

    if len(names) == 1:
        return {"train": names[0]}
    files: dict[str, str] = {}
    for name in names:
        words = re.split(r"[\W_]+", Path(name).stem)
        splits = {split for word in words if (split := usual_split(word)) in ("train", "validation", "test")}
        if len(splits) != 1 or splits <= files.keys():
            raise _unclear(names)
        files[splits.pop()] = name
    if "train" not in files:
        raise _unclear(names)
    return files


def _unclear(names: Sequence[str]) -> DataError:
    return DataError(
        ", ".join(names),
        expected="one data set, or a file for each split whose name says which: train, dev or validation, test",
        found="other names",
        fix="Rename the files, or join them into one with a column split.",
    )


def _read(name: str, table: TableOptions) -> DataFile:
    from reasondistill.data import load
    from reasondistill.training.planning import DataFile

    read = table.read_as(name)
    if read.layout is None:
        complain(f"{name}: the task {read.task.name}, told by {read.because}")
    return DataFile(load(name, task=read.task, columns=read.columns, need_label=False), name, read.columns)


def _like(train: DataFile, name: str) -> DataFile:
    """A file of the same task and columns."""
    from reasondistill.data import load

    loaded = load(name, task=train.loaded.task, columns=train.columns, need_label=False)
    return train._replace(loaded=loaded, source=name)


def say_plan(planned: Plan) -> None:
    """Say, on standard error, how a student will be trained, and what that takes on this machine."""
    lines = planned.lines()
    if (estimate := planned.estimate()) is not None:
        lines.append(("estimate", str(estimate)))
    width = max(len(what) for what, _ in lines)
    complain("How it is trained (change it with --student and --set):")
    for what, words in lines:
        complain(f"  {what:{width}}  {words}")
    if estimate is not None and not estimate.fits:
        complain("  That is more memory than there is: take a smaller student, or --set lora={}.")


def is_config(source: Path) -> bool:
    """Whether a path names a configuration: everything else is a data set."""
    return source.suffix.lower() in (".yaml", ".yml")
