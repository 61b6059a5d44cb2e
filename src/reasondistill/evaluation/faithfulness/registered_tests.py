"""Every test of faithfulness that there is: each subclass of `FaithfulnessTest` in this folder, and those of users."""

from __future__ import annotations

from typing import Final, TypeVar

from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest
from reasondistill.storage.class_registry import ClassRegistry

Kind = type[FaithfulnessTest]
_T = TypeVar("_T", bound=Kind)
_TESTS: Final = ClassRegistry(FaithfulnessTest, __name__.rpartition(".")[0], "test")  # type: ignore[type-abstract]


def faithfulness_tests() -> tuple[Kind, ...]:
    """All tests, in the order of their turns."""
    return _TESTS.all()


def faithfulness_test(name: str) -> Kind | None:
    """The test of that name; None where there is none, as of results from elsewhere."""
    return _TESTS.get(name)


def register(kind: _T) -> _T:
    """Make a test of one's own one of the tests of every student, in this process; works as a decorator.

    Registering a name again replaces it, so that a notebook's cell can be run twice.

    Raises:
        ConfigError: a test of the package has that name.
    """
    _TESTS.register(kind)
    return kind


def forget(name: str) -> None:
    """Undo `register`."""
    _TESTS.forget(name)
