"""What commands share: how they read options, and how they speak."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from reasondistill.cli.terminal import fact, say, wide_say
from reasondistill.errors import DataError, StoppedError, UserError, system_error

if TYPE_CHECKING:
    from pathlib import Path

    from reasondistill.contracts.results import Results
    from reasondistill.reporting.document import Block
    from reasondistill.runs import Run


def run_or_out(student: Path, out: Path | None, what: str) -> Run | None:
    """The run at STUDENT; any other student has no place for what is written, and needs ``--out``.

    Args:
        what: ``--out`` has to name.
    """
    from reasondistill.contracts.run import RUN_FILE
    from reasondistill.runs import Run, find_student

    run = Run(student) if (student / RUN_FILE).is_file() else None
    if out is None and run is None:
        if not find_student(student).exists():
            raise DataError(student, expected="a student, or the run that made it", found="nothing at this path")
        raise DataError("--out", expected=f"{what}, as STUDENT is no run", found="none")
    return run


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


def mapping(columns: list[str] | None) -> dict[str, str | list[str] | dict[str, str]] | None:
    """What → its column, from WHAT=COLUMN; ``label_values`` has pairs of its own, as `named_values`."""
    if not columns:
        return None
    mapped: dict[str, str | list[str] | dict[str, str]] = {}
    for what, text in pairs(columns, "--columns WHAT=COLUMN").items():
        if what == "label_values":
            mapped[what] = named_values([text])
        elif what == "explanation":
            names = _listed(text, "--columns explanation=", "--columns 'explanation=\"why, briefly\",why_at_length'")
            mapped[what] = names if len(names) > 1 else names[0] if names else ""
        else:
            mapped[what] = text
    return mapped


def named_values(texts: list[str] | None) -> dict[str, str]:
    """A label's value → the label that it means, from ``VALUE=LABEL,…``.

    Raises:
        DataError: a part is no such pair, or a value occurs twice.
    """
    example = "--label-values '0=yes,1=\"no, not yet\"'"
    parts = [part for text in texts or () for part in _listed(text, "--label-values ", example)]
    return pairs(parts, "--label-values VALUE=LABEL,…")


def _listed(text: str, option: str, example: str) -> list[str]:
    """Names separated by commas; a name with a comma in it is in double quotes, as in CSV."""
    import csv

    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise DataError(
            f"{option}{text}",
            expected="names separated by commas, with double quotes around a name that has a comma in it",
            found=str(error),
            fix=f"Write it as {example}.",
        ) from error


class Commands(TyperGroup):
    """A group whose commands end, where the system or the user stops them, in an error with a sentence."""

    def invoke(self, ctx: Any) -> object:
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


def group(help: str, cls: type[Commands] = Commands) -> typer.Typer:
    """A command that has commands of its own."""
    return typer.Typer(cls=cls, rich_markup_mode=None, no_args_is_help=True, help=help)


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Around imports that a command needs an extra for."""
    from reasondistill.errors import importing

    with importing("this command", extra):
        yield


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
        metric, *others = row.cells()
        fewer = f" ({row.n:,} rows)" if row.n < results.dataset.n else ""
        table.add_row(f"{metric}{fewer}", *others)
    say(table)
    for names, reason in left_out(results):
        fact("left out", f"{names}: {reason}")
    if sentence := not_read(results):
        say(sentence)
