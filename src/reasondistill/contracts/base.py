"""What all contracts share: frozen models that refuse unknown keys, and files that say which version they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_serializer,
)

from reasondistill.contracts.records import parse_record
from reasondistill.errors import DataError
from reasondistill.storage.files import JsonObject, read_json, write_json

Count = Annotated[int, Field(ge=0)]

Interval = tuple[float, float]
"""The lower and the upper bound of a 95% interval."""

T = TypeVar("T")


def _empty_for_none(value: object, serialise: SerializerFunctionWrapHandler) -> object:
    return {} if value is None else serialise(value)


OrEmpty = Annotated[T | None, BeforeValidator(lambda value: value or None), WrapSerializer(_empty_for_none)]
"""A block that is None where there is nothing to say; ``{}`` in the file."""

Migration = Callable[[JsonObject], JsonObject]
"""A file's content of one version to that of the next."""


class Block(BaseModel):
    """A part of a file between two stages."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricValue(Block):
    """A figure over ``n`` examples; ``ci95`` is the 95% interval of a bootstrap over groups, where one was made."""

    value: float
    ci95: Interval | None = None
    n: Annotated[int, Field(ge=0)]


class Sparse(Block):
    """A block that leaves out of the file what was not set."""

    @model_serializer(mode="wrap")
    def _only_what_was_set(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        values: dict[str, object] = serialise(self)
        return {name: value for name, value in values.items() if name in self.model_fields_set}


class DatasetInfo(Block):
    """Which rows were scored; ``fingerprint`` is a content hash of their ids, labels and references."""

    name: str
    split: str | None = None
    fingerprint: str
    n: int


class Versioned(Block):
    """A JSON file between two stages.

    A subclass says what the file is, which command writes it anew, and how files of older versions become files of the
    next, by the version that a migration takes, 0 for a file that names none. The version that is written is the
    default of ``schema_version``; a file may also name its ``kind``, whose default is the only one that is read.
    """

    what: ClassVar[str]
    again: ClassVar[str]
    migrations: ClassVar[Mapping[int, Migration]] = {}

    schema_version: int = 1

    def save(self, path: str | Path) -> None:
        """Write the file, atomically.

        Raises:
            OutputError: it cannot be written there.
        """
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def current(cls) -> int:
        """The version that is written."""
        return int(cls.model_fields["schema_version"].default)

    @classmethod
    def repair(cls) -> str:
        """What to do about a file of another version."""
        return f"Write it anew: `{cls.again}`."

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `save` wrote, also one of an older version that can be migrated.

        Raises:
            DataError: it is of a version that cannot be read, or not such a file.
        """
        value = read_json(path)
        kind = cls.model_fields["kind"].default if "kind" in cls.model_fields else None
        if kind is not None and value.get("kind", kind) != kind:
            raise DataError(
                path, expected=f"{cls.what} (kind {kind!r})", found=f"kind {value['kind']!r}", fix=cls.repair()
            )
        written = value.get("schema_version")
        version, current = 0 if written is None else written, cls.current()
        while type(version) is int and version in cls.migrations:
            try:
                value = cls.migrations[version](value)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise DataError(
                    path, expected=f"{cls.what} of schema version {version}", found="another form", fix=cls.repair()
                ) from error
            version += 1
        if version != current or isinstance(version, bool):
            readable = " or ".join(map(str, [*sorted(cls.migrations), current]))
            raise DataError(
                path,
                expected=f"{cls.what} of schema version {readable}",
                found=f"version {written!r}",
                fix=cls.repair(),
            )
        return parse_record(cls, {**value, "schema_version": version}, str(path))


def rename_keys(block: JsonObject, **names: str) -> None:
    """In a migration: give keys of a block their new names, in place; each stays where it was in the order.

    Raises:
        KeyError: the block lacks one of them.
    """
    if missing := names.keys() - block.keys():
        raise KeyError(*missing)
    renamed = {names.get(key, key): value for key, value in block.items()}
    block.clear()
    block.update(renamed)
