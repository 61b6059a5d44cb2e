"""The data that a run knows: its task, files, columns and splits, so that nobody has to name them again."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path

from reasondistill.config import Source, TrainConfig
from reasondistill.contracts.records import Example
from reasondistill.contracts.run import RUN_FILE
from reasondistill.data import Loaded, load, load_source
from reasondistill.data.dataset_loading import Source as Data
from reasondistill.data.dataset_loading import load_dataset
from reasondistill.data.readers.any_table import open_table, sheet_of, table_of_rows
from reasondistill.data.readers.in_memory import is_of_datasets, rows_in_memory
from reasondistill.data.readers.own_tables import ColumnMapping, plain_columns
from reasondistill.data.sources import REGISTERED
from reasondistill.data.splits import HELD_OUT
from reasondistill.errors import DataError, NoSuchSplitError, OutputError, UserError
from reasondistill.runs import DATA_FILE, Run
from reasondistill.storage.files import real_path
from reasondistill.tasks.task import Task

_LOG = logging.getLogger(__name__)
LEARNED = "ones that the run learned from, or of their groups"
"""What rows of other data are, that are not new to a student."""
_NO_NAME = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Rows:
    """Rows of a data set, and where they are from."""

    loaded: Loaded
    source: Source

    @property
    def split(self) -> str | None:
        """Their split; None for all rows."""
        split = self.source.split
        return " + ".join(split) if isinstance(split, list) else split

    def first(self, limit: int) -> Rows:
        """At most ``limit`` of them, from the start."""
        return replace(self, loaded=self.loaded.first(limit))

    def words(self) -> list[str]:
        """How a command names them."""
        generated = self.source.source.partition(":")[0].partition("@")[0] == "scenes"  # its name has size and seed
        split = [] if self.split is None else ["--split", self.split]
        return [self.loaded.name if generated else self.source.source, *split]

    @property
    def facts(self) -> dict[str, str | None]:
        """What is recorded of them beside predictions."""
        return {"name": self.loaded.name, "split": self.split, "fingerprint": self.loaded.fingerprint}


def run_at(path: str | Path) -> Run | None:
    """The run at a path, or that of the student or package which lies in it; None where there is none."""
    path = Path(path)
    folders = (path, real_path(path).parent)
    return next((Run(folder) for folder in folders if (folder / RUN_FILE).is_file()), None)


def run_meant(value: object) -> Run | None:
    """A run that is given as one, or as its folder; None for all else."""
    if isinstance(value, Run):
        return value
    if isinstance(value, str | PathLike) and (Path(value) / RUN_FILE).is_file():
        return Run(Path(value))
    return None


def rows_for(
    student: str | Path,
    task: Task,
    data: str | None = None,
    *,
    split: str | None = None,
    columns: ColumnMapping | None = None,
    validation: bool = False,
    need_label: bool = False,
) -> Rows:
    """The rows that a command is about: those that are named, else what the student's run knows.

    Args:
        student: a run, or a student that lies in one; any other needs ``data``.
        task: what the rows must have.
        data: as `load` takes it. Columns that are not named are those of the run, where the data have them.
        split: by default, of ``data`` all rows; of a run its test split, or else its validation split.
        columns: where a file's columns have other names.
        validation: of a run, take the validation split by default.
        need_label: as `load`.

    Raises:
        DataError: there are no such rows, or the run's data are not where they were.
    """
    run = run_at(student)
    if data is not None:
        columns = columns or (None if run is None else _columns_of_file(run, data))
        loaded = load(data, split=split, task=task, columns=columns, need_label=need_label)
        return Rows(loaded, Source(source=data, split=split, columns=plain_columns(columns)))
    if run is None:
        raise DataError(
            "DATA",
            expected=f"data, as {student} is no run, which would know its own",
            found="none",
            fix="Name a file or a registered name after it.",
        )
    known = RunData(run, columns)
    return known.validation() if validation and split is None else known.held_out(split)


def source_beside(run: Run, data: str | PathLike[str], columns: ColumnMapping | None = None) -> Source:
    """Other data than a run's own, as a configuration names them, with the columns of the run's that they have.

    Args:
        columns: in place of the run's, as far as the data have them.
    """
    name = os.fspath(data)
    if not _is_table(name):
        return Source(source=name)
    known = _columns_of_file(run, name) if columns is None else _among(columns, open_table(name).header)
    return Source(source=name, columns=plain_columns(known))


def load_beside(
    run: Run | None, data: Data, task: Task | None, *, columns: ColumnMapping | None = None, split: str | None = None
) -> Loaded:
    """Other data than a run's own; columns that are not named are those of the run, where the data have them.

    Args:
        data: as `load_dataset` takes it.

    Raises:
        DataError: they cannot be read.
    """
    if run is not None and columns is None and not isinstance(data, Loaded):
        if isinstance(data, str | Path):
            columns = _columns_of_file(run, str(data))
        else:
            data = rows_in_memory(data)
            columns = _columns_among(run, table_of_rows([row for row in data if isinstance(row, Mapping)]).header)
    return load_dataset(data, task=task, columns=columns, split=split)


def calibration_split(student: str | Path, examples: Sequence[Example]) -> str | None:
    """The split that rows to calibrate by are of; None where they name none, or several.

    Raises:
        DataError: some are test rows, or ones that the student of a run learned from; of any other student that is not
            known.
    """
    run = run_at(student)
    splits = {example.split for example in examples} - {None}
    fix = "Give the validation rows alone, as data['validation']."
    if run is not None and (met := RunData(run).learned_among(examples, groups=False)):
        raise DataError(
            "data",
            expected="rows that the student did not learn from: a temperature fitted on training rows is too low",
            found=f"{met:,} of {len(examples):,} that {run.folder} learned from",
            fix=fix,
        )
    if "test" in splits:
        found = "rows of the test split"
        raise DataError("data", expected="validation rows: fitting on test rows spoils the test", found=found, fix=fix)
    return splits.pop() if len(splits) == 1 else None


class RunData:
    """The data of one run.

    Args:
        run: that knows them.
        columns: where they now have other columns than when the run was trained.
    """

    def __init__(self, run: Run, columns: ColumnMapping | None = None) -> None:
        self.run, self.config = run, run.config()
        self._columns = plain_columns(columns)

    def held_out(self, split: str | None = None) -> Rows:
        """The rows of a split; by default of the test split, or of the validation split where there is none.

        Only where the configuration names a split to learn from does the rest of that source count as held out.

        Raises:
            NoSuchSplitError: there are no such rows.
            DataError: the files are not where they were.
        """
        wanted = HELD_OUT if split is None else (split,)
        for name in wanted:
            for source in self._sources(name):
                try:
                    return self._read(source)
                except NoSuchSplitError:
                    continue
        sources = ", ".join(dict.fromkeys(source.source for source in self._configured()))
        raise NoSuchSplitError(
            self.run.folder,
            expected=f"a run with rows of the split {' or '.join(wanted)}",
            found=f"one that learned from {sources} and names no others",
            fix="Name data that it did not learn from.",
        )

    def place_of(self, rows: Rows) -> str:
        """What predictions and results of rows are called in the run: after their split where they are its own.

        They count as its own where those are not to be had.
        """
        split = rows.split or "all"
        with suppress(UserError):
            if self.held_out(rows.split).loaded.fingerprint != rows.loaded.fingerprint:
                sheet = sheet_of(rows.source.source)[1]
                name = f"{rows.loaded.name}_{sheet}" if sheet else rows.loaded.name
                return f"{_NO_NAME.sub('_', name)}_{split}"
        return split

    def validation(self) -> Rows:
        """The validation rows, all of them, whatever limit the training had.

        Raises:
            DataError: as `held_out`.
        """
        configured = self.config.data.validation
        return self.held_out("validation") if configured is None else self._read(_whole(configured, configured.split))

    def training(self) -> Iterator[Example]:
        """The rows that the run learned from."""
        for source in self.training_sources():
            yield from load_source(source, self.config.task, self.config.seed).examples

    def learned_among(self, examples: Iterable[Example], *, groups: bool = True) -> int:
        """How many examples have the same inputs as a row that the run learned from, or are of such a row's group.

        0 where the training data are not where they were.

        Args:
            groups: whether those count; other data may use the same names for other groups.
        """
        try:
            learned = {key for example in self.training() for key in _keys(example, groups)}
        except UserError:
            return 0
        return sum(not learned.isdisjoint(_keys(example, groups)) for example in examples)

    def training_sources(self) -> list[Source]:
        """Where the rows that the run learned from are now.

        Raises:
            DataError: the files are not where they were.
        """
        return [self._found(source) for source in self.config.data.train_sources]

    def _configured(self) -> list[Source]:
        """The validation source first, if there is one: the split beside it is what it stands for."""
        data = self.config.data
        return [*([] if data.validation is None else [data.validation]), *data.train_sources]

    def _sources(self, split: str) -> Iterator[Source]:
        """Where rows of a split may be that nothing was learned from, or that were asked for by that name."""
        learned = self.config.data.train_sources
        for source in self._configured() if split in HELD_OUT else learned:
            if source.split is not None and not (split in HELD_OUT and any(_takes(s, source, split) for s in learned)):
                yield _whole(source, split)
        validation = self.config.data.validation
        if split == "validation" and validation is not None:
            yield _whole(validation, validation.split)

    def _read(self, source: Source) -> Rows:
        data_source = self._found(source)
        self._warn_of_changes(data_source.source)
        return Rows(load_source(data_source, self.config.task, self.config.seed), data_source)

    def _found(self, source: Source) -> Source:
        """The source where it is now: as it is named, or from where the training was begun, or kept in the run."""
        name = source.source
        columns = {"columns": self._columns} if self._columns else {}
        if Path(name).name == DATA_FILE and (kept := self.run.folder / DATA_FILE).is_file():
            return source.model_copy(update={"source": str(kept)})
        if sheet_of(name)[0].exists() or name.partition(":")[0].partition("@")[0] in REGISTERED:
            return source.model_copy(update=columns)
        if (beside := _begun_in(self.run, self.config)) is not None and sheet_of(beside / name)[0].exists():
            return source.model_copy(update={"source": str(beside / name), **columns})
        if is_of_datasets(name):
            return source.model_copy(update=columns)  # an id of the hub
        split = f" --split {source.split}" if isinstance(source.split, str) else ""
        raise DataError(
            name,
            expected=f"the data that the run {self.run.folder} was trained on",
            found="nothing at this path",
            fix=f"If they were moved, name them where they are now, after the run: {self.run.folder} FILE{split}.",
        )

    def _warn_of_changes(self, name: str) -> None:
        """Say where a file was written after the training, so that its splits may be others."""
        created = self.run.info().created
        if created is None or not Path(name).is_file() or Path(name).name == DATA_FILE:
            return
        if datetime.fromtimestamp(Path(name).stat().st_mtime, UTC) > datetime.fromisoformat(created):
            known = self.run.info().data.get("train")
            first = self._found(self.config.data.train_sources[0])
            now = load_source(first, self.config.task, self.config.seed)
            if known is not None and first.source == name and now.fingerprint != known.fingerprint:
                _LOG.warning(
                    "%s has changed since the run %s learned from it: rows that it learned may be among these.",
                    name,
                    self.run.folder,
                )


def _keys(example: Example, groups: bool) -> list[int]:
    """What tells that two rows must not be learned from and scored: their group, and all of their inputs.

    Hashes, as the rows may be many and their texts long.
    """
    group = [] if example.group is None or not groups else [hash(example.cluster)]
    return [*group, hash(("inputs", *example.fields.values()))]


def _takes(source: Source, other: Source, split: str) -> bool:
    """Whether a source reads this split of what another one names."""
    splits = source.split if isinstance(source.split, list) else [source.split]
    return source.source == other.source and split in splits


def _whole(source: Source, split: str | list[str] | None) -> Source:
    """All rows of a split as they are: what selects or changes training rows is left out."""
    kept = source.model_dump(include={"source", "size", "columns", "fields"})
    return Source(**kept, split=split)


def _begun_in(run: Run, config: TrainConfig) -> Path | None:
    """The working directory of a training, where the run lies as its configuration says; relative paths are from it."""
    inside = Path(config.runs_dir) / config.name
    folder = real_path(run.folder)
    if inside.is_absolute() or folder.parts[-len(inside.parts) :] != inside.parts:
        return None
    return folder.parents[len(inside.parts) - 1]


def _is_table(data: str) -> bool:
    return data.partition(":")[0] not in REGISTERED and sheet_of(data)[0].is_file()


def _columns_of_file(run: Run, data: str) -> ColumnMapping | None:
    return _columns_among(run, open_table(data).header) if _is_table(data) else None


def _columns_among(run: Run, header: Collection[str]) -> ColumnMapping | None:
    """The columns that a run's data have, as far as another table has them too."""
    of_files = [source.columns for source in run.config().data.train_sources if source.columns]
    return _among(of_files[0] if of_files else run.info().columns or {}, header)


def _among(columns: ColumnMapping, header: Collection[str]) -> ColumnMapping | None:
    names = {
        what: name
        for what, name in columns.items()
        if what == "label_values" or name == "" or {*header}.issuperset([name] if isinstance(name, str) else name)
    }
    return names or None


def require_same_config(config: TrainConfig) -> None:
    """Refuse to go on with a run of the same name that was begun with another configuration.

    Raises:
        OutputError: there is one.
    """
    run = Run(Path(config.runs_dir) / config.name)
    in_memory = (run.folder / DATA_FILE).is_file()
    if (run.folder / RUN_FILE).is_file() and not in_memory and run.config() != config:
        raise OutputError(
            run.folder,
            expected="no run of this name, or one that was begun by the same command",
            found="one with another configuration",
            fix="Give the new one another name: --name NAME.",
        )
