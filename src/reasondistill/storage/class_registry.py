"""Small classes that are known by standing in a folder of the package, and those that users add to them."""

from __future__ import annotations

import pkgutil
from functools import cached_property
from importlib import import_module
from typing import ClassVar, Generic, Protocol, TypeVar

from reasondistill.errors import ConfigError


class Named(Protocol):
    """What can be registered: ``turn`` orders the classes, and no two have the same."""

    name: ClassVar[str]
    turn: ClassVar[int]


N = TypeVar("N", bound=Named)


class ClassRegistry(Generic[N]):
    """Every subclass of a base that a module of a folder defines, and those of users, by name.

    Args:
        base: what they are subclasses of; it is none of them itself.
        package: the folder's name, as ``reasondistill.teachers.filters``.
        what: one of them in words, for messages.
    """

    def __init__(self, base: type[N], package: str, what: str) -> None:
        self._base, self._package, self._what = base, package, what
        self._own: dict[str, type[N]] = {}

    @cached_property
    def _shipped(self) -> dict[str, type[N]]:
        folder = pkgutil.iter_modules(import_module(self._package).__path__)
        modules = [import_module(f"{self._package}.{module.name}") for module in folder]
        kinds = [
            kind
            for module in modules
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, self._base) and kind is not self._base
        ]
        return {kind.name: kind for kind in kinds}

    def all(self) -> tuple[type[N], ...]:
        """All of them, in the order of their turns."""
        return tuple(sorted((*self._shipped.values(), *self._own.values()), key=lambda kind: kind.turn))

    def get(self, name: str) -> type[N] | None:
        """The one of that name; None where there is none."""
        return self._shipped.get(name) or self._own.get(name)

    def register(self, kind: type[N]) -> None:
        """Add one of a user's own, in this process.

        Registering a name again replaces it, so that a notebook's cell can be run twice.

        Raises:
            ConfigError: one of the package's has that name.
        """
        if kind.name in self._shipped:
            raise ConfigError(
                f"{self._what}: register",
                expected=f"a name that no {self._what} of the package has",
                found=kind.name,
                fix=f"Choose another name: one name stands for one {self._what}.",
            )
        self._own[kind.name] = kind

    def forget(self, name: str) -> None:
        """Undo `register`."""
        self._own.pop(name, None)
