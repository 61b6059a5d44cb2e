"""From a teacher's settings to the backend that asks it."""

from __future__ import annotations

from reasondistill.tasks.task import Task
from reasondistill.teachers.backends.backend import Backend
from reasondistill.teachers.backends.unopened import UnopenedBackend
from reasondistill.teachers.teach_settings import (
    ApiTeacher,
    ClassifierTeacher,
    GgufTeacher,
    RecordedTeacher,
    StudentTeacher,
    TeacherSettings,
    TransformersTeacher,
)


def open_backend(teacher: TeacherSettings, task: Task, *, check: bool = True) -> Backend:
    """Load or reach a teacher.

    Args:
        check: see that a server answers, and that there is a key for it, or load a model; without, it is not to be
            asked.

    Raises:
        UserError: it is not there, or answers another task.
        MissingExtraError: what it needs is not installed.
    """
    if isinstance(teacher, ApiTeacher):
        return _behind_a_server(teacher, check)
    return _in_this_process(teacher, task) if check else UnopenedBackend(teacher.name)


def _in_this_process(teacher: TeacherSettings, task: Task) -> Backend:
    if isinstance(teacher, GgufTeacher):
        from reasondistill.teachers.backends.gguf import GgufBackend

        return GgufBackend(teacher)
    if isinstance(teacher, TransformersTeacher):
        from reasondistill.teachers.backends.transformers_model import TransformersBackend

        return TransformersBackend(teacher)
    if isinstance(teacher, ClassifierTeacher):
        from reasondistill.teachers.backends.classifier import ClassifierBackend

        return ClassifierBackend(teacher, task)
    if isinstance(teacher, StudentTeacher):
        from reasondistill.teachers.backends.student_backend import StudentBackend

        return StudentBackend(teacher, task)
    assert isinstance(teacher, RecordedTeacher)
    from reasondistill.teachers.backends.recorded import RecordedBackend

    return RecordedBackend(teacher)


def _behind_a_server(teacher: ApiTeacher, check: bool) -> Backend:
    from reasondistill.teachers.backends.chat import Chat
    from reasondistill.teachers.backends.completions import Completions
    from reasondistill.teachers.backends.openai_client import ApiBackend, Dialect
    from reasondistill.teachers.backends.responses import Responses

    dialects: dict[str, type[Dialect]] = {"chat": Chat, "completions": Completions, "responses": Responses}
    if teacher.api == "batch":
        from reasondistill.teachers.backends.batches import BatchBackend

        return BatchBackend(teacher, check=check)
    return ApiBackend(teacher, dialects[teacher.api](), check=check)
