"""From examples to requests, and from replies to TeacherAnswers: for one teacher, in the order of the data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from reasondistill.contracts.records import Example
from reasondistill.contracts.teacher_replies import Attempt, KeptRequest
from reasondistill.contracts.teaching import AskingMode, TeacherAnswer
from reasondistill.tasks.task import Task
from reasondistill.teachers.answer_formats import CUT, Read, read, schema
from reasondistill.teachers.backends.backend import Backend
from reasondistill.teachers.few_shots import FewShots
from reasondistill.teachers.prompting import PARTS, Message, PromptForm, Templates
from reasondistill.teachers.teach_settings import AnswerFormat, TeacherSettings
from reasondistill.teachers.teacher_requests import Question, TeacherRequest, request_key

Lookup = Callable[[Iterable[bytes]], Mapping[bytes, KeptRequest]]

_AT_ONCE = 500
"""Examples whose replies are looked up together."""


class Kept(NamedTuple):
    """A request with what is kept of it."""

    request: TeacherRequest
    kept: KeptRequest


@dataclass(frozen=True)
class Asking:
    """How one teacher is asked about a data set."""

    teacher: TeacherSettings
    backend: Backend
    task: Task
    mode: AskingMode
    templates: Templates
    samples: int
    shots: FewShots

    @property
    def form(self) -> AnswerFormat | None:
        """How its answers look; None for a teacher that writes no text."""
        return getattr(self.teacher, "answer_format", None)

    def requests(self, examples: Iterable[Example], lookup: Lookup) -> Iterator[Kept]:
        """Every request with what is kept of it, in the order of the data; hints only where an answer was wrong."""
        rest = iter(examples)
        while some := list(islice(rest, _AT_ONCE)):
            rows = [[self.request(question) for question in self.questions(example)] for example in some]
            kept = lookup(request.stored_as for row in rows for request in row)
            hints = {request.key: self._hint(request, kept) for row in rows for request in row}
            kept = {**kept, **lookup(hint.stored_as for hint in hints.values() if hint is not None)}
            for row in rows:
                for request in chain(row, (hint for r in row if (hint := hints[r.key]) is not None)):
                    yield Kept(request, kept.get(request.stored_as, KeptRequest()))

    def questions(self, example: Example) -> list[Question]:
        """The first questions about an example; none where its label is to be explained and it has none."""
        samples = range(self.samples)
        if self.mode == "hint_after_error":
            return [Question(example, "explanation_then_label", k) for k in samples]
        if self.mode == "every_label":
            choices = self.task.choices_for(example)
            return [Question(example, self.mode, k, argued_label=label) for label in choices for k in samples]
        if self.mode == "given_label":
            if example.label is None and self.task.labels != ():
                return []
            return [Question(example, self.mode, k, argued_label=example.label, hinted=True) for k in samples]
        return [Question(example, self.mode, k) for k in samples]

    def request(self, question: Question) -> TeacherRequest:
        """The question in words."""
        parts = PARTS[question.mode]
        labels = () if self.task.labels == () else self.task.choices_for(question.example)
        parameters = self.backend.parameters(question.sample, parts, labels)
        messages = self._messages(question)
        model = self.backend.model
        return TeacherRequest(
            key=request_key(model, parameters, messages, question.sample),
            model=model,
            messages=tuple(messages),
            parameters=parameters,
            question=question,
            parts=parts,
            labels=tuple(labels),
            schema=schema(parts, labels) if self.form == "json_schema" else None,
            max_tokens=getattr(self.teacher, "max_tokens", 0),
        )

    def _messages(self, question: Question) -> list[Message]:
        if self.form is None:  # it reads the row itself
            plain = json.dumps([question.example.fields, question.argued_label], ensure_ascii=False)
            return [{"role": "user", "content": plain}]
        form = PromptForm(self.templates, question.mode, self.form, self.task)
        shots = [
            (shot, shot.label, shot.references[0].text if shot.references else "")
            for shot in self.shots.of(question.example)
        ]
        return form.messages(question.example, question.argued_label, shots)

    def _hint(self, request: TeacherRequest, kept: Mapping[bytes, KeptRequest]) -> TeacherRequest | None:
        """The question with the right label, after a wrong answer (Zelikman et al. 2022)."""
        question, reply = request.question, kept.get(request.stored_as)
        if self.mode != "hint_after_error" or question.example.label is None or reply is None or reply.answer is None:
            return None
        given = read_reply(request, reply.answer, self.form).label
        if given is None or given == question.example.label:
            return None
        label = question.example.label
        return self.request(Question(question.example, "hint_after_error", question.sample, label, hinted=True))

    def answer(self, kept: Kept) -> TeacherAnswer:
        """What a request brought, usable or not."""
        request, question = kept.request, kept.request.question
        attempt = kept.kept.answer or kept.kept.last
        answer = read_reply(request, attempt, self.form)
        probabilities = dict(attempt.given.probabilities) if attempt and attempt.given else {}
        # A teacher that was told a label argues for it.
        label = question.argued_label if "label" not in request.parts and not answer.problem else answer.label
        return TeacherAnswer(
            id=question.example.id,
            teacher=self.teacher.name,
            mode=question.mode,
            sample=question.sample,
            argued_label=question.argued_label,
            hinted=question.hinted,
            label=label,
            explanation=answer.explanation,
            probabilities=probabilities,
            confidence=probabilities.get(label) if label is not None else None,
            finish_reason=attempt.finish_reason if attempt else None,
            problem=answer.problem,
            request=request.key,
        )


NOT_ASKED = "not asked"


def read_reply(request: TeacherRequest, attempt: Attempt | None, form: AnswerFormat | None) -> Read:
    """The answer that an attempt brought; its problem where it brought none that can be used."""
    if attempt is None:
        return Read(problem=NOT_ASKED)
    if attempt.outcome != "answered":
        return Read(problem=attempt.problem or attempt.outcome)
    if attempt.given is None:
        assert form is not None  # who writes text has a form
        return read(form, request.parts, attempt.text, request.labels)
    return _given(request, attempt)


def _given(request: TeacherRequest, attempt: Attempt) -> Read:
    given = attempt.given
    assert given is not None
    label, explanation = given.label, given.explanation.strip()
    if "label" in request.parts and label not in request.labels:
        return Read(problem="no label" if label is None else "unknown label")
    if "explanation" in request.parts and not explanation:
        return Read(problem="empty explanation")
    if request.question.argued_label is not None and label not in (None, request.question.argued_label):
        return Read(problem="argues for another label")
    return Read(label, explanation if "explanation" in request.parts else "")


def is_cut(request: TeacherRequest, text: str, form: AnswerFormat | None) -> bool:
    """Whether a text ends in the middle of its JSON, whatever the server says."""
    return form is not None and read(form, request.parts, text, request.labels).problem == CUT
