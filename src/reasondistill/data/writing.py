"""Write a data set in another format, or split by split. What is written loads as the same examples."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from reasondistill.contracts.records import Example, as_row
from reasondistill.data.loaded import Loaded
from reasondistill.data.readers.csv_files import DELIMITERS
from reasondistill.data.splits import split_in_part, split_order
from reasondistill.data.stored import StoredExamples
from reasondistill.errors import DataError, OutputError
from reasondistill.storage.files import JsonObject, atomic_folder, atomic_write, json_line

WRITABLE = (".jsonl", ".parquet", *DELIMITERS)
"""Suffixes that a data set can be written with."""

_BATCH = 2048
"""Rows that are Python objects at one time."""

_COLUMNS = ("id", "label", "group", "split")
_EXPLANATION = re.compile(r"explanation(?:_([1-9][0-9]{0,3}))?")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class WrittenPart(NamedTuple):
    """A part's file, and how many examples are in it."""

    path: Path
    examples: int


def convert(loaded: Loaded, out: str | Path) -> int:
    """Write a data set to one new file, which appears whole or not at all.

    The suffix says how: ``.jsonl`` and ``.parquet`` hold examples in the library's own form, with everything that
    they have. ``.csv`` and ``.tsv`` hold one flat row each, where that loses nothing: explanations that are named
    after their columns (as they are when they come from a table), and no choices, votes or highlights. A table's
    fields are read again under a task that has them; other tasks pass them over as ignored columns.

    Returns:
        how many examples were written.

    Raises:
        OutputError: something is there already, the suffix is another one, or the file cannot be written.
        DataError: a .csv or .tsv would lose a part of an example; the example is named.
    """
    out = Path(out)
    _require_suffix(out, out.suffix)
    if out.exists():
        raise OutputError(
            out, expected="a new file", found="one that is there already", fix="Name another: nothing is overwritten."
        )
    with _writing(out):
        return _write(out, loaded.examples)


def write_splits(loaded: Loaded, out: str | Path, suffix: str = ".jsonl") -> dict[str, WrittenPart]:
    """Write each part of a data set to a file of its own in a new folder, which appears whole or not at all.

    Rows that name their part go there; where none does, `splits.split_of` the group decides. Each row then names its
    part, so that the files can be joined again. A part without rows gets no file.

    Args:
        suffix: as in `convert`.

    Returns:
        part → its file and how many examples it has: ``train``, ``validation`` and ``test`` first.

    Raises:
        OutputError: ``out`` is there and not empty, the suffix is another one, or nothing can be written there.
        DataError: some rows name a part and others do not, rows of one group name different ones, or a name cannot
            be a file's; or as `convert`.
    """
    out = Path(out)
    _require_suffix(out, suffix)
    stored = loaded.stored
    _require_whole_groups(stored, loaded.name)
    parts = sorted(map(str, dict.fromkeys(stored.parts().tolist())), key=split_order)
    counts: dict[str, int] = {}
    with _writing(out), atomic_folder(out) as folder:
        for part in parts:
            if not _FILE_NAME.fullmatch(part):
                raise DataError(
                    loaded.name,
                    expected="parts whose names can be file names (letters, digits, _, . and -)",
                    found=repr(part),
                    fix="Rename it in the column 'split'.",
                )
            counts[part] = _write(folder / f"{part}{suffix}", stored.part(part))
    return {part: WrittenPart(out / f"{part}{suffix}", count) for part, count in counts.items()}


def restored(row: JsonObject) -> JsonObject:
    """An example's row of a Parquet file as it was before it was written.

    All rows of a Parquet file have the same fields, so that one that a row lacks is null there. Neither a field's
    text nor a list of highlighted words is ever null, so that those are the ones to leave out.
    """
    filled = {key: value for key, value in row.items() if value is not None}
    if isinstance(filled.get("fields"), Mapping):
        filled["fields"] = _without_nulls(filled["fields"])
    if isinstance(highlights := filled.get("highlights"), list):
        filled["highlights"] = [
            _without_nulls(h) if isinstance(h, Mapping) else {} if h is None else h for h in highlights
        ]
    return filled


def _without_nulls(value: Mapping[str, object]) -> dict[str, object]:
    return {key: inner for key, inner in value.items() if inner is not None}


def _require_suffix(where: Path, suffix: str) -> None:
    if suffix.lower() not in WRITABLE:
        raise OutputError(
            where,
            expected=f"a file that ends in {', '.join(WRITABLE)}",
            found=f"the suffix {suffix!r}" if suffix else "no suffix",
            fix="The suffix says in which format to write.",
        )


def _require_whole_groups(stored: StoredExamples, name: str) -> None:
    own = stored.column("split")
    if stored.split is not None or not any(part is not None for part in own):
        return  # one part, or by the rule, which knows nothing but the group
    if without := own.count(None):
        raise split_in_part(name, without, len(own))
    part_of: dict[str, str] = {}
    for group, identity, part in zip(stored.column("group"), stored.column("id"), own, strict=True):
        if group is not None and part_of.setdefault(group, part) != part:
            raise DataError(
                f"{name}: example {identity!r}",
                expected=f"the split {part_of[group]!r}, as another row of its group {group[:80]!r} has",
                found=repr(part),
                fix="Rows of a group share a text, which would leak from one part to the other: give them the same "
                "split, or remove the column to have the parts made anew.",
            )


