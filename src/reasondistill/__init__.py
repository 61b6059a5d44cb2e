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
    **dict.fromkeys(
        ("audit", "calibrate", "compare", "evaluate", "export", "federate", "report", "sweep", "train", "verify"), "api"
    ),
    **dict.fromkeys(("Example", "Explanation", "Prediction"), "contracts.records"),
    "load_dataset": "data",
    "Judge": "judges",
    "Run": "runs",
    **dict.fromkeys(("Client", "serve"), "serving"),
    "Student": "students.student",
    "Task": "tasks.task",
    "Teacher": "teachers.teacher",
    "FederatedClient": "training.federated.federated_client",
    "update": "updating",
}
_MODULES = ("errors", "inspection", "metrics")

__all__ = sorted(("__version__", *_FROM, *_MODULES))


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for (PEP 562): `import reasondistill` itself imports nothing heavy."""
    if name == "__version__":
        from importlib.metadata import version

        return version("reasondistill")
    if name in _MODULES:
        return import_module(f"reasondistill.{name}")
    if name in _FROM:
        return getattr(import_module(f"reasondistill.{_FROM[name]}"), name)
    raise AttributeError(f"module 'reasondistill' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
