"""Distil labels and written explanations into small encoder-decoder students that answer and explain.

>>> import reasondistill as rd
>>> rd.Student.load("builtin:scenes").explain(premise="A man is asleep.", hypothesis="A man is swimming.").label
'contradiction'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasondistill import errors as errors
    from reasondistill import inspection as inspection
    from reasondistill import metrics as metrics
    from reasondistill.api import audit as audit
    from reasondistill.api import calibrate as calibrate
    from reasondistill.api import compare as compare
    from reasondistill.api import evaluate as evaluate
    from reasondistill.api import export as export
    from reasondistill.api import federate as federate
    from reasondistill.api import report as report
    from reasondistill.api import sweep as sweep
    from reasondistill.api import train as train
    from reasondistill.api import verify as verify
    from reasondistill.contracts.records import Example as Example
    from reasondistill.contracts.records import Explanation as Explanation
    from reasondistill.contracts.records import Prediction as Prediction
    from reasondistill.data import load_dataset as load_dataset
    from reasondistill.judges import Judge as Judge
    from reasondistill.runs import Run as Run
    from reasondistill.serving import Client as Client
    from reasondistill.serving import serve as serve
    from reasondistill.students.student import Student as Student
    from reasondistill.tasks.task import Task as Task
    from reasondistill.teachers.teacher import Teacher as Teacher
    from reasondistill.training.federated.federated_client import FederatedClient as FederatedClient
    from reasondistill.updating import update as update

__version__: str

_FROM = {
    "reasondistill.api": (
        "audit",
        "calibrate",
        "compare",
        "evaluate",
        "export",
        "federate",
        "report",
        "sweep",
        "train",
        "verify",
    ),
    "reasondistill.contracts.records": ("Example", "Explanation", "Prediction"),
    "reasondistill.data": ("load_dataset",),
    "reasondistill.judges": ("Judge",),
    "reasondistill.runs": ("Run",),
    "reasondistill.serving": ("Client", "serve"),
    "reasondistill.students.student": ("Student",),
    "reasondistill.tasks.task": ("Task",),
    "reasondistill.teachers.teacher": ("Teacher",),
    "reasondistill.updating": ("update",),
    "reasondistill.training.federated.federated_client": ("FederatedClient",),
}
_MODULES = ("errors", "inspection", "metrics")

__all__ = [
    "Client",
    "Example",
    "Explanation",
    "FederatedClient",
    "Judge",
    "Prediction",
    "Run",
    "Student",
    "Task",
    "Teacher",
    "__version__",
    "audit",
    "calibrate",
    "compare",
    "errors",
    "evaluate",
    "export",
    "federate",
    "inspection",
    "load_dataset",
    "metrics",
    "report",
    "serve",
    "sweep",
    "train",
    "update",
    "verify",
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
