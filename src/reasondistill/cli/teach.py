"""`reasondistill teach …`: have teachers write explanations and labels, and look at what they wrote."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasondistill.cli.options import SetOption, SplitOption
from reasondistill.cli.shared import Commands, group, quiet_libraries
from reasondistill.cli.status import status_line
from reasondistill.cli.table_options import TableOptions, takes_table
from reasondistill.cli.teaching_tables import (
    print_accounts,
    print_filters,
    print_plan,
    print_rows,
    print_summary,
    progress_text,
)
from reasondistill.cli.terminal import fact, going_on, say_json, stage
from reasondistill.errors import DataError

if TYPE_CHECKING:
    from reasondistill.data import Loaded
    from reasondistill.tasks.task import Task
    from reasondistill.teachers.teach_settings import TeachConfig
    from reasondistill.teachers.teaching_run import Progress

_OF_TEACHER = "teachers."
"""With a table there is one teacher: `--set teachers.temperature=0.7`."""

RUN = "run"
"""The command that is meant where none is named: `teach CONFIG`."""

BaseUrlOption = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="With a table: the server, http://localhost:8000/v1."),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="With a table: the model, as the server names it.")
]
ModeOption = Annotated[
    str | None, typer.Option("--mode", help="How it is asked; default: given_label where rows have labels.")
]
OutOption = Annotated[Path | None, typer.Option(help="A new folder. Default for a YAML file: teaching_dir/name in it.")]
AskedLimitOption = Annotated[int | None, typer.Option(min=1, help="Ask about the first N rows only.")]
SpendingOption = Annotated[
    float | None, typer.Option(min=0, metavar="AMOUNT", help="Send nothing that could cost more in all.")
]


class TeachCommands(Commands):
    """`teach X` is `teach run X`, where X is none of its other commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [RUN, *args]
        return super().parse_args(ctx, args)


teach_app = group(
    "Have a teacher write explanations, or labels and explanations: an LLM behind a server or on this machine, "
    "a classifier, a student, a file.\n\n`reasondistill teach CONFIG` is short for `reasondistill teach run CONFIG`.",
    cls=TeachCommands,
)


@teach_app.command(RUN)
@takes_table
def teach(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG_OR_DATA",
            help="A YAML file (configs/ has examples, docs/teachers.md all keys); for a first try, a table; "
            "with --resume, also a run's folder.",
        ),
    ],
    table: TableOptions,
    overrides: SetOption = None,
    base_url: BaseUrlOption = None,
    model: ModelOption = None,
    mode: ModeOption = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="LABEL,…", help="With a table: the labels to choose from, where its rows have none."),
    ] = None,
    split: SplitOption = None,
    out: OutOption = None,
    limit: AskedLimitOption = None,
    budget: SpendingOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing: show requests, tokens, cost, time and the first prompt.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in this folder.")] = False,
) -> None:
    """Ask teachers for explanations and labels. No question is asked twice, in this run or in others.

    The key of a server is read from the environment: OPENAI_API_KEY, or the
    variable that key_env names. Ctrl-C keeps every answer that came.
    """
    from reasondistill.teachers.teaching_material import folder_of, material, store_of
    from reasondistill.teachers.teaching_run import teach as run_teaching

    quiet_libraries()
    if Path(source).suffix in (".yaml", ".yml") or _is_run(source):
        named = {"base_url": base_url, "model": model, "mode": mode, "labels": labels, "split": split}
        _refuse("a YAML file, or a run, names these itself", **named)
        if table != TableOptions():
            expected = "none of --task, --text, --label …, as a YAML file, or a run, names these itself"
            raise DataError("options", expected=expected, found="some", fix="Leave them out.")
        config, data = _configured(source, overrides, out, budget), None
    else:
        config, data = _first_try(source, table, base_url, model, mode, labels, split, out, budget, overrides)
    if dry_run:
        print_plan(material(config, data, limit), store_of(config))
        return

    def advice() -> str:
        return (
            "the same command with --resume goes on" if folder_of(config).exists() else "the same command begins anew"
        )

    with going_on(advice), _progress_line() as (tell, line):
        taught = run_teaching(config, data=data, resume=resume, limit=limit, progress=tell, say=line)
    print_summary(taught.folder, taught.teaching)


@teach_app.command("collect")
def teach_collect(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a teaching run that waits for batches.")],
) -> None:
    """Fetch the batches that are done, and write the run's files anew. Sends nothing."""
    from reasondistill.contracts.teaching import TEACHING_FILE, Teaching
    from reasondistill.teachers.teaching_material import config_of
    from reasondistill.teachers.teaching_run import teach as run_teaching

    config = config_of(folder)
    rows = Teaching.load(folder / TEACHING_FILE).data.n
    with going_on(lambda: "the same command goes on"), _progress_line() as (tell, line):
        taught = run_teaching(config, resume=True, send=False, limit=rows, progress=tell, say=line)
    print_summary(taught.folder, taught.teaching)


@teach_app.command("show")
def teach_show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a teaching run.")],
    examples: Annotated[int, typer.Option(min=0, help="How many accepted and rejected rows to show.")] = 3,
) -> None:
    """Show what teachers were asked, what came of it, what it cost, and some rows."""
    from reasondistill.contracts.teaching import TEACHING_FILE, Teaching
    from reasondistill.storage.files import require_file

    path = require_file(folder / TEACHING_FILE, what="the folder of a teaching run, with its file")
    teaching = Teaching.load(path)
    print_accounts(teaching)
    print_filters(folder)
    print_rows(folder, teaching, examples)
    print_summary(folder, teaching)


