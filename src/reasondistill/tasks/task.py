"""A task: its fields, labels or choices, prompts, targets, and the parser of outputs.

A task is data. Rendering makes a target out of segments, each marked with the loss term that its tokens belong to;
parsing takes a label and an explanation out of text that a student wrote on its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reasondistill.contracts.records import Example
from reasondistill.contracts.records import OutputOrder as OutputOrder
from reasondistill.errors import DataError, TaskError
from reasondistill.storage.layered_yaml import read_yaml, validate_config

Role = Literal["label", "explanation", "context"]
"""Which loss term a piece of a target belongs to; ``context`` belongs to none."""

_EXPLANATION_MARK = "explanation:"
_LABEL_MARK = "label:"
_COLUMNS = {"label", "id", "group", "split", "explanation", "explanations"}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Segment(NamedTuple):
    """A piece of target text and the loss term of its tokens."""

    text: str
    role: Role


class Target(NamedTuple):
    """What a student should write: the segments' texts joined without anything between them.

    ``ends`` says whether the end of the sequence is part of what is learned, and ``end_role`` which loss term its token
    belongs to.
    """

    segments: tuple[Segment, ...]
    ends: bool = False
    end_role: Role = "explanation"

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


class Parsed(NamedTuple):
    """What a student's own text says; ``label`` is None where it holds none of the labels."""

    label: str | None
    explanation: str


class Task(BaseModel):
    """A question with named fields whose answer is a label, an explanation, or both.

    ``labels`` is None for a task whose examples carry their own ``choices``, and empty for one without labels.
    In prompts ``{field}`` stands for a field's text and ``{choices}`` for an example's choices.
    ``label_prompt`` and ``explanation_prompt`` are used by the output order ``separate``. A prompt that is not given
    names the task and each field before its text: ``explain nli premise: … hypothesis: …``. Rows in which a field is
    empty are set aside, unless it is one of ``optional``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fields: tuple[str, ...] = Field(min_length=1)
    labels: tuple[str, ...] | None = None
    optional: tuple[str, ...] = ()
    # Prompts that are not given are filled in below; the defaults tell type checkers that they may be left out.
    prompt: str = ""
    label_prompt: str = ""
    explanation_prompt: str = ""

    @model_validator(mode="before")
    @classmethod
    def _default_prompts(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("fields"), list | tuple):
            return value  # pydantic says what is wrong
        # Where types are held to, a list that comes from here is no tuple.
        value = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        parts = [f"{field}: {{{field}}}" for field in value["fields"]]
        if value.get("labels") is None:
            parts.append("choices: {choices}")
        described = f"{value.get('name')} {' '.join(parts)}"
        prompt = value.get("prompt", f"explain {described}")
        return {"label_prompt": f"predict {described}", "explanation_prompt": prompt, **value, "prompt": prompt}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problem := label_problem(self.labels or ()):
            raise ValueError(problem)
        if "choices" in self.fields:
            raise ValueError("a field cannot be called 'choices': in prompts that stands for an example's choices")
        if taken := set(self.fields) & _COLUMNS:
            raise ValueError(f"a field cannot be called {sorted(taken)}: a table has those columns beside its fields")
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
        """The text that a student reads before it writes a label, and before it writes an explanation."""
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

        A pair is read once for all its explanations. None among them stands for a target without explanation.
        Targets that would supervise nothing are left out, and so are prompts that are left without a target.
        ``closed`` is that of `render_target`.
        """
        prompts = self.render_prompts(order, example)
        if order == "separate":
            label_targets = [render_target("label_only", example.label, None, closed=closed)]
            texts = [render_target("explanation_only", None, e) for e in explanations]
            pairs = [(prompts["label"], label_targets), (prompts["explanation"], texts)]
        else:
            targets = [render_target(order, example.label, e, closed=closed) for e in explanations]
            pairs = [(prompts["label"], targets)]
        kept = ((prompt, list(dict.fromkeys(t for t in targets if t is not None))) for prompt, targets in pairs)
        return [(prompt, targets) for prompt, targets in kept if targets]

    def _fill(self, template: str, example: Example) -> str:
        values: Mapping[str, str] = {**example.fields, "choices": "; ".join(example.choices or ())}
        # One pass with a function: a field's own text may hold braces or backslashes.
        return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def distinct(labels: Sequence[str]) -> bool:
    """Whether labels differ by more than case and spacing, which do not count in a student's text."""
    return len({_plain(label) for label in labels}) == len(labels)


def label_problem(labels: Sequence[str]) -> str | None:
    """Why these labels cannot be told apart in a student's text, or None if they can."""
    for label in labels:
        if not label.strip() or label != label.strip():
            return f"the label {label!r} is empty or has white space around it"
        if _EXPLANATION_MARK in label or _LABEL_MARK in label:
            return (
                f"the label {label!r} holds {_EXPLANATION_MARK!r} or {_LABEL_MARK!r}, which separate a target's parts"
            )
    if not distinct(labels):
        return f"the labels {list(labels)} hold one twice (case and spacing do not count)"
    return None


