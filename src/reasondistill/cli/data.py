"""`reasondistill data …`: show, audit, download, convert and split data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from reasondistill.cli.next_steps import say_next
from reasondistill.cli.options import DataArgument, SplitOption
from reasondistill.cli.shared import group, needs_extra, quiet_libraries
from reasondistill.cli.table_options import TableOptions, takes_table
from reasondistill.cli.terminal import fact, progress_bar, say, say_json, stage, visible, wide_say
from reasondistill.errors import DataError

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table as RichTable

    from reasondistill.contracts.audit import Audit, Limits, ShownRow
    from reasondistill.data.description import Description
    from reasondistill.languages.tokenizer_protocol import PretrainedTokenizer
    from reasondistill.tasks.task import OutputOrder


class TokenCounting(TypedDict, total=False):
    """The arguments of an audit that a student or a tokenizer gives."""

    tokenizer: PretrainedTokenizer
    limits: Limits
    order: OutputOrder


data_app = group("Show, audit, download, convert and split data sets.")


@data_app.command("show")
@takes_table
def data_show(
    data: DataArgument,
    table: TableOptions,
    split: SplitOption = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Summarise a data set: labels, splits, explanations, lengths, dropped rows, and its first examples."""
    from rich.table import Table
    from rich.text import Text

    from reasondistill.data import describe, load
    from reasondistill.data.loaded import counted
    from reasondistill.data.readers.flat_rows import listed

    read = table.read_as(data)
    description = describe(load(data, split=split, task=read.task, columns=read.columns, need_label=False))
    if json_output:
        say_json(description)
        return
    say(_counts_table(description))
    lengths = Table("words in", *(p.removeprefix("p") + "%" for p in next(iter(description["words"].values()))))
    for name, percentiles in description["words"].items():
        lengths.add_row(name, *map(str, percentiles.values()))
    say(lengths)
    sources = description["explanations"]["sources"]
    say(f"explanations: {description['explanations']['total']:,}{', by source: ' if sources else ''}{counted(sources)}")
    if description["set_aside"]:
        say(f"dropped: {counted(description['set_aside'])}")
    if description["ignored_columns"]:
        say(f"ignored columns: {listed(description['ignored_columns'])}")
    say(f"fingerprint: {description['fingerprint']}")
    for row in description["sample"]:
        say("")
        for name, text in row["fields"].items():
            say(Text.assemble((visible(name), "bold"), f": {visible(_shown(text))}"))
        say(Text.assemble(("label", "bold"), f": {visible(str(row.get('label')))}"))
        for explanation in row["explanations"]:
            aim = f" (for {explanation['label'] or 'no label'})" if "label" in explanation else ""
            say(f"  - {_shown(explanation['text']) + aim}")
    say_next("data", "audit", data, *table.words(), *([] if split is None else ["--split", split]))


_LABELS_ACROSS = 6
"""More labels stand below each other."""


