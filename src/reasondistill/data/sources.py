"""A data set by name or path: built-in sets, published ones in their own form, and a user's own tables."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from shlex import quote
from typing import Any

from reasondistill.config import Source
from reasondistill.contracts.records import Example
from reasondistill.data.loaded import Loaded, gather, recall
from reasondistill.data.readers import alpaca, comve, cose, esnli
from reasondistill.data.readers.alpaca import is_alpaca, read_alpaca
from reasondistill.data.readers.comve import is_comve, read_comve
from reasondistill.data.readers.cose import EXPLANATIONS, find_questions, is_questions, read_cose
from reasondistill.data.readers.csv_files import DELIMITERS, read_table
from reasondistill.data.readers.esnli import is_esnli, read_esnli
from reasondistill.data.readers.esnli_hub import is_esnli_hub, read_esnli_hub
from reasondistill.data.readers.own_tables import ColumnMapping, Row, listed, read_rows
from reasondistill.data.splits import usual_split
from reasondistill.data.transforms.augmentation import augmented
from reasondistill.data.transforms.confidence import worded
from reasondistill.data.transforms.selection import chosen
from reasondistill.data.writing import restored
from reasondistill.errors import DataError
from reasondistill.storage.arrow_cache import cache_folder
from reasondistill.storage.files import (
    add_note,
    file_fingerprint,
    fingerprint,
    read_head,
    read_json_list,
    read_jsonl,
    require_file,
)
from reasondistill.tasks.task import NLI, Task, get_task

__all__ = ["DEFAULT_SCENES", "REGISTERED", "SUFFIXES", "ColumnMapping", "Loaded", "load", "load_source", "task_of"]

REGISTERED = ("scenes", "e-snli")
SUFFIXES = (*DELIMITERS, ".jsonl", ".json", ".parquet")
DEFAULT_SCENES = 6000
"""How many scenes there are where nobody says."""

CACHED_FROM = 1_000_000
"""Bytes from which a file's examples are kept in the cache; smaller ones are read again as fast."""

_READERS = 3
"""Goes up when a reader makes other examples out of the same file."""

_PACKED = {
    ".gz": "Unpack it: gunzip -c {old} > {new}",
    ".bz2": "Unpack it: bunzip2 -c {old} > {new}",
    ".xz": "Unpack it: xz -dc {old} > {new}",
    ".zst": "Unpack it: zstd -dc {old} > {new}",
    ".zip": "Unpack it.",
    ".xlsx": "In a spreadsheet program, save it as CSV in UTF-8.",
    ".xls": "In a spreadsheet program, save it as CSV in UTF-8.",
}
"""Suffix of what is not read → how to come from there to a file that is."""

_LOG = logging.getLogger(__name__)

_GENERATED = re.compile(r"scenes(?::(?P<size>[0-9]{1,9}))?(?:@(?P<seed>[0-9]{1,9}))?")


def load(
    source: str | Path,
    *,
    split: str | None = None,
    task: Task | None = None,
    size: int | None = None,
    seed: int = 0,
    columns: ColumnMapping | None = None,
    need_label: bool = True,
) -> Loaded:
    """Read a data set.

    Args:
        source: a registered name (``scenes``, ``scenes:6000``, ``scenes:6000@3`` for 6000 with seed 3) or a path
            that ends in .csv, .tsv, .jsonl, .json or .parquet. Files of e-SNLI, ComVE, CoS-E and Alpaca are
            recognised by their columns; e-SNLI's and CoS-E's may be named by their folder. e-SNLI's folder, and
            ``e-snli`` once it was downloaded, have the official parts. Separators, line ends and encodings are
            recognised too, and said.
        split: keep this part only. Where no row says which part it belongs to, `splits.split_of` its group decides.
        task: what the rows must have: fields, and labels that they may carry; by default the task of `task_of`. A
            published form that does not have them is read as a user's own table.
        size: how many scenes to generate; for built-in data only.
        seed: which scenes; for built-in data only. What ``source`` says goes before ``size`` and ``seed``.
        columns: what → its column, where a file's columns have other names than the task's:
            ``{"premise": "text_a", "label": "gold", "explanation": ["why1", "why2"]}``. With it, no published form
            is recognised.
        need_label: refuse a file without labels; predicting needs none.

    Raises:
        DataError: the source is unknown or cannot be read, a row does not fit, or the split holds nothing.
    """
    name = str(source)
    if _is_scenes(name):
        loaded = _generated(name, task or NLI, size, seed)
    elif size is not None:
        raise DataError(source, problem="size is for built-in data", fix="Leave it out to read the whole file.")
    elif (folder := _esnli_folder(name)) is not None:
        loaded = _official_parts(folder, split, task or NLI)
        _say(name, loaded)
        return loaded
    else:
        path = _file(Path(source))
        loaded = _from_file(path, task or _published_task(path) or NLI, columns, need_label)
    _say(name, loaded)
    return loaded if split is None else _part(loaded, split, name)


