"""``task.json`` beside a student's weights: what it was trained to answer, and how it is asked."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from reasondistill.config import Generation
from reasondistill.errors import CheckpointError
from reasondistill.files import read_json, write_json
from reasondistill.tasks import OutputOrder, Task
from reasondistill.wording import Phrase

TASK_FILE = "task.json"
SCHEMA_VERSION = 1


class StudentTask(BaseModel):
    """What a student was trained to answer, and how it is asked: the content of ``task.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    task: Task
    order: OutputOrder
    max_source_length: int
    max_target_length: int
    generation: Generation
    phrases: tuple[Phrase, ...] = ()
    """With which it ends its explanations to say how sure it is, and what each states."""

    def save(self, folder: str | Path) -> None:
        # A student without phrases keeps the file, and so the fingerprint, that it had before there were any.
        value = self.model_dump(mode="json", exclude=None if self.phrases else {"phrases"})
        write_json(Path(folder) / TASK_FILE, value)

    @classmethod
    def load(cls, folder: str | Path) -> StudentTask:
        """Read ``task.json``.

        Raises:
            CheckpointError: the folder is no student, or one of another schema version.
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
        value = read_json(path)
        if value.get("schema_version") != SCHEMA_VERSION:
            raise CheckpointError(
                path, expected=f"schema version {SCHEMA_VERSION}", found=repr(value.get("schema_version"))
            )
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
            raise CheckpointError(path, expected="a student's task", found=problems) from error
