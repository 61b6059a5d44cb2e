"""Prodigy: JSON Lines of `prodigy db-out` for text classification, by single labels or by choice.

https://prodi.gy/docs/api-interfaces
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from reasondistill.data.readers.exports.form import SEVERAL, Export, without
from reasondistill.data.readers.flat_rows import Cells

_ANSWERS = ("accept", "reject", "ignore")
_KEPT_BY_THE_TOOL = frozenset(
    {"answer", "options", "accept", "spans", "tokens", "meta", "config", "score", "priority", "user_input", "html"}
)


def _is_tasks(row: Mapping[str, object]) -> bool:
    return row.get("answer") in _ANSWERS and any(name in row for name in ("_task_hash", "_input_hash", "_view_id"))


def _of_task(row: Cells, counts: Counter[str]) -> list[dict[str, object]]:
    if row["answer"] != "accept":
        counts[f"answer: {row['answer']}"] += 1
        return []
    columns = without(row, _KEPT_BY_THE_TOOL)
    if "accept" in row or "options" in row:
        chosen = row.get("accept") or []
        if len(chosen) > 1:
            counts[SEVERAL] += 1
            return []
        columns["label"] = chosen[0] if chosen else None
    if "user_input" in row:
        columns["explanation"] = row["user_input"]
    return [columns]


TASKS = Export("Prodigy's JSON Lines", _is_tasks, _of_task)
