"""Students: build, save, load, predict.

In come a configuration with examples, or a folder; out goes a `Student` that answers and explains. An `Engine` computes
for it, over PyTorch or CTranslate2 (``engines/``); ``package/`` is the exported form, which needs no PyTorch.
"""

from reasondistill.students.student import Student
from reasondistill.students.student_task import StudentTask

__all__ = ["Student", "StudentTask"]
