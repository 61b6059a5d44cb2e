"""A data set by name or path: built-in sets, published ones in their own form, a user's own tables, the hub's sets."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reasondistill.config import Source
from reasondistill.contracts.records import Example
from reasondistill.data.loaded import Loaded, gather, recall
from reasondistill.data.notices import say
from reasondistill.data.readers import alpaca, comve, cose, entailment_bank, esnli
from reasondistill.data.readers.alpaca import is_alpaca, read_alpaca
from reasondistill.data.readers.answer_sets import answer_set_of, read_answer_set
from reasondistill.data.readers.answer_sets import gives as gives_answers
from reasondistill.data.readers.any_table import SUFFIXES, Table, open_table, require_known, sheet_of
from reasondistill.data.readers.comve import is_comve, read_comve
from reasondistill.data.readers.cose import EXPLANATIONS, find_questions, is_questions, read_cose
from reasondistill.data.readers.csv_files import DELIMITERS, read_table
from reasondistill.data.readers.entailment_bank import is_entailment_bank, is_slots, read_entailment_bank
from reasondistill.data.readers.esnli import is_esnli, read_esnli
from reasondistill.data.readers.esnli_hub import is_esnli_hub, read_esnli_hub
from reasondistill.data.readers.in_memory import is_of_datasets
from reasondistill.data.readers.json_files import SUFFIXES as JSON
from reasondistill.data.readers.json_files import read_objects
from reasondistill.data.readers.own_tables import ColumnMapping, read_rows
from reasondistill.data.splits import split_in_part, usual_split
from reasondistill.data.transforms.augmentation import augmented
from reasondistill.data.transforms.confidence import worded
from reasondistill.data.transforms.selection import chosen
from reasondistill.errors import DataError, NoSuchSplitError
from reasondistill.storage.arrow_cache import cache_folder
from reasondistill.storage.files import file_fingerprint, fingerprint
from reasondistill.storage.packed import plain_suffix
from reasondistill.tasks.task import NLI, Task, get_task

__all__ = ["DEFAULT_SCENES", "REGISTERED", "SUFFIXES", "ColumnMapping", "Loaded", "load", "load_source", "task_of"]

REGISTERED = ("scenes", "e-snli")
DEFAULT_SCENES = 6000
"""How many scenes there are where nobody says."""

CACHED_FROM = 1_000_000
"""Bytes from which a file's examples are kept in the cache; smaller ones are read again as fast."""

