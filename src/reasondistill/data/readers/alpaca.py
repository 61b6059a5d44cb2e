"""Instructions in the form of Alpaca (Taori et al. 2023) and of Self-Instruct's seed tasks (Wang et al. 2023).

A row is ``{"instruction", "input", "output"}``, or ``{"instruction", "instances": [{"input", "output"}, …]}``. The
output is what is learned: an explanation without a label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from reasondistill.contracts.records import Example, parse_record
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.own_columns import own_columns, own_values
from reasondistill.errors import DataError
from reasondistill.tasks.task import Task

_USED = ("instruction", "input", "output", "instances")


class Instance(BaseModel):
    input: str = ""
    output: str


def is_alpaca(row: Mapping[str, Any]) -> bool:
    """Whether a file's first row is an instruction with its output."""
    return isinstance(row.get("instruction"), str) and ("output" in row or "instances" in row)


def gives(task: Task, row: Mapping[str, Any]) -> bool:
    """Whether instructions have what a task asks for: no label, and the output as what is learned.

    A row with an explanation of its own is one of this form only for the form's own task.
    """
    explained = any(str(name).startswith("explanation") for name in row) and task.name != "instructions"
    return set(task.fields) <= {"instruction", "input"} and task.labels == () and not explained


def read_alpaca(
    path: str | Path,
    rows: Callable[[], Iterable[tuple[int, Mapping[str, Any]]]],
    *,
    task: Task,
    notes: list[str] | None = None,
    key: str | None = None,
) -> Loaded:
    """Read instructions; each instance of one becomes an example, and they share a group.

    A row's own ``id``, ``group`` and ``split`` hold; its instances' ids are ``<id>.<number>`` where there are several.

    Raises:
        DataError: a row has no instruction, or an instance no output.
    """
    path = Path(path)
    ignored: dict[str, None] = {}

    def read(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        for line, row in rows():
            where = f"{path}:{line}"
            instruction, listed = row.get("instruction"), row.get("instances")
            instances = [row] if listed is None else listed
            if not isinstance(instruction, str) or not isinstance(instances, list) or not instances:
                raise DataError(
                    where,
                    expected="an 'instruction' with its 'output', or with a list of 'instances'",
                    found=f"the keys {', '.join(map(str, row))}",
                    fix="Complete the row.",
                )
            columns = own_columns(row)
            own = {"id": f"{path.name}:{line}", "group": instruction, **own_values(row, columns, where)}
            ignored.update(dict.fromkeys(name for name in row if name not in _USED and name not in columns.values()))
            for number, item in enumerate(instances, start=1):
                if not isinstance(item, dict):
                    raise DataError(where, expected="instances with 'input' and 'output'", found=repr(item)[:60])
                if listed is not None:
                    ignored.update(dict.fromkeys(f"instances.{name}" for name in item if name not in _USED))
                instance = parse_record(Instance, {k: v for k, v in item.items() if v is not None}, where)
                if not instance.output.strip():
                    set_aside["empty explanation"] += 1
                value = {
                    **own,
                    "id": own["id"] if len(instances) == 1 else f"{own['id']}.{number}",
                    "fields": {"instruction": instruction, "input": instance.input},
                    "explanations": [{"text": instance.output, "source": "output"}] if instance.output.strip() else [],
                }
                yield where, parse_record(Example, value, where)

    return gather(path.stem, path, read, task, ignored_columns=ignored, notes=notes, key=key)
