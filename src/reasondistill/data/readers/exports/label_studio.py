"""Label Studio: its JSON of tasks with their annotations, and JSON-MIN and CSV, which have a row an annotation.

https://labelstud.io/guide/task_format and https://labelstud.io/guide/export
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from reasondistill.data.readers.exports.form import SEVERAL, Export, agreed, only, without
from reasondistill.data.readers.flat_rows import Cells

_ANSWERS = {"choices": "choices", "textarea": "text", "rating": "rating", "number": "number"}
"""Type of a question → where its answer stands. Others mark places in a text or picture."""

_KEPT_BY_THE_TOOL = frozenset(
    {"annotator", "annotation_id", "created_at", "updated_at", "lead_time", "annotation", "id"}
)


def _is_tasks(row: Mapping[str, object]) -> bool:
    return isinstance(row.get("data"), Mapping) and isinstance(row.get("annotations"), list)


def _of_task(row: Cells, counts: Counter[str]) -> list[dict[str, object]]:
    kept = [annotation for annotation in row["annotations"] if not annotation.get("was_cancelled")]
    if len(kept) < len(row["annotations"]) and not kept:
        counts["skipped by its annotator"] += 1
        return []
    answers: dict[str, list[object]] = {}
    for annotation in kept:
        for name, value in _answers(annotation["result"]).items():
            answers.setdefault(name, []).append(value)
    if any(isinstance(value, list) and _is_choice(row, name) for name, values in answers.items() for value in values):
        counts[SEVERAL] += 1
        return []
    data = dict(row["data"])
    named = {name if name not in data else f"{name}_answer": agreed(values, counts) for name, values in answers.items()}
    return [{"id": row.get("id"), **data, **named}]


def _answers(results: list[Cells]) -> dict[str, object]:
    return {
        result["from_name"]: only(result["value"][_ANSWERS[result["type"]]])
        for result in results
        if result["type"] in _ANSWERS
    }


def _is_choice(row: Cells, name: str) -> bool:
    return any(
        result["from_name"] == name and result["type"] == "choices"
        for annotation in row["annotations"]
        for result in annotation["result"]
    )


def _is_rows(row: Mapping[str, object]) -> bool:
    return {"annotation_id", "annotator", "lead_time"} <= set(row)


def _of_row(row: Mapping[str, object], counts: Counter[str]) -> list[dict[str, object]]:
    """Several people may have answered one task: their rows share its id as their group."""
    cells = {name: _cell(value) for name, value in without(row, _KEPT_BY_THE_TOOL).items()}
    if any(isinstance(value, Mapping) for value in cells.values()):  # left by `_cell`: more than one choice
        counts[SEVERAL] += 1
        return []
    task, annotation = row.get("id"), row["annotation_id"]
    return [{"id": f"{task}.{annotation}" if task else str(annotation), "group": str(task or annotation), **cells}]


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith('{"choices"'):
        value = json.loads(value)
    if isinstance(value, Mapping) and isinstance(value.get("choices"), list):
        return only(value["choices"]) if len(value["choices"]) < 2 else value
    return only(value)


TASKS = Export("Label Studio's JSON", _is_tasks, _of_task)
ROWS = Export("Label Studio's JSON-MIN or CSV", _is_rows, _of_row)
