"""Every filter that there is: each subclass of `Filter` in this folder, and those of users."""

from __future__ import annotations

from typing import Final, TypeVar

from reasondistill.storage.class_registry import ClassRegistry
from reasondistill.teachers.filters.filter_definition import Filter

Kind = type[Filter]
_F = TypeVar("_F", bound=Kind)
_FILTERS: Final = ClassRegistry(Filter, __name__.rpartition(".")[0], "filter")


def known_filters() -> tuple[Kind, ...]:
    """All filters, in the order of their turns."""
    return _FILTERS.all()


def register(kind: _F) -> _F:
    """Make a filter of one's own known to configurations, in this process; works as a decorator.

    Raises:
        ConfigError: a filter of the package has that name.
    """
    _FILTERS.register(kind)
    return kind


def forget(name: str) -> None:
    """Undo `register`."""
    _FILTERS.forget(name)
