"""Label Studio: its JSON of tasks with their annotations, and JSON-MIN and CSV, which have a row an annotation.

https://labelstud.io/guide/task_format and https://labelstud.io/guide/export
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from reasondistill.data.readers.exports.form import SEVERAL, Export, Given, joined, only, without
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
    answers = [answer for who, annotation in enumerate(kept) for answer in _answers(who, annotation["result"])]
    if any(isinstance(answer.value, list) and not answer.is_text for answer in answers):
        counts[SEVERAL] += 1
        return []
    data = dict(row["data"])
    # Several texts of one person are several explanations.
    single = [answer._replace(value=value) for answer in answers for value in _each(answer.value)]
    named = {f"{name}_answer" if name in data else name: value for name, value in joined(single, counts).items()}
    return [{"id": row.get("id"), **data, **named}]


def _answers(who: int, results: list[Cells]) -> Iterable[Given]:
    """One person's answers: to a question that is answered twice, the last."""
    return {
        name: Given(who, name, only(result["value"][_ANSWERS[result["type"]]]), result["type"] == "textarea")
        for result in results
        if result["type"] in _ANSWERS and (name := result["from_name"])
    }.values()


def _each(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


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
