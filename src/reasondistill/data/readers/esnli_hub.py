"""e-SNLI as Hugging Face's hub keeps it: Parquet without pairIDs and highlights, labels as numbers.

Columns: ``premise``, ``hypothesis``, ``label`` (0 entailment, 1 neutral, 2 contradiction, -1 none), ``explanation_1``
to ``explanation_3``; of the train part the last two are empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reasondistill.contracts.records import Example, parse_record
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.own_columns import own_columns, own_values
from reasondistill.data.readers.flat_rows import Row
from reasondistill.errors import DataError
from reasondistill.storage.packed import plain_stem
from reasondistill.tasks.task import NLI, Task

LABELS = ("entailment", "neutral", "contradiction")
"""In the order of the numbers that stand for them."""

FIELDS = ("premise", "hypothesis")
EXPLANATIONS = ("explanation_1", "explanation_2", "explanation_3")

_BATCH = 2048
_BROKEN = (pa.ArrowException, OSError, ValueError)


def is_esnli_hub(path: str | Path) -> bool:
    """Whether a Parquet file is the hub's e-SNLI: texts in its columns, and numbers as labels.

    A user's own table of the same columns has words as labels. A file that cannot be read is none.
    """
    try:
        schema = pq.read_schema(path)
    except _BROKEN:
        return False
    texts = (*FIELDS, EXPLANATIONS[0])
    if not all(schema.names.count(name) == 1 for name in (*texts, "label")):
        return False
    return all(_is_text(schema.field(name).type) for name in texts) and pa.types.is_integer(schema.field("label").type)


def read_esnli_hub(
    path: str | Path, *, task: Task = NLI, notes: list[str] | None = None, key: str | None = None
) -> Loaded:
    """Read one of the hub's Parquet files of e-SNLI.

    ``id`` is ``<file>:<row from 1>`` and ``group`` the premise, which is all that is left of the image. So a group is
    another one than in the official CSVs, and rows fall into other parts. Columns ``id``, ``group`` and ``split`` go
    before that. Set aside and counted: rows with no gold label (-1 or null) or an empty sentence, and rows' first
    explanations that are empty; an empty second or third one is none.

    ``notes`` and ``key`` are as in `data.loaded.gather`.

    Raises:
        DataError: the file is no Parquet, a column is missing, or a label is unknown.
    """
    path = Path(path)
    try:
        names = pq.read_schema(path).names
    except _BROKEN as error:
        raise _no_parquet(path, error) from error
    if missing := [name for name in (*FIELDS, "label", EXPLANATIONS[0]) if name not in names]:
        raise DataError(
            path,
            expected=f"e-SNLI's columns {', '.join((*FIELDS, 'label', *EXPLANATIONS))}",
            found=f"{', '.join(names)}, without {', '.join(missing)}",
            fix="Fetch the file again, or map its columns (--columns).",
        )
    own = own_columns(names)
    used = [name for name in (*FIELDS, "label", *EXPLANATIONS, *own.values()) if name in names]

    def read(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        for number, row in _rows(path, used):
            where = f"{path}:{number}"
            label = row["label"]
            if label is None or label == -1:
                set_aside["no gold label"] += 1
                continue
            if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(LABELS):
                raise DataError(
                    where,
                    expected=f"a label from 0 ({LABELS[0]}) to {len(LABELS) - 1} ({LABELS[-1]}), or -1 for none",
                    found=repr(label),
                    fix="Fetch the file again, or map its columns (--columns).",
                )
            texts = [row.get(name) or "" for name in EXPLANATIONS]
            set_aside.update(["empty explanation"] * (not texts[0].strip()))
            value = {
                "id": f"{path.name}:{number}",
                "fields": {name: row[name] or "" for name in FIELDS},
                "label": LABELS[label],
                "explanations": [{"text": text, "source": "human"} for text in texts if text.strip()],
                "group": row["premise"] or "",
                **own_values(row, own, where),
            }
            yield where, parse_record(Example, value, where)

    ignored = tuple(name for name in names if name not in used)
    return gather(plain_stem(path), path, read, task, ignored_columns=ignored, notes=notes, key=key)


def _rows(path: Path, columns: list[str]) -> Iterator[Row]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except _BROKEN as error:
        raise _no_parquet(path, error) from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _no_parquet(path: Path, error: Exception) -> DataError:
    found = str(error).split("\n")[0]
    return DataError(path, expected="a Parquet file", found=found, fix="Fetch or write the file again.")
