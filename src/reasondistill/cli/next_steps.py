"""The command that comes next, ready to paste: real paths and texts, quoted for a shell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING

from reasondistill.cli.terminal import fact
from reasondistill.errors import UserError

if TYPE_CHECKING:
    from reasondistill.contracts.records import Example
    from reasondistill.data.readers.own_tables import ColumnMapping
    from reasondistill.runs import Run
    from reasondistill.tasks.task import Task

_LOOKED_AT = 50
"""Rows of which the shortest is the example."""


def say_next(*words: object) -> None:
    """Print the next command of ours; without words there is none."""
    if words:
        fact("next", join(["reasondistill", *map(str, words)]))


def say_explain(student: object, task: Task, examples: Iterable[Example]) -> None:
    """Print the command that explains one of the examples, where one of them can be typed."""
    if (example := short_one(task, examples)) is not None:
        say_next("explain", student, *example_words(task, example))


def say_next_of(run: Run) -> None:
    """Print what comes next after a training: predictions, or where no rows are held out, one answer."""
    from reasondistill.run_data import RunData

    try:
        data = RunData(run)
        try:
            data.held_out()
        except UserError:
            say_explain(run.folder, data.config.task, data.training())
        else:
            say_next("predict", run.folder)
    except UserError:  # the data are not there any more
        return


def short_one(task: Task, examples: Iterable[Example]) -> Example | None:
    """A short example among the first ones, whose texts a shell and a terminal take as they are."""
    fit = [example for example in islice(examples, _LOOKED_AT) if _fits(task, example)]
    return min(fit, key=lambda example: sum(map(len, example.fields.values())), default=None)


def example_words(task: Task, example: Example) -> list[str]:
    """The words of `explain` for an example's fields and choices."""
    words = [f"{name}={example.fields[name]}" for name in task.fields if example.fields.get(name)]
    return words + ([f"--choices={';'.join(example.choices)}"] if task.labels is None and example.choices else [])


def column_words(columns: ColumnMapping | None) -> list[str]:
    """The options --columns for a mapping."""
    words: list[str] = []
    for what, names in (columns or {}).items():
        if isinstance(names, Mapping):
            words += ["--columns", f"{what}={','.join(in_csv(f'{value}={label}') for value, label in names.items())}"]
            continue
        listed = [names] if isinstance(names, str) else names
        quoted = [in_csv(name) if what == "explanation" else name for name in listed]
        words += ["--columns", f"{what}={','.join(quoted)}"]
    return words


def in_csv(text: str) -> str:
    """A text as one of several that commas separate."""
    return '"{}"'.format(text.replace('"', '""')) if "," in text or '"' in text else text


def new_place(path: Path) -> Path:
    """A path at which nothing is yet: the path, or one with a number after its name."""
    number, place = 2, path
    while place.exists():
        place, number = path.with_name(f"{path.name}_{number}"), number + 1
    return place


def _fits(task: Task, example: Example) -> bool:
    texts = [*example.fields.values(), *(example.choices or ())]
    if task.labels is None and any(";" in choice or choice != choice.strip() for choice in example.choices or ()):
        return False
    return all(map(str.isprintable, texts)) and any(example.fields.values())
