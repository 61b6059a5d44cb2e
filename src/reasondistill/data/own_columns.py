"""Columns with the same meaning in every data format: a row's id, group and split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reasondistill.contracts.records import number_as_text
from reasondistill.data.splits import usual_split
from reasondistill.errors import DataError


def own_columns(header: Iterable[str]) -> dict[str, str]:
    """``id``, ``group`` and ``split`` → the column of that name, for those that are there.

    A column called Split counts too: a row that it marks as test must not be trained on.
    """
    columns: dict[str, str] = {}
    for name in header:
        if name in ("id", "group", "split"):
            columns[name] = name
        elif name.strip().casefold() == "split":
            columns.setdefault("split", name)
    return columns


def own_values(row: Mapping[str, object], columns: Mapping[str, str], where: str) -> dict[str, str]:
    """What a row says of its id, group and split; what is empty is left out.

    Raises:
        DataError: one of them is neither a text nor a whole number.
    """
    values = {what: name_of(row.get(column), column, where) for what, column in columns.items()}
    if values.get("split"):
        values["split"] = usual_split(str(values["split"]))
    return {what: value for what, value in values.items() if value}


def name_of(value: object, column: str, where: str) -> str | None:
    """A cell that names something, as text; None where it is empty.

    Raises:
        DataError: it is neither a text nor a whole number.
    """
    value = number_as_text(value)
    if value is None or value != value:  # NaN stands for an empty cell in tables of numbers
        return None
    if isinstance(value, str):
        return value or None
    raise DataError(
        where,
        expected=f"a text in {column!r}",
        found=kind_of(value),
        fix="Write it as a text, or as a whole number.",
    )


def kind_of(value: object) -> str:
    """What a value is, in words."""
    names = {"bool": "a truth value", "float": "a number", "list": "a list", "dict": "an object", "str": "a text"}
    return names.get(type(value).__name__, f"a value of type {type(value).__name__}")
