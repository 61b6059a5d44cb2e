"""A loaded data set: its examples, which rows were dropped and why, and a hash of the content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from reasondistill.contracts.records import Example, doubled_id
from reasondistill.data.splits import split_in_part, split_order
from reasondistill.data.stored import SCHEMA, StoredExamples, content_hash, to_batches
from reasondistill.errors import DataError, UserError
from reasondistill.storage.arrow_cache import TableCache
from reasondistill.storage.files import JsonObject, add_note, fingerprint_of_parts
from reasondistill.tasks.task import Task, distinct
from reasondistill.tasks.verbalized_confidence import Phrase

if TYPE_CHECKING:
    import pandas as pd

Reader = Callable[[Counter[str]], Iterable[tuple[str, Example]]]
"""Reads a source from its start: ``(file:line, example)`` rows; what it keeps out it counts into the counter."""

INDISTINCT = "answers that cannot be told apart"
"""Why a row is dropped whose choices differ only in case and spacing."""

_NAMED = 3
"""Places of rows that a message names."""

_CACHE = TableCache("examples")


@dataclass(frozen=True)
class Loaded:
    """A data set.

    Attributes:
        name: the registered name with its size and seed, or the file's name without its suffix.
        examples: in the order of the source. What `load` gives holds them in a table and builds them when they are
            looked at: go through them in order, and do not keep them all.
        set_aside: reason → how many rows (or explanations, or highlights) of the source it kept out.
        ignored_columns: columns of the source that nothing was read from.
        notes: what was recognised in the source that its name does not say, as its encoding.
        phrases: how its explanations say in words how sure a student was, where they do.
        reader: reads its source anew; None where it has none.
        task: what its rows were held to; None for examples that nobody held to one.
        columns: what → its column, of a table whose columns were told or named; None of any other source.
    """

    name: str
    examples: Sequence[Example]
    set_aside: dict[str, int] = field(default_factory=dict)
    ignored_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    reader: Reader | None = field(default=None, compare=False, repr=False)
    task: Task | None = field(default=None, compare=False, repr=False)
    columns: Mapping[str, str | list[str] | dict[str, str]] | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    def __getitem__(self, split: str) -> Loaded:
        """The examples of one split, as `part`.

        Raises:
            DataError: it has none.
        """
        counts = self.splits
        if isinstance(split, str) and split in counts:
            return self.part(split)
        raise DataError(
            self.name,
            expected=f"one of the splits {', '.join(counts) or '(none)'}",
            found=repr(split),
            fix="Name one; rows are in .examples.",
        )

    def unanswered(self, task: Task) -> str:
        """What of a table a student cannot answer, and why: ``2 rows with an empty text (t.csv:3, t.csv:9)``; "" where
        it can all. The source is read again for the places of the first ones.
        """
        counts = {name: n for name in task.fields if (n := self.set_aside.get(f"empty {name}", 0))}
        places = self._blank(task, counts)
        parts = [
            f"{n:,} row{'s' if n > 1 else ''} with an empty {name}{_listed(places[name], n)}"
            for name, n in counts.items()
        ]
        if n := self.set_aside.get(INDISTINCT, 0):
            parts.append(f"{n:,} with {INDISTINCT}")
        return ", ".join(parts)

    def _blank(self, task: Task, counts: Mapping[str, int]) -> dict[str, list[str]]:
        """Where the first rows stand in which a field is blank, by the field."""
        places: dict[str, list[str]] = {name: [] for name in counts}
        rows = self.reader(Counter()) if self.reader is not None and counts else ()
        for where, example in rows:
            name = _blank_field(example, task)
            if name in places and len(places[name]) < _NAMED:
                places[name].append(Path(where).name)
                if all(len(places[name]) == min(_NAMED, n) for name, n in counts.items()):
                    break
        return places

    @property
    def splits(self) -> dict[str, int]:
        """Split → how many examples are in it; by the hash of their groups where no row names one.

        Raises:
            DataError: some rows name one, others do not.
        """
        self._require_splits()
        counts = Counter(str(split) for split in self.stored.parts())
        return {name: counts[name] for name in sorted(counts, key=split_order)}

    def to_pandas(self) -> pd.DataFrame:
        """A row for each example: ``id``, its fields, ``label``, ``explanation`` (the first one), ``split``."""
        import pandas as pd

        return pd.DataFrame(
            {
                "id": example.id,
                **example.fields,
                "label": example.label,
                "explanation": example.references[0].text if example.references else None,
                "split": str(split),
            }
            for example, split in zip(self.examples, self.stored.parts(), strict=True)
        )

    @cached_property
    def stored(self) -> StoredExamples:
        """The examples as rows of a table."""
        return StoredExamples.of(self.examples)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what is trained on and scored: ids, fields, labels, choices and explanations, in order."""
        return fingerprint_of_parts(self.stored.values("content"))

    def first(self, limit: int) -> Loaded:
        """The same data set with at most ``limit`` examples, from the start.

        Raises:
            DataError: ``limit`` is below 1.
        """
        if limit < 1:
            raise DataError("limit", expected="at least 1 example", found=str(limit), fix="Leave it out for all.")
        return replace(self, examples=self.examples[:limit])

    def part(self, split: str) -> Loaded:
        """Only the examples of one part: of those that name it, or where none names one, by the hash rule.

        Raises:
            DataError: some rows name one, others do not.
        """
        self._require_splits()
        return replace(self, examples=self.stored.part(split))

    def _require_splits(self) -> None:
        """Refuse to put some rows by the rule into parts that others name themselves."""
        without = 0 if self.stored.split is not None else sum(own is None for own in self.stored.values("split"))
        if 0 < without < len(self.stored):
            raise split_in_part(self.name, without, len(self.stored))

    def only(self, kept: Sequence[bool], *, reason: str) -> Loaded:
        """Keep the examples marked true, one value per example; the others are dropped and counted."""
        stored = self.stored
        left_out = len(kept) - sum(kept)
        aside = self.set_aside | ({reason: self.set_aside.get(reason, 0) + left_out} if left_out else {})
        return replace(self, examples=stored.take(stored.rows[np.array(kept, dtype=bool)]), set_aside=aside)

    def places(self, ids: Collection[str]) -> list[str]:
        """Where these examples stand, in words: ``file:line (id 'q7')``. The source is read again for it."""
        id_set = set(ids)
        rows = self.reader(Counter()) if self.reader is not None and id_set else ()
        place_of = {example.id: where for where, example in rows if example.id in id_set}
        return [f"{place_of.get(identity, self.name)} (id {identity!r})" for identity in ids]

    def joined_with(self, other: Loaded) -> Loaded:
        """The examples of both; counts of dropped rows stay this one's, as both come from one source."""
        return replace(self, examples=self.stored.joined_with(other.stored))


