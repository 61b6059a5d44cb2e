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
        help="Where a file's columns have other names: premise=text_a, explanation=why1,why2 …; repeatable. "
        "Of explanations, a name with a comma in it stands in quotes: 'explanation=\"why, briefly\",why2'.",
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="Keep this part only; where no row names its part, a hash of its group decides."),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="Which fields and labels the rows have: nli, comve, cose, instructions, or a .yaml file. "
        "By default the data's own; in `evaluate` that of the predictions' record, where there is one.",
    ),
]
TeacherOption = Annotated[
    list[str] | None,
    typer.Option(
        "--teacher",
        metavar="NAME[=FILE]",
        help="Agreement with a teacher: a file of its predictions, or, by the name of their source, the data's own "
        "explanations (human, …). Repeatable; the first one is the headline's.",
    ),
]


BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget",
        min=0,
        metavar="SECONDS",
        help="For measuring costs, 120 by default; tests of faithfulness get 5 times as long. A slow student is asked "
        "less, and what was left out is said. 0: no end.",
    ),
]
EvalConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="YAML",
        help="Generation and evaluation, as in configs/eval_configs.yaml; an option given beside it goes before.",
    ),
]


def named_teachers(asked: list[str] | None) -> dict[str, str | None] | None:
    """Name → file of the teachers that were asked for: NAME=FILE, or NAME alone, which has no file."""
    if not asked:
        return None
    found: dict[str, str | None] = {}
    for text in asked:
        name, equals, file = text.partition("=")
        if not name or (equals and not file) or name in found:
            raise DataError("--teacher", expected="NAME=FILE, or NAME, each name once", found=repr(text))
        found[name] = file if equals else None
    return found


def pairs(texts: list[str], form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            raise DataError(repr(text), expected=f"{form}, each name once", found=repr(text))
        found[name] = value
    return found


def mapping(columns: list[str] | None) -> dict[str, str | list[str]] | None:
    if not columns:
        return None
    found = pairs(columns, "--columns WHAT=COLUMN")
    return {what: _names(names) if what == "explanation" else names for what, names in found.items()}


def _names(text: str) -> str | list[str]:
    """One name, or several between commas; a name that holds a comma stands in double quotes, as in a CSV file."""
    import csv

    try:
        names = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise DataError(
            f"--columns explanation={text}",
            expected="names between commas, one with a comma in it in double quotes",
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

    table = Table("metric", "value", "95% interval", "strongest floor", title=title, title_justify="left")
    for row in headline(results):
        table.add_row(*row.cells())
    say(table)
    for names, reason in left_out(results):
        fact("left out", f"{names}: {reason}")
    if sentence := not_read(results):
        say(sentence)
