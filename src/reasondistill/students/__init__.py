"""Students: made from a hub checkpoint, from scratch or from an encoder; saved and loaded."""

from reasondistill.student_task import StudentTask
from reasondistill.students.checkpoint import Checkpoint, load_checkpoint
from reasondistill.students.create import create_student

__all__ = ["Checkpoint", "StudentTask", "create_student", "load_checkpoint"]
