"""ComVE (SemEval-2020 task 4, Wang et al. 2020): a sensible and a nonsensical statement, and why the latter is one.

A CSV has the columns ``Correct Statement``, ``Incorrect Statement``, ``Right Reason1`` to ``3`` and ``Confusing
Reason1`` to ``2``. The reasons explain the incorrect statement; confusing ones are about it and explain nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from reasondistill.contracts.records import Example, parse_record
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.own_columns import own_columns, own_values
from reasondistill.data.readers.csv_files import read_table
from reasondistill.errors import DataError
from reasondistill.storage.packed import plain_stem
from reasondistill.tasks.task import Task

REQUIRED = ("Correct Statement", "Incorrect Statement")
_REASON = re.compile(r"(Right|Confusing) Reason\s*\d+")


def is_comve(header: Iterable[str]) -> bool:
    """Whether a table is meant as ComVE's: it has either statement's column."""
    return bool(set(REQUIRED) & set(header))


def gives(task: Task) -> bool:
    """Whether ComVE has what a task asks for: two statements, and which is the nonsense if it asks for labels."""
    return set(task.fields) <= {"first", "second"} and (
        task.labels == () or set(task.labels or ()) >= {"first", "second"}
    )


def read_comve(path: str | Path, *, task: Task, notes: list[str] | None = None, key: str | None = None) -> Loaded:
    """Read one of ComVE's CSVs.

    The label says which statement is against common sense, ``first`` or ``second``. The file always has the correct
    one first; a hash of both statements decides their order here, so that the place gives nothing away and a pair is
    the same example in every file. Rows with the same correct statement share a group. Columns ``id``, ``group`` and
    ``split`` hold. Confusing reasons argue for no label (``""``): they are neither learned from nor compared with. Set
    aside and counted: empty reasons.

    Raises:
        DataError: a column is missing, or a row does not fit ``task``.
    """
    path = Path(path)
    header, _ = read_table(path, notes)
    own = own_columns(header)
    reasons = [name for name in header if _REASON.fullmatch(name)]
    if missing := [name for name in REQUIRED if name not in header]:
        raise DataError(
            path,
            expected=f"ComVE's columns {', '.join(REQUIRED)}",
            found=f"{', '.join(header)}, without {', '.join(missing)}",
            fix="Fetch the file again, or map its columns (--columns).",
        )

    def read(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        for line, row in read_table(path, notes)[1]:
            correct, incorrect = (row[name] for name in REQUIRED)
            explanations: list[dict[str, object]] = []
            for name in reasons:
                if not row[name].strip():
                    set_aside["empty explanation"] += 1
                elif name.startswith("Right"):
                    explanations.append({"text": row[name], "source": "human"})
                else:
                    explanations.append({"text": row[name], "source": "human, confusing", "label": ""})
            first = hashlib.sha256(f"{correct}\0{incorrect}".encode()).digest()[0] % 2 == 0
            value = {
                "id": f"{path.name}:{line}",
                "fields": dict(zip(("first", "second"), (incorrect, correct)[:: 1 if first else -1], strict=True)),
                "label": "first" if first else "second",
                "explanations": explanations,
                "group": correct,
                **own_values(row, own, f"{path}:{line}"),
            }
            yield f"{path}:{line}", parse_record(Example, value, f"{path}:{line}")

    used = {*REQUIRED, *reasons, *own.values()}
    ignored = [name for name in header if name not in used]
    return gather(plain_stem(path), path, read, task, ignored_columns=ignored, notes=notes, key=key)
