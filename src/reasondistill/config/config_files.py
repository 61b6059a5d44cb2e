"""From YAML and overrides to a validated, frozen configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from reasondistill.config.base_config import Config
from reasondistill.errors import ConfigError
from reasondistill.storage.layered_yaml import merge, parse_yaml_value, read_layered, validate_config

C = TypeVar("C", bound=Config)
M = TypeVar("M", bound=BaseModel)


def load_config(kind: type[C], path: str | Path, overrides: Sequence[str] = ()) -> C:
    """Read a YAML file over those that it includes, lay ``key.path=value`` overrides over it and validate.

    Raises:
        DataError: the file, or one that it includes, is absent, empty or not UTF-8.
        ConfigError: every mistake is named, with its key, at once.
    """
    layers = read_layered(path)
    value = merge(layers)
    lay_over(value, overrides)
    return validate_config(kind, value, where=path, layers=layers)


def lay_over(value: dict[str, object], overrides: Sequence[str]) -> None:
    """Put each ``key.path=value`` into nested mappings, in place; the value is read as YAML.

    Raises:
        ConfigError: every mistake is named at once.
    """
    problems = [problem for text in overrides if (problem := _override(value, text))]
    if problems:
        raise ConfigError.gather("--set", problems)


def changed(config: C, overrides: Sequence[str]) -> C:
    """A configuration with ``key.path=value`` overrides laid over it.

    Raises:
        ConfigError: every mistake is named, with its key, at once.
    """
    value = config.model_dump(mode="json")
    lay_over(value, overrides)
    return validate_config(type(config), value, where="--set")


def with_values(settings: M, values: Mapping[str, object], *, where: object) -> M:
    """Settings with a user's values in place of some; `model_copy` would take them unseen, a NaN among them.

    Args:
        where: the name of the whole in messages.

    Raises:
        ConfigError: as `validate_config`.
    """
    return validate_config(type(settings), {**settings.model_dump(mode="json"), **values}, where=where)


def _override(value: dict[str, object], text: str) -> str | None:
    key, equals, given = text.partition("=")
    if not equals or not all(key.split(".")):
        return f"{text!r}: expected key.path=value"
    try:
        problem = set_key(value, key, parse_yaml_value(given, key))
    except ConfigError as error:
        return f"{text!r}: {error}"
    return problem and f"{text!r}: {problem}"


def set_key(value: dict[str, object], key: str, given: object) -> str | None:
    """Put ``given`` at ``key.path`` of nested mappings, in place.

    Returns:
        What is wrong with the key, or None.
    """
    *parents, last = key.split(".")
    if not last or not all(parents):
        return f"{key!r}: expected words with dots between them"
    place = value
    for parent in parents:
        inner = place.setdefault(parent, {})
        if not isinstance(inner, dict):
            return f"{parent} holds {inner!r}, which has no keys"
        place = inner
    place[last] = given
    return None
