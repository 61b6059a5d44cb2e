"""``task.json`` in a student's folder: the task it was trained on, and its prompts and settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reasondistill.config import LONGEST, Generation
from reasondistill.contracts.records import read_model
from reasondistill.errors import CheckpointError
from reasondistill.storage.files import write_json
from reasondistill.tasks.task import OutputOrder, Task
from reasondistill.tasks.verbalized_confidence import Phrase, phrases_problem

TASK_FILE = "task.json"
SCHEMA_VERSION = 1


class StudentTask(BaseModel):
    """A student's task, output order, length limits and generation settings: the content of ``task.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: int = SCHEMA_VERSION
    task: Task
    order: OutputOrder
    max_source_length: Annotated[int, Field(ge=1, le=LONGEST)]
    max_target_length: Annotated[int, Field(ge=1, le=LONGEST)]
    generation: Generation
    phrases: tuple[Phrase, ...] = ()
    """The phrases that end its explanations and say how sure it is, with the probability that each states."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.phrases and (problem := phrases_problem([phrase.text for phrase in self.phrases])):
            raise ValueError(problem)
        return self

    def save(self, folder: str | Path) -> None:
        # Without phrases the file, and so the fingerprint, is the same as in versions before phrases.
        value = self.model_dump(mode="json", exclude=None if self.phrases else {"phrases"})
        write_json(Path(folder) / TASK_FILE, value)

    @classmethod
    def load(cls, folder: str | Path) -> StudentTask:
        """Read ``task.json``.

        Raises:
            CheckpointError: the folder is not a student, its schema version is unknown, or its task is damaged.
        """
        path = Path(folder) / TASK_FILE
        if not path.is_file():
            what = "no such folder" if not Path(folder).exists() else f"no {TASK_FILE} in it"
            raise CheckpointError(
                folder,
                expected="a student folder, as `reasondistill train` writes it",
                found=what,
                fix="Name a run, or the folder `student` inside it.",
            )
        fix = "Copy the student's folder again."
        return read_model(cls, path, SCHEMA_VERSION, expected="a student's task", fix=fix)
