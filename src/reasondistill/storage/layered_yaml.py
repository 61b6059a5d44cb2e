"""Strict YAML: duplicate keys, keys that are not strings and broken syntax are mistakes, named by line.

A file may build on others: ``include: [other.yaml]``, relative to it. See `read_layered`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from reasondistill.errors import ConfigError
from reasondistill.storage.files import read_lines, real_path

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

_MOST_NODES, _DEEPEST, _MOST_FILES = 20_000, 50, 200
"""Far above any configuration. Aliases count as what they stand for: a few lines can stand for any number of nodes."""


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses duplicate keys and what is too large or too deep, and reads 1e-4 as a number."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._nodes += 1
        self._depth += 1
        if self._nodes > _MOST_NODES or self._depth > _DEEPEST:  # before the rest of a long file is read
            raise self._too_much(self.line)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            self._measure(node, {})
        return node

    def _measure(self, node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
        """The number of nodes from ``node`` down, and their depth; ``known`` holds (0, 0) while it is measured."""
        if (measured := known.get(id(node))) is None:
            known[id(node)] = 0, 0
            below = node.value if isinstance(node, yaml.CollectionNode) else ()
            if isinstance(node, yaml.MappingNode):
                below = [child for pair in below for child in pair]
            of_children = [self._measure(child, known) for child in below]
            size = 1 + sum(size for size, _ in of_children)
            measured = known[id(node)] = size, 1 + max((depth for _, depth in of_children), default=0)
        line = node.start_mark.line
        if measured == (0, 0):
            where = f"{self.name}:{line + 1}"
            raise ConfigError(where, expected="aliases of something else", found="an alias that stands for itself")
        if measured[0] > _MOST_NODES or measured[1] > _DEEPEST:
            raise self._too_much(line)
        return measured

    def _too_much(self, line: int) -> ConfigError:
        limit = f"at most {_MOST_NODES:,} values, nested at most {_DEEPEST} deep"
        return ConfigError(f"{self.name}:{line + 1}", expected=limit, found="more, counting what aliases stand for")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[object] = set()
        # A user's tag can send another node here (`!!map [1]`), which PyYAML refuses below.
        for key_node, _ in node.value if node.id == "mapping" else ():
            if key_node.tag == _MERGE:
                raise ConfigError(
                    _at(node, key_node),
                    expected="keys and values",
                    found="a merge key (<<), which YAML 1.2 has no more",
                    fix="Write the keys out, or put them into a file of their own and name it under include.",
                )
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConfigError(_at(node, key_node), expected="keys that are words", found=repr(key))
            if key in seen:
                raise ConfigError(
                    _at(node, key_node), expected="each key once", found=f"the key {key!r} twice", fix="Keep one."
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_MERGE = "tag:yaml.org,2002:merge"

# YAML 1.1, which PyYAML follows, takes 1e-4 for a word because it has no dot.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


# YAML 1.1 takes 010 for 8 and 12:30 for 750.
_INT = "tag:yaml.org,2002:int"
for _first, _resolvers in _StrictLoader.yaml_implicit_resolvers.items():
    _StrictLoader.yaml_implicit_resolvers[_first] = [(tag, form) for tag, form in _resolvers if tag != _INT]
_StrictLoader.add_implicit_resolver(_INT, re.compile(r"^[-+]?[0-9][0-9_]*$|^0x[0-9a-fA-F]+$"), list("-+0123456789"))


def _whole_number(loader: _StrictLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 16) if text.startswith("0x") else int(text.replace("_", ""))


_StrictLoader.add_constructor(_INT, _whole_number)


def _at(node: yaml.Node, key_node: yaml.Node) -> str:
    return f"{node.start_mark.name}:{key_node.start_mark.line + 1}"


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        DataError: the file is absent, empty or not UTF-8.
        ConfigError: it is not YAML, not a mapping, or has a duplicate key; line and key are named.
    """
    return _parse_yaml("\n".join(line for _, line in read_lines(path)), str(path))


class Layer(NamedTuple):
    """The content of one file, without its included files."""

    name: str
    value: dict[str, Any]


def read_layered(path: str | Path) -> list[Layer]:
    """Read a YAML mapping and what its key ``include`` names: one file, or a list of files, relative to its folder.

    Returns:
        One layer per file, in increasing precedence: included files (last to first), each after the files that it
        includes itself; then the file.

    Raises:
        DataError: one of the files is absent, empty or not UTF-8.
        ConfigError: a file is not YAML, not a mapping, has a duplicate key or includes itself; it is named.
    """
    layers: list[Layer] = []
    _add_layers(Path(path), (), layers)
    return layers


