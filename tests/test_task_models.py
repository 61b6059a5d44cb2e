"""Requests as models: whatever a task calls its fields, a request with them is read, and nothing else is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import reasondistill as rd
from reasondistill.serving.service_settings import ServiceSettings
from reasondistill.serving.task_models import TaskModels, task_models, to_example

SETTINGS = ServiceSettings()
TRICKY = ["inputs", "json", "copy", "schema", "model_config", "_private", "__init__", "class", "precision", "Ünï"]
names = st.one_of(st.sampled_from(TRICKY), st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)).filter(
    lambda name: name not in ("label", "id", "group", "split", "explanation", "explanations", "choices")
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def models_of(fields: list[str], labels: tuple[str, ...] | None, optional: tuple[str, ...] = ()) -> TaskModels:
    task = rd.Task(name="t", fields=tuple(fields), labels=labels, optional=optional)
    student: Any = SimpleNamespace(task=task, order="label_first")
    return task_models("a-student", student, SETTINGS)


def read(models: TaskModels, body: object) -> list[rd.Example]:
    value: Any = TypeAdapter(models.request).validate_python(body)
    return models.examples(cast("Any", value).inputs if isinstance(value, models.inputs) else [value])


@settings(deadline=None, max_examples=60)
@given(st.lists(names, min_size=1, max_size=4, unique=True), st.data())
def test_fields_of_any_name_are_read(fields: list[str], data: st.DataObject) -> None:
    models = models_of(fields, ("yes", "no"))
    rows = [{name: data.draw(texts.filter(str.strip)) for name in fields} for _ in range(2)]
    assert [e.fields for e in read(models, rows[0])] == rows[:1]
    assert [e.fields for e in read(models, {"inputs": rows})] == rows
    unfit: list[Any] = [
        {**rows[0], "another": "x"},
        {**rows[0], fields[0]: 1},
        {**rows[0], fields[0]: None},
        {**rows[0], fields[0]: " \n"},
        {},
        [],
        None,
    ]
    for wrong in unfit:
        with pytest.raises(ValidationError):
            read(models, wrong)
    router = APIRouter()
    router.add_api_route("/x", lambda body: None, methods=["POST"], response_model=models.answer)
    described = FastAPI()
    described.include_router(router)
    assert described.openapi()["paths"]["/x"]


def test_choices_are_needed_where_each_example_brings_its_own_and_refused_elsewhere() -> None:
    own, fixed = models_of(["text"], None), models_of(["text"], ("yes", "no"))
    [example] = read(own, {"text": "a", "choices": ["bank", "river"]})
    assert example.choices == ("bank", "river")
    for models, body in (
        (own, {"text": "a"}),
        (own, {"text": "a", "choices": []}),
        (own, {"text": "a", "choices": "bank"}),
        (own, {"text": "a", "choices": [""]}),
        (own, {"text": "a", "choices": ["x"] * 65}),
        (fixed, {"text": "a", "choices": ["bank"]}),
    ):
        with pytest.raises(ValidationError):
            read(models, body)


def test_optional_fields_may_be_left_out() -> None:
    models = models_of(["text", "context"], ("yes", "no"), optional=("context",))
    assert read(models, {"text": "a"})[0].fields == {"text": "a", "context": ""}


def test_feedback_names_labels_of_the_task() -> None:
    models = models_of(["text"], ("yes", "no"))
    body = {"example": {"text": "a"}, "answer": {"label": "yes"}, "verdict": "wrong", "label": "no"}
    feedback = cast("Any", models.feedback.model_validate(body))
    assert to_example(feedback.example).fields == {"text": "a"}
    for wrong in ({"label": "maybe"}, {"verdict": "perhaps"}, {"by": "x" * 201}, {"by": "\ud800"}, {"more": 1}):
        with pytest.raises(ValidationError):
            models.feedback.model_validate(body | wrong)
