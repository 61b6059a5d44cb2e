"""Every test of faithfulness that there is: each subclass of `FaithfulnessTest` in this folder, and those of users."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TypeVar

from reasondistill.errors import ConfigError
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest

Kind = type[FaithfulnessTest]
_T = TypeVar("_T", bound=Kind)
_OWN: dict[str, Kind] = {}


@cache
def _shipped() -> dict[str, Kind]:
    """The tests of this folder, by name."""
    package = __name__.rpartition(".")[0]
    modules = [
        import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(import_module(package).__path__)
    ]
    kinds = [
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, FaithfulnessTest) and kind is not FaithfulnessTest
    ]
    return {kind.name: kind for kind in sorted(kinds, key=lambda kind: kind.turn)}


def faithfulness_tests() -> tuple[Kind, ...]:
    """All tests, in the order of their turns."""
    return tuple(sorted((*_shipped().values(), *_OWN.values()), key=lambda kind: kind.turn))


def faithfulness_test(name: str) -> Kind | None:
    """The test of that name; None where there is none, as of results from elsewhere."""
    return _shipped().get(name) or _OWN.get(name)


def register(kind: _T) -> _T:
    """Make a test of one's own one of the tests of every student, in this process; works as a decorator.

    Registering a name again replaces it, so that a notebook's cell can be run twice.

    Raises:
        ConfigError: a test of the package has that name.
    """
    if kind.name in _shipped():
        raise ConfigError(
            "faithfulness.register",
            expected="a name that no test of the package has",
            found=kind.name,
            fix="Choose another name: one name stands for one test.",
        )
    _OWN[kind.name] = kind
    return kind


def forget(name: str) -> None:
    """Undo `register`."""
    _OWN.pop(name, None)