def load_source(source: Source, task: Task, seed: int) -> Loaded:
    """The data that a configuration names: the parts it asks for, in their order, what is `chosen` of them, and at most
    its limit.

    Raises:
        DataError: as `load`.
    """
    splits = source.split if isinstance(source.split, list) else [source.split]
    given = {name: text for name, text in source.fields.items() if name in task.fields}
    asked = task.model_copy(update={"fields": tuple(name for name in task.fields if name not in given)})
    loaded, *others = [
        load(source.source, split=split, task=asked, size=source.size, seed=seed, columns=source.columns)
        for split in splits
    ]
    for other in others:
        loaded = loaded.joined_with(other)
    loaded = chosen(loaded, source, given, seed)
    loaded = loaded.first(source.limit) if source.limit else loaded
    loaded = worded(loaded, source.confidence, seed) if source.confidence else loaded
    return augmented(loaded, source.augment, seed, as_given=given) if source.augment else loaded


def task_of(source: str | Path) -> Task:
    """The task whose fields a source has: a published set's own, and ``nli`` for everything else.

    Raises:
        DataError: the source is unknown or cannot be read.
    """
    return published_task(source) or NLI


def published_task(source: str | Path) -> Task | None:
    """The task of a built-in or published set; None for a user's own file.

    Raises:
        DataError: the source is unknown or cannot be read.
    """
    if _is_scenes(str(source)) or _esnli_folder(str(source)) is not None:
        return NLI
    return _published_task(_file(Path(source)))


def open_rows(source: str | Path) -> tuple[list[str], Callable[[], Iterator[Row]]]:
    """The column names of a user's file (of JSON, the first row's keys), and what begins to read its rows anew.

    Raises:
        DataError: the file is absent, of an unknown kind, or cannot be read.
    """
    path = _file(Path(source))
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    if suffix in DELIMITERS:
        return read_table(path)[0], lambda: read_table(path)[1]
    first = next(_objects(path), None)
    return ([] if first is None else [*first[1]]), lambda: _objects(path)


def downloads_folder(name: str) -> Path:
    """Where a published set lies that is asked for by its name; `data download` puts it there."""
    return cache_folder() / "downloads" / name


def _is_scenes(source: str) -> bool:
    return source.split(":")[0].split("@")[0] == "scenes"


def _esnli_folder(source: str) -> Path | None:
    """The folder with e-SNLI's official files that a source means, if it means one.

    Raises:
        DataError: it is asked for by its name, and was not downloaded.
    """
    folder = downloads_folder("e-snli") if source == "e-snli" else Path(source)
    if folder.is_dir() and any(folder.glob("esnli_*.csv")):
        return folder
    if source == "e-snli":
        raise DataError(
            source,
            expected=f"e-SNLI's files in {folder}",
            found="none",
            fix="Fetch them: reasondistill data download e-snli. Or name the folder or file that you have.",
        )
    return None


_OFFICIAL = {"train": "esnli_train*.csv", "validation": "esnli_dev.csv", "test": "esnli_test.csv"}


