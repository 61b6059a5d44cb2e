"""A task: its fields, labels or choices, prompts, targets, and the parser of outputs.

A task is data. Rendering builds a target from segments, each marked with the loss term of its tokens;
`reading_outputs` extracts a label and an explanation from text that a student generated freely.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from reasondistill.contracts.records import Example
from reasondistill.contracts.records import OutputOrder as OutputOrder
from reasondistill.errors import DataError, TaskError
from reasondistill.storage.layered_yaml import read_yaml, validate_config
from reasondistill.tasks.answer_texts import escaped
from reasondistill.tasks.reading_outputs import EXPLANATION_MARK, LABEL_MARK, without_case
from reasondistill.tasks.step_structures import AnyStructure, lines_to_learn

AnswerKind = Literal["labels", "choices", "text", "query"]
"""What an answer is: one of the task's labels, one of a row's choices, a text, or a query of a database."""

Role = Literal["label", "explanation", "context"]
"""Which loss term a piece of a target belongs to; ``context`` belongs to none."""

_COLUMNS = {"label", "id", "group", "split", "explanation", "explanations"}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_WRITTEN: tuple[AnswerKind, ...] = ("text", "query")


class Segment(NamedTuple):
    """A piece of target text and the loss term of its tokens."""

    text: str
    role: Role


class Target(NamedTuple):
    """What a student should write: the segments' texts, joined without separators.

    ``ends`` says whether the end of the sequence is learned too, ``end_role`` which loss term its token belongs to.
    """

    segments: tuple[Segment, ...]
    ends: bool = False
    end_role: Role = "explanation"

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


class Task(BaseModel):
    """A question with named fields whose answer is a label, an explanation, or both.

    ``labels`` is None for a task whose examples carry their own ``choices``, and empty for one without labels.
    ``answer`` is ``text`` or ``query`` for a task whose answer is written, not chosen: it has no labels, and an
    example's ``label`` is the answer itself. For other tasks it says what ``labels`` says already, or nothing.
    In prompts ``{field}`` stands for a field's text and ``{choices}`` for an example's choices.
    A ``structure`` makes of each explanation a line that is checked and read out: see `tasks.structures`, and
    `tasks.step_structures` for one of several steps.
    ``label_prompt`` and ``explanation_prompt`` are used by the output order ``separate``. The default prompt names the
    task, and each field before its text: ``explain nli premise: … hypothesis: …``. Rows with an empty field are
    dropped, unless it is one of ``optional``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fields: tuple[str, ...] = Field(min_length=1)
    labels: tuple[str, ...] | None = None
    optional: tuple[str, ...] = ()
    answer: AnswerKind | None = None
    # Missing prompts are filled in below; the defaults are for type checkers.
    prompt: str = ""
    label_prompt: str = ""
    explanation_prompt: str = ""
    structure: AnyStructure | None = None
    """What its explanations are made of, where they are no free texts."""

    @model_validator(mode="before")
    @classmethod
    def _default_prompts(cls, value: object) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("fields"), list | tuple):
            return value  # pydantic says what is wrong
        # In strict mode a list does not count as a tuple.
        value = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        if value.get("answer") in _WRITTEN:
            value = {"labels": (), **value}
        parts = [f"{field}: {{{field}}}" for field in value["fields"]]
        if value.get("labels") is None:
            parts.append("choices: {choices}")
        described = f"{value.get('name')} {' '.join(parts)}"
        prompt = value.get("prompt", f"explain {described}")
        return {"label_prompt": f"predict {described}", "explanation_prompt": prompt, **value, "prompt": prompt}

    @model_serializer(mode="wrap")
    def _without_what_labels_say(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A task without these two is written, and so its fingerprint is, as in versions before there were such keys.
        value: dict[str, object] = handler(self)
        if self.answer not in _WRITTEN:
            value.pop("answer", None)
        if self.structure is None:
            value.pop("structure", None)
        return value

    @model_validator(mode="after")
    def _answer_fits_labels(self) -> Self:
        kind = "choices" if self.labels is None else "labels"
        if self.answer in _WRITTEN and self.labels != ():
            raise ValueError(f"answer: {self.answer} is written, not chosen: leave out labels")
        if self.answer not in (None, kind, *_WRITTEN) or (self.answer == "labels" and not self.labels):
            raise ValueError(f"answer: {self.answer} does not fit labels: {self.labels and [*self.labels]}")
        if self.structure is not None and self.answer in _WRITTEN:
            raise ValueError("structure: for tasks whose answers are chosen; leave it out, or answer")
        if self.structure is not None and (problem := self.structure.problem(self.fields, self.labels)):
            raise ValueError(problem)
        return self

    @property
    def writes_answers(self) -> bool:
        """Whether the answer is a text that a student writes, rather than one of given labels or choices."""
        return self.answer in _WRITTEN

    @property
    def has_answers(self) -> bool:
        """Whether an answer is asked for at all: a label, a choice or a text."""
        return self.labels != () or self.writes_answers

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problem := label_problem(self.labels or ()):
            raise ValueError(problem)
        if "choices" in self.fields:
            raise ValueError("a field cannot be called 'choices': in prompts that stands for an example's choices")
        if taken := set(self.fields) & _COLUMNS:
            raise ValueError(
                f"a field cannot be called {sorted(taken)}: a table has columns of these names for other things"
            )
        if len(set(self.fields)) < len(self.fields) or not all(map(str.isidentifier, self.fields)):
            raise ValueError(f"fields are words, each once: {list(self.fields)} are not")
        if unknown := set(self.optional) - set(self.fields):
            raise ValueError(f"optional names {sorted(unknown)}, which are no fields")
        allowed = {*self.fields, "choices"} if self.labels is None else set(self.fields)
        for prompt in (self.prompt, self.label_prompt, self.explanation_prompt):
            used = set(_PLACEHOLDER.findall(prompt))
            if unknown := used - allowed:
                raise ValueError(f"a prompt uses {sorted(unknown)}, which are not among the fields {sorted(allowed)}")
            if missing := set(self.fields) - used:
                raise ValueError(f"the prompt {prompt!r} leaves out the fields {sorted(missing)}")
        return self

    def choices_for(self, example: Example) -> tuple[str, ...]:
        """The labels that an answer to ``example`` is chosen from.

        Raises:
            TaskError: the task takes choices from examples, and this one has none, or unusable ones.
        """
        if self.labels is not None:
            return self.labels
        if not example.choices:
            raise TaskError(
                f"example {example.id!r}", expected=f"choices, which the task {self.name!r} needs", found="none"
            )
        if problem := label_problem(example.choices):
            raise TaskError(f"example {example.id!r}", problem=problem)
        return example.choices

    def check(self, example: Example) -> Example:
        """Return ``example`` if it fits the task.

        Raises:
            DataError: a field is missing or the label is not one of the task's.
        """
        missing = [name for name in self.fields if name not in example.fields]
        if missing:
            raise DataError(
                f"example {example.id!r}",
                expected=f"the fields {list(self.fields)} of the task {self.name!r}",
                found=f"{sorted(example.fields)}",
                fix=f"Add {missing}, or name another task.",
            )
        if self.labels == ():
            return example
        if example.label is not None and example.label not in self.choices_for(example):
            raise DataError(
                f"example {example.id!r}",
                expected=f"one of the labels {list(self.choices_for(example))}",
                found=repr(example.label),
                fix="Correct the label, or leave it empty.",
            )
        return example

    def render_prompts(self, order: OutputOrder, example: Example) -> dict[Literal["label", "explanation"], str]:
        """The prompts for the label and for the explanation."""
        if order == "separate":
            return {
                "label": self._fill(self.label_prompt, example),
                "explanation": self._fill(self.explanation_prompt, example),
            }
        prompt = self._fill(self.prompt, example)
        return {"label": prompt, "explanation": prompt}

    def render(
        self, order: OutputOrder, example: Example, explanations: Sequence[str | None], *, closed: bool = False
    ) -> list[tuple[str, list[Target]]]:
        """What to train on: prompts, each with the targets that follow it, one for each of ``explanations``.

        An example's prompt is read once for all its explanations. None among them stands for a target without an
        explanation. Targets that supervise nothing are left out, and so are prompts without targets. ``closed`` is as
        in `render_target`.
        """
        prompts = self.render_prompts(order, example)
        if self.structure is not None:
            explanations = lines_to_learn(self.structure, explanations, example.fields)
        label = self.target_label(example.label)
        closed = closed or self.writes_answers  # where a text ends is learned with it
        if order == "separate":
            label_targets = [render_target("label_only", label, None, closed=closed)]
            texts = [render_target("explanation_only", None, e) for e in explanations]
            pairs = [(prompts["label"], label_targets), (prompts["explanation"], texts)]
        else:
            targets = [render_target(order, label, e, closed=closed) for e in explanations]
            pairs = [(prompts["label"], targets)]
        kept = ((prompt, list(dict.fromkeys(t for t in targets if t is not None))) for prompt, targets in pairs)
        return [(prompt, targets) for prompt, targets in kept if targets]

    def target_label(self, label: str | None) -> str | None:
        """A label as a target holds it: the separators in a written answer are spelt so that they separate nothing."""
        return escaped(label) if label is not None and self.writes_answers else label

    def own_words(self, explanation: str, fields: Mapping[str, str]) -> str:
        """A reference's text without its structure, or what that reads as, where the task's explanations have one."""
        return explanation if self.structure is None else self.structure.own_words(explanation, fields)

    def as_learned(self, explanation: str, example: Example) -> str:
        """An explanation as a target holds it: its structure, if the task's have one and this text is one's."""
        if self.structure is None:
            return explanation
        claim = self.structure.parse(explanation, example.fields)
        claim = claim or self.structure.read_text(explanation, example.fields)
        return explanation if claim is None else claim.line

    def _fill(self, template: str, example: Example) -> str:
        values: Mapping[str, str] = {**example.fields, "choices": "; ".join(example.choices or ())}
        # One pass with a function: a field's text may contain braces or backslashes.
        return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def distinct(labels: Sequence[str]) -> bool:
    """Whether labels differ by more than case and spacing, which are ignored in a student's text."""
    return len({without_case(label) for label in labels}) == len(labels)


def label_problem(labels: Sequence[str]) -> str | None:
    """Why these labels cannot be told apart in a student's text, or None if they can."""
    for label in labels:
        if not label.strip() or label != label.strip():
            return f"the label {label!r} is empty or has white space around it"
        if EXPLANATION_MARK in label or LABEL_MARK in label:
            return f"the label {label!r} holds {EXPLANATION_MARK!r} or {LABEL_MARK!r}, which separate a target's parts"
    if not distinct(labels):
        return f"the labels {list(labels)} hold one twice (case and spacing do not count)"
    return None


def render_target(
    order: OutputOrder, label: str | None, explanation: str | None, *, closed: bool = False
) -> Target | None:
    """The target of one row; None if the row supervises nothing.

    A row without an explanation supervises its label's tokens only and does not end: the student is not taught to
    stop after a label. A row without a label supervises its explanation only; in ``label_first`` the separator is
    then context, so that the student does not learn to begin with it instead of with a label.

    With ``closed`` what follows a label belongs to it, and is learned even without an explanation: see `close_label`.
    """
    if order == "separate":
        raise ValueError("'separate' has two targets: render 'label_only' and 'explanation_only'")
    if order == "label_only" or explanation is None:
        if label is None or order == "explanation_only":
            return None
        if order == "explanation_first":
            target = Target((Segment(LABEL_MARK, "context"), Segment(f" {label}", "label")))
        else:
            target = Target((Segment(label, "label"),))
        return close_label(order, target) if closed else target
    if order == "explanation_only":
        return Target((Segment(explanation, "explanation"),), ends=True)
    if order == "label_first":
        if label is None:
            segments = Segment(f"{EXPLANATION_MARK} ", "context"), Segment(explanation, "explanation")
            return Target(segments, ends=True)
        if closed:
            target = close_label(order, Target((Segment(label, "label"),)))
            return Target((*target.segments, Segment(f" {explanation}", "explanation")), ends=True)
        return Target(
            (Segment(label, "label"), Segment(f" {EXPLANATION_MARK} {explanation}", "explanation")), ends=True
        )
    if label is None:
        return Target((Segment(explanation, "explanation"),))
    # The space belongs to the label: some tokenizers make it a separate token before certain labels only, and the
    # scores of all labels must cover the same text.
    mark = Segment(f" {LABEL_MARK}", "explanation")
    target = Target((Segment(explanation, "explanation"), mark, Segment(f" {label}", "label")), ends=True)
    return close_label(order, target) if closed else target


def close_label(order: OutputOrder, target: Target) -> Target:
    """A target that stops at its label, plus what follows a label in that order: the separator, or the end.

    That becomes part of the label. "bank" and "bank of a river" begin alike: only what follows "bank" distinguishes
    them, so it is learned and scored with the label.
    """
    if order == "label_first":
        return target._replace(segments=(*target.segments, Segment(f" {EXPLANATION_MARK}", "label")))
    return target._replace(ends=True, end_role="label")


def choice_targets(order: OutputOrder, choices: Sequence[str], explanation: str | None) -> list[Target]:
    """One target for each possible label; the score of a label is that of its tokens.

    ``explanation`` is the student's own, for ``explanation_first``; other orders ignore it.
    """
    if order != "explanation_first" or explanation is None:
        return [Target((Segment(choice, "label"),)) for choice in choices]
    context = Segment(f"{explanation} {LABEL_MARK}", "context")
    return [Target((context, Segment(f" {choice}", "label"))) for choice in choices]


def explanation_prefix(order: OutputOrder, label: str | None) -> str:
    """The forced beginning of an output that goes on with the explanation: with ``label_first``, the decided label."""
    return f"{label} {EXPLANATION_MARK}" if order == "label_first" and label is not None else ""


_BUILTIN = Path(__file__).parents[1] / "builtin" / "tasks"
BUILTIN_TASKS = tuple(sorted(path.stem for path in _BUILTIN.glob("*.yaml")))
"""Names of the built-in tasks, each a YAML file."""


def get_task(name: str) -> Task:
    """A built-in task by name, or the task of a YAML file (.yaml, .yml).

    Raises:
        TaskError: there is no such task.
        DataError: the file is absent or empty.
        ConfigError: the file does not describe a task; all mistakes are named.
    """
    if name.endswith((".yaml", ".yml")):
        return validate_config(Task, read_yaml(name), where=name)
    if name not in BUILTIN_TASKS:
        raise TaskError("task", expected=f"one of {list(BUILTIN_TASKS)}, or the path of a .yaml file", found=repr(name))
    return _builtin(name)


@cache
def _builtin(name: str) -> Task:
    path = _BUILTIN / f"{name}.yaml"
    return validate_config(Task, read_yaml(path), where=path)


NLI = get_task("nli")