@teach_app.command("filter")
def teach_filter(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a teaching run.")],
    out: Annotated[Path, typer.Option(help="A new folder for accepted.jsonl, rejected.jsonl and card.md.")],
    config: Annotated[
        Path | None,
        typer.Option(metavar="YAML", help="Filters as under `filters:` of a configuration. Default: the run's own."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key: use.length.max_words=60; repeatable."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Filter the answers of a teaching run anew. Nothing is asked again.

    docs/filters.md lists the filters, with their settings and what they are
    worth on explanations that people judged.
    """
    from reasondistill.cli.filter_table import print_filtering
    from reasondistill.config import changed, load_config
    from reasondistill.contracts.teaching import ACCEPTED_FILE
    from reasondistill.storage.files import require_place
    from reasondistill.teachers.filters.filters_config import FiltersConfig
    from reasondistill.teachers.refiltering import filters_of, refilter

    quiet_libraries()
    require_place(out)
    if config is not None:
        filters = load_config(FiltersConfig, config, overrides or ())
    else:
        filters = changed(filters_of(folder), overrides or ())
    filtering = refilter(folder, filters, out=out, progress=(lambda _: None) if json_output else stage)
    if json_output:
        say_json(filtering.model_dump(mode="json"))
        return
    print_filtering(filtering)
    if filtering.accepted:
        fact("next", f"reasondistill data audit {quote(str(out / ACCEPTED_FILE))}")


def _refuse(why: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise DataError(option, expected=f"none, as {why}", found=repr(value), fix="Leave it out.")


def _is_run(source: str) -> bool:
    from reasondistill.contracts.teaching import TEACHING_FILE

    return (Path(source) / TEACHING_FILE).is_file()


def _configured(source: str, overrides: list[str] | None, out: Path | None, budget: float | None) -> TeachConfig:
    from reasondistill.config import load_config, with_values
    from reasondistill.teachers.teach_settings import TeachConfig
    from reasondistill.teachers.teaching_material import config_of, in_folder

    if _is_run(source):
        _refuse("the run's configuration is gone on with", set=overrides, out=out)
        config = config_of(Path(source))
        return config if budget is None else with_values(config, {"budget": budget}, where=source)
    more = [] if budget is None else [f"budget={budget}"]
    config = load_config(TeachConfig, source, [*(overrides or ()), *more])
    return config if out is None else in_folder(config, out)


def _first_try(
    source: str,
    table: TableOptions,
    base_url: str | None,
    model: str | None,
    mode: str | None,
    labels: str | None,
    split: str | None,
    out: Path | None,
    budget: float | None,
    overrides: list[str] | None,
) -> tuple[TeachConfig, Loaded]:
    """A configuration for a table and one model behind a server."""
    from reasondistill.config import lay_over
    from reasondistill.data import load
    from reasondistill.storage.layered_yaml import validate_config
    from reasondistill.teachers.teach_settings import TeachConfig
    from reasondistill.teachers.teaching_material import in_folder

    for option, value in (("--model", model), ("--out", out)):
        if value is None:
            fix = "Name it, or write all into a YAML file: docs/teachers.md."
            raise DataError(option, expected="one, as the data are no YAML file", found="none", fix=fix)
    assert out is not None
    read = table.read_as(source, texts_alone=True)
    task = _with_labels(read.task, labels, mode, source)
    data = load(source, split=split, task=task, columns=read.columns, need_label=False)
    labelled = any(example.label is not None for example in data.examples)
    teacher: dict[str, object] = {"name": model, "model": model}
    if base_url is not None:
        teacher["base_url"] = base_url
    settings: dict[str, object] = {
        "name": "teaching",
        "task": task.model_dump(),
        "data": {"source": source, "columns": read.columns, "split": split},
        "teachers": [teacher],
        "mode": mode or ("given_label" if labelled else "explanation_then_label"),
        "budget": budget,
    }
    of_teacher = [text for text in overrides or () if text.startswith(_OF_TEACHER)]
    lay_over(teacher, [text.removeprefix(_OF_TEACHER) for text in of_teacher])
    lay_over(settings, [text for text in overrides or () if text not in of_teacher])
    return in_folder(validate_config(TeachConfig, settings, where="the options of `teach`"), out), data


def _with_labels(task: Task, labels: str | None, mode: str | None, source: str) -> Task:
    """The task with the labels that a teacher may choose from.

    Raises:
        DataError: there are none, or some that cannot be told apart.
    """
    from reasondistill.tasks.task import label_problem

    if labels is not None:
        names = [name.strip() for name in labels.split(",") if name.strip()]
        if (problem := label_problem(names)) is not None or task.labels is None:
            found = "a task whose rows have choices of their own" if problem is None else problem
            raise DataError("--labels", expected="names of labels that differ", found=found)
        return task.model_copy(update={"labels": tuple(dict.fromkeys([*(task.labels or ()), *names]))})
    if not task.has_answers and mode != "given_label":
        raise DataError(
            source,
            expected="rows with labels, or the labels to choose from",
            found="neither",
            fix="Name the labels: --labels yes,no (or their column: --label COLUMN).",
        )
    return task


@contextmanager
def _progress_line() -> Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]:
    """One line with what is answered and what it cost; in a file, a line every half minute."""
    from reasondistill.cli.terminal import console

    begun = time.monotonic()
    quiet_for = 0.2 if console(stderr=True).is_terminal else 30.0
    last = [begun, 0.0]  # when it was shown last; how many were answered when it began
    with status_line() as line:

        def tell(progress: Progress) -> None:
            now = time.monotonic()
            if now - last[0] >= quiet_for:
                last[0] = now
                line(progress_text(progress))

        yield tell, line
