"""`reasondistill data …`: look at, check, fetch, convert and split data sets."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.shared import (
    Commands,
    DataArgument,
    SplitOption,
    needs_extra,
    quiet_libraries,
)
from reasondistill.cli.table_options import TableOptions, takes_table
from reasondistill.cli.terminal import fact, progress_bar, say, say_json, stage, visible, wide_say
from reasondistill.errors import DataError

if TYPE_CHECKING:
    from rich.progress import TaskID

data_app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Look at, check, fetch, convert and split data sets.",
)


@data_app.command("show")
@takes_table
def data_show(
    data: DataArgument,
    table: TableOptions,
    split: SplitOption = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Count a data set and show its first rows: labels, parts, explanations, lengths, and what was set aside."""
    from rich.table import Table
    from rich.text import Text

    from reasondistill.data import describe, load
    from reasondistill.data.loaded import counted
    from reasondistill.data.readers.own_tables import listed

    read = table.read_as(data)
    found = describe(load(data, split=split, task=read.task, columns=read.columns, need_label=False))
    if json_output:
        say_json(found)
        return
    counts_table = Table(
        title=f"{found['name']}: {found['n']:,} examples in {found['groups']:,} groups", title_justify="left"
    )
    labels = list(found["labels"])
    for heading in ("part", *labels, "all"):
        counts_table.add_column(heading, justify="left" if heading == "part" else "right")
    for part, counts in {**found["splits"], "all": found["labels"]}.items():
        counts_table.add_row(part, *(f"{counts.get(label, 0):,}" for label in labels), f"{sum(counts.values()):,}")
    say(counts_table)
    lengths = Table("words in", *(p.removeprefix("p") + "%" for p in next(iter(found["words"].values()))))
    for name, percentiles in found["words"].items():
        lengths.add_row(name, *map(str, percentiles.values()))
    say(lengths)
    sources = found["explanations"]["sources"]
    say(f"explanations: {found['explanations']['total']:,}{', by source: ' if sources else ''}{counted(sources)}")
    if found["set_aside"]:
        say(f"set aside: {counted(found['set_aside'])}")
    if found["ignored_columns"]:
        say(f"ignored columns: {listed(found['ignored_columns'])}")
    say(f"fingerprint: {found['fingerprint']}")
    for row in found["sample"]:
        say("")
        for name, text in row["fields"].items():
            say(Text.assemble((visible(name), "bold"), f": {visible(_shown(text))}"))
        say(Text.assemble(("label", "bold"), f": {visible(str(row.get('label')))}"))
        for explanation in row["explanations"]:
            aim = f" (for {explanation['label'] or 'no label'})" if "label" in explanation else ""
            say(f"  - {_shown(explanation['text']) + aim}")


def _shown(text: str, most: int = 2000) -> str:
    return f"{text[:most]}… ({len(text):,} characters)" if len(text) > most else text


