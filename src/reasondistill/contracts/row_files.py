"""Files of many rows: a model for each line of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from reasondistill.contracts.records import parse_record
from reasondistill.storage.files import read_jsonl, write_jsonl

M = TypeVar("M", bound=BaseModel)


def write_rows(path: str | Path, rows: Iterable[BaseModel]) -> None:
    """Write them as JSON Lines, atomically.

    Raises:
        OutputError: they cannot be written there.
    """
    write_jsonl(path, (row.model_dump(mode="json") for row in rows))


def read_rows(model: type[M], path: str | Path) -> Iterator[M]:
    """Read what `write_rows` wrote.

    Raises:
        DataError: a line is not such a row.
    """
    for number, row in read_jsonl(path):
        yield parse_record(model, row, f"{path}:{number}")
