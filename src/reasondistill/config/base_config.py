"""Base of all configurations, and the ranges that several of them share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
