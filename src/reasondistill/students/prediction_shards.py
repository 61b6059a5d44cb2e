"""A predictions file in parts that several processes write, and the parts joined in the data's order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reasondistill.contracts.predictions_record import PredictionsRecord
from reasondistill.contracts.records import Example
from reasondistill.errors import DataError
from reasondistill.storage.files import read_jsonl

_NAMED = re.compile(r"(\d+)-of-(\d+)")


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts, by its number from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """A shard as it is written on the command line: ``2/4``.

        Raises:
            DataError: it is no such pair.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise DataError("--shard", expected="I/N with I from 1 to N, such as 2/4", found=repr(text))
        return cls(int(match[1]), int(match[2]))

    def place(self, out: Path) -> Path:
        """Where the part of ``out`` lies."""
        return out.with_name(f"{out.stem}.{self.number}-of-{self.count}{out.suffix}")

    def rows(self, total: int, window: int) -> range:
        """The rows of this part: whole windows that stand together.

        Args:
            total: how many there are.
            window: that are answered together; the last digits of an answer depend on what shares its batch.
        """
        windows = -(-total // window)
        begin, end = (windows * n // self.count for n in (self.number - 1, self.number))
        return range(min(begin * window, total), min(end * window, total))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parts_of(out: Path) -> list[Shard]:
    """All shards of a predictions file, as the parts that are there are named.

    Raises:
        DataError: there are none, or they are of different cuts.
    """
    names = (
        path.name.removeprefix(f"{out.stem}.").removesuffix(out.suffix) for path in out.parent.glob(f"{out.stem}.*")
    )
    counts = {int(match[2]) for name in names if (match := _NAMED.fullmatch(name))}
    if len(counts) != 1:
        cuts = " and of ".join(map(str, sorted(counts)))
        raise DataError(
            out,
            expected="the parts of one cut"
            if counts
            else f"its parts {Shard(1, 4).place(out).name}, … as `predict --shard` writes them",
            found=f"parts of {cuts}" if counts else "none",
            fix="Remove those of one cut." if counts else "Write them: the same command with --shard 1/N to N/N.",
        )
    count = counts.pop()
    return [Shard(number, count) for number in range(1, count + 1)]


def joined(
    shards: Sequence[Shard], out: Path, record: PredictionsRecord, examples: Sequence[Example], window: int
) -> Iterator[bytes]:
    """The lines of all parts in the order of ``examples``, each held to its example.

    Raises:
        DataError: a part is missing, unfinished, of another student or data, or has other rows. All that are wrong are
            named before the first line comes.
    """
    missing = [_missing(shard, out, examples, window) for shard in shards if not shard.place(out).is_file()]
    if missing:
        raise DataError(
            out,
            expected=f"all {len(shards)} parts",
            found=f"{len(missing)} missing: {'; '.join(missing)}",
            fix="Write them, or go on with them: the same command with --shard "
            + ", ".join(str(shard) for shard in shards if not shard.place(out).is_file())
            + ".",
        )
    for shard in shards:
        file = PredictionsRecord.path_of(shard.place(out))
        differing = (
            record.differences(PredictionsRecord.load(file)) if file.is_file() else ["its record, which is missing"]
        )
        if differing:
            raise DataError(
                shard.place(out),
                expected="predictions of this student, data and settings",
                found=f"ones that differ in {', '.join(differing)}",
                fix=f"Write them again: the same command with --shard {shard} --force.",
            )
    for shard in shards:
        yield from _lines(shard, out, examples, window)


def _lines(shard: Shard, out: Path, examples: Sequence[Example], window: int) -> Iterator[bytes]:
    place, rows = shard.place(out), shard.rows(len(examples), window)
    numbered = 0
    with place.open("rb") as stream:
        for index, (number, row), line in zip(rows, read_jsonl(place), stream, strict=False):
            if row.get("id") != examples[index].id:
                raise DataError(
                    f"{place}:{number}",
                    expected=f"the row {examples[index].id!r}, which is there in the data",
                    found=repr(row.get("id")),
                    fix=f"Write the part again: remove it, and the same command with --shard {shard}.",
                )
            numbered += 1
            yield line if line.endswith(b"\n") else line + b"\n"
        rest = stream.read(1)
    if numbered < len(rows) or rest:
        raise DataError(
            place,
            expected=f"{len(rows):,} rows",
            found="more" if rest else f"{numbered:,}; {_span(rows[numbered:], examples)} missing",
            fix=f"Write the part again: remove it, and the same command with --shard {shard}.",
        )


def _missing(shard: Shard, out: Path, examples: Sequence[Example], window: int) -> str:
    rows = shard.rows(len(examples), window)
    return f"{shard.place(out).name} ({_span(rows, examples) if rows else 'without rows'})"


def _span(rows: range, examples: Sequence[Example]) -> str:
    first, last = examples[rows[0]].id, examples[rows[-1]].id
    return f"{len(rows):,} rows, {first} to {last}"