def _listed(places: Sequence[str], n: int) -> str:
    return f" ({', '.join(places)}{', …' if n > len(places) else ''})" if places else ""


def counted(counts: Mapping[str, int]) -> str:
    """What was counted, in words: ``empty label (3), repeated row (1,200)``."""
    return ", ".join(f"{what} ({count:,})" for what, count in counts.items())


def recall(key: str, reload: Callable[[], Loaded]) -> Loaded | None:
    """The data set that `gather` kept under this key; ``reload`` reads the source again when places are needed."""
    cached = _CACHE.get(key)
    if cached is None or cached[0].schema != SCHEMA:
        return None

    def read(set_aside: Counter[str]) -> Iterable[tuple[str, Example]]:
        reader = reload().reader
        return () if reader is None else reader(set_aside)

    return replace(_loaded(*cached), reader=read)


def gather(
    name: str,
    where: object,
    read: Reader,
    task: Task,
    *,
    ignored_columns: Iterable[str] = (),
    notes: list[str] | None = None,
    drop_repeats: bool = False,
    need_label: bool = False,
    key: str | None = None,
) -> Loaded:
    """Make a data set out of a source's rows, each checked against the task.

    Rows in which a field of the task is blank are dropped, and rows whose choices differ in nothing but case and
    spacing.

    Args:
        ignored_columns: what nothing is read from; may grow while rows are read, and so may ``notes``.
        drop_repeats: set rows aside, too, that repeat an earlier one in everything.
        need_label: refuse a source in which no row has a label, where the task has labels.
        key: keep the data set in the cache under this key; see `recall`.

    Raises:
        DataError: a row does not fit the task, an id occurs twice, or no row is left.
    """

    def fill() -> tuple[Iterator[pa.RecordBatch], JsonObject]:
        set_aside: Counter[str] = Counter()
        facts: JsonObject = {"name": name, "set_aside": {}, "ignored_columns": [], "notes": []}
        rows = _checked_rows(where, read, task, set_aside, notes, drop_repeats=drop_repeats, need_label=need_label)

        def batches() -> Iterator[pa.RecordBatch]:
            yield from to_batches(rows)
            facts.update(set_aside=dict(set_aside), ignored_columns=list(ignored_columns), notes=list(notes or ()))

        return batches(), facts

    return replace(_loaded(*_CACHE.make(key, SCHEMA, fill)), reader=read, task=task)