@data_app.command("audit")
@takes_table
def data_audit(
    data: DataArgument,
    table: TableOptions,
    out: Annotated[Path | None, typer.Option(help="Also write audit.json and audit.html into this folder.")] = None,
    split: SplitOption = None,
    student: Annotated[
        Path | None,
        typer.Option(
            help="Count tokens with this student's tokenizer, against its limits: a run, a folder, builtin:scenes."
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Without a student: count tokens, and what is lost, with the tokenizer of a folder, a hub id, or "
            "offline:minilm."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of samples and baselines.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Look for what would spoil a result: duplicates, leaks between parts, explanations that give the label away.

    Also balance, templates and copies, lengths against the limits, baselines that see one field only, and language.
    Exits 0 whatever it finds: the findings are yours to judge.
    """
    from rich.table import Table
    from rich.text import Text

    from reasondistill.data import load
    from reasondistill.data.audit import Limits, audit, audit_table
    from reasondistill.storage.files import require_place

    if out is not None:
        require_place(out)
    read = table.read_as(data)
    counter = limits = order = None
    if student is not None and tokenizer is not None:
        raise DataError("--tokenizer", problem="excludes --student", fix="Give one of the two.")
    if tokenizer is not None:
        quiet_libraries()
        with needs_extra("train"):
            from reasondistill.students.checkpoint import load_tokenizer
            from reasondistill.students.warm_start import encoder_path

        counter = load_tokenizer(encoder_path(tokenizer), local_files_only=False)
    if student is not None:
        quiet_libraries()
        with needs_extra("train"):
            from reasondistill.students.checkpoint import load_tokenizer
            from reasondistill.students.student_task import StudentTask
        from reasondistill.runs import find_student

        told = StudentTask.load(find_student(student))
        counter, order = load_tokenizer(find_student(student)), told.order
        limits = Limits(told.max_source_length, told.max_target_length)
    loaded = load(data, split=split, task=read.task, columns=read.columns, need_label=False)
    found = audit(
        loaded,
        task=read.task,
        tokenizer=counter,
        limits=limits,
        order=order,
        seed=seed,
        progress=(lambda _: None) if json_output else stage,
    )
    if json_output:
        say_json(found)
    else:
        findings = Table(
            "", "what", "what to do", "for example", title=f"{loaded.name}: what was found", title_justify="left"
        )
        colours = {"problem": "bold red", "warning": "yellow", "note": "dim"}
        for row in audit_table(found):
            style = colours[row.severity]
            findings.add_row(Text(row.severity, style), row.what, row.advice, row.ids)
        wide_say(findings)
    if out is not None:
        from reasondistill.reporting.pages.audit import write_audit

        files = write_audit(found, out)
        if not json_output:
            fact("audit", files.html)


@data_app.command("download")
def data_download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="e-snli, or e-snli-hub for the hub's Parquet copy.")],
    out: Annotated[
        Path | None, typer.Option(help="A folder; by default the cache's, so that the set is found by its name.")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only the files of this part.")] = None,
    base_url: Annotated[str | None, typer.Option(help="A mirror, instead of the publishers' address.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds without a byte before a try is given up.")] = 30.0,
) -> None:
    """Fetch a published set; go on where a broken download ended; hold every file to its checksum."""
    from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn

    from reasondistill.data.download.published import download
    from reasondistill.data.sources import downloads_folder

    folder = out or downloads_folder(name)
    jobs: dict[str, TaskID] = {}
    with progress_bar(BarColumn(), DownloadColumn(), TransferSpeedColumn()) as bar:

        def advance(file: str, done: int, total: int | None) -> None:
            if file not in jobs:
                jobs[file] = bar.add_task(visible(file), total=total)
            bar.update(jobs[file], completed=done, total=total)

        paths = download(name, folder, split=split, base_url=base_url, timeout=timeout, progress=advance)
    for path in paths:
        fact("file", path)
    if name == "e-snli" and split is None:
        fact("next", f"reasondistill data show {name if out is None else quote(str(folder))} --split validation")


@data_app.command("convert")
@takes_table
def data_convert(
    data: DataArgument,
    table: TableOptions,
    out: Annotated[Path, typer.Option(help="A new .jsonl or .parquet file; .csv or .tsv where nothing is lost.")],
    split: SplitOption = None,
) -> None:
    """Write a data set in the library's own form, which keeps everything: choices, votes, highlights, parts."""
    from reasondistill.data import load
    from reasondistill.data.writing import convert

    read = table.read_as(data)
    loaded = load(data, split=split, task=read.task, columns=read.columns, need_label=False)
    convert(loaded, out)
    fact("examples", f"{out} ({len(loaded.examples):,})")


@data_app.command("split")
@takes_table
def data_split(
    data: DataArgument,
    table: TableOptions,
    out: Annotated[Path, typer.Option(help="A folder for one file a part.")],
    suffix: Annotated[str, typer.Option(help=".jsonl, .parquet, or .csv and .tsv where nothing is lost.")] = ".jsonl",
) -> None:
    """Write train, validation and test as files of their own, by the rows' own part or by the hash of their group."""
    from reasondistill.data import load
    from reasondistill.data.writing import write_splits

    read = table.read_as(data)
    loaded = load(data, task=read.task, columns=read.columns, need_label=False)
    for part, written in write_splits(loaded, out, suffix).items():
        fact(part, f"{written.path} ({written.examples:,})")
