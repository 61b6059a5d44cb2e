"""One example as somebody asks it: fields by name, and choices where the task has no labels of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from reasondistill.contracts.records import OutputOrder
from reasondistill.errors import DataError
from reasondistill.tasks.task import Task, label_problem

T = TypeVar("T")


def asked_fields(task: Task, fields: Mapping[str, str] | None, named: Mapping[str, str]) -> dict[str, str]:
    """The fields of one example that are given by name, or in a mapping.

    Raises:
        DataError: they are not the task's, one is given twice, or one is empty.
    """
    if fields is not None and not isinstance(fields, Mapping):
        raise DataError("explain", expected="fields by name, or a mapping of them", found=repr(fields))
    given = {**(fields or {}), **named}
    if twice := sorted(set(fields or ()) & set(named)):
        raise DataError("explain", expected="each field once", found=f"{twice} twice", fix="Leave one out.")
    if unknown := [name for name in given if name not in task.fields]:
        raise DataError(
            "explain",
            expected=f"the fields {list(task.fields)}",
            found=f"{sorted(unknown, key=str)}",
            fix="Leave them out." if given.keys() >= {*task.fields} else "Name them as the task does.",
        )
    texts = {name: given[name] for name in task.fields if name in given and name not in task.optional}
    if empty := [name for name, text in texts.items() if isinstance(text, str) and not text.strip()]:
        raise DataError("explain", expected="words in each field", found=f"none in {', '.join(empty)}")
    return given


def asked_choices(task: Task, order: OutputOrder, choices: Sequence[str] | None) -> tuple[str, ...] | None:
    """The given choices, if the task takes them.

    Raises:
        DataError: it takes none, or there is nothing to choose from.
    """
    if task.labels is not None:
        if choices is not None:
            raise DataError(
                "choices",
                expected=f"none, as the task {task.name!r} has the labels {list(task.labels)}",
                found=repr(choices),
                fix="Leave them out.",
            )
        return None
    listed = () if choices is None else listed_texts("choices", choices)
    if len(listed) == 1:
        raise DataError(
            "choices",
            expected="two or more",
            found=repr(listed[0]),
            fix='Give all of them: choices=["bank", "river"], or --choices "bank;river".',
        )
    if not listed and order != "explanation_only":
        raise DataError(
            "choices",
            expected=f"choices, which the task {task.name!r} needs",
            found="none",
            fix='Give them: choices=["bank", "river"], or --choices "bank;river".',
        )
    if problem := label_problem([text for text in listed if isinstance(text, str)]):
        raise DataError("choices", problem=problem)
    return listed or None


def listed_texts(what: str, texts: Sequence[T]) -> tuple[T, ...]:
    """The texts of a list; a single text is refused: its letters would be taken for texts."""
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise DataError(what, expected="a list of texts", found=repr(texts), fix=f"Write [{texts!r}].")
    return tuple(texts)
