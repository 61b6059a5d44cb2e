"""`reasondistill data feedback`: what people said of answers becomes training rows."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from reasondistill.cli.terminal import fact


def data_feedback(
    store: Annotated[Path, typer.Argument(metavar="FILE", help="What `serve --feedback FILE` kept.")],
    out: Annotated[Path, typer.Option(help="A new .jsonl file.")],
) -> None:
    """Make training rows of the feedback that a service kept.

    Rows with the same texts, and variants of one example, share a group: no split takes them apart.
    """
    from reasondistill.contracts.records import write_records
    from reasondistill.data.feedback_rows import read_feedback, rows_of
    from reasondistill.data.loaded import counted
    from reasondistill.errors import DataError
    from reasondistill.storage.files import require_new_file

    require_new_file(out)
    rows = rows_of(read_feedback(store))
    if not rows.examples:
        raise DataError(
            store, expected="feedback to learn from", found=counted(rows.dropped), fix="Have people correct answers."
        )
    write_records(out, rows.examples)
    fact("examples", f"{out} ({len(rows.examples):,})")
    if rows.dropped:
        fact("dropped", counted(rows.dropped))
    fact("next", f"reasondistill data show {quote(str(out))}")
