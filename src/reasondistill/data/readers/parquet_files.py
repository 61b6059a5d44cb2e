"""Read Parquet files: a row a dictionary, and labels by the names that the hub's files record for their numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reasondistill.data.readers.flat_rows import Row
from reasondistill.data.writing import restored
from reasondistill.errors import DataError
from reasondistill.storage.packed import is_packed, unpacked

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

NO_LABEL = -1
"""What stands for a row without a label where labels are numbers with names, as on the hub."""


def read_parquet(path: Path) -> tuple[list[str], Callable[[], Iterator[Row]]]:
    """A file's column names, and what begins to read its rows anew; rows are counted from 1.

    Raises:
        DataError: it is no Parquet file, or a column name occurs twice.
    """
    import pyarrow
    import pyarrow.parquet

    broken = (pyarrow.ArrowException, OSError, ValueError)

    def refusal(error: Exception) -> DataError:
        return DataError(path, expected="a Parquet file", found=str(error).split("\n")[0], fix="Write the file again.")

    def opened() -> ParquetFile:
        if not is_packed(path):
            return pyarrow.parquet.ParquetFile(path)
        with unpacked(path) as stream:  # Parquet is read from its end
            return pyarrow.parquet.ParquetFile(pyarrow.BufferReader(stream.read()))

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in opened().iter_batches(batch_size=2048):
                for row in batch.to_pylist():
                    number += 1
                    yield number, with_names(restored(row) if "fields" in row else row, names)
        except broken as error:
            raise refusal(error) from error

    try:
        schema = opened().schema_arrow
    except broken as error:
        raise refusal(error) from error
    header = list(schema.names)
    names = _label_names(schema.metadata or {})
    if doubled := sorted(name for name, times in Counter(header).items() if times > 1):
        raise DataError(path, expected="column names that occur once", found=f"{doubled} more than once")
    return header, rows


def with_names(row: dict[str, object], names: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """A row with the names of the labels that it has as numbers; -1, and what is no label's number, is none."""
    for column, labels in names.items():
        number = row.get(column)
        if isinstance(number, int):
            row[column] = labels[number] if 0 <= number < len(labels) else None
    return row


def _label_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Column → names of its labels, as `datasets` writes them into a file; none where it says nothing readable."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: list(f["names"]) for name, f in features.items() if f.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
