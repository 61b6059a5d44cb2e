"""``per_example.jsonl``: a system's answer to each example, with the scores that evaluation gave it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PlainValidator, ValidationError

from reasondistill.contracts.records import Id, problems_of, unique_ids
from reasondistill.errors import DataError
from reasondistill.storage.files import read_jsonl, write_jsonl

SCORED_ROWS_FILE = "per_example.jsonl"

_WRITTEN_LAST = frozenset({"error", "slices", "teacher_label"})
"""Keys that come after the scores, as they always have."""


def _score(value: object) -> bool | int | float | None:
    # JSON written by Python may hold NaN and Infinity; one of them would make a mean of nothing.
    if value is None or (isinstance(value, bool | int | float) and math.isfinite(value)):
        return value
    raise ValueError(f"{value!r} is no score; one is a number, true, false or null")


Score = Annotated[bool | int | float | None, PlainValidator(_score)]
"""A row's value of one metric: a number, a truth value, or None where the metric says nothing of the row."""


class ScoredRow(BaseModel):
    """One line of ``per_example.jsonl``. Its scores are the extra keys, so that a new metric is a new key.

    ``correct`` is None without a gold label, or where the system gives no labels at all. ``error`` says what is wrong:
    none, label, explanation or both.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)
    __pydantic_extra__: dict[str, Score] = Field(init=False)

    id: Id
    group: str | None = None
    gold: str | None = None
    label: str | None = None
    correct: bool | None = None
    probabilities: dict[str, Annotated[FiniteFloat, Field(ge=0, le=1)]] | None = None
    probability: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    """Of a written answer, as in its prediction."""
    accepted: list[str] | None = None
    """Answers beside ``gold`` that count as right."""
    explanation: str | None = None
    confidence_phrase: str | None = None
    references: list[str] | None = None
    fields: dict[str, str] = {}
    error: str | None = None
    slices: list[str] | None = None
    teacher_label: str | None = None

    @property
    def group_key(self) -> tuple[str] | str:
        """What ties rows together: the group, or the row's own id, which no group's name can equal."""
        return self.id if self.group is None else (self.group,)

    @property
    def confidence(self) -> float | None:
        """The probability of the predicted label, or written answer, where the system gave one."""
        return self.probability if self.probability is not None else (self.probabilities or {}).get(self.label or "")

    @property
    def scores(self) -> dict[str, bool | int | float]:
        """Every score that the row has, by its name in the file."""
        return {name: value for name, value in self.__pydantic_extra__.items() if value is not None}

    def score(self, name: str) -> bool | int | float | None:
        """A score by its name in the file, or ``correct``; None where the row has none."""
        return self.correct if name == "correct" else self.__pydantic_extra__.get(name)

    def with_scores(self, scores: Mapping[str, bool | int | float | None]) -> Self:
        """The row with more scores."""
        return self.model_validate({**self.model_dump(exclude_unset=True), **scores})


def read_scored_rows(path: str | Path) -> list[ScoredRow]:
    """Read ``per_example.jsonl``.

    Raises:
        DataError: a line does not fit, a score is NaN, infinite or no number, or an id occurs twice.
    """

    def rows() -> Iterator[tuple[str, ScoredRow]]:
        for number, row in read_jsonl(path):
            where = f"{path}:{number}"
            try:
                yield where, ScoredRow.model_validate(row)
            except ValidationError as error:
                raise DataError(
                    where,
                    expected="a scored row, as `reasondistill evaluate` writes it",
                    found=problems_of(error),
                    fix="Evaluate again.",
                ) from error

    return list(unique_ids(rows()))


def write_scored_rows(path: str | Path, rows: Iterable[ScoredRow]) -> None:
    """Write ``per_example.jsonl``, atomically: of each row the keys that were set.

    Raises:
        OutputError: it cannot be written there.
    """
    write_jsonl(path, map(_as_json, rows))


def _as_json(row: ScoredRow) -> dict[str, object]:
    values = row.model_dump(mode="json", exclude_unset=True)
    last = {name: values.pop(name) for name in _WRITTEN_LAST.intersection(values)}
    return values | {name: last[name] for name in ScoredRow.model_fields if name in last}
