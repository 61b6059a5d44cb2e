"""Base of all configurations, and the ranges that several of them share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(ge=1, lt=2**31)]
LearningRate = Annotated[float, Field(gt=0, le=1e9)]
LONGEST = 16_384
"""Most tokens of a prompt or of a text that is written: what is longer is a slip, and would take all memory."""
MOST_BEAMS = 64
BUDGET = 120.0
"""Default time limit for measuring a student's costs, in seconds."""
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]


class Config(BaseModel):
    """Base of all configurations: frozen, and an unknown key is a mistake at every level."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_value_is_a_number(cls, value: object) -> object:
        # pydantic takes true for 1: one row, one layer, seed 1.
        for name, given in value.items() if isinstance(value, Mapping) else ():
            field = cls.model_fields.get(name)
            if isinstance(given, bool) and field is not None and _is_number(field.annotation):
                raise ValueError(f"{name}: expected a number, found {str(given).lower()}")
        return value


def _is_number(annotation: object) -> bool:
    """Whether a field takes numbers, and no truth values."""
    kinds = [annotation, *_within(annotation)]
    return any(kind in (int, float) for kind in kinds) and bool not in kinds


def _within(annotation: object) -> Iterator[object]:
    for inner in get_args(annotation):
        yield inner
        yield from _within(inner)