def _counts_table(description: Description) -> RichTable:
    """Rows by split and label, no wider than a terminal."""
    from rich.table import Table

    splits: dict[str, dict[str, int]] = {**description["splits"], "all": description["labels"]}
    rows = [["split", *description["labels"], "all"]]
    rows += [
        [split, *(f"{counts.get(label, 0):,}" for label in description["labels"]), f"{sum(counts.values()):,}"]
        for split, counts in splits.items()
    ]
    if len(description["labels"]) > _LABELS_ACROSS:
        rows = [["label", *rows[0][1:]], *rows[1:]]
        rows = [list(column) for column in zip(*rows, strict=True)]
    title = f"{description['name']}: {description['n']:,} examples in {description['groups']:,} groups"
    table = Table(title=title, title_justify="left")
    for heading in rows[0]:
        table.add_column(visible(heading), justify="right" if table.columns else "left")
    for first, *counts in rows[1:]:
        table.add_row(visible(first), *counts)
    return table


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
        typer.Option(help="Count tokens with this student's tokenizer and limits: a run, a folder, or builtin:scenes."),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Without a student: count tokens, and what is lost, with the tokenizer of a folder, a hub id, or "
            "offline:minilm."
        ),
    ] = None,
    prove: Annotated[
        bool,
        typer.Option("--prove", help="Also look for labels of premise and hypothesis that a proof contradicts."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of samples and baselines.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Look for what would spoil a result: duplicates, leaks between splits, explanations that give the label away.

    Also balance, templates and copies, lengths against the limits, baselines that see one field only, and language.
    Exits 0 whatever it finds: the findings are yours to judge.
    """
    from reasondistill.data import load
    from reasondistill.data.audit import audit
    from reasondistill.storage.files import require_place
    from reasondistill.verification.doubted_labels import doubted_labels
    from reasondistill.verification.pair_labels import PairLabels

    if out is not None:
        require_place(out)
    if student is not None and tokenizer is not None:
        raise DataError("--tokenizer", problem="excludes --student", fix="Give one of the two.")
    read = table.read_as(data)
    counted = _token_counting(student, tokenizer)
    if prove:
        PairLabels.of(read.task)  # a mistake, before anything takes time
    result = audit(
        load(data, split=split, task=read.task, columns=read.columns, need_label=False),
        task=read.task,
        seed=seed,
        prove=doubted_labels if prove else None,
        progress=(lambda _: None) if json_output else stage,
        **counted,
    )
    if json_output:
        say_json(result.model_dump(mode="json"))
    else:
        _say_findings(result)
    page = None if out is None else _audit_page(result, out)
    if page is not None and not json_output:
        fact("audit", page)
    if not json_output and split is None:
        say_next("train", data, *table.words())


def _audit_page(audit: Audit, folder: Path) -> Path:
    from reasondistill.reporting.pages.audit import write_audit

    return write_audit(audit, folder).html


def _token_counting(student: Path | None, tokenizer: str | None) -> TokenCounting:
    """What to count tokens with, and against which limits."""
    if tokenizer is None and student is None:
        return {}
    quiet_libraries()
    with needs_extra("train"):
        from reasondistill.students.checkpoint import load_tokenizer
        from reasondistill.students.student_task import StudentTask
        from reasondistill.students.warm_start import encoder_path
    if student is None:
        return {"tokenizer": load_tokenizer(encoder_path(str(tokenizer)), local_files_only=False)}
    from reasondistill.contracts.audit import Limits
    from reasondistill.runs import find_student

    folder = find_student(student)
    trained = StudentTask.load(folder)
    limits = Limits(max_source_length=trained.max_source_length, max_target_length=trained.max_target_length)
    return {"tokenizer": load_tokenizer(folder), "limits": limits, "order": trained.order}


def _say_findings(audit: Audit) -> None:
    """Print a row for each finding, worst first, with the first example of it."""
    from rich.table import Table
    from rich.text import Text

    table = Table("", "what", "what to do", "for example", title=f"{audit.name}: what is wrong", title_justify="left")
    colours = {"problem": "bold red", "warning": "yellow", "note": "dim"}
    for finding in audit.findings:
        severity = Text(finding.severity, colours[finding.severity])
        together = any(isinstance(rows, list) for rows in finding.ids)  # one row alone would show nothing
        shown = [_example(row) for row in finding.examples[: None if together else 1]]
        table.add_row(severity, finding.what, finding.advice, "\n".join(shown))
    if not audit.findings:
        table.add_row(Text("note", "dim"), "nothing is wrong", "", "")
    wide_say(table)


def _example(row: ShownRow) -> str:
    """A row in a line: its id, its texts and its label."""
    texts = " | ".join(text or "(empty)" for text in (*row.fields.values(), *row.explanations))
    return f"{row.id}: {texts}{f' → {row.label}' if row.label else ''}"


@data_app.command("download")
def data_download(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="e-snli, or e-snli-hub for the Parquet copy on the Hugging Face Hub.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="A folder. Default: the cache, where the set can be used by name.")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only the files of this split.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Download from this mirror.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds without data before an attempt fails.")] = 30.0,
) -> None:
    """Download a published set, resuming a broken download, and verify every checksum."""
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
    if split is None:
        source = folder if name == "e-snli" else next((path for path in paths if path.suffix == ".parquet"), folder)
        say_next("data", "show", name if name == "e-snli" and out is None else source)


@data_app.command("convert")
@takes_table
def data_convert(
    data: DataArgument,
    table: TableOptions,
    out: Annotated[Path, typer.Option(help="A new .jsonl or .parquet file; .csv or .tsv where nothing is lost.")],
    split: SplitOption = None,
) -> None:
    """Convert a data set to the library's own format, which keeps choices, votes, highlights and splits."""
    from reasondistill.data import load
    from reasondistill.data.writing import convert

    read = table.read_as(data)
    loaded = load(data, split=split, task=read.task, columns=read.columns, need_label=False)
    convert(loaded, out)
    fact("examples", f"{out} ({len(loaded.examples):,})")
    say_next("data", "show", out, *(["--task", table.task] if table.task else []))


@data_app.command("split")
@takes_table
def data_split(
    data: DataArgument,
    table: TableOptions,
    out: Annotated[Path, typer.Option(help="A folder for one file a part.")],
    suffix: Annotated[str, typer.Option(help=".jsonl, .parquet, or .csv and .tsv where nothing is lost.")] = ".jsonl",
) -> None:
    """Write train, validation and test files, by each row's own split or a hash of its group."""
    from reasondistill.data import load
    from reasondistill.data.writing import write_splits

    read = table.read_as(data)
    loaded = load(data, task=read.task, columns=read.columns, need_label=False)
    parts = write_splits(loaded, out, suffix)
    for part, written in parts.items():
        fact(part, f"{written.path} ({written.examples:,})")
    say_next("data", "show", next(iter(parts.values())).path, *(["--task", table.task] if table.task else []))


@data_app.command("pair")
@takes_table
def data_pair(
    data: DataArgument,
    table: TableOptions,
    out: Annotated[Path, typer.Option(help="A new .jsonl or .parquet file, or .csv or .tsv where nothing is lost.")],
    split: SplitOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Make at most N rows, from all groups alike.")] = None,
    per_group: Annotated[int | None, typer.Option(min=1, help="Make at most N rows of each group.")] = None,
    across_fields: Annotated[
        bool, typer.Option("--across-fields", help="Also put texts of one field into another.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Which combinations come first.")] = 0,
) -> None:
    """Make new rows without labels: the texts of one group's rows, put together anew.

    For a teacher to label. Texts of different groups or splits are never put together, and no row comes out that
    the data already have.
    """
    from reasondistill.data import load
    from reasondistill.data.loaded import Loaded
    from reasondistill.data.transforms.recombining import recombined
    from reasondistill.data.writing import convert

    read = table.read_as(data)
    loaded = load(data, split=split, task=read.task, columns=read.columns, need_label=False)
    rows = recombined(
        loaded,
        read.task,
        limit=limit,
        per_group=per_group,
        across_fields=across_fields,
        seed=seed,
        name=loaded.name,
    )
    convert(Loaded(f"{loaded.name}_pairs", rows), out)
    fact("examples", f"{out} ({len(rows):,}, without labels)")
    say_next("data", "show", out)
