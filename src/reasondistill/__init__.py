"""Distil labels and written explanations into small encoder-decoder students that answer and explain.

>>> import reasondistill as rd
>>> rd.Student.load("builtin:scenes").explain(premise="A man is asleep.", hypothesis="A man is swimming.").label
'contradiction'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasondistill import errors as errors
    from reasondistill import metrics as metrics
    from reasondistill.api import audit as audit
    from reasondistill.api import calibrate as calibrate
    from reasondistill.api import compare as compare
    from reasondistill.api import evaluate as evaluate
    from reasondistill.api import export as export
    from reasondistill.api import report as report
    from reasondistill.api import train as train
    from reasondistill.contracts.records import Example as Example
    from reasondistill.contracts.records import Explanation as Explanation
    from reasondistill.contracts.records import Prediction as Prediction
    from reasondistill.data import load_dataset as load_dataset
    from reasondistill.judges import Judge as Judge
    from reasondistill.students.student import Student as Student
    from reasondistill.tasks.task import Task as Task

__version__: str

_FROM = {
    "reasondistill.api": ("audit", "calibrate", "compare", "evaluate", "export", "report", "train"),
    "reasondistill.contracts.records": ("Example", "Explanation", "Prediction"),
    "reasondistill.data": ("load_dataset",),
    "reasondistill.judges": ("Judge",),
    "reasondistill.students.student": ("Student",),
    "reasondistill.tasks.task": ("Task",),
}
_MODULES = ("errors", "metrics")

__all__ = [
    "Example",
    "Explanation",
    "Judge",
    "Prediction",
    "Student",
    "Task",
    "__version__",
    "audit",
    "calibrate",
    "compare",
    "errors",
    "evaluate",
    "export",
    "load_dataset",
    "metrics",
    "report",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for (PEP 562): `import reasondistill` itself imports nothing heavy."""
    if name == "__version__":
        from importlib.metadata import version

        return version("reasondistill")
    if name in _MODULES:
        return import_module(f"reasondistill.{name}")
    for module, names in _FROM.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'reasondistill' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
