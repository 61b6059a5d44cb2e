"""Students: made from a hub checkpoint, from scratch or from an encoder; saved and loaded."""

from reasondistill.students.build import create_student
from reasondistill.students.checkpoint import Checkpoint, load_checkpoint
from reasondistill.students.student_task import StudentTask

__all__ = ["Checkpoint", "StudentTask", "create_student", "load_checkpoint"]
