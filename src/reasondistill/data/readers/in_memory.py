"""Rows of what Python holds: frames of pandas and polars, sets of `datasets`, lists of dictionaries."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast, runtime_checkable

from reasondistill.contracts.records import Example
from reasondistill.data.readers.flat_rows import Cells
from reasondistill.data.readers.json_files import rows_in
from reasondistill.data.readers.parquet_files import with_names
from reasondistill.errors import DataError, importing

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

NAME: Final = "data"
"""What rows in memory are called, in messages and in ids of rows that have none."""

_SAVED: Final = ("dataset_dict.json", "state.json")
"""Files by which a folder of `datasets.save_to_disk` is known."""


@runtime_checkable
class Frame(Protocol):
    """A table of columns, as pandas and polars have it."""

    @property
    def columns(self) -> Iterable[object]: ...

    def __getitem__(self, name: object) -> Any: ...


Records = Sequence[Cells | Example]


def is_of_datasets(source: object) -> bool:
    """Whether a source is a folder that `datasets` saved, or looks like an id on the hub: ``owner/name``, with the name
    of a configuration behind it where the set has several: ``nyu-mll/glue#mnli``."""
    if not isinstance(source, str | Path):
        return False
    path = Path(source)
    if path.is_dir():
        return any((path / name).is_file() for name in _SAVED)
    name = str(source).split("#")[0]
    is_id = isinstance(source, str) and name.count("/") == 1 and not Path(name).suffix and all(name.split("/"))
    return is_id and not path.exists() and not name.startswith((".", "~"))


def dataset_rows(source: str | Path) -> Callable[[], Iterator[dict[str, object]]]:
    """What begins to read the rows of a saved folder or a set on the hub anew; each names its split.

    Raises:
        MissingExtraError: `datasets` is not installed.
        DataError: there is no such set, or no way to it.
    """
    parts = _parts(_opened(source))
    return lambda: chain.from_iterable(_rows_of(part, split) for split, part in parts)


def rows_in_memory(source: object) -> Records:
    """The rows of anything in memory.

    Raises:
        DataError: it is nothing that has rows.
    """
    if hasattr(source, "collect") and hasattr(source, "collect_schema"):  # polars' LazyFrame
        source = source.collect()
    if _is_dataset(source) or (isinstance(source, Mapping) and all(map(_is_dataset, source.values()))):
        return [row for split, part in _parts(source) for row in _rows_of(part, split)]
    if isinstance(source, Mapping) and not _has_examples(source) and (rows := rows_in(source)) is not None:
        return rows
    if isinstance(source, Mapping) and source and all(isinstance(value, str) for value in source.values()):
        raise DataError(
            NAME,
            expected="rows, or splits of rows by name",
            found=f"a dictionary of texts: {', '.join(map(str, source))}",
            fix="Put it in a list where it is one row: [row].",
        )
    if isinstance(source, Mapping):  # splits by name
        return [_in_split(row, name) for name, part in source.items() for row in rows_in_memory(part)]
    if hasattr(source, "to_pylist") and hasattr(source, "schema"):  # a table of pyarrow
        return cast("Records", source.to_pylist())
    if isinstance(source, Frame) and not isinstance(source, str):
        return _of_frame(source)
    if isinstance(source, Iterable) and not isinstance(source, str | bytes):
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


def _in_split(row: Mapping[str, object] | Example, name: str) -> Cells | Example:
    if isinstance(row, Example):
        return row if row.split else row.model_copy(update={"split": name})
    return {**row, "split": row.get("split") or name}


def _has_examples(source: Mapping[str, object]) -> bool:
    return any(isinstance(part, Sequence) and part and isinstance(part[0], Example) for part in source.values())


def _opened(source: str | Path) -> Dataset | DatasetDict:
    with importing(f"reading {source}", "train"):
        import datasets
    if Path(source).is_dir():
        return datasets.load_from_disk(str(source))
    return _of_hub(str(source))


@lru_cache(maxsize=4)
def _of_hub(source: str) -> Dataset | DatasetDict:
    """A set on the hub; kept, as every look at a source opens it."""
    import datasets

    name, _, configuration = source.partition("#")
    try:
        return datasets.load_dataset(name, configuration or None)
    except Exception as error:  # the library raises whatever its parts raise: of the network, the hub, the files
        if "Config name is missing" in str(error):
            raise DataError(
                source,
                expected="the name of one of its configurations",
                found=" ".join(str(error).split())[:300],
                fix=f"Write it behind the id: {name}#CONFIGURATION.",
            ) from error
        raise DataError(
            source,
            expected="a file, a registered name, or a data set on the Hugging Face hub",
            found=f"neither a file of that name nor such a set ({type(error).__name__})",
            fix="Check the spelling, the way to the hub, or download the files and name them.",
        ) from error


def _is_dataset(source: object) -> bool:
    return hasattr(source, "features") and hasattr(source, "column_names")


def _parts(dataset: object) -> list[tuple[str | None, Dataset]]:
    return [*dataset.items()] if isinstance(dataset, Mapping) else [(None, dataset)]


def _rows_of(dataset: Dataset, split: str | None) -> Iterator[dict[str, object]]:
    """Rows of a `datasets.Dataset`; labels that are numbers with names get their names."""
    names = {name: f.names for name, f in dataset.features.items() if type(f).__name__ == "ClassLabel"}
    for batch in dataset.with_format("arrow").iter(batch_size=1000):
        for row in batch.to_pylist():
            named = with_names(row, names)
            yield named if split is None else {**named, "split": named.get("split") or split}


def with_named_index(frame: Any) -> Any:
    """A frame of pandas with the levels of its index that have a name as columns; any other frame as it is."""
    levels = getattr(getattr(frame, "index", None), "names", None) or ()
    named = [name for name in levels if name is not None and name not in frame.columns]
    return frame.reset_index(named) if named else frame


def _of_frame(frame: Frame) -> list[dict[str, object]]:
    frame = with_named_index(frame)
    names = [str(name) for name in frame.columns]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            NAME, expected="columns of different names", found=f"{twice[0]!r} twice", fix="Rename one of the columns."
        )
    columns = [[cell(value) for value in _listed(frame[name])] for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _listed(column: Any) -> Iterable[object]:
    """The values of a column as Python's own."""
    to_list: Callable[[], Iterable[object]] = getattr(column, "tolist", None) or column.to_list
    return to_list()


def cell(value: Any) -> object:
    """A cell; None where a table has one of the values that stand for nothing (NaN, NaT, NA)."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value.tolist() if type(value).__name__ == "ndarray" else value
