"""Instructions in the form of Alpaca (Taori et al. 2023) and of Self-Instruct's seed tasks (Wang et al. 2023).

A row is ``{"instruction", "input", "output"}``, or ``{"instruction", "instances": [{"input", "output"}, …]}``. The
output is the answer, a text; for a task without answers (``labels: []``) it is an explanation without a label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from reasondistill.contracts.records import Example, parse_record
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.own_columns import own_columns, own_values
from reasondistill.data.readers.any_table import Table
from reasondistill.data.readers.explanation_cells import is_explanation
from reasondistill.data.readers.own_tables import EMPTY_LABEL
from reasondistill.errors import DataError
from reasondistill.tasks.task import Task

_USED = ("instruction", "input", "output", "instances")


class Instance(BaseModel):
    input: str = ""
    output: str


def is_alpaca(row: Mapping[str, object]) -> bool:
    """Whether a file's first row is an instruction with its output."""
    return isinstance(row.get("instruction"), str) and ("output" in row or "instances" in row)


def gives(task: Task, row: Mapping[str, object]) -> bool:
    """Whether instructions have what a task asks for: no label, and the output as what is learned.

    A row with an explanation of its own is one of this form only for the form's own task, or one whose answer the
    output is.
    """
    explained = any(str(name).startswith("explanation") for name in row) and not (
        task.name == "instructions" or task.writes_answers
    )
    return set(task.fields) <= {"instruction", "input"} and task.labels == () and not explained


def read_alpaca(
    table: Table,
    *,
    task: Task,
    notes: list[str] | None = None,
    key: str | None = None,
) -> Loaded:
    """Read instructions; each instance of one becomes an example, and they share a group.

    A row of an instruction and an input has a group of both: one instruction often stands over a whole file.
    A row's own ``id``, ``group`` and ``split`` hold; its instances' ids are ``<id>.<number>`` where there are several.

    Raises:
        DataError: a row has no instruction, or an instance no output.
    """
    path = table.where
    ignored: dict[str, None] = {}

    def read(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        for line, row in table.read(set_aside):
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
            text = row.get("input") if listed is None else None
            group = f"{instruction}\n{text}" if text else instruction
            own = {"id": f"{path.name}:{line}", "group": group, **own_values(row, columns, where)}
            used = {*_USED, *columns.values(), *filter(is_explanation, map(str, row if task.writes_answers else ()))}
            ignored.update(dict.fromkeys(name for name in row if name not in used))
            for number, item in enumerate(instances, start=1):
                if not isinstance(item, dict):
                    raise DataError(where, expected="instances with 'input' and 'output'", found=repr(item)[:60])
                if listed is not None:
                    ignored.update(dict.fromkeys(f"instances.{name}" for name in item if name not in _USED))
                instance = parse_record(Instance, {k: v for k, v in item.items() if v is not None}, where)
                value = {
                    **own,
                    "id": own["id"] if len(instances) == 1 else f"{own['id']}.{number}",
                    "fields": {"instruction": instruction, "input": instance.input},
                    **_learned(instance.output, {**row, **item}, task, set_aside),
                }
                yield where, parse_record(Example, value, where)

    return gather(table.name, path, read, task, ignored_columns=ignored, notes=notes, key=key)


def _learned(output: str, row: Mapping[str, object], task: Task, set_aside: Counter[str]) -> dict[str, object]:
    """What an instance teaches: its output as the answer, with explanations of its own; or as an explanation."""
    if not task.writes_answers:
        if not output.strip():
            set_aside["empty explanation"] += 1
        return {"explanations": [{"text": output, "source": "output"}] if output.strip() else []}
    if not output.strip():
        set_aside[EMPTY_LABEL] += 1
    explanations = {
        str(name): text
        for name, text in row.items()
        if is_explanation(str(name)) and isinstance(text, str) and text.strip()
    }
    return {
        "label": output.strip() or None,
        "explanations": [{"text": text, "source": name} for name, text in explanations.items()],
    }
