"""EntailmentBank, task 1 (Dalvi et al. 2021): science questions whose answer follows step by step from given sentences.

In the authors' JSON Lines, or in their TSV of slots: ``$proof$ ; $question$ = … ; $context$ = …``, a tab,
``$proof$ = …``. The proof is the explanation: its line where the task's explanations have that structure, else what it
reads as. Rows with the same question share a group. A proof whose steps are no tree is left out, and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reasondistill.contracts.records import Example, parse_record
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.readers.flat_rows import Cells, Row
from reasondistill.data.readers.json_files import read_objects
from reasondistill.errors import DataError
from reasondistill.storage.files import read_head, read_lines
from reasondistill.storage.packed import plain_stem
from reasondistill.tasks.step_structures import StepStructure
from reasondistill.tasks.task import Task, get_task

_FIELDS: Final = ("question", "answer", "hypothesis", "context")
_SLOT: Final = re.compile(r"\$(\w+)\$ = (.*?)(?=\s*(?: ; \$\w+\$|\t|$))")
_START: Final = "$proof$ ; $question$ = "
NO_TREE: Final = "proof whose steps are no tree"
"""Why a row has no explanation."""


def is_slots(path: Path) -> bool:
    """Whether a file is the authors' TSV."""
    return read_head(path).startswith(_START)


def is_entailment_bank(row: Cells) -> bool:
    """Whether a row of JSON is of the set."""
    return {*_FIELDS, "proof"} <= row.keys()


def gives(task: Task) -> bool:
    """Whether the set has what a task asks for: its fields, and a written answer if it asks for one."""
    fields = {*_FIELDS} - ({"answer", "hypothesis"} if task.has_answers else set())
    return set(task.fields) <= fields and (task.answer == "text" or not task.has_answers)


def read_slots(path: Path, notes: list[str] | None = None) -> Iterator[Row]:
    """The rows of the authors' TSV."""
    for number, line in read_lines(path, notes=notes):
        if line.strip():
            yield number, {match[1]: match[2] for match in _SLOT.finditer(line)}


def read_entailment_bank(path: Path, *, task: Task, notes: list[str] | None = None, key: str | None = None) -> Loaded:
    """Read one of the files.

    Raises:
        DataError: a row lacks something, or holds it in another form.
    """
    structure = get_task("entailment_bank").structure
    assert isinstance(structure, StepStructure)

    def read(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        for number, row in (read_slots if is_slots(path) else read_objects)(path, notes):
            where = f"{path}:{number}"
            missing = [name for name in _FIELDS if not isinstance(row.get(name), str)]
            proof = row.get("proof", "")
            if missing or not isinstance(proof, str):
                raise DataError(
                    where,
                    expected=f"a row of EntailmentBank, with the texts {', '.join(_FIELDS)} and proof",
                    found=f"none under {', '.join(missing) or 'proof'}",
                    fix="Complete the row.",
                )
            tree = structure.parse(proof, row)
            set_aside.update([NO_TREE] if proof.strip() and tree is None else [])
            text = "" if tree is None else tree.line if task.structure is not None else structure.render(tree)
            value = {
                "id": row.get("id", f"{path.name}:{number}"),
                "fields": {name: row[name] for name in task.fields},
                "label": row["answer"] if task.writes_answers else None,
                "explanations": [{"text": text, "source": "proof"}] if text else [],
                "group": row["question"],
            }
            yield where, parse_record(Example, value, where)

    return gather(plain_stem(path), path, read, task, notes=notes, key=key)