def render_target(
    order: OutputOrder, label: str | None, explanation: str | None, *, closed: bool = False
) -> Target | None:
    """The target of one row; None where the row supervises nothing.

    A row without an explanation supervises its label's tokens only and does not end: the student is not taught to
    stop after a label. A row without a label supervises its explanation only; in ``label_first`` the separator is
    then context, so that the student does not learn to begin with it instead of with a label.

    With ``closed`` what follows a label belongs to it, and is learned also where there is no explanation: see
    `close_label`.
    """
    if order == "separate":
        raise ValueError("'separate' has two targets: render 'label_only' and 'explanation_only'")
    if order == "label_only" or explanation is None:
        if label is None or order == "explanation_only":
            return None
        if order == "explanation_first":
            target = Target((Segment(_LABEL_MARK, "context"), Segment(f" {label}", "label")))
        else:
            target = Target((Segment(label, "label"),))
        return close_label(order, target) if closed else target
    if order == "explanation_only":
        return Target((Segment(explanation, "explanation"),), ends=True)
    if order == "label_first":
        if label is None:
            segments = Segment(f"{_EXPLANATION_MARK} ", "context"), Segment(explanation, "explanation")
            return Target(segments, ends=True)
        if closed:
            target = close_label(order, Target((Segment(label, "label"),)))
            return Target((*target.segments, Segment(f" {explanation}", "explanation")), ends=True)
        return Target(
            (Segment(label, "label"), Segment(f" {_EXPLANATION_MARK} {explanation}", "explanation")), ends=True
        )
    if label is None:
        return Target((Segment(explanation, "explanation"),))
    # The space belongs to the label: some tokenizers write it as a token of its own before some labels only, and
    # scores of labels must cover the same text.
    mark = Segment(f" {_LABEL_MARK}", "explanation")
    target = Target((Segment(explanation, "explanation"), mark, Segment(f" {label}", "label")), ends=True)
    return close_label(order, target) if closed else target


def close_label(order: OutputOrder, target: Target) -> Target:
    """A target that stops at its label, with what follows a label in that order: the separator, or the end.

    It belongs to the label. "bank" and "bank of a river" begin alike: only what comes after "bank" tells them apart,
    so that is learned, and scored, as a part of the label.
    """
    if order == "label_first":
        return target._replace(segments=(*target.segments, Segment(f" {_EXPLANATION_MARK}", "label")))
    return target._replace(ends=True, end_role="label")


def choice_targets(order: OutputOrder, choices: Sequence[str], explanation: str | None) -> list[Target]:
    """One target for each label that could be the answer; a student's score is that of the label's tokens.

    ``explanation`` is what the student wrote before, for ``explanation_first``; other orders leave it out.
    """
    if order != "explanation_first" or explanation is None:
        return [Target((Segment(choice, "label"),)) for choice in choices]
    context = Segment(f"{explanation} {_LABEL_MARK}", "context")
    return [Target((context, Segment(f" {choice}", "label"))) for choice in choices]


def explanation_prefix(order: OutputOrder, label: str | None) -> str:
    """The text that a student is made to begin with before it explains: with ``label_first``, the decided label."""
    return f"{label} {_EXPLANATION_MARK}" if order == "label_first" and label is not None else ""


def explanation_stop(order: OutputOrder, text: str) -> str:
    """A generated explanation without the label that ``explanation_first`` writes after it."""
    return _split_last(text)[0] if order == "explanation_first" else text


def parse(order: OutputOrder, text: str, labels: Sequence[str]) -> Parsed:
    """Take label and explanation out of text that a student wrote unforced.

    ``parse(order, render_target(order, label, explanation), labels)`` gives both back, whatever the explanation
    holds. Spacing around the separator and the label's case may differ, as tokenizers change them.
    """
    if order in ("label_only", "separate"):
        return Parsed(_match(text, labels), "")
    if order == "explanation_only":
        return Parsed(None, text)
    if order == "explanation_first":
        explanation, label = _split_last(text)
        return Parsed(_match(label, labels), explanation)
    separator = f" {_EXPLANATION_MARK} "
    if text.startswith(separator.lstrip()):  # rendered without a label; no label holds the mark
        label, explanation = "", text.removeprefix(separator.lstrip())
    elif separator in text:
        label, explanation = text.split(separator, 1)
    else:
        parts = re.split(r"\s+explanation\s*:\s*", text, maxsplit=1)
        label, explanation = parts[0], parts[1] if len(parts) > 1 else ""
    return Parsed(_match(label, labels), explanation)


def _split_last(text: str) -> tuple[str, str]:
    explanation, mark, label = text.rpartition(f" {_LABEL_MARK} ")
    if mark:
        return explanation, label
    loose = list(re.finditer(r"(^|\s+)label\s*:\s*", text))
    return (text[: loose[-1].start()], text[loose[-1].end() :]) if loose else (text, "")


def _match(text: str, labels: Sequence[str]) -> str | None:
    return next((label for label in labels if _plain(label) == _plain(text)), None)


def _plain(text: str) -> str:
    # Tokenizers put spaces around hyphens and other marks, and may lower the case.
    return re.sub(r"\s+", "", text).casefold()


_BUILTIN = Path(__file__).parents[1] / "builtin" / "tasks"
BUILTIN_TASKS = tuple(sorted(path.stem for path in _BUILTIN.glob("*.yaml")))
"""Names of the tasks that the package brings, each a YAML file."""


def get_task(name: str) -> Task:
    """A built-in task by name, or one that a YAML file (.yaml, .yml) describes.

    Raises:
        TaskError: there is none of that name.
        DataError: the file is absent or empty.
        ConfigError: the file does not describe a task; all that is wrong is named.
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
