"""Examples in an Arrow table instead of Python objects: an Example is built on access."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reasondistill.contracts.records import Example, Explanation, Votes
from reasondistill.data.splits import part_of
from reasondistill.storage.files import JsonObject, fingerprint

_TEXT = pa.string()
_VOTES = pa.struct([("acceptable", pa.int32()), ("of", pa.int32())])
_EXPLANATION = pa.struct([("text", _TEXT), ("source", _TEXT), ("label", _TEXT), ("votes", _VOTES)])
SCHEMA = pa.schema(
    [
        ("id", _TEXT),
        ("fields", pa.map_(_TEXT, _TEXT)),
        ("label", _TEXT),
        ("accepted", pa.list_(_TEXT)),
        ("choices", pa.list_(_TEXT)),
        (
            "explanations",
            pa.list_(_EXPLANATION),
        ),
        ("group", _TEXT),
        ("highlights", pa.list_(pa.map_(_TEXT, pa.list_(pa.int32())))),
        ("split", _TEXT),
        ("content", _TEXT),
    ]
)
"""``content`` is a hash of what is trained on and scored; the other columns are an Example's own."""

BATCH = 2048
"""Rows that are Python objects at one time."""
LARGEST_BATCH = 2**26
"""Characters from which fewer rows make a batch: Arrow counts a column's bytes in 32 bits."""

Rows = npt.NDArray[np.int64]


class StoredExamples(Sequence[Example]):
    """A sequence of Examples over rows of a table; slices and parts share the table.

    Args:
        table: of `SCHEMA`.
        rows: which of its rows, in order; all by default.
        split: what every example's ``split`` is, whatever the table says.
    """

    def __init__(self, table: pa.Table, rows: Rows | None = None, *, split: str | None = None) -> None:
        self.table = table
        self.rows: Rows = np.arange(table.num_rows) if rows is None else rows
        self.split = split

    @classmethod
    def of(cls, examples: Sequence[Example]) -> StoredExamples:
        """These examples, in memory."""
        return (
            examples
            if isinstance(examples, StoredExamples)
            else cls(pa.Table.from_batches(to_batches((e, content_hash(e)) for e in examples), schema=SCHEMA))
        )

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> StoredExamples: ...
    def __getitem__(self, index: int | slice) -> Example | StoredExamples:
        if isinstance(index, slice):
            return self.take(self.rows[index])
        place = range(len(self))[index]  # of lists: an IndexError beyond the end
        return next(self._built(self.rows[place : place + 1]))

    def __iter__(self) -> Iterator[Example]:
        for begin in range(0, len(self), BATCH):
            yield from self._built(self.rows[begin : begin + BATCH])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return NotImplemented if not isinstance(other, Sequence) else False
        return all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # compared by content, as lists are

    def take(self, rows: Rows) -> StoredExamples:
        """The examples at these rows of the table."""
        return StoredExamples(self.table, rows, split=self.split)

    def column(self, name: str) -> list[Any]:
        """One value for each example, without building them; ``split`` is what the table says."""
        return list(self.values(name))

    def values(self, name: str) -> Iterator[Any]:
        """The values of `column`, not all of them in memory at one time."""
        for begin in range(0, len(self), BATCH * 16):
            yield from self._taken(self.rows[begin : begin + BATCH * 16], [name]).column(name).to_pylist()

    def parts(self) -> npt.NDArray[np.str_]:
        """The part of each example: its own split where it has one, else that of its group (or id)."""
        if self.split is not None:
            return np.full(len(self), self.split)
        rows = zip(*(self.values(name) for name in ("split", "group", "id")), strict=True)
        batches = [np.empty(0, dtype=np.str_)]
        while batch := [part_of(*row) for row in islice(rows, BATCH * 16)]:
            batches.append(np.array(batch, dtype=np.str_))
        return np.concatenate(batches)

    def part(self, split: str) -> StoredExamples:
        """The examples of one part, which they then name themselves."""
        return self.take(self.rows[self.parts() == split]).named(split)

    def named(self, split: str) -> StoredExamples:
        """The same examples, all of them of this part."""
        return StoredExamples(self.table, self.rows, split=split)

    def joined_with(self, other: StoredExamples) -> StoredExamples:
        """The examples of both."""
        if self.table is other.table and self.split == other.split:
            return self.take(np.concatenate([self.rows, other.rows]))
        table = pa.concat_tables([self.table, other.table])
        rows = np.concatenate([self.rows, other.rows + self.table.num_rows])
        if self.split == other.split:
            return StoredExamples(table, rows, split=self.split)
        # Two parts keep their names: the column is written anew, the others are shared.
        splits = np.concatenate([np.array(self._named(), dtype=object), np.array(other._named(), dtype=object)])
        column = np.full(table.num_rows, None, dtype=object)
        column[rows] = splits
        place = SCHEMA.get_field_index("split")
        return StoredExamples(table.set_column(place, SCHEMA.field(place), pa.array(column, type=_TEXT)), rows)

    def _named(self) -> list[str | None]:
        return [self.split] * len(self) if self.split is not None else self.column("split")

    def _taken(self, rows: Rows, columns: list[str] | None = None) -> pa.Table:
        table = self.table if columns is None else self.table.select(columns)
        if not len(rows):
            return table.slice(0, 0)
        # Arrow's take copies whole columns where they come in several chunks: take from the stretch at hand.
        first, last = int(rows.min()), int(rows.max())
        stretch = table.slice(first, last - first + 1)
        if last - first + 1 == len(rows) and bool(np.all(np.diff(rows) == 1)):
            return stretch
        if last - first < 8 * len(rows):
            return stretch.combine_chunks().take(pa.array(rows - first))
        return pa.concat_tables([table.slice(int(row), 1) for row in rows])

    def _built(self, rows: Rows) -> Iterator[Example]:
        names = [name for name in SCHEMA.names if name != "content"]
        columns = (column.to_pylist() for column in self._taken(rows, names).columns)
        for identity, fields, label, accepted, choices, explanations, group, highlights, split in zip(
            *columns, strict=True
        ):
            # The rows were checked before they were written.
            yield Example.model_construct(
                id=identity,
                fields=dict(fields),
                label=label,
                accepted=None if accepted is None else tuple(accepted),
                choices=None if choices is None else tuple(choices),
                explanations=tuple(map(_explanation, explanations)),
                group=group,
                highlights=None if highlights is None else tuple(map(dict, highlights)),
                split=self.split if self.split is not None else split,
            )


