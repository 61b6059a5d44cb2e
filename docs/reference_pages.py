"""Pages of reference/: commands from the command line, files from contracts, keys from models, metrics from objects.

`make docs` writes them before each build; none is kept in git. `python docs/reference_pages.py` writes them alone.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import types
import typing
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

if TYPE_CHECKING:
    from reasondistill.metrics import Metric


def write(folder: Path) -> None:
    """Write every generated page into ``folder``; a page that stays the same is not touched."""
    folder.mkdir(exist_ok=True)
    pages = {
        "commands": commands(),
        "keys": keys(),
        "files": files(),
        "metrics": metrics(),
        "python": python_names(),
    }
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; bars and line breaks in its cells are kept from ending them."""
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str | None) -> str:
    """A docstring as Markdown: reStructuredText's double backticks become single ones, and angle brackets stay text."""
    return re.sub(r"<(?=[a-zA-Z/])", r"\\<", inspect.cleandoc(text or "").replace("``", "`"))


# --- commands ---


def commands() -> str:
    """Every command with its arguments and options, as the command line itself knows them."""
    from typer.main import get_command

    from reasondistill.cli import app

    parts = [
        "# Commands\n\nEvery command with its arguments and options, generated from the command line itself. The same "
        "stands in `reasondistill COMMAND --help`. What the commands are for, in the order in which one needs them: "
        "[the way on real data](../commands.md).\n"
    ]
    parts += [_command(names, command) for names, command in _leaves(get_command(app), ())]
    return "\n".join(parts)


