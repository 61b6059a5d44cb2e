"""`load_dataset`: examples out of whatever a user has: a path or a name, a DataFrame, a `datasets.Dataset`, rows."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, cast, runtime_checkable

from reasondistill.contracts.records import Example
from reasondistill.data.layout import Choice, iterate, look
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.readers.own_tables import ColumnMapping, read_rows
from reasondistill.data.recognising import recognise_data, recognise_examples
from reasondistill.data.sources import load
from reasondistill.errors import DataError, MissingExtraError
from reasondistill.tasks.task import Task, get_task

_LOG = logging.getLogger(__name__)

NAME: Final = "data"
"""What rows in memory are called, in messages and in ids of rows that have none."""

_SAVED: Final = ("dataset_dict.json", "state.json")
"""Files by which a folder of `datasets.save_to_disk` is known."""

NO_LABEL: Final = -1
"""What stands for a row without a label where labels are numbers with names, as on the hub."""


@runtime_checkable
class Frame(Protocol):
    """A table of columns, as pandas and polars have it."""

    @property
    def columns(self) -> Any: ...

    def __getitem__(self, name: Any) -> Any: ...


Source: TypeAlias = str | Path | Loaded | Frame | Mapping[str, Any] | Iterable[Mapping[str, Any] | Example]
"""What `load_dataset` takes."""


def load_dataset(
    source: Source,
    *,
    text: str | Sequence[str] | None = None,
    label: str | None = None,
    explanation: str | Sequence[str] | None = None,
    id: str | None = None,
    group: str | None = None,
    split: str | None = None,
    task: Task | str | None = None,
    columns: ColumnMapping | None = None,
) -> Loaded:
    """Read a data set.

    >>> load_dataset([{"text": "The app closes.", "category": "bug", "why": "It crashes."}]).task.labels
    ('bug',)

    Args:
        source: a path or registered name, as `load` takes it; a folder of `datasets.save_to_disk`; a hub id, such as
            ``stanfordnlp/snli``; a pandas or polars DataFrame; a `datasets.Dataset` or `DatasetDict`; dictionaries, one
            a row; or `Example` objects.
        text: the column with the input, or several.
        label: the column with the label; "" where there is none.
        explanation: the column with explanations, or several; "" where there is none.
        id: the column with the rows' ids.
        group: rows with the same value there stay in one split.
        split: keep this split only.
        task: fields and labels that the rows must have: a task, the name of a built-in one or a YAML file.
        columns: what → its column, instead of the arguments above.

    What is not named is told by the columns' names and values; ``task`` of what is returned says how it came out.

    Raises:
        DataError: the source cannot be read, or its columns do not tell what they hold.
        MissingExtraError: it is a hub id or a saved folder, and `datasets` is not installed.
    """
    choice = _choice(text, label, explanation, id, group)
    task = get_task(task) if isinstance(task, str) else task
    if isinstance(source, Loaded):
        loaded = source
    elif isinstance(source, str | Path) and not _is_of_datasets(source):
        loaded = _of_path(source, task, columns, choice)
    else:
        loaded = _of_rows(_rows(source), task, columns, choice)
    return loaded if split is None else loaded[split]


def examples_for(task: Task, data: Source | Sequence[str]) -> Sequence[Example]:
    """The examples of a known task in whatever a user has; labels and explanations are not needed.

    Args:
        data: as `load_dataset` takes it, or, for a task with one field, texts.

    Raises:
        DataError: it lacks a field of the task.
    """
    if isinstance(data, Loaded):
        return data.examples
    if isinstance(data, Sequence) and not isinstance(data, str):
        # The first one tells: examples may be built as they are looked at, and all alike.
        first = data[0] if len(data) else None
        if first is None or isinstance(first, Example):
            return cast("Sequence[Example]", data)
        if isinstance(first, str):
            data = _rows_of_texts(task, cast("Sequence[str]", data))
    return load_dataset(cast("Source", data), task=task).examples


def _rows_of_texts(task: Task, texts: Sequence[str]) -> list[dict[str, Any]]:
    if len(task.fields) > 1:
        raise DataError(
            NAME,
            expected=f"rows with the fields {', '.join(task.fields)}",
            found="single texts",
            fix=f"Give dictionaries: [{dict.fromkeys(task.fields, '…')}].",
        )
    return [{task.fields[0]: text} for text in texts]


def _choice(
    text: str | Sequence[str] | None,
    label: str | None,
    explanation: str | Sequence[str] | None,
    identity: str | None,
    group: str | None,
) -> Choice | None:
    if all(value is None for value in (text, label, explanation, identity, group)):
        return None
    return Choice(
        text=_several(text) or (),
        label=label,
        explanation=_several(explanation),
        id=identity,
        group=group,
    )


def _several(names: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    return tuple(name for name in ([names] if isinstance(names, str) else names) if name)


def _of_path(source: str | Path, task: Task | None, columns: ColumnMapping | None, choice: Choice | None) -> Loaded:
    if task is None:
        recognised = recognise_data(source, columns, choice)
        return load(source, task=recognised.task, columns=recognised.columns, need_label=False)
    if choice is not None:
        columns = choice.mapping(task)
    return load(source, task=task, columns=columns, need_label=False)


def _of_rows(
    rows: Sequence[Mapping[str, Any] | Example],
    task: Task | None,
    columns: ColumnMapping | None,
    choice: Choice | None,
) -> Loaded:
    if rows and isinstance(rows[0], Example):
        return _of_examples(cast("Sequence[Example]", rows), task)
    table = cast("Sequence[Mapping[str, Any]]", rows)

    numbered = iterate(table)
    header = list(dict.fromkeys(name for row in table for name in row))
    if task is None and "fields" not in header:
        layout = look(NAME, numbered, choice or (Choice.of(columns) if columns else None))
        task, columns = layout.task(NAME), layout.mapping()
    elif task is None:
        task = recognise_examples(NAME, (Example.model_validate({"id": "1", **row}) for row in table))
    elif choice is not None:
        columns = choice.mapping(task)
    return read_rows(Path(NAME), numbered, task, columns, header=header, need_label=False)


def _of_examples(examples: Sequence[Example], task: Task | None) -> Loaded:
    task = task or recognise_examples(NAME, examples)

    def read(_: Counter[str]) -> Iterable[tuple[str, Example]]:
        return ((f"{NAME}:{number}", example) for number, example in enumerate(examples, start=1))

    return gather(NAME, NAME, read, task)


def _is_of_datasets(source: str | Path) -> bool:
    """Whether a source is a folder that `datasets` saved, or looks like an id on the hub."""
    path = Path(source)
    if path.is_dir():
        return any((path / name).is_file() for name in _SAVED)
    return isinstance(source, str) and not path.exists() and not path.suffix and source.count("/") == 1


def _rows(source: object) -> Sequence[Mapping[str, Any] | Example]:
    """The rows of what is no path of ours, one dictionary each."""
    if isinstance(source, str | Path):
        source = _of_datasets(source)
    if isinstance(source, Mapping):  # a DatasetDict, or splits by name
        return [
            {**row, "split": row.get("split") or name}
            for name, part in source.items()
            for row in cast("Sequence[dict[str, Any]]", _rows(part))
        ]
    if hasattr(source, "features") and hasattr(source, "column_names"):
        return _of_dataset(source)
    if isinstance(source, Frame) and not isinstance(source, str):
        return _of_frame(source)
    if isinstance(source, Iterable):
        rows = list(source)
        odd = next((row for row in rows if not isinstance(row, Mapping | Example)), None)
        if odd is None:
            return rows
        source = odd
    raise DataError(
        NAME,
        expected="a path, a name, a DataFrame, a datasets.Dataset, or a list of dictionaries or Examples",
        found=f"{type(source).__name__}",
        fix='Give one dictionary a row: [{"text": "…", "label": "…", "explanation": "…"}, …].',
    )


def _of_datasets(source: str | Path) -> object:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError(f"reading {source}", "train") from error
    if Path(source).is_dir():
        return datasets.load_from_disk(str(source))
    try:
        return datasets.load_dataset(str(source))
    except Exception as error:  # the library raises whatever its parts raise: of the network, the hub, the files
        raise DataError(
            source,
            expected="a file, a registered name, or a data set on the Hugging Face hub",
            found=f"neither a file of that name nor such a set ({type(error).__name__})",
            fix="Check the spelling, the way to the hub, or download the files and name them.",
        ) from error


def _of_dataset(dataset: Any) -> list[dict[str, Any]]:
    """Rows of a `datasets.Dataset`; labels that are numbers with names get their names."""
    named = {name: f for name, f in dataset.features.items() if type(f).__name__ == "ClassLabel"}

    def value(name: str, cell: Any) -> Any:
        if name not in named or cell is None:
            return cell
        return None if cell == NO_LABEL else named[name].int2str(cell)

    return [{name: value(name, cell) for name, cell in row.items()} for row in dataset]


def _of_frame(frame: Frame) -> list[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            NAME, expected="columns of different names", found=f"{twice[0]!r} twice", fix="Rename one of the columns."
        )
    columns = [[_cell(value) for value in _listed(frame[name])] for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _listed(column: Any) -> Iterable[Any]:
    """The values of a column as Python's own."""
    to_list: Callable[[], Iterable[Any]] = getattr(column, "tolist", None) or column.to_list
    return to_list()


def _cell(value: Any) -> Any:
    """A cell; None where a table has one of the values that stand for nothing (NaN, NaT, NA)."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return None if type(value).__name__ in ("NAType", "NaTType") else value
