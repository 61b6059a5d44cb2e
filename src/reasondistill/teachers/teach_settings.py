"""The YAML of `teach`: what is asked, of whom, with which words, and how much it may cost."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from reasondistill.config import Config, ConfiguredTask, Positive, Source
from reasondistill.contracts.teaching import AskingMode
from reasondistill.tasks.task import get_task
from reasondistill.teachers.filters.filters_config import FiltersConfig

Money = Annotated[float, Field(ge=0)]
AnswerFormat = Literal["json_schema", "json", "lines"]
"""What an answer looks like: JSON that the server holds to a schema, JSON, or lines `Label: …` and `Explanation: …`."""

PerMinute = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, le=1e6)]
TeacherName = Annotated[str, Field(pattern=r"^[\w][\w.:/-]*$", max_length=200)]
_VARIABLE = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_LOOKS_LIKE_A_KEY = re.compile(r"(^|[^A-Za-z0-9])sk-[A-Za-z0-9_-]{8,}|^[A-Za-z0-9_-]{40,}$")


class Prices(Config):
    """What a million tokens cost, in any currency; the budget is in the same."""

    input: Money
    output: Money
    cached_input: Money | None = None
    """Of input tokens that the server read from its cache; by default those of input."""


class Limits(Config):
    """How fast and how long a server is asked."""

    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None
    """Input and output together."""
    concurrent: Annotated[int, Field(ge=1, le=1024)] = 8
    timeout: Seconds = 120.0
    """Seconds for one attempt."""
    retry_for: Seconds = 300.0
    """Seconds until a request that fails again and again is given up; another `teach --resume` asks it anew."""


class _Teacher(Config):
    name: TeacherName
    """Becomes the explanations' ``source``."""
    mode: AskingMode | None = None
    """Instead of the configuration's."""
    license: str = ""
    """Of what it writes; goes into the data card."""


class _Writer(_Teacher):
    """A language model. What is not given is the server's or the model's own default."""

    answer_format: AnswerFormat = "json_schema"
    max_tokens: Positive = 200
    """Of an answer; one that is cut there is not used."""
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Sent as seed + sample; most servers promise nothing for it."""


class ApiTeacher(_Writer):
    """A server that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama, hosted ones."""

    kind: Literal["api"] = "api"
    model: Annotated[str, Field(min_length=1)]
    base_url: str = "https://api.openai.com/v1"
    api: Literal["chat", "completions", "responses", "batch"] = "chat"
    key_env: _VARIABLE = "OPENAI_API_KEY"
    """The environment variable with the key. Keys are read from nowhere else, and written nowhere."""
    tokens_parameter: Literal["max_tokens", "max_completion_tokens"] | None = None
    """What the server calls ``max_tokens``; by default as OpenAI's own server wants it, elsewhere ``max_tokens``."""
    extra: dict[str, object] = Field(default_factory=dict)
    """More keys of the request's body: ``{chat_template_kwargs: {enable_thinking: false}}``."""
    prices: Prices | None = None
    limits: Limits = Limits()

    @field_validator("base_url")
    @classmethod
    def _a_web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http://HOST:PORT/v1 or https://HOST/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("expected an address without a name, password or query: keys are read from key_env")
        return value

    @model_validator(mode="after")
    def _form_of_the_api(self) -> Self:
        if self.api == "completions" and self.answer_format == "json_schema":
            raise ValueError("answer_format: json or lines with `api: completions`, which takes no schema")
        return self

    @field_validator("key_env", mode="before")
    @classmethod
    def _no_key_itself(cls, value: object) -> object:
        if isinstance(value, str) and _LOOKS_LIKE_A_KEY.search(value):
            # Not pydantic's own message, which would show what was given.
            return "(a key itself, where the name of a variable is expected)"
        return value


class GgufTeacher(_Writer):
    """A GGUF file, answered by llama.cpp on this machine (extra ``local``)."""

    kind: Literal["gguf"]
    file: str
    context: Positive = 4096
    threads: Positive | None = None
    concurrent: Annotated[int, Field(ge=1, le=64)] = 1


class TransformersTeacher(_Writer):
    """A causal or sequence-to-sequence model of transformers, in this process."""

    kind: Literal["transformers"]
    checkpoint: str
    revision: str = "main"
    batch_size: Positive = 8
    answer_format: Literal["json", "lines"] = "lines"  # nothing holds it to a schema