def _write(path: Path, examples: Iterable[Example]) -> int:
    write: Callable[[IO[str], Iterable[Example]], int]
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        write = _write_jsonl
    elif suffix == ".parquet":
        write = _write_parquet
    else:
        write = lambda stream, rows: _write_table(stream, rows, DELIMITERS[suffix])  # noqa: E731
    with atomic_write(path) as stream:
        return write(stream, examples)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(path, expected="room and rights to write", found=error.strerror or str(error)) from error


# ----------------------------------------------------------------------------------------------- JSON Lines


def _write_jsonl(stream: IO[str], examples: Iterable[Example]) -> int:
    count = 0
    for example in examples:
        stream.write(json_line(as_row(example)))
        count += 1
    return count


# -------------------------------------------------------------------------------------------------- Parquet


def _write_parquet(stream: IO[str], examples: Iterable[Example]) -> int:
    schema = _schema(examples)
    count = 0
    assert isinstance(stream, TextIOWrapper)  # it is only there to be replaced atomically: Parquet goes to its bytes
    with pq.ParquetWriter(stream.buffer, schema, compression="zstd") as writer:
        for rows in _batched(examples):
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def _batched(examples: Iterable[Example]) -> Iterator[list[dict[str, object]]]:
    rows: list[dict[str, object]] = []
    for example in examples:
        rows.append(_parquet_row(example))
        if len(rows) == _BATCH:
            yield rows
            rows = []
    if rows:
        yield rows


def _parquet_row(example: Example) -> dict[str, object]:
    row = example.model_dump()
    if example.highlights is not None:
        row["highlights"] = [highlights or None for highlights in example.highlights]
    return row


def _schema(examples: Iterable[Example]) -> pa.Schema:
    """Columns for all examples: a struct's fields must be known before the first row is written."""
    fields: dict[str, None] = {}
    highlighted: dict[str, None] = {}
    for example in examples:
        fields.update(dict.fromkeys(example.fields))
        for highlights in example.highlights or ():
            highlighted.update(dict.fromkeys(highlights))
    text = pa.string()
    votes = pa.struct([("acceptable", pa.int64()), ("of", pa.int64())])
    explanation = pa.struct([("text", text), ("source", text), ("label", text), ("votes", votes)])
    # Parquet has no struct without fields; where no word is highlighted, the fields' own names will do.
    words = pa.struct([(name, pa.list_(pa.int64())) for name in highlighted or fields])
    return pa.schema(
        [
            ("id", text),
            ("fields", pa.struct([(name, text) for name in fields])),
            ("label", text),
            ("choices", pa.list_(text)),
            ("explanations", pa.list_(explanation)),
            ("group", text),
            ("highlights", pa.list_(words)),
            ("split", text),
        ]
    )


# ----------------------------------------------------------------------------------------------------- tables


def _write_table(stream: IO[str], examples: Iterable[Example], delimiter: str) -> int:
    fields, explanations = _table_columns(examples)
    header = ["id", *fields, "label", *explanations, "group", "split"]
    # All cells are quoted: the csv module leaves a lone carriage return bare, which its own reader then refuses.
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    count = 0
    for example in examples:
        writer.writerow(_cells(example, header))
        count += 1
    return count


def _table_columns(examples: Iterable[Example]) -> tuple[list[str], list[str]]:
    """The fields, which all examples have alike, and the explanations' columns, in the order of their numbers."""
    fields: list[str] | None = None
    sources: dict[str, None] = {}
    for example in examples:
        if fields is None:
            fields = list(example.fields)
            if taken := [n for n in fields if n in (*_COLUMNS, "choices", "explanations") or _EXPLANATION.fullmatch(n)]:
                raise _lossy(example, f"its field {taken[0]!r}, as a table has a column of that name beside its fields")
        if example.fields.keys() != set(fields):
            raise _lossy(example, f"that its fields are {sorted(example.fields)} and those of others {sorted(fields)}")
        for explanation in example.explanations:
            if not _EXPLANATION.fullmatch(explanation.source):
                raise _lossy(example, f"an explanation's source, {explanation.source!r}")
            sources[explanation.source] = None
    return fields or [], sorted(sources, key=_number)


def _number(source: str) -> int:
    match = _EXPLANATION.fullmatch(source)
    return int(match[1]) if match and match[1] else 0


def _cells(example: Example, header: list[str]) -> list[str]:
    if example.choices is not None:
        raise _lossy(example, "its choices")
    if example.highlights is not None:
        raise _lossy(example, "its highlights")
    if example.group is None:
        raise _lossy(example, "that it has no group")
    row = {"id": example.id, **example.fields, "group": example.group}
    for name, value in (("label", example.label), ("group", example.group), ("split", example.split)):
        if value == "":
            raise _lossy(example, f"that its {name} is an empty text")
        row[name] = value or ""
    if [_number(e.source) for e in example.explanations] != sorted({_number(e.source) for e in example.explanations}):
        raise _lossy(example, "the order of its explanations, or that several have the same source")
    for explanation in example.explanations:
        if explanation.label is not None or explanation.votes is not None:
            raise _lossy(example, "an explanation's own label or votes")
        if not explanation.text.strip():
            raise _lossy(example, "a blank explanation")
        row[explanation.source] = explanation.text
    for name, value in row.items():
        if "\0" in value or "\r\n" in value:
            raise _lossy(example, f"a character of its {name}: NUL, or a carriage return before a line's end")
    return [row.get(name, "") for name in header]


def _lossy(example: Example, what: str) -> DataError:
    return DataError(
        f"example {example.id!r}",
        problem=f"a table would lose {what}",
        fix="Write .jsonl or .parquet, which hold all of an example.",
    )
