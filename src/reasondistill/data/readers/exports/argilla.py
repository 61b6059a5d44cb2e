"""Argilla: records as `Dataset.records.to_json` writes them, and their columns as `to_datasets` makes them.

https://docs.argilla.io/latest/how_to_guides/import_export/ and, of version 1, `FeedbackDataset.format_as("datasets")`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import zip_longest

from reasondistill.data.readers.exports.form import Export, agreed, only
from reasondistill.data.readers.flat_rows import Cells

_LEFT_OUT = ("discarded", "draft")


def _is_records(row: Mapping[str, object]) -> bool:
    return isinstance(row.get("fields"), Mapping) and "responses" in row and "suggestions" in row


def _of_record(row: Cells, counts: Counter[str]) -> list[dict[str, object]]:
    answers = {
        name: [(answer["value"], answer.get("status")) for answer in given]
        for name, given in (row["responses"] or {}).items()
    }
    suggestions = {name: suggestion["value"] for name, suggestion in (row["suggestions"] or {}).items()}
    own = {"id": row.get("id"), **row["fields"], **(row.get("metadata") or {})}
    return _example(own, answers, suggestions, row.get("status"), counts)


def _is_columns(row: Mapping[str, object]) -> bool:
    return any(name.endswith((".responses", ".suggestion", "-suggestion")) for name in row)


def _of_columns(row: Cells, counts: Counter[str]) -> list[dict[str, object]]:
    answers: dict[str, list[tuple[object, object]]] = {}
    suggestions: dict[str, object] = {}
    own: dict[str, object] = {}
    for column, value in row.items():
        name, dot, part = column.partition(".")
        if dot and part == "responses":
            given = value if isinstance(value, list) else [] if value is None else [value]
            status = row.get(f"{name}.responses.status") or []
            answers[name] = list(zip_longest(given, status[: len(given)]))
        elif (dot and part == "suggestion") or column.endswith("-suggestion"):
            suggestions[name.removesuffix("-suggestion")] = value
        elif isinstance(value, list) and value and isinstance(value[0], Mapping) and "user_id" in value[0]:
            answers[column] = [(answer["value"], answer.get("status")) for answer in value]
        elif not column.startswith("_") and not _is_beside(column):
            own[column] = value
    status = own.pop("status", None)
    return _example(own, answers, suggestions, status, counts)


def _is_beside(column: str) -> bool:
    """Whether a column says who answered, how sure, or with which model."""
    ends = (
        ".users",
        ".responses.status",
        ".suggestion.score",
        ".suggestion.agent",
        "-suggestion-metadata",
        "-metadata",
    )
    return column.endswith(ends)


def _example(
    own: dict[str, object],
    answers: Mapping[str, Iterable[tuple[object, object]]],
    suggestions: Mapping[str, object],
    status: object,
    counts: Counter[str],
) -> list[dict[str, object]]:
    given = [(name, value, answer_status) for name, values in answers.items() for value, answer_status in values]
    submitted = [(name, value) for name, value, answer_status in given if answer_status not in _LEFT_OUT]
    if status == "discarded" or (given and not submitted):
        counts["discarded or not submitted"] += 1
        return []
    columns = dict(own)
    for name in dict.fromkeys([*answers, *suggestions]):
        values = [only(value) for answered, value in submitted if answered == name]
        answer = agreed(values, counts) if values else only(suggestions.get(name))
        if answer is not None or name not in own:
            columns[name] = answer
    return [columns]


RECORDS = Export("Argilla's records", _is_records, _of_record)
COLUMNS = Export("Argilla's columns", _is_columns, _of_columns)
