"""A data set by name or path: built-in sets, e-SNLI's official files, and a user's own CSV, TSV, JSONL or Parquet."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from reasondistill.datasets.esnli import is_esnli, read_esnli
from reasondistill.datasets.loaded import Loaded, gather
from reasondistill.datasets.splits import assign_splits
from reasondistill.datasets.tables import DELIMITERS, read_table
from reasondistill.datasets.tabular import ColumnMapping, Row, read_rows
from reasondistill.errors import DataError
from reasondistill.files import read_jsonl, require_file
from reasondistill.tasks import NLI, Task

__all__ = ["DEFAULT_SCENES", "REGISTERED", "SUFFIXES", "ColumnMapping", "Loaded", "load"]

REGISTERED = ("scenes",)
SUFFIXES = (*DELIMITERS, ".jsonl", ".parquet")
DEFAULT_SCENES = 6000
"""How many scenes there are where nobody says."""

_GENERATED = re.compile(r"scenes(?::(?P<size>[0-9]{1,9}))?(?:@(?P<seed>[0-9]{1,9}))?")


def load(
    source: str | Path,
    *,
    split: str | None = None,
    task: Task = NLI,
    size: int | None = None,
    seed: int = 0,
    columns: ColumnMapping | None = None,
    need_label: bool = True,
) -> Loaded:
    """Read a data set.

    Args:
        source: a registered name (``scenes``, ``scenes:6000``, ``scenes:6000@3`` for 6000 with seed 3) or a path
            that ends in .csv, .tsv, .jsonl or .parquet. e-SNLI's official CSVs are recognised by their header.
        split: keep this part only. Where no row says which part it belongs to, `splits.split_of` its group decides.
        task: what the rows must have: fields, and labels that they may carry.
        size: how many scenes to generate; for built-in data only.
        seed: which scenes; for built-in data only. What ``source`` says goes before ``size`` and ``seed``.
        columns: what → its column, where a file's columns have other names than the task's:
            ``{"premise": "text_a", "label": "gold", "explanation": ["why1", "why2"]}``. With it, e-SNLI's header is
            not recognised.
        need_label: refuse a file without labels; predicting needs none.

    Raises:
        DataError: the source is unknown or cannot be read, a row does not fit, or the split holds nothing.
    """
    name = str(source)
    if name.split(":")[0].split("@")[0] in REGISTERED:
        loaded = _generated(name, task, size, seed)
    elif size is not None:
        raise DataError(source, problem="size is for built-in data", fix="Leave it out to read the whole file.")
    else:
        loaded = _from_file(Path(source), task, columns, need_label)
    return loaded if split is None else _part(loaded, split, name)


def _generated(source: str, task: Task, size: int | None, seed: int) -> Loaded:
    match = _GENERATED.fullmatch(source)
    if match is None:
        raise DataError(source, expected="scenes, scenes:<how many> or scenes:<how many>@<seed>", found=repr(source))
    if match["size"] is not None:
        size = int(match["size"])
    if match["seed"] is not None:
        seed = int(match["seed"])
    if size is None:
        size = DEFAULT_SCENES
    if size < 1:
        raise DataError(source, expected="at least 1 scene", found=str(size), fix="Ask for more, as in scenes:6000.")

    from reasondistill.datasets.scenes import generate

    name = f"scenes:{size}@{seed}"
    return gather(name, name, ((example.id, example) for example in generate(size, seed=seed)), task, Counter())


def _from_file(path: Path, task: Task, columns: ColumnMapping | None, need_label: bool) -> Loaded:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES and not path.is_dir():
        raise DataError(
            path,
            expected=f"a registered name ({', '.join(REGISTERED)}) or a file that ends in {', '.join(SUFFIXES)}",
            found=f"the suffix {suffix!r}" if suffix else "a name that is not registered",
            fix="Check the spelling, or convert the file.",
        )
    require_file(path, what="a data file")
    if suffix == ".jsonl":
        return read_rows(path, read_jsonl(path), task, columns, need_label=need_label)
    if suffix == ".parquet":
        header, rows = _read_parquet(path)
    else:
        header, rows = read_table(path)
        if not columns and is_esnli(header):
            return read_esnli(path, task=task)
    return read_rows(path, rows, task, columns, header=header, need_label=need_label)


def _read_parquet(path: Path) -> tuple[list[str], Iterator[Row]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        header = list(file.schema_arrow.names)
        rows = [row for batch in file.iter_batches() for row in batch.to_pylist()]
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            path, expected="a Parquet file", found=str(error).split("\n")[0], fix="Write the file again."
        ) from error
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise DataError(path, expected="column names that occur once", found=f"{doubled} more than once")
    return header, iter(enumerate(rows, start=1))


def _part(loaded: Loaded, split: str, source: str) -> Loaded:
    without = sum(example.split is None for example in loaded.examples)
    if 0 < without < len(loaded.examples):
        raise DataError(
            source,
            expected="a split in every row, or in none",
            found=f"{without} of {len(loaded.examples)} rows without one",
            fix="Complete the column 'split', or remove it.",
        )
    examples = assign_splits(loaded.examples)
    kept = [example for example in examples if example.split == split]
    if not kept:
        sizes = Counter(str(example.split) for example in examples)
        raise DataError(
            source,
            expected=f"rows of the split {split!r}",
            found=", ".join(f"{count} of {name!r}" for name, count in sorted(sizes.items())),
            fix="Name one of these, or none to read them all.",
        )
    return dataclasses.replace(loaded, examples=kept)
