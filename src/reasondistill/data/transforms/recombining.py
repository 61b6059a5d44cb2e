"""New rows without labels out of the texts that one has: the fields of one group's rows, put together anew."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import prod
from typing import Final

from reasondistill.contracts.records import Example
from reasondistill.data.audit.texts import plain
from reasondistill.data.splits import part_of
from reasondistill.data.transforms.augmentation import with_free_id
from reasondistill.errors import DataError
from reasondistill.tasks.task import Task

MOST_OF_GROUP: Final = 100_000
"""Of a group with more combinations, so many are drawn."""

Texts = tuple[str, ...]


def recombined(
    examples: Iterable[Example],
    task: Task,
    *,
    limit: int | None = None,
    per_group: int | None = None,
    across_fields: bool = False,
    seed: int = 0,
    name: str = "data",
) -> list[Example]:
    """New rows: every combination of texts that the rows of one group have in each field and no row has yet.

    Groups and splits are never mixed, so that no text moves from one split to another. A combination is left out
    where some row, of whatever group, has it already but for case, punctuation and articles, or where two of its
    fields say the same. New rows keep their group and, where the group's rows name one, their split.

    Args:
        examples: rows with the fields of the task; labels and explanations are not looked at.
        task: with two fields or more.
        limit: at most so many new rows, taken from all groups alike: the first of each, then the second of each.
        per_group: at most so many of a group.
        across_fields: put texts of one field into another too: a hypothesis as the premise of another hypothesis.
        seed: which combinations come first. With the same seed, a larger limit begins with the rows of a smaller one.
        name: of the data, for messages.

    Raises:
        DataError: the task has one field, or its labels are choices of single rows; or there is nothing to recombine.
    """
    _require_recombinable(task, name)
    groups: dict[tuple[tuple[str, str], str], list[Example]] = {}
    existing: set[Texts] = set()
    ids: set[str] = set()
    for example in examples:
        existing.add(_key(tuple(example.fields[name] for name in task.fields)))
        ids.add(example.id)
        part = part_of(example.split, example.group, example.id)
        groups.setdefault((example.cluster, part), []).append(example)
    streams = []
    for (cluster, part), rows in groups.items():
        columns = [sorted({example.fields[field] for example in rows}) for field in task.fields]
        if across_fields:
            columns = [sorted({text for column in columns for text in column})] * len(columns)
        combinations = _shuffled(columns, random.Random(f"{seed}\x1f{cluster}\x1f{part}"))
        streams.append(islice(_new(combinations, rows[0], task, existing), per_group))
    new = [with_free_id(example, ids) for example in islice(_in_turn(streams), limit)]
    if not new:
        raise DataError(
            name,
            expected=f"groups in which several rows differ in two of the fields {', '.join(task.fields)}",
            found=f"{len(groups):,} groups, and no combination that is not there already",
            fix="Name another column whose equal values make a group (--group COLUMN), or let texts change their field "
            "(--across-fields).",
        )
    return new


def _require_recombinable(task: Task, name: str) -> None:
    if len(task.fields) < 2:
        raise DataError(
            name,
            expected="a task with two texts or more, as premise and hypothesis",
            found=f"one: {task.fields[0]}",
            fix="Name two columns: --text FIRST --text SECOND.",
        )
    if task.labels is None:
        raise DataError(
            name,
            expected="a task whose rows share their labels",
            found=f"the task {task.name!r}, in which each row has choices of its own",
            fix="Such rows cannot be recombined: their choices belong to their texts.",
        )


def _key(texts: Iterable[str]) -> Texts:
    return tuple(plain(text) or text.strip().casefold() for text in texts)


def _new(combinations: Iterable[Texts], row: Example, task: Task, existing: set[Texts]) -> Iterator[Example]:
    """Those that no row has, each an example of the same group as ``row``."""
    for texts in combinations:
        key = _key(texts)
        if key in existing or len(set(key)) < len(key):
            continue
        existing.add(key)  # another spelling of it is no new row
        digest = hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:12]
        yield Example(
            id=f"pair-{digest}",
            fields=dict(zip(task.fields, texts, strict=True)),
            group=row.cluster[1],
            split=row.split,
        )


def _shuffled(columns: Sequence[Sequence[str]], generator: random.Random) -> Iterator[Texts]:
    """The combinations of one text of each column, each once; `MOST_OF_GROUP` at most."""
    sizes = [len(column) for column in columns]
    total = prod(sizes)
    for number in generator.sample(range(total), min(total, MOST_OF_GROUP)):
        texts = []
        for column, size in zip(columns, sizes, strict=True):
            number, place = divmod(number, size)
            texts.append(column[place])
        yield tuple(texts)


def _in_turn(streams: Sequence[Iterator[Example]]) -> Iterator[Example]:
    """The first of each stream, then the second of each, until all are empty."""
    left = list(streams)
    while left:
        going = []
        for stream in left:
            example = next(stream, None)
            if example is not None:
                yield example
                going.append(stream)
        left = going