def _leaves(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    subcommands: dict[str, Any] = getattr(command, "commands", {})
    if names and (not subcommands or getattr(command, "invoke_without_command", False)):
        yield names, command
    for name, subcommand in sorted(subcommands.items()):
        if not subcommand.hidden:
            yield from _leaves(subcommand, (*names, name))


def _command(names: tuple[str, ...], command: Any) -> str:
    context = typer.Context(command, info_name=" ".join(("reasondistill", *names)))
    usage = " ".join(command.collect_usage_pieces(context))
    text = f"## {' '.join(names)}\n\n```text\nreasondistill {' '.join(names)} {usage}\n```\n\n{_prose(command.help)}\n"
    for kind in ("argument", "option"):
        of_kind = [parameter for parameter in command.params if parameter.param_type_name == kind]
        records = [record for parameter in of_kind if (record := parameter.get_help_record(context))]
        if records:
            text += "\n" + table((kind, "meaning"), ((f"`{name}`", _prose(meaning)) for name, meaning in records))
    return text


# --- models ---


def _models_below(model: type[BaseModel], known: list[type[BaseModel]] | None = None) -> list[type[BaseModel]]:
    """A model and those of its fields, each once, in the order of the fields."""
    seen = [] if known is None else known
    if model not in seen:
        seen.append(model)
        for field in model.model_fields.values():
            for inner in _models_in(field.annotation):
                _models_below(inner, seen)
    return seen


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def type_words(annotation: object) -> str:
    """A type as a reader says it: ``whole number, or none`` rather than ``int | None``."""
    if isinstance(annotation, typing.TypeAliasType) if hasattr(typing, "TypeAliasType") else False:
        return type_words(annotation.__value__)  # type: ignore[attr-defined]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_words(part) for part in inner if part is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is typing.Annotated:
        return type_words(inner[0])
    if origin is dict or (origin is not None and "Mapping" in str(origin)):
        return f"mapping of {type_words(inner[1])}"
    if origin is tuple and Ellipsis not in inner:
        return f"({', '.join(type_words(part) for part in inner)})"
    if origin in (list, tuple, set, frozenset) or (origin is not None and "Sequence" in str(origin)):
        return f"list of {type_words(inner[0])}"
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
    if annotation in plain:
        return plain[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return getattr(annotation, "__name__", str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.default
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if value is None:
        return "none"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`" if value != "" else "empty"


def _fields(model: type[BaseModel], head: str) -> str:
    rows = (
        (f"`{field.alias or name}`", type_words(field.annotation), _default(field), _prose(field_docs(model).get(name)))
        for name, field in model.model_fields.items()
    )
    return table((head, "holds", "default", "meaning"), rows)


@cache
def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each field in the source of a model and of those that it inherits from.

    Pydantic can keep these itself (``use_attribute_docstrings``), but then reads every model's source whenever the
    package is imported.
    """
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            [body] = [
                node.body for node in ast.parse(dedent(inspect.getsource(base))).body if isinstance(node, ast.ClassDef)
            ]
            for field, below in pairwise(body):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                        docs[name] = text
    return docs


def _summary(model: type[BaseModel]) -> str:
    return _prose(model.__doc__)


# --- configuration ---


def keys() -> str:
    """Every key of every YAML file, from the model that reads it."""
    from reasondistill.config import JudgeConfig, TrainConfig
    from reasondistill.sweeps.settings import SweepSettings
    from reasondistill.teachers.teach_settings import TeachConfig

    roots: dict[str, type[BaseModel]] = {
        "train CONFIG": TrainConfig,
        "judge train CONFIG": JudgeConfig,
        "teach CONFIG": TeachConfig,
        "sweep CONFIG": SweepSettings,
    }
    text = (
        "# Configuration keys\n\nEvery key of the YAML files, generated from the models that read them. What the keys "
        "are for, with examples: [configuration](../configuration.md).\n"
    )
    seen: list[type[BaseModel]] = []
    for command, root in roots.items():
        text += f"\n## reasondistill {command}\n"
        new = [model for model in _models_below(root) if model not in seen and not model.__name__.startswith("_")]
        seen += new
        text += "".join(f"\n### {model.__name__}\n\n{_summary(model)}\n\n{_fields(model, 'key')}" for model in new)
    return text


# --- files ---


def files() -> str:
    """Every file between two stages, from its contract."""
    import reasondistill.contracts as room
    from reasondistill.contracts.base import Versioned

    for path in sorted(Path(str(room.__file__)).parent.glob("*.py")):
        __import__(f"reasondistill.contracts.{path.stem}")
    from reasondistill.contracts.records import Example, Prediction
    from reasondistill.contracts.scored_rows import ScoredRow
    from reasondistill.contracts.teaching import TeacherAnswer

    text = (
        "# Files\n\nThe files that one stage writes and another reads, generated from their models. An older file is "
        "migrated when it is read, or refused with a sentence ([why](../design/contracts.md)). What a table of yours "
        "may look like: [data formats](../data_formats.md).\n"
    )
    seen: list[type[BaseModel]] = []
    text += "\n## Rows of JSON Lines\n"
    for row in (Example, Prediction, ScoredRow, TeacherAnswer):
        text += _blocks(row, seen)
    text += "\n## JSON files\n"
    for model in sorted(Versioned.__subclasses__(), key=lambda model: model.__name__):
        text += _blocks(model, seen)
    return text


def _blocks(root: type[BaseModel], seen: list[type[BaseModel]]) -> str:
    text = ""
    for model in _models_below(root):
        if model not in seen:
            seen.append(model)
            what = getattr(model, "what", None)
            note = "" if what is None else f"\n\nThe file is {what}; `{model.again}` writes it."  # type: ignore[attr-defined]
            text += f"\n### {model.__name__}\n\n{_summary(model)}{note}\n\n{_fields(model, 'key')}"
    return text


# --- metrics ---


def metrics() -> str:
    """Every metric, from its object."""
    return (
        "# Metrics\n\nGenerated from the metric objects. What each proves and what it does not: "
        f"[metrics](../metrics.md).\n\n{metric_table()}"
    )


def metric_table() -> str:
    """A row for each metric of the package."""
    from reasondistill.metrics.registry import known_metrics

    head = ("metric", "what it is", "range", "better", "needs", "compared")
    return table(head, (_metric_row(metric) for metric in known_metrics() if metric.family != "own"))


def _metric_row(metric: Metric) -> tuple[str, ...]:
    low, high = (f"{bound:g}" for bound in metric.range)
    span = f"{low} to {high}" if math.isfinite(metric.range[1]) else f"from {low}"
    return (
        f"`{metric.name}`",
        metric.summary,
        f"{span} {metric.unit}".strip(),
        {True: "higher", False: "lower", None: "–"}[metric.higher_is_better],
        ", ".join(metric.needs) or "–",
        "–" if metric.not_resampled else "yes",
    )


# --- the public names ---


def python_names() -> str:
    """What `import reasondistill as rd` offers, for autodoc to fill with signatures and docstrings."""
    import reasondistill as rd

    text = (
        "# Python reference\n\nWhat `import reasondistill as rd` offers, from the docstrings. Examples of each: "
        "[Python](../python_api.md).\n"
    )
    functions = [name for name in rd.__all__ if inspect.isfunction(getattr(rd, name))]
    classes = [name for name in rd.__all__ if inspect.isclass(getattr(rd, name))]
    modules = [name for name in rd.__all__ if inspect.ismodule(getattr(rd, name))]
    text += "\n## Functions\n\n```{eval-rst}\n" + "".join(f".. autofunction:: reasondistill.{n}\n\n" for n in functions)
    text += "```\n\n## Classes\n\n```{eval-rst}\n"
    for name in classes:
        undocumented = "   :undoc-members:\n" if issubclass(getattr(rd, name), BaseModel) else ""
        text += f".. autoclass:: reasondistill.{name}\n   :members:\n{undocumented}\n"
    text += "```\n"
    for name in modules:
        module = getattr(rd, name)
        text += f"\n## rd.{name}\n\n{_prose(module.__doc__)}\n\n```{{eval-rst}}\n"
        for public in _public(module):
            what = "autoclass" if inspect.isclass(getattr(module, public)) else "autofunction"
            text += f".. {what}:: {module.__name__}.{public}\n\n"
        text += "```\n"
    return text


def _public(module: types.ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    names = listed if listed is not None else [n for n in vars(module) if not n.startswith("_")]
    return [
        name
        for name in names
        if (value := getattr(module, name, None)) is not None
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith("reasondistill")
    ]


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "reference")
