"""`reasondistill data …`: look at data sets."""

from __future__ import annotations

from typing import Annotated

import typer

from reasondistill.cli.shared import Columns, DataArgument, SplitOption, TaskOption, mapping, plain, say, task_for

data_app = typer.Typer(no_args_is_help=True, help="Look at data sets.")


@data_app.command("show")
def data_show(
    data: DataArgument,
    split: SplitOption = None,
    task: TaskOption = None,
    columns: Columns = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Count a data set and show its first rows: labels, parts, explanations, lengths, and what was set aside."""
    import json

    from rich.table import Table

    from reasondistill.datasets import describe, load

    found = describe(load(data, split=split, task=task_for(task, data), columns=mapping(columns), need_label=False))
    if json_output:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = Table(title=f"{found['name']}: {found['n']:,} examples in {found['groups']:,} groups", title_justify="left")
    labels = list(found["labels"])
    for heading in ("part", *labels, "all"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for part, counts in {**found["splits"], "all": found["labels"]}.items():
        table.add_row(part, *(f"{counts.get(label, 0):,}" for label in labels), f"{sum(counts.values()):,}")
    say(table)
    lengths = Table("words in", *(p.removeprefix("p") + "%" for p in next(iter(found["words"].values()))))
    for name, percentiles in found["words"].items():
        lengths.add_row(name, *map(str, percentiles.values()))
    say(lengths)
    say(f"explanations: {found['explanations']['total']:,}, by source {found['explanations']['sources']}")
    for what in ("set_aside", "ignored_columns"):
        if found[what]:
            say(f"{what.replace('_', ' ')}: {found[what]}")
    say(f"fingerprint: {found['fingerprint']}")
    for row in found["sample"]:
        say("")
        for name, text in row["fields"].items():
            say(f"[bold]{name}[/]: {plain(text)}")
        say(f"[bold]label[/]: {plain(str(row.get('label')))}")
        for explanation in row["explanations"]:
            aim = f" (for {explanation['label'] or 'no label'})" if "label" in explanation else ""
            say(f"  - {plain(explanation['text'] + aim)}")
