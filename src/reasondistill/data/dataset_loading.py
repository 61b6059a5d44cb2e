"""`load_dataset`: examples out of whatever a user has: a path or a name, a DataFrame, a `datasets.Dataset`, rows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from reasondistill.contracts.records import Example
from reasondistill.data.layout import Choice, one_of
from reasondistill.data.loaded import Loaded, gather
from reasondistill.data.notices import say_unlabelled
from reasondistill.data.readers.any_table import table_of_rows
from reasondistill.data.readers.in_memory import NAME, Frame, Records, cell, rows_in_memory
from reasondistill.data.readers.own_tables import ColumnMapping, plain_columns, value_text
from reasondistill.data.recognising import Recognised, recognise_data, recognise_examples, recognise_table
from reasondistill.data.sources import load, load_table
from reasondistill.errors import DataError
from reasondistill.tasks.task import Task, get_task

_LOG = logging.getLogger(__name__)

Source: TypeAlias = str | Path | Loaded | Frame | Mapping[str, object] | Iterable[Mapping[str, object] | Example]
"""What `load_dataset` takes."""


def load_dataset(
    source: Source,
    *,
    text: str | Sequence[str] | None = None,
    label: str | None = None,
    answer: str | None = None,
    explanation: str | Sequence[str] | None = None,
    id: str | None = None,
    group: str | None = None,
    split: str | None = None,
    task: Task | str | None = None,
    columns: ColumnMapping | None = None,
    label_values: Mapping[Any, str] | Sequence[str] | None = None,
) -> Loaded:
    """Read a data set.

    >>> load_dataset([{"text": "The app closes.", "category": "bug", "why": "It crashes."}]).task.labels
    ('bug',)

    Args:
        source: a path, a registered name or a hub id, as `load` takes it; a pandas or polars DataFrame; a
            `datasets.Dataset` or `DatasetDict`; dictionaries, one a row; or `Example` objects.
        text: the column with the input, or several.
        label: the column with the label; "" where there is none.
        answer: the column with the answer, where it is a text to write and no label to choose.
        explanation: the column with explanations, or several; "" where there is none.
        id: the column with the rows' ids.
        group: rows with the same value there stay in one split.
        split: keep this split only.
        task: fields and labels that the rows must have: a task, the name of a built-in one or a YAML file.
        columns: what → its column, instead of the arguments above.
        label_values: what the label's values mean: ``{0: "entailment", 1: "neutral"}``, or the labels of the numbers
            from 0 on; "" where one means no label.

    What is not named is told by the columns' names and values; ``task`` of what is returned says how it came out.

    Raises:
        DataError: the source cannot be read, or its columns do not tell what they hold.
        MissingExtraError: it is a hub id or a saved folder, and `datasets` is not installed.
    """
    choice = _choice(text, label, answer, explanation, id, group)
    if (choice is not None or columns or label_values) and (name := _read_before(source)) is not None:
        raise DataError(
            name,
            expected="a source with columns, where columns are named",
            found="examples that were read already",
            fix="Name the columns where the file or the rows are read.",
        )
    task = get_task(task) if isinstance(task, str) else task
    if label_values is not None and not isinstance(label_values, Mapping):
        if not isinstance(label_values, Sequence) or isinstance(label_values, str):
            raise DataError(
                "label_values",
                expected="a mapping of values to labels, or the labels of the numbers from 0 on",
                found=f"{label_values!r}",
                fix='Write it as {0: "entailment", 1: "neutral"}, or as ["entailment", "neutral"].',
            )
        label_values = dict(enumerate(label_values))
    if label_values:
        values = {value_text(value): name for value, name in label_values.items()}
        if choice is None:
            columns = {**(columns or {}), "label_values": values}
        else:
            choice = replace(choice, label_values=values)
    if isinstance(source, Loaded):
        loaded = source if task is None or task == source.task else _held_to(task, source)
    elif isinstance(source, str | Path):
        loaded = _of_path(source, task, columns, choice)
    else:
        loaded = _of_rows(rows_in_memory(source), task, columns, choice)
    return loaded if split is None else loaded[split]


def _read_before(source: Source) -> str | None:
    """The name of a source that has no columns any more."""
    if isinstance(source, Loaded):
        return source.name
    of_examples = isinstance(source, Sequence) and bool(source) and isinstance(source[0], Example)
    return NAME if of_examples else None


def examples_for(task: Task, data: Source | Sequence[str]) -> Sequence[Example]:
    """The examples of a known task in whatever a user has; labels and explanations are not needed.

    Args:
        data: as `load_dataset` takes it, or, for a task with one field, texts.

    Raises:
        DataError: it lacks a field of the task.
    """
    if isinstance(data, Loaded):
        return data.examples
    if isinstance(data, str) and _is_a_text(data):
        raise DataError(
            "data",
            expected="a file, a name, or rows",
            found=f"a text: {data[:40]!r}",
            fix="Put it in a list, as one of several: [text].",
        )
    if isinstance(data, Sequence) and not isinstance(data, str):
        # The first one tells: examples may be built as they are looked at, and all alike.
        if not len(data) or isinstance(data[0], Example):
            return cast("Sequence[Example]", data)
        if are_texts(data):
            data = _rows_of_texts(task, cast("Sequence[str | None]", data))
    loaded = load_dataset(cast("Source", data), task=task)
    if unanswered := loaded.unanswered(task):
        _LOG.warning("%s: not answered: %s", loaded.name, unanswered)
    return loaded.examples


def are_texts(data: object) -> bool:
    """Whether it is a list of texts, of which some may be missing: None, or NaN in a column of pandas."""
    if not isinstance(data, Sequence) or isinstance(data, str | bytes) or not len(data):
        return False
    return isinstance(cell(data[0]), str | None)


def _is_a_text(data: str) -> bool:
    """Whether it is words in place of a path: spaces are in it, no ending of a file, and nothing lies there."""
    if not any(map(str.isspace, data)) or Path(data).suffix[1:].isalnum():
        return False
    try:
        return not Path(data).exists()
    except (OSError, ValueError):  # too long for a path, or with characters that none has
        return True


def as_sequence(data: Any) -> Any:
    """A column, an array or a generator as a list; anything else as it is."""
    if isinstance(data, Iterator):
        return list(data)
    for name in ("to_list", "tolist"):  # of pandas' and polars' series, of NumPy's arrays
        if len(getattr(data, "shape", ())) == 1 and callable(listed := getattr(data, name, None)):
            return listed()
    return data


def _rows_of_texts(task: Task, texts: Sequence[str | None]) -> list[dict[str, object]]:
    odd = next((k for k, text in enumerate(texts, start=1) if not isinstance(cell(text), str | None)), None)
    if odd is not None:
        raise DataError(
            f"{NAME}:{odd}",
            expected="a text, as the first one is",
            found=f"a {type(texts[odd - 1]).__name__}",
            fix="Give texts only, or dictionaries only.",
        )
    if len(task.fields) > 1:
        raise DataError(
            NAME,
            expected=f"rows with the fields {', '.join(task.fields)}",
            found="single texts",
            fix=f"Give dictionaries: [{dict.fromkeys(task.fields, '…')}].",
        )
    return [{task.fields[0]: cell(text)} for text in texts]


def _choice(
    text: str | Sequence[str] | None,
    label: str | None,
    answer: str | None,
    explanation: str | Sequence[str] | None,
    identity: str | None,
    group: str | None,
) -> Choice | None:
    if all(value is None for value in (text, label, answer, explanation, identity, group)):
        return None
    return Choice(
        text=_several(text) or (),
        label=one_of(label, answer),
        written=bool(answer),
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
        task, columns = recognised.task, recognised.columns
    elif choice is not None:
        columns = choice.mapping(task)
    loaded = load(source, task=task, columns=columns, need_label=False)
    return replace(loaded, columns=plain_columns(columns))


def _of_rows(rows: Records, task: Task | None, columns: ColumnMapping | None, choice: Choice | None) -> Loaded:
    if rows and isinstance(rows[0], Example):
        return _of_examples(cast("Sequence[Example]", rows), task)
    notes: list[str] = []
    table = table_of_rows(cast("Sequence[Mapping[str, Any]]", rows), notes)
    if task is None:
        recognised = recognise_table(table, columns, choice=choice)
    else:
        recognised = Recognised(task, "task", columns if choice is None else choice.mapping(task))
    loaded = load_table(table, recognised.task, recognised.columns, need_label=False, notes=notes)
    say_unlabelled(NAME, loaded)
    return replace(loaded, columns=plain_columns(recognised.columns))


def _held_to(task: Task, data: Loaded) -> Loaded:
    """What was read for another task, as rows of this one."""
    rows = _of_examples(data.examples, task)
    aside = Counter(data.set_aside) + Counter(rows.set_aside)
    return replace(data, examples=rows.examples, set_aside=dict(aside), task=task)


def _of_examples(examples: Sequence[Example], task: Task | None) -> Loaded:
    task = task or recognise_examples(NAME, examples)

    def read(_: Counter[str]) -> Iterable[tuple[str, Example]]:
        return ((f"{NAME}:{number}", example) for number, example in enumerate(examples, start=1))

    return gather(NAME, NAME, read, task)