class ClassifierTeacher(_Teacher):
    """A sequence classifier of transformers, in this process: labels with probabilities, and no explanations."""

    kind: Literal["classifier"]
    checkpoint: str
    revision: str = "main"
    labels: dict[str, str] = Field(default_factory=dict)
    """The model's names of labels → the task's, where they differ."""
    batch_size: Positive = 32
    max_length: Positive = 256


class StudentTeacher(_Teacher):
    """A student or a package of ours."""

    kind: Literal["student"]
    student: str


class RecordedTeacher(_Teacher):
    """A file of answers: predictions (id, label, explanation), or id and explanations by label, as NILE's."""

    kind: Literal["recorded"]
    file: str


TeacherSettings = Annotated[
    ApiTeacher | GgufTeacher | TransformersTeacher | ClassifierTeacher | StudentTeacher | RecordedTeacher,
    Field(discriminator="kind"),
]


class Prompts(Config):
    """Templates that differ from builtin/teaching/prompts.yaml, which has all of them and says what they may hold."""

    system: str | None = None
    label_then_explanation: str | None = None
    explanation_then_label: str | None = None
    given_label: str | None = None
    every_label: str | None = None
    hint_after_error: str | None = None
    label_only: str | None = None


class Shots(Config):
    """Answered examples in front of each question. They come from training rows only."""

    count: Annotated[int, Field(ge=1, le=64)]
    source: Source | None = None
    """Where they are from; by default the training split of ``data``."""


class TeachConfig(Config):
    """Everything that a teaching run depends on."""

    name: Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
    """Also the name of its folder below ``teaching_dir``."""
    teaching_dir: str = "experiments/teaching"
    store: str | None = None
    """The file of replies, shared by runs; by default ``teacher_replies.sqlite`` in ``teaching_dir``."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    task: ConfiguredTask = Field(default_factory=lambda: get_task("nli"))
    data: Source
    teachers: Annotated[list[TeacherSettings], Field(min_length=1)]
    mode: AskingMode = "explanation_then_label"
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """Answers to the same question; more than one wants a temperature above 0."""
    shots: Shots | None = None
    prompts: Prompts = Prompts()
    budget: Money | None = None
    """A request that could pass it is not sent. It needs prices."""
    filters: FiltersConfig = FiltersConfig()
    """What an answer must be to be accepted."""

    @model_validator(mode="before")
    @classmethod
    def _kind_of_teachers(cls, value: object) -> object:
        # A teacher without a kind is a server: the first thing that people write.
        if isinstance(value, dict) and isinstance(value.get("teachers"), list):
            teachers = [{"kind": "api", **t} if isinstance(t, dict) else t for t in value["teachers"]]
            return {**value, "teachers": teachers}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = Counter(teacher.name for teacher in self.teachers)
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"teachers: expected names that differ, found {twice[0]!r} twice")
        if self.samples > 1:
            for number, teacher in enumerate(self.teachers):
                if isinstance(teacher, _Writer) and teacher.temperature == 0:
                    raise ValueError(f"teachers.{number}.temperature: {self.samples} samples at 0 would be the same")
        for number, teacher in enumerate(self.teachers):
            if self.budget is not None and isinstance(teacher, ApiTeacher) and teacher.prices is None:
                raise ValueError(f"teachers.{number}.prices: required where there is a budget")
            self._require_labels(number, teacher.mode or self.mode)
        return self

    def _require_labels(self, number: int, mode: AskingMode) -> None:
        if self.task.labels == () and mode != "given_label":
            raise ValueError(
                f"teachers.{number}: the task {self.task.name!r} has no labels to choose from: name them under its "
                "labels, or set mode: given_label, which asks for explanations alone"
            )

    def mode_of(self, teacher: TeacherSettings) -> AskingMode:
        """How a teacher is asked; one that only gives labels is asked for labels."""
        return "label_only" if isinstance(teacher, ClassifierTeacher) else teacher.mode or self.mode


def price_of(teacher: TeacherSettings) -> Prices | None:
    """What its tokens cost; None where they cost nothing, or nobody said."""
    return teacher.prices if isinstance(teacher, ApiTeacher) else None
