"""A task's own fields and labels as models: what a request must hold, and what OpenAPI says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model

from reasondistill.contracts.feedback import Verdict
from reasondistill.contracts.records import Example, Text
from reasondistill.contracts.service import Answer, Answers, Attributions, Counterfactual
from reasondistill.serving.service_settings import ServiceSettings
from reasondistill.students.student import Student

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
_MOST_CHOICES = 64
_LONGEST_CHOICE = 500
_LONGEST_NAME = 200
_WORDS = r"\S"
"""What a text has in it that is not empty."""


@dataclass(frozen=True)
class TaskModels:
    """The models of one student's requests and replies.

    Attributes:
        example: the task's fields, and ``choices`` where each example brings its own.
        request: one example, or ``inputs`` with several.
        counterfactual: ``original``, perhaps ``edited``, and ``every_label``.
        feedback: an example, the answer that was shown, and a verdict.
        answer: with the task's own labels; for the description only, like ``answers``, ``attributions`` and ``change``.
    """

    example: type[BaseModel]
    request: Any
    inputs: type[BaseModel]
    counterfactual: type[BaseModel]
    feedback: type[BaseModel]
    answer: type[BaseModel]
    answers: type[BaseModel]
    attributions: type[BaseModel]
    change: type[BaseModel]

    def examples(self, rows: list[BaseModel]) -> list[Example]:
        """Rows of a request as examples; their ids are their places, from 1."""
        return [to_example(row, str(number)) for number, row in enumerate(rows, start=1)]


def to_example(row: BaseModel, identity: str = "1") -> Example:
    """A row of a request as an example."""
    values = row.model_dump(by_alias=True)
    choices = values.pop("choices", None)
    return Example(id=identity, fields=values, choices=None if choices is None else tuple(choices))


def task_models(name: str, student: Student, settings: ServiceSettings) -> TaskModels:
    """The models of a student, named after it in the description."""
    task = student.task
    title = "".join(part.capitalize() for part in name.replace(".", "-").replace("_", "-").split("-"))
    text = Annotated[Text, Field(max_length=settings.max_field_characters)]
    # Said twice: pydantic does not describe a pattern of a text that has a validator.
    words: Any = Annotated[text, Field(pattern=_WORDS, json_schema_extra={"pattern": _WORDS})]
    # A field may be called like something that every model has: the name inside is another.
    fields: dict[str, Any] = {
        f"field_{number}": (text, Field("", alias=each)) if each in task.optional else (words, Field(alias=each))
        for number, each in enumerate(task.fields)
    }
    choices = Annotated[
        list[Annotated[Text, Field(min_length=1, max_length=_LONGEST_CHOICE)]], Field(max_length=_MOST_CHOICES)
    ]
    if task.labels is None:
        needed = student.order != "explanation_only"
        fields["choices"] = (choices, Field(min_length=1)) if needed else (choices, Field(default=[]))
    label: Any = Literal[tuple(task.labels)] if task.labels else Text
    example = _model(f"{title}Example", fields)
    inputs = _model(
        f"{title}Inputs",
        {"inputs": (Annotated[list[example], Field(min_length=1, max_length=settings.max_inputs)], ...)},  # type: ignore[valid-type]
    )
    answer = create_model(f"{title}Answer", __base__=Answer, label=(label | None, ...))
    counterfactual = _model(
        f"{title}Edit",
        {"original": (example, ...), "edited": (example | None, None), "every_label": (bool, False)},
    )
    return TaskModels(
        example=example,
        request=Annotated[
            Annotated[example, Tag("one")] | Annotated[inputs, Tag("several")],
            Discriminator(_one_or_several),
        ],
        inputs=inputs,
        counterfactual=counterfactual,
        feedback=_feedback(title, example, label, text),
        answer=answer,
        answers=create_model(f"{title}Answers", __base__=Answers, answers=(list[answer], ...)),
        attributions=create_model(f"{title}Attributions", __base__=Attributions, answer=(answer, ...)),
        change=create_model(
            f"{title}Change", __base__=Counterfactual, original=(answer, ...), edited=(answer | None, None)
        ),
    )


def _one_or_several(body: object) -> str:
    """A task may have a field called ``inputs``, too: that is a text."""
    return "several" if isinstance(body, Mapping) and isinstance(body.get("inputs"), list) else "one"


def _feedback(title: str, example: type[BaseModel], label: Any, text: Any) -> type[BaseModel]:
    short = Annotated[Text, Field(max_length=_LONGEST_NAME)]
    shown = _model(
        f"{title}Shown",
        {"label": (label | None, None), "explanation": (text, ""), "student": (short | None, None)},
    )
    return _model(
        f"{title}Feedback",
        {
            "example": (example, ...),
            "answer": (shown, ...),
            "verdict": (Verdict, ...),
            "label": (label | None, None),
            "explanation": (text | None, None),
            "by": (short, ""),
            "why": (text, ""),
            "group": (short | None, None),
        },
    )


def _model(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    model: type[BaseModel] = create_model(name, __config__=_STRICT, **fields)
    return model