def _loaded(table: pa.Table, facts: JsonObject) -> Loaded:
    return Loaded(
        facts["name"],
        StoredExamples(table),
        facts["set_aside"],
        tuple(facts["ignored_columns"]),
        tuple(facts["notes"]),
    )


def _checked_rows(
    where: object,
    read: Reader,
    task: Task,
    set_aside: Counter[str],
    notes: list[str] | None,
    *,
    drop_repeats: bool,
    need_label: bool,
) -> Iterator[tuple[Example, str]]:
    # Hashes instead of the ids themselves: of half a million rows they take a tenth of the room. Two different ids
    # have the same 64 bits once in 10^8 sets of that size.
    seen: dict[int, int] = {}
    kept = labelled = 0
    for place, example in read(set_aside):
        indistinct = task.labels is None and not distinct(example.choices or ())
        content = content_hash(example if indistinct else _checked(example, task, place))
        identity = hash(example.id)
        everything = hash((content, example.group, example.split, str(example.highlights))) if drop_repeats else 0
        if identity in seen:
            if drop_repeats and seen[identity] == everything:
                set_aside["repeated row"] += 1
                continue
            earlier = next(where for where, other in read(Counter()) if other.id == example.id)
            raise doubled_id(place, example.id, earlier)
        seen[identity] = everything
        if indistinct:
            if INDISTINCT not in set_aside:
                add_note(notes, f"line {place.rpartition(':')[2]}, {example.id!r}: {INDISTINCT}: {example.choices}")
            set_aside[INDISTINCT] += 1
            continue
        if blank := _blank_field(example, task):
            set_aside[f"empty {blank}"] += 1
            continue
        kept += 1
        labelled += example.label is not None
        yield example, content
    if not kept:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in set_aside.items())
        raise DataError(
            where,
            expected="at least one row of data",
            found=f"none that can be used (dropped: {reasons})" if reasons else "none",
            fix="Add rows.",
        )
    if need_label and task.has_answers and not labelled:
        raise DataError(where, expected="a label in at least some rows", found="none", fix="Add the labels.")


def _blank_field(example: Example, task: Task) -> str | None:
    return next((f for f in task.fields if f not in task.optional and not example.fields.get(f, "").strip()), None)


def _checked(example: Example, task: Task, where: str) -> Example:
    try:
        if task.labels is None:
            task.choices_for(example)  # of a row without a label too: its label is to be predicted
        return task.check(example)
    except UserError as error:  # the task knows the example's id; the user needs the line too
        raise DataError(
            where,
            expected=error.expected,
            found=f"{error.found} in {error.where}" if error.found else "",
            fix=error.fix,
            problem=f"{error.where}: {error.problem}" if error.problem else "",
        ) from error
