"""Argilla: records as `Dataset.records.to_json` writes them, and their columns as `to_datasets` makes them.

https://docs.argilla.io/latest/how_to_guides/import_export/ and, of version 1, `FeedbackDataset.format_as("datasets")`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import NamedTuple

from reasondistill.data.readers.exports.form import Export, Given, joined, only
from reasondistill.data.readers.flat_rows import Cells

_LEFT_OUT = ("discarded", "draft")


class _Answer(NamedTuple):
    given: Given
    status: object


def _is_records(row: Mapping[str, object]) -> bool:
    return isinstance(row.get("fields"), Mapping) and "responses" in row and "suggestions" in row


def _of_record(row: Cells, counts: Counter[str]) -> list[dict[str, object]]:
    answers = {name: _answers(name, given) for name, given in (row["responses"] or {}).items()}
    suggestions = {name: suggestion["value"] for name, suggestion in (row["suggestions"] or {}).items()}
    own = {"id": row.get("id"), **row["fields"], **(row.get("metadata") or {})}
    return _example(own, answers, suggestions, row.get("status"), counts)


def _answers(question: str, given: Iterable[Cells]) -> list[_Answer]:
    """The answers to a question, as Argilla writes each with who gave it."""
    return [
        _Answer(Given(answer.get("user_id"), question, only(answer["value"])), answer.get("status")) for answer in given
    ]


def _is_columns(row: Mapping[str, object]) -> bool:
    return any(name.endswith((".responses", ".suggestion", "-suggestion")) for name in row)


def _of_columns(row: Cells, counts: Counter[str]) -> list[dict[str, object]]:
    answers: dict[str, list[_Answer]] = {}
    suggestions: dict[str, object] = {}
    own: dict[str, object] = {}
    for column, value in row.items():
        name, dot, part = column.partition(".")
        if dot and part == "responses":
            given = value if isinstance(value, list) else [] if value is None else [value]
            beside = (row.get(f"{name}.responses.{what}") or [] for what in ("users", "status"))
            users, statuses = (list(islice(chain(values, repeat(None)), len(given))) for values in beside)
            answers[name] = [
                _Answer(Given(who, name, only(value)), status)
                for value, who, status in zip(given, users, statuses, strict=True)
            ]
        elif (dot and part == "suggestion") or column.endswith("-suggestion"):
            suggestions[name.removesuffix("-suggestion")] = value
        elif isinstance(value, list) and value and isinstance(value[0], Mapping) and "user_id" in value[0]:
            answers[column] = _answers(column, value)
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
    answers: Mapping[str, Sequence[_Answer]],
    suggestions: Mapping[str, object],
    status: object,
    counts: Counter[str],
) -> list[dict[str, object]]:
    everything = [answer for of_question in answers.values() for answer in of_question]
    submitted = [answer.given for answer in everything if answer.status not in _LEFT_OUT]
    if status == "discarded" or (everything and not submitted):
        counts["discarded or not submitted"] += 1
        return []
    columns, by_question = dict(own), joined(submitted, counts)
    for name in dict.fromkeys([*answers, *suggestions]):
        value = by_question[name] if name in by_question else only(suggestions.get(name))
        if value is not None or name not in own:
            columns[name] = value
    return [columns]


RECORDS = Export("Argilla's records", _is_records, _of_record)
COLUMNS = Export("Argilla's columns", _is_columns, _of_columns)