def _official_parts(folder: Path, split: str | None, task: Task) -> Loaded:
    """e-SNLI's official files as one set with its official parts: all that are there, or the one that is asked for."""
    if split is not None and split not in _OFFICIAL:
        raise DataError(folder, expected=f"one of the parts {', '.join(_OFFICIAL)}", found=repr(split))
    found: Loaded | None = None
    set_aside: Counter[str] = Counter()
    for part, pattern in _OFFICIAL.items():
        for path in sorted(folder.glob(pattern)) if split in (None, part) else ():
            one = _from_file(path, task, None, True)
            if any(own is not None for own in one.stored.values("split")):
                raise DataError(
                    path,
                    expected=f"the part {part!r} that its name stands for",
                    found="a column 'split' in it",
                    fix="Name the file instead of its folder to have that column hold, or remove the column.",
                )
            one = dataclasses.replace(one, examples=one.stored.named(part))
            set_aside.update(one.set_aside)
            found = one if found is None else found.joined_with(one)
    if found is None:
        raise DataError(
            folder,
            expected=f"the file of the part {split!r}, {_OFFICIAL[str(split)]}",
            found=", ".join(sorted(path.name for path in folder.glob("esnli_*.csv"))),
            fix="Fetch it: reasondistill data download e-snli.",
        )
    return dataclasses.replace(found, name=f"e-snli {split}" if split else "e-snli", set_aside=dict(set_aside))


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

    from reasondistill.data.scenes import generate

    name = f"scenes:{size}@{seed}"

    def read(_: Counter[str]) -> Iterator[tuple[str, Example]]:
        return ((example.id, example) for example in generate(size, seed=seed))

    return gather(name, name, read, task)


def _file(path: Path) -> Path:
    """The file that a path means.

    Raises:
        DataError: there is none, or none of a known kind.
    """
    if path.is_dir() and any(path.glob(EXPLANATIONS)):
        return find_questions(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES and not path.is_dir():
        raise DataError(
            path,
            expected=f"a registered name ({', '.join(REGISTERED)}) or a file that ends in {', '.join(SUFFIXES)}",
            found=f"the suffix {suffix!r}" if suffix else "a name that is not registered",
            fix=_PACKED.get(suffix, "Check the spelling, or convert the file.").format(
                old=quote(str(path)), new=quote(str(path.with_suffix("")))
            ),
        )
    try:
        path.stem.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            path,
            expected="a file with a name in UTF-8, as it names the data set and rows without an id",
            found="bytes in its name that are none",
            fix="Rename the file.",
        ) from error
    return require_file(path, what="a data file")


def _form(path: Path, task: Task | None, notes: list[str] | None = None) -> str:
    """Which published form a file has, by its columns; ``""`` for a user's own, and where the form lacks what the
    task asks for."""
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        header, _ = read_table(path, notes)
        if is_esnli(header):
            return "e-snli" if task is None or esnli.gives(task) else ""
        return "comve" if is_comve(header) and (task is None or comve.gives(task)) else ""
    if suffix == ".parquet":
        return "e-snli-hub" if is_esnli_hub(path) and (task is None or esnli.gives(task)) else ""
    _, first = next(_objects(path, notes), (0, {}))
    if is_questions(first):
        return "cose" if task is None or cose.gives(task) else ""
    return "alpaca" if is_alpaca(first) and (task is None or alpaca.gives(task, first)) else ""


_TASKS = {"e-snli": "nli", "e-snli-hub": "nli", "comve": "comve", "cose": "cose", "alpaca": "instructions"}
"""Published form → its task."""


def _published_task(path: Path) -> Task | None:
    """The task of a file in a published form; None for a user's own."""
    form = _form(path, None, [])
    return get_task(_TASKS[form]) if form else None


