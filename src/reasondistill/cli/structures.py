"""`reasondistill data structures`: structures for explanations, from proofs and from what people wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasondistill.cli.next_steps import say_next
from reasondistill.cli.options import DataArgument, SplitOption
from reasondistill.cli.table_options import TableOptions, takes_table
from reasondistill.cli.terminal import fact, progress, say, visible
from reasondistill.cli.verify import FragmentOption, RelationsOption
from reasondistill.errors import DataError

if TYPE_CHECKING:
    from reasondistill.verification.silver_structures import SilverCounts

_TASK = "nli_structured"


@takes_table
def data_structures(
    data: DataArgument,
    table: TableOptions,
    out: Annotated[Path, typer.Option(help="A new .jsonl or .parquet file.")],
    split: SplitOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first N examples of the split.")] = None,
    relations: RelationsOption = None,
    fragment: FragmentOption = None,
    keep_all: Annotated[
        bool, typer.Option("--keep-all", help="Keep rows without a structure too: they teach their label only.")
    ] = False,
) -> None:
    """Write `relation | from | to ; text` for explanations of premise and hypothesis.

    Structures come from proofs of the row's label, and from explanations that templates of English can read. What
    share could be had of which is printed. docs/verification.md says what they are worth.
    """
    from reasondistill.data import load
    from reasondistill.data.loaded import Loaded
    from reasondistill.data.writing import convert
    from reasondistill.evaluation.proved_answers import prover_for
    from reasondistill.storage.files import require_new_file
    from reasondistill.verification.silver_structures import with_structures

    require_new_file(out)
    read = replace(table, task=table.task or _TASK).read_as(data)
    task = read.task
    loaded = load(data, split=split, task=task, columns=read.columns)
    loaded = loaded if limit is None else loaded.first(limit)
    prover = prover_for(fragment, loaded.name, relations)
    with progress("looking for structures", len(loaded)) as advance:
        rows, counts = with_structures(loaded.examples, task, prover, advance)
    kept = [
        row for row in rows if keep_all or any(task.own_words(e.text, row.fields) != e.text for e in row.references)
    ]
    if not kept:
        raise DataError(data, expected="explanations that a structure can be had of", found="none in any row")
    convert(Loaded(f"{loaded.name}_structures", kept), out)
    _say_shares(counts, loaded.name)
    fact("examples", f"{out} ({len(kept):,})")
    say_next("train", out, "--task", table.task or _TASK)


def _say_shares(counts: SilverCounts, name: str) -> None:
    from rich.table import Table

    from reasondistill.verification.silver_structures import shares

    table = Table("", "structures", "of", "share", title=f"{visible(name)}: structures", title_justify="left")
    for what, (n, of) in shares(counts).items():
        table.add_row(visible(what), f"{n:,}", f"{of:,}", f"{n / of:.1%}" if of else "–")
    say(table)
