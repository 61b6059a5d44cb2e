"""YAML read strictly: a key given twice, a key that is no word and broken syntax are mistakes, named by line."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from reasondistill.errors import ConfigError
from reasondistill.files import read_lines

M = TypeVar("M", bound=BaseModel)


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, and reads 1e-4 as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        # A user's tag can send another node here (`!!map [1]`), which PyYAML refuses below.
        for key_node, _ in node.value if node.id == "mapping" else ():
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConfigError(_at(node, key_node), expected="keys that are words", found=repr(key))
            if key in seen:
                raise ConfigError(
                    _at(node, key_node), expected="each key once", found=f"the key {key!r} twice", fix="Keep one."
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1, which PyYAML follows, takes 1e-4 for a word because it has no dot.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def _at(node: yaml.Node, key_node: yaml.Node) -> str:
    return f"{node.start_mark.name}:{key_node.start_mark.line + 1}"


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        DataError: the file is absent, empty or not UTF-8.
        ConfigError: it is no YAML, no mapping, or holds a key twice; line and key are named.
    """
    return _parse_yaml("\n".join(line for _, line in read_lines(path)), str(path))


def _parse_yaml(text: str, name: str) -> dict[str, Any]:
    value = parse_yaml_value(text, name)
    if not isinstance(value, dict):
        raise ConfigError(name, expected="keys and values (name: …)", found=type(value).__name__)
    return value


def parse_yaml_value(text: str, name: str) -> Any:
    """A YAML value out of text; ``name`` is what errors call it.

    Raises:
        ConfigError: it is no YAML, or holds a key twice.
    """
    try:
        loader = _StrictLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{name}:{line}", expected="YAML", found=f"the character U+{ord(text[error.position]):04X}"
        ) from error
    loader.name = name  # what marks call the stream
    try:
        return loader.get_single_data()
    # PyYAML's constructors let odd scalars end in any of these: `!!int ""` is an IndexError.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        raise ConfigError(where, expected="YAML", found=str(getattr(error, "problem", None) or error)) from error
    finally:
        loader.dispose()


def validate_config(kind: type[M], value: dict[str, Any], *, where: object) -> M:
    """Build a model from plain values, such as those of a YAML file.

    Raises:
        ConfigError: every mistake is named, with its key, at once.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ConfigError.gather(where, [_problem(e) for e in error.errors()]) from error


def _problem(error: Any) -> str:
    # A discriminated union puts the chosen kind into the path, and a union of a number and a model its name.
    noise = {"one", "several", "hub", "scratch", "warm_start", "Schedule", "float", "constrained-float", "str"}
    parts = [str(part) for i, part in enumerate(error["loc"]) if i == 0 or str(part) not in noise]
    key = ".".join(parts) or "configuration"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        found = error["input"].get("kind") if isinstance(error["input"], dict) else error["input"]
        return f"{key}.kind: expected one of hub, scratch, warm_start, found {found!r}"[:400]
    if error["type"] == "missing":
        return f"{key}: required, but not there"
    return f"{key}: {error['msg'].removeprefix('Value error, ')}, found {error['input']!r}"[:400]
