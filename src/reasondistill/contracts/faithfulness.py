"""What one test of faithfulness says beside its metrics: written by any test, drawn by reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue, model_validator

from reasondistill.contracts.base import Block, MetricValue, Sparse

Entry = MetricValue | int | float | str | None
"""What a cell of a `DetailTable` holds."""


class DetailTable(Sparse):
    """Labelled figures, the first column naming the row.

    ``drawn`` are columns that a report draws over the first one, which is a number then, in place of the table.
    """

    title: str
    columns: list[str]
    rows: list[list[Entry]]
    note: str = ""
    drawn: list[str] = []


class Quotes(Block):
    """Cases to be read: of each, names and values, the first of which says which case it is."""

    title: str
    cases: list[dict[str, JsonValue]]


class FaithfulnessDetails(Sparse):
    """One test of faithfulness.

    Attributes:
        settings: what its figures depend on.
        metrics: the names of those that it gave; their values are among the metrics of the results.
        not_measured: metrics that it did not give this time, and why.
        examples: how many it looked at.
        dropped: how many more of its sample it could not look at, by the reason.
        shortened: how the time budget cut the sample; empty where it did not.
        left_out: why the test was not done; empty where it was.
        figures: sizes, coverage and other figures that stand beside the metrics.
        controls: what the metrics are where they have to be low: control -> metric -> value, None where it has none.
        tables: figures of parts of the sample.
        quotes: cases to be read.
    """

    settings: dict[str, JsonValue] = {}
    metrics: list[str] = []
    not_measured: dict[str, str] = {}
    examples: int | None = None
    dropped: dict[str, int] = {}
    shortened: str = ""
    left_out: str = ""
    figures: dict[str, MetricValue | int | float] = {}
    controls: dict[str, dict[str, float | None]] = {}
    tables: list[DetailTable] = []
    quotes: list[Quotes] = []

    @model_validator(mode="before")
    @classmethod
    def _from_untyped(cls, value: object) -> object:
        """Results written before the details had a form of their own: numbers become figures, lists quotes."""
        if not isinstance(value, Mapping) or value.keys() <= cls.model_fields.keys():
            return value
        own = {key: part for key, part in value.items() if key in cls.model_fields}
        other = {key: part for key, part in value.items() if key not in cls.model_fields}
        controls = {
            name: control if isinstance(control, Mapping) else {"": control}
            for name, control in own.get("controls", {}).items()
        }
        figures = {**own.get("figures", {}), **dict(_numbers(other))}
        quotes = [{"title": key, "cases": part} for key, part in other.items() if _is_records(part)]
        return own | {"controls": controls, "figures": figures, "quotes": [*own.get("quotes", []), *quotes]}


_FIGURE: Final = {"value", "n"}


def _numbers(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every number in nested dictionaries, and every metric, as ``outer.inner``."""
    for key, part in value.items():
        if isinstance(part, Mapping):
            if part.keys() >= _FIGURE and part["value"] is not None:
                yield f"{prefix}{key}", {name: part[name] for name in ("value", "ci95", "n") if name in part}
            else:
                yield from _numbers(part, f"{prefix}{key}.")
        elif isinstance(part, int | float) and not isinstance(part, bool):
            yield f"{prefix}{key}", part


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)
