"""What commands share: options, and how they speak."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from reasondistill.cli.terminal import fact, say, wide_say
from reasondistill.errors import DataError, StoppedError, UserError, system_error

if TYPE_CHECKING:
    from reasondistill.contracts.results import Results
    from reasondistill.reporting.document import Block

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A registered name (scenes, scenes:600), or a .csv, .tsv, .jsonl, .json or .parquet file.",
    ),
]
StudentArgument = Annotated[
    Path, typer.Argument(metavar="STUDENT", help="A run, a student's folder, a package of one, or builtin:scenes.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="WHAT=COLUMN",
        help="Map columns that have other names: premise=text_a, explanation=why1,why2 …; repeatable. "
        "Quote an explanation column with a comma in its name: 'explanation=\"why, briefly\",why2'.",
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="Use only this split. If no row names its split, a hash of its group decides."),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="The task of the rows: nli, comve, cose, instructions, or a .yaml file. "
        "Default: the data's own; in `evaluate`, the one recorded with the predictions, if any.",
    ),
]
TeacherOption = Annotated[
    list[str] | None,
    typer.Option(
        "--teacher",
        metavar="NAME[=FILE]",
        help="Measure agreement with a teacher: a file of its predictions or, by name, a source of explanations "
        "in the data (human, …). Repeatable; the first is the headline teacher.",
    ),
]


BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget",
        min=0,
        metavar="SECONDS",
        help="Time limit for measuring costs; default 120. Faithfulness tests get 5 times as long. A slow student "
        "is tested on fewer rows, which is reported. 0: no limit.",
    ),
]
EvalConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="YAML",
        help="YAML with generation and evaluation settings, as configs/eval_configs.yaml. Options override it.",
    ),
]


def named_teachers(options: list[str] | None) -> dict[str, str | None] | None:
    """Teacher name → predictions file, from NAME=FILE; None for NAME alone."""
    if not options:
        return None
    teachers: dict[str, str | None] = {}
    for text in options:
        name, equals, file = text.partition("=")
        if not name or (equals and not file) or name in teachers:
            raise DataError("--teacher", expected="NAME=FILE, or NAME, each name once", found=repr(text))
        teachers[name] = file if equals else None
    return teachers


def pairs(texts: list[str], form: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in values:
            raise DataError(repr(text), expected=f"{form}, each name once", found=repr(text))
        values[name] = value
    return values


def mapping(columns: list[str] | None) -> dict[str, str | list[str]] | None:
    if not columns:
        return None
    columns_by_role = pairs(columns, "--columns WHAT=COLUMN")
    return {what: _names(names) if what == "explanation" else names for what, names in columns_by_role.items()}


def _names(text: str) -> str | list[str]:
    """One name, or several separated by commas; a name with a comma in it is in double quotes, as in CSV."""
    import csv

    try:
        names = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise DataError(
            f"--columns explanation={text}",
            expected="names separated by commas, with double quotes around a name that has a comma in it",
            found=str(error),
            fix="Write it as --columns 'explanation=\"why, briefly\",why_at_length'.",
        ) from error
    return names if len(names) > 1 else names[0] if names else ""


class Commands(TyperGroup):
    """A group whose commands end, where the system or the user stops them, in an error with a sentence."""

    def invoke(self, ctx: Any) -> Any:
        # Here, as Typer itself leaves in silence after Ctrl-C, and after a broken pipe of any kind.
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise StoppedError("interrupted") from error
        except OSError as error:
            raise system_error(error) from error
        except MemoryError as error:
            raise UserError("memory", problem="there is not enough of it", fix="Take less at once.") from error

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands, each with its whole first sentence: Typer cuts it to one line."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, c.get_short_help_str(1000)) for name, c in commands if c and not c.hidden])


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    from reasondistill.errors import MissingExtraError

    try:
        yield
    except ImportError as error:
        raise MissingExtraError("this command", extra) from error


def quiet_libraries() -> None:
    """Leave the libraries' own progress bars and notices out: each command shows its own."""
    import os
    import sys

    # By their variables where they are not imported yet: a command that needs none of them imports none.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    if (transformers := sys.modules.get("transformers")) is not None:
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
    if (datasets := sys.modules.get("datasets")) is not None:
        datasets.disable_progress_bars()


def print_blocks(blocks: Iterable[Block]) -> None:
    """The tables and facts among a report's blocks; a cell's detail stands behind it, in brackets."""
    from rich.table import Table

    from reasondistill.reporting.document import Facts
    from reasondistill.reporting.document import Table as Figures

    for block in blocks:
        if isinstance(block, Figures):
            table = Table(*block.head, title=block.title, title_justify="left")
            for row in block.rows:
                table.add_row(*(f"{cell.text} ({cell.detail})" if cell.detail else cell.text for cell in row))
            wide_say(table)
            if block.note:
                say(block.note)
        elif isinstance(block, Facts):
            for name, value in ((block.title, ""), *block.items):
                fact(name, value)


def print_headline(results: Results, title: str) -> None:
    from rich.table import Table

    from reasondistill.reporting import headline
    from reasondistill.reporting.sections.headline import left_out, not_read

    table = Table("metric", "value", "95% interval", "strongest baseline", title=title, title_justify="left")
    for row in headline(results):
        table.add_row(*row.cells())
    say(table)
    for names, reason in left_out(results):
        fact("left out", f"{names}: {reason}")
    if sentence := not_read(results):
        say(sentence)