def _add_layers(path: Path, trail: tuple[Path, ...], layers: list[Layer]) -> None:
    value = read_yaml(path)
    include = value.pop("include", [])
    included = [include] if isinstance(include, str) else include
    if not isinstance(included, list) or not all(isinstance(name, str) for name in included):
        raise ConfigError(path, expected="include: [file, …]", found=repr(include)[:200])
    trail = (*trail, real_path(path))
    for name in included:
        file = path.parent / name
        if real_path(file) in trail:
            raise ConfigError(path, expected="files that do not include themselves", found=f"include: {name}")
        _add_layers(file, trail, layers)
    if len(layers) >= _MOST_FILES:
        raise ConfigError(path, expected=f"at most {_MOST_FILES} files that include each other", found="more")
    layers.append(Layer(str(path), value))


def merge(layers: Sequence[Layer]) -> dict[str, Any]:
    """Merge layers key by key; later layers override earlier ones, and lists are replaced, not merged.

    A mapping with another ``kind`` replaces the one below it entirely, as the keys of kinds differ.
    """
    merged: dict[str, object] = {}
    for layer in layers:
        _lay_over(merged, copy.deepcopy(layer.value))
    return merged


def _lay_over(below: dict[str, object], above: dict[str, object]) -> None:
    for key, value in above.items():
        inner = below.get(key)
        if (
            isinstance(inner, dict)
            and isinstance(value, dict)
            and value.get("kind", inner.get("kind")) == inner.get("kind")
        ):
            _lay_over(inner, value)
        else:
            below[key] = value


def _parse_yaml(text: str, name: str) -> dict[str, Any]:
    value = parse_yaml_value(text, name)
    if not isinstance(value, dict):
        raise ConfigError(name, expected="keys and values (name: …)", found=type(value).__name__)
    return value


def parse_yaml_value(text: str, name: str) -> Any:
    """A YAML value from text; errors call it ``name``.

    Raises:
        ConfigError: it is not YAML, or has a duplicate key.
    """
    try:
        loader = _StrictLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{name}:{line}", expected="YAML", found=f"the character U+{ord(text[error.position]):04X}"
        ) from error
    loader.name = name  # the name of the stream in marks
    try:
        return loader.get_single_data()
    # PyYAML's constructors raise any of these on odd scalars: `!!int ""` is an IndexError.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        problem = str(getattr(error, "problem", None) or error).removeprefix("found ")
        if isinstance(error, TypeError | LookupError | AttributeError):
            problem = "a value that does not fit its tag"
        raise ConfigError(where, expected="YAML", found=problem) from error
    finally:
        loader.dispose()


def validate_config(kind: type[M], value: Mapping[str, object], *, where: object, layers: Sequence[Layer] = ()) -> M:
    """Build a model from plain values, such as those of a YAML file.

    Args:
        where: the name of the whole in messages.
        layers: the files that ``value`` was merged from, as `read_layered` gives them.

    Raises:
        ConfigError: every mistake is named at once, with its key and, if that is in an included file, the file.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ConfigError.gather(where, [_problem(e) + _origin(e, layers) for e in error.errors()]) from error


def _key_path(error: ErrorDetails) -> list[int | str]:
    # A discriminated union puts the chosen kind into the path, and a union of a number and a model its name.
    noise = {"one", "several", "hub", "scratch", "warm_start", "Schedule", "float", "constrained-float", "str"}
    noise |= {"structure of relations", "structure of steps"}
    return [part for i, part in enumerate(error["loc"]) if i == 0 or str(part) not in noise]


def _origin(error: ErrorDetails, layers: Sequence[Layer]) -> str:
    """The included files that a mistake is in, in brackets; empty if it is in the file itself, or in none."""
    path, layer_names = _key_path(error), []
    for layer in layers if path else ():
        value: Any = layer.value
        try:
            for part in path:
                value = value[part]
        except (LookupError, TypeError):
            continue
        # A mapping may come from several files; any other value from the last of them, or from the caller.
        if isinstance(value, dict) or value == error["input"]:
            layer_names.append(layer.name)
    if layer_names and not isinstance(error["input"], dict):
        layer_names = layer_names[-1:]
    return f" (in {', '.join(layer_names)})" if any(name != layers[-1].name for name in layer_names) else ""


def _problem(error: ErrorDetails) -> str:
    key = ".".join(map(str, _key_path(error))) or "configuration"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        kind = error["input"].get("kind") if isinstance(error["input"], dict) else error["input"]
        kinds = error["ctx"].get("expected_tags", "hub, scratch, warm_start").replace("'", "")
        return f"{key}.kind: expected one of {kinds}, found {kind!r}"[:400]
    if error["type"] == "missing":
        return f"{key}: required, but not there"
    message = f"{key}: {error['msg'].removeprefix('Value error, ')}"
    if error["type"] == "value_error" and isinstance(error["input"], dict):
        return message[:400]  # it names the keys that do not go together; the whole block would bury it
    return f"{message}, found {error['input']!r}"[:400]
