"""Prompt templates, and the messages that are made of them for one question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict

from reasondistill.contracts.records import Example
from reasondistill.contracts.teaching import AskingMode
from reasondistill.errors import ConfigError
from reasondistill.storage.files import fingerprint
from reasondistill.storage.layered_yaml import read_yaml, validate_config
from reasondistill.tasks.task import Task
from reasondistill.teachers.answer_formats import Parts, instruction, write
from reasondistill.teachers.teach_settings import AnswerFormat, Prompts

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_BUILTIN = Path(__file__).parents[1] / "builtin" / "teaching" / "prompts.yaml"

TOLD: frozenset[AskingMode] = frozenset({"given_label", "every_label", "hint_after_error"})
"""Modes whose template tells a label."""

PARTS: Mapping[AskingMode, Parts] = {
    "label_then_explanation": ("label", "explanation"),
    "explanation_then_label": ("explanation", "label"),
    "given_label": ("explanation",),
    "every_label": ("explanation",),
    "hint_after_error": ("explanation",),
    "label_only": ("label",),
}


class Message(TypedDict):
    role: Literal["system", "user", "assistant"]
    content: str


class Templates(NamedTuple):
    """The templates of one run: those that are shipped under those of the configuration."""

    system: str
    questions: Mapping[AskingMode, str]

    @property
    def hash(self) -> str:
        return fingerprint(self.system, dict(self.questions))


def templates(prompts: Prompts, task: Task) -> Templates:
    """Lay a configuration's prompts over the shipped ones.

    Raises:
        ConfigError: a template leaves out a field of the task, or uses what there is not.
    """
    texts = {**_shipped(), **prompts.model_dump(exclude_none=True)}
    questions: dict[AskingMode, str] = {mode: texts[mode].strip() for mode in PARTS}
    problems = [problem for mode, text in questions.items() if (problem := _problem(mode, text, task))]
    if problems:
        raise ConfigError.gather("prompts", problems)
    return Templates(texts["system"].strip(), questions)


@cache
def _shipped() -> dict[str, str]:
    return validate_config(Prompts, read_yaml(_BUILTIN), where=_BUILTIN).model_dump()


def _problem(mode: AskingMode, text: str, task: Task) -> str | None:
    used = set(_PLACEHOLDER.findall(text))
    allowed = {*task.fields, "fields", "labels", *(("label",) if mode in TOLD else ())}
    if unknown := sorted(used - allowed):
        return f"{mode}: {{{unknown[0]}}} is none of {', '.join(f'{{{name}}}' for name in sorted(allowed))}"
    if "fields" not in used and (missing := [name for name in task.fields if name not in used]):
        return f"{mode}: leaves out {{{missing[0]}}}: name every field, or {{fields}} for all"
    if mode in TOLD and "label" not in used and task.labels != ():
        return f"{mode}: leaves out {{label}}"
    return None


class PromptForm(NamedTuple):
    """How one teacher is asked in one mode."""

    templates: Templates
    mode: AskingMode
    form: AnswerFormat
    task: Task

    @property
    def parts(self) -> Parts:
        return PARTS[self.mode]

    def messages(
        self, example: Example, label: str | None, shots: Sequence[tuple[Example, str | None, str]]
    ) -> list[Message]:
        """The messages of one question.

        Args:
            label: that the teacher is told.
            shots: answered examples that come first: each with its label and explanation.
        """
        how = instruction(self.form, self.parts, self._labels(example))
        messages: list[Message] = [{"role": "system", "content": f"{self.templates.system}\n\n{how}"}]
        for shot, shot_label, explanation in shots:
            messages.append({"role": "user", "content": self._question(shot, shot_label)})
            messages.append({"role": "assistant", "content": write(self.form, self.parts, shot_label, explanation)})
        return [*messages, {"role": "user", "content": self._question(example, label)}]

    def _labels(self, example: Example) -> tuple[str, ...]:
        return () if self.task.labels == () else self.task.choices_for(example)

    def _question(self, example: Example, label: str | None) -> str:
        values = {
            **example.fields,
            "fields": "\n".join(f"{name}: {example.fields[name]}" for name in self.task.fields),
            "labels": ", ".join(self._labels(example)),
            "label": label or "",
        }
        # One pass: a field's own text may hold braces.
        return _PLACEHOLDER.sub(lambda match: values[match[1]], self.templates.questions[self.mode])
