"""A task in a configuration: by its name, its file, or in full."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from reasondistill.errors import UserError
from reasondistill.tasks.task import Task, get_task


def _task_by_name(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return get_task(value)
    except UserError as error:  # pydantic gathers ValueErrors with the other mistakes
        raise ValueError(f"expected {error.expected}" if error.where == "task" else str(error)) from error


ConfiguredTask = Annotated[Task, BeforeValidator(_task_by_name)]