def _explanation(value: JsonObject) -> Explanation:
    votes = value["votes"]
    return Explanation.model_construct(
        text=value["text"],
        source=value["source"],
        label=value["label"],
        votes=None if votes is None else Votes.model_construct(**votes),
    )


def to_batches(examples: Iterable[tuple[Example, str]]) -> Iterator[pa.RecordBatch]:
    """Examples, each with its `content_hash`, as record batches of `SCHEMA`."""
    columns: dict[str, list[object]] = {name: [] for name in SCHEMA.names}
    characters = 0
    for example, content in examples:
        characters += sum(map(len, example.fields.values())) + sum(len(e.text) for e in example.explanations)
        row = _row(example, content)
        for name, values in columns.items():
            values.append(row[name])
        if len(columns["id"]) == BATCH or characters >= LARGEST_BATCH:
            yield _batch(columns)
            columns, characters = {name: [] for name in SCHEMA.names}, 0
    if columns["id"]:
        yield _batch(columns)


def _batch(columns: dict[str, list[object]]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(columns[f.name], type=f.type) for f in SCHEMA], schema=SCHEMA)


def _row(example: Example, content: str) -> dict[str, object]:
    return {
        "id": example.id,
        "fields": list(example.fields.items()),
        "label": example.label,
        "accepted": example.accepted,
        "choices": example.choices,
        "explanations": [
            {
                "text": e.text,
                "source": e.source,
                "label": e.label,
                "votes": None if e.votes is None else {"acceptable": e.votes.acceptable, "of": e.votes.of},
            }
            for e in example.explanations
        ],
        "group": example.group,
        "highlights": None if example.highlights is None else [list(h.items()) for h in example.highlights],
        "split": example.split,
        "content": content,
    }


def content_hash(example: Example) -> str:
    """A hash of what is trained on and scored: id, fields, label (and further ones), choices and explanations."""
    return fingerprint(
        example.id,
        example.fields,
        example.label,
        example.choices,
        [(explanation.text, explanation.label) for explanation in example.explanations],
        *([] if example.accepted is None else [example.accepted]),
    )
