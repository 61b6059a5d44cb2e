"""The paths of one student, with its task's own fields and labels in their description.

Annotations here are values, which FastAPI reads as the functions are made: no `from __future__ import annotations`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from reasondistill.contracts.records import Example
from reasondistill.contracts.service import Answers, FeedbackReceipt, NearExamples
from reasondistill.evaluation.faithfulness.editing import places
from reasondistill.serving.asking import Asker
from reasondistill.serving.feedback_file import GivenFeedback
from reasondistill.serving.hosting import Hosts, precisions
from reasondistill.serving.problems import RequestError
from reasondistill.serving.questions import Edit
from reasondistill.serving.service_settings import ServiceSettings
from reasondistill.serving.short_way import BodyRoute
from reasondistill.serving.task_models import TaskModels, task_models, to_example
from reasondistill.students.student import Student

Keep = Callable[[GivenFeedback, str], Awaitable[FeedbackReceipt]]
"""Keeps what people say of the student of this name; gives a receipt."""


@dataclass(frozen=True)
class StudentPaths:
    """What the paths of one student share."""

    name: str
    hosts: Hosts
    asker: Asker
    settings: ServiceSettings

    @property
    def student(self) -> Student:
        """Who goes by the name now: another one may take its place at any time."""
        return self.hosts[self.name].student

    def admit(self, request: Request, examples: list[Example], rows: int) -> Student:
        """The student for a request, after what can be refused at once; the log learns of the request.

        Raises:
            TaskError: it cannot tell an example's choices apart.
        """
        student = self.student
        if student.task.labels is None and student.order != "explanation_only":
            for example in examples:
                student.task.choices_for(example)
        facts: dict[str, object] = {"rows": rows}
        if self.settings.log_texts:
            facts["fields"] = [dict(example.fields) for example in examples]
        request.state.facts = facts
        return student


def student_router(
    prefix: str, paths: StudentPaths, keep: Keep | None, described: dict[int | str, dict[str, Any]]
) -> APIRouter:
    """``/explain``, ``/attributions``, ``/counterfactuals`` and, where they are on, ``/near`` and ``/feedback``.

    Args:
        prefix: of the paths.
        described: what OpenAPI says of replies that are problems.
    """
    router = APIRouter(prefix=prefix, responses=described, tags=[paths.name], route_class=BodyRoute)
    models = task_models(paths.name, paths.student, paths.settings)
    _add_answers(router, models, paths)
    _add_comparisons(router, models, paths)
    if paths.hosts[paths.name].near is not None:
        _add_near(router, models, paths)
    if keep is not None:
        _add_feedback(router, models, paths.name, keep)
    return router


def _add_answers(router: APIRouter, models: TaskModels, paths: StudentPaths) -> None:
    known = precisions(paths.student)
    options = {"parameters": [_precision_option(known)]} if known else None

    @router.post("/explain", response_model=models.answers | models.answer, openapi_extra=options)
    async def explain(body: models.request, request: Request) -> Response:  # type: ignore[name-defined]
        """Label, probabilities and explanation of one example, or of several as `inputs`."""
        rows = body.inputs if isinstance(body, models.inputs) else None  # type: ignore[attr-defined]
        examples = models.examples([body] if rows is None else rows)
        student = paths.admit(request, examples, len(examples))
        proofs = paths.hosts[paths.name].proofs
        answers = await paths.asker.explain(request, student, examples, _precision(request, student), proofs)
        return _json(answers[0] if rows is None else Answers(answers=answers))


def _add_comparisons(router: APIRouter, models: TaskModels, paths: StudentPaths) -> None:
    @router.post("/attributions", response_model=models.attributions)
    async def attributions(body: models.example, request: Request) -> Response:  # type: ignore[name-defined]
        """Which words moved the label, and which the explanation: each is left out in turn."""
        example = to_example(body)
        words = len(places(example, paths.student.task))
        if words > (most := paths.settings.max_words):
            detail = f"An example of {words} words; each is left out, and at most {most} are."
            raise RequestError(422, "too-many-words", detail)
        student = paths.admit(request, [example], 1 + words)
        proofs = paths.hosts[paths.name].proofs
        return _json(await paths.asker.attribute(request, student, example, words, proofs))

    @router.post("/counterfactuals", response_model=models.change)
    async def counterfactuals(body: models.counterfactual, request: Request) -> Response:  # type: ignore[name-defined]
        """An example beside an edited one, and an explanation for every label."""
        original, edited = to_example(body.original), None if body.edited is None else to_example(body.edited, "2")
        examples = [original, *([] if edited is None else [edited])]
        student = paths.admit(request, examples, len(examples))
        if body.every_label and student.order != "label_first":
            detail = "This student does not explain after its label, so that none can be forced on it."
            raise RequestError(422, "no-arguments", detail)
        edit, hosted = Edit(original, edited, body.every_label), paths.hosts[paths.name]
        return _json(await paths.asker.compare(request, student, edit, hosted.judge, hosted.proofs))


def _add_near(router: APIRouter, models: TaskModels, paths: StudentPaths) -> None:
    @router.post("/near", response_model=NearExamples)
    async def nearest(body: models.example) -> Response:  # type: ignore[name-defined]
        """The rows that the student learned from and that read most like an example."""
        near = paths.hosts[paths.name].near  # another one after a reload
        assert near is not None
        return _json(NearExamples(examples=await asyncio.to_thread(near.nearest, to_example(body))))


def _add_feedback(router: APIRouter, models: TaskModels, name: str, keep: Keep) -> None:
    known_already: dict[int | str, dict[str, Any]] = {
        200: {"description": "It was there already.", "model": FeedbackReceipt}
    }

    @router.post("/feedback", response_model=FeedbackReceipt, status_code=201, responses=known_already)
    async def feedback(body: models.feedback) -> Response:  # type: ignore[name-defined]
        """Keep a verdict on an answer, and perhaps a better one."""
        receipt = await keep(body, name)
        return _json(receipt, 201 if receipt.status == "kept" else 200)


def _precision_option(known: list[float]) -> dict[str, object]:
    """What OpenAPI says of the option."""
    schema = {"type": "number", "enum": known}
    return {"name": "precision", "in": "query", "description": "Also say when to abstain.", "schema": schema}


def _precision(request: Request, student: Student) -> float | None:
    """For which precision a request wants to know when to abstain.

    Raises:
        ConfigError: the student has no threshold for it.
        RequestError: it is no number; the student has no thresholds; the request has another parameter.
    """
    if others := sorted({*request.query_params} - {"precision"}):
        raise RequestError(
            422, "invalid-request", f"Unknown query parameter {others[0]!r:.50}; only precision is known."
        )
    if (text := request.query_params.get("precision")) is None:
        return None
    try:
        precision = float(text)
    except ValueError:
        precision = math.nan
    if not 0 <= precision <= 1:
        raise RequestError(422, "invalid-request", "precision is a number from 0 to 1, such as 0.9.")
    if student.calibration is None:  # the library's own sentence is for who runs the service, and has its paths
        detail = "This student is not calibrated, and so does not know when to abstain."
        raise RequestError(422, "not-calibrated", detail)
    student.threshold_for(precision)
    return precision


def _json(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")