def _from_file(
    path: Path, task: Task, columns: ColumnMapping | None, need_label: bool, *, cached: bool = True
) -> Loaded:
    key = None
    if cached and path.stat().st_size >= CACHED_FROM:
        beside = sorted(path.parent.glob(EXPLANATIONS)) if path.suffix.lower() in (".jsonl", ".json") else []
        key = fingerprint(
            _READERS,
            path.name,
            [file_fingerprint(file) for file in (path, *beside)],
            task.model_dump(mode="json"),
            dict(columns or {}),
            need_label,
        )
        if (kept := recall(key, partial(_from_file, path, task, columns, need_label, cached=False))) is not None:
            return dataclasses.replace(kept, task=task)
    notes: list[str] = []
    form = "" if columns else _form(path, task, notes)
    if form == "e-snli":
        return read_esnli(path, task=task, notes=notes, key=key)
    if form == "e-snli-hub":
        return read_esnli_hub(path, task=task, notes=notes, key=key)
    if form == "comve":
        return read_comve(path, task=task, notes=notes, key=key)
    if form == "cose":
        return read_cose(path, lambda: _objects(path, notes), task=task, notes=notes, key=key)
    if form == "alpaca":
        return read_alpaca(path, lambda: _objects(path, notes), task=task, notes=notes, key=key)
    suffix = path.suffix.lower()
    header: list[str] | None = None
    rows: Callable[[], Iterator[Row]]
    if suffix == ".parquet":
        header, rows = _parquet(path)
    elif suffix in DELIMITERS:
        header, rows = read_table(path, notes)[0], lambda: read_table(path, notes)[1]
    else:
        rows = lambda: _objects(path, notes)  # noqa: E731
    return read_rows(path, rows, task, columns, header=header, need_label=need_label, notes=notes, key=key)


def _objects(path: Path, notes: list[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """``(line, object)`` of JSON Lines, or ``(number from 1, object)`` of a JSON file that holds a list of them.

    The content says which of them it is, and the suffix only where that leaves it open.
    """
    lines = path.suffix.lower() == ".jsonl"
    head = read_head(path).lstrip()
    if lines and head.startswith("["):
        add_note(notes, "one list of all rows, instead of a row on each line")
        return read_json_list(path, notes=notes)
    if not lines and head.startswith("{") and _begins_with_a_row(head):
        add_note(notes, "a row on each line, instead of one list of all rows")
        return read_jsonl(path, notes=notes)
    return read_jsonl(path, notes=notes) if lines else read_json_list(path, notes=notes)


def _begins_with_a_row(head: str) -> bool:
    """Whether the first line is an object of its own: not the beginning of one, or all of one that holds a list."""
    first, _, rest = re.split(r"(\r\n|\n|\r|$)", head, maxsplit=1)
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return False
    inner = row.values() if isinstance(row, dict) else ()
    return bool(rest.strip() or (row and not any(isinstance(v, list) and v and isinstance(v[0], dict) for v in inner)))


def _parquet(path: Path) -> tuple[list[str], Callable[[], Iterator[Row]]]:
    import pyarrow
    import pyarrow.parquet

    def broken(error: Exception) -> DataError:
        return DataError(path, expected="a Parquet file", found=str(error).split("\n")[0], fix="Write the file again.")

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=2048):
                for row in batch.to_pylist():
                    number += 1
                    yield number, restored(row) if "fields" in row else row
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise broken(error) from error

    try:
        header = list(pyarrow.parquet.ParquetFile(path).schema_arrow.names)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise broken(error) from error
    if doubled := sorted(name for name, times in Counter(header).items() if times > 1):
        raise DataError(path, expected="column names that occur once", found=f"{doubled} more than once")
    return header, rows


def _say(source: str, loaded: Loaded) -> None:
    """Say, once, what was recognised in a source, and which of its columns are not used."""
    if loaded.ignored_columns:
        _say_once(f"{source}: columns that are not used: {listed(loaded.ignored_columns, most=8)}")
    for note in loaded.notes:
        _say_once(f"{source}: {note}")


@cache
def _say_once(message: str) -> None:
    # A column's name may hold what a terminal would obey.
    _LOG.warning("%s", "".join(c if c.isprintable() else repr(c)[1:-1] for c in message))


def _part(loaded: Loaded, split: str, source: str) -> Loaded:
    rows = len(loaded.stored)
    without = sum(own is None for own in loaded.stored.values("split"))
    if without < rows:
        split = usual_split(split)
    if 0 < without < rows:
        raise DataError(
            source,
            expected="a split in every row, or in none",
            found=f"{without} of {rows} rows without one",
            fix="Complete the column 'split', or remove it.",
        )
    part = loaded.part(split)
    if not part.examples:
        sizes = Counter(map(str, loaded.stored.parts()))
        raise DataError(
            source,
            expected=f"rows of the split {split!r}",
            found=", ".join(f"{count} of {name!r}" for name, count in sorted(sizes.items())),
            fix="Name one of these, or none to read them all.",
        )
    return part