_READERS = 5
"""Goes up when a reader makes other examples out of the same file."""

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
            of a file of `SUFFIXES`, packed or not (of a workbook, ``file.xlsx#Sheet``); a folder of
            `datasets.save_to_disk`; or a hub id, ``owner/name`` or ``owner/name#configuration``. Files of e-SNLI,
            ComVE, CoS-E and Alpaca, and exports of other tools, are recognised by their columns; e-SNLI's and CoS-E's
            may be named by their folder. e-SNLI's folder, and ``e-snli`` once it was downloaded, have the official
            parts. Separators, line ends and encodings are recognised too, and said.
        split: keep this part only. Where no row says which part it belongs to, `splits.split_of` its group decides.
        task: what the rows must have: fields, and labels that they may carry; by default the task of `task_of`. A
            published form that does not have them is read as a user's own table.
        size: how many scenes to generate; for built-in data only.
        seed: which scenes; for built-in data only. What ``source`` says goes before ``size`` and ``seed``.
        columns: what → its column, where a file's columns have other names than the task's:
            ``{"premise": "text_a", "label": "gold", "explanation": ["why1", "why2"]}``. With it, no published form
            is recognised. ``label_values`` in it says what the label's values mean.
        need_label: refuse a file without labels; predicting needs none.

    Raises:
        DataError: the source is unknown or cannot be read, a row does not fit, or the split holds nothing.
    """
    name = str(source)
    if columns and (_is_scenes(name) or _esnli_folder(name) is not None):
        found = f"{name}, whose form is known"
        raise DataError("columns", expected="a table whose columns can be named", found=found, fix="Leave them out.")
    if _is_scenes(name):
        loaded = _generated(name, task or NLI, size, seed)
    elif size is not None:
        raise DataError(source, problem="size is for built-in data", fix="Leave it out to read the whole file.")
    elif (folder := _esnli_folder(name)) is not None:
        loaded = _official_parts(folder, split, task or NLI)
        say(name, loaded)
        return loaded
    elif is_of_datasets(source):
        notes: list[str] = []
        table = open_table(source, notes)
        task = task or (get_task(form) if (form := form_of_table(table)) else NLI)
        loaded = load_table(table, task, columns, need_label=need_label, notes=notes)
    else:
        path, sheet = _file(source)
        loaded = _from_file(path, sheet, task or _published_task(path, sheet) or NLI, columns, need_label)
    say(name, loaded)
    return loaded if split is None else _part(loaded, split, name)


def load_source(source: Source, task: Task, seed: int, *, need_label: bool = True) -> Loaded:
    """The data that a configuration names: the parts it asks for, in their order, what is `chosen` of them, and at most
    its limit.

    Args:
        need_label: refuse a source in which no row has a label, where the task has labels.

    Raises:
        DataError: as `load`.
    """
    splits = source.split if isinstance(source.split, list) else [source.split]
    given = {name: text for name, text in source.fields.items() if name in task.fields}
    own_part = task.model_copy(update={"fields": tuple(name for name in task.fields if name not in given)})
    loaded, *others = [
        load(
            source.source,
            split=split,
            task=own_part,
            size=source.size,
            seed=seed,
            columns=source.columns,
            need_label=need_label,
        )
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
    return None if is_of_datasets(source) else _published_task(*_file(source))


def form_of_table(table: Table, task: Task | None = None) -> str:
    """The task of rows that are in a known form whatever file they are in: ``instructions``, or "" for a user's own.

    Args:
        task: what is asked for; a form that does not have it is not meant.
    """
    is_meant = is_alpaca(table.first) and (task is None or alpaca.gives(task, table.first))
    return "instructions" if is_meant else ""


def load_table(
    table: Table,
    task: Task,
    columns: ColumnMapping | None = None,
    *,
    need_label: bool = True,
    notes: list[str] | None = None,
    key: str | None = None,
) -> Loaded:
    """Read a table's rows, as `load`.

    Raises:
        DataError: as `load`.
    """
    if not columns and form_of_table(table, task):
        return read_alpaca(table, task=task, notes=notes, key=key)
    return read_rows(table, task, columns, need_label=need_label, notes=notes, key=key)


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
    whole: Loaded | None = None
    set_aside: Counter[str] = Counter()
    for part, pattern in _OFFICIAL.items():
        for path in sorted(folder.glob(pattern)) if split in (None, part) else ():
            loaded_file = _from_file(path, "", task, None, True)
            if any(own is not None for own in loaded_file.stored.values("split")):
                raise DataError(
                    path,
                    expected=f"the part {part!r} that its name stands for",
                    found="a column 'split' in it",
                    fix="Name the file instead of its folder to have that column hold, or remove the column.",
                )
            loaded_file = dataclasses.replace(loaded_file, examples=loaded_file.stored.named(part))
            set_aside.update(loaded_file.set_aside)
            whole = loaded_file if whole is None else whole.joined_with(loaded_file)
    if whole is None:
        raise NoSuchSplitError(
            folder,
            expected=f"the file of the part {split!r}, {_OFFICIAL[str(split)]}",
            found=", ".join(sorted(path.name for path in folder.glob("esnli_*.csv"))),
            fix="Fetch it: reasondistill data download e-snli.",
        )
    return dataclasses.replace(whole, name=f"e-snli {split}" if split else "e-snli", set_aside=dict(set_aside))


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


def _file(source: str | Path) -> tuple[Path, str]:
    """The file that a source means, and the sheet of it that is named.

    Raises:
        DataError: there is none, or none of a known kind.
    """
    path, sheet = sheet_of(source)
    if path.is_dir() and any(path.glob(EXPLANATIONS)):
        return find_questions(path), ""
    return require_known(path, REGISTERED), sheet


def _form(path: Path, task: Task | None, notes: list[str] | None = None) -> str:
    """Which published form a file has, by its columns; ``""`` for a user's own, and where the form lacks what the
    task asks for."""
    suffix = plain_suffix(path)
    if suffix in DELIMITERS:
        if is_slots(path):
            return "entailment_bank" if task is None or entailment_bank.gives(task) else ""
        header, _ = read_table(path, notes)
        if is_esnli(header):
            return "e-snli" if task is None or esnli.gives(task) else ""
        return "comve" if is_comve(header) and (task is None or comve.gives(task)) else ""
    if suffix == ".parquet":
        return "e-snli-hub" if is_esnli_hub(path) and (task is None or esnli.gives(task)) else ""
    first = next(read_objects(path, notes), (0, {}))[1] if suffix in JSON else {}
    if is_questions(first):
        return "cose" if task is None or cose.gives(task) else ""
    if is_entailment_bank(first):
        return "entailment_bank" if task is None or entailment_bank.gives(task) else ""
    name = answer_set_of(first)
    return name if name and (task is None or gives_answers(name, task)) else ""


_TASKS = {"e-snli": "nli", "e-snli-hub": "nli", "comve": "comve", "cose": "cose"}
_TASKS |= {name: name for name in ("entailment_bank", "strategyqa", "scitldr", "geoquery")}
"""Published form → its task."""


def _published_task(path: Path, sheet: str = "") -> Task | None:
    """The task of a file in a published form; None for a user's own."""
    form = _form(path, None, [])
    name = _TASKS[form] if form else form_of_table(open_table(f"{path}#{sheet}" if sheet else path))
    return get_task(name) if name else None


def _from_file(
    path: Path, sheet: str, task: Task, columns: ColumnMapping | None, need_label: bool, *, cached: bool = True
) -> Loaded:
    key = None
    if cached and path.stat().st_size >= CACHED_FROM:
        beside = sorted(path.parent.glob(EXPLANATIONS)) if plain_suffix(path) in JSON else []
        key = fingerprint(
            _READERS,
            path.name,
            sheet,
            [file_fingerprint(file) for file in (path, *beside)],
            task.model_dump(mode="json"),
            dict(columns or {}),
            need_label,
        )
        again = partial(_from_file, path, sheet, task, columns, need_label, cached=False)
        if (kept := recall(key, again)) is not None:
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
        return read_cose(path, lambda: read_objects(path, notes), task=task, notes=notes, key=key)
    if form == "entailment_bank":
        return read_entailment_bank(path, task=task, notes=notes, key=key)
    if form:
        return read_answer_set(path, lambda: read_objects(path, notes), name=form, task=task, notes=notes, key=key)
    table = open_table(f"{path}#{sheet}" if sheet else path, notes)
    return load_table(table, task, columns, need_label=need_label, notes=notes, key=key)


def _part(loaded: Loaded, split: str, source: str) -> Loaded:
    rows = len(loaded.stored)
    without = sum(own is None for own in loaded.stored.values("split"))
    if without < rows:
        split = usual_split(split)
    if 0 < without < rows:
        raise split_in_part(source, without, rows)
    part = loaded.part(split)
    if not part.examples:
        sizes = Counter(map(str, loaded.stored.parts()))
        raise NoSuchSplitError(
            source,
            expected=f"rows of the split {split!r}",
            found=", ".join(f"{count} of {name!r}" for name, count in sorted(sizes.items())),
            fix="Name one of these, or none to read them all.",
        )
    return part
