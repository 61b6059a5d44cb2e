"""Models of every YAML file, and the one way from YAML and overrides to a validated, frozen configuration.

Arguments of transformers are passed through under their own names, never renamed: ``training`` holds keys of
`transformers.Seq2SeqTrainingArguments`, and this module checks them where transformers is installed.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from reasondistill.errors import ConfigError
from reasondistill.files import read_lines
from reasondistill.tasks import TASKS, OutputOrder

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]


class Config(BaseModel):
    """Base of all configurations: frozen, and an unknown key is a mistake at every level."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(Config):
    """One data set, or one part of it: a registered name or a path, as `reasondistill.datasets.load` takes it."""

    source: str
    split: str | list[str] | None = None
    """One part, several, or everything."""
    size: Positive | None = None
    """How many rows a built-in generator makes."""
    limit: Positive | None = None
    """Keep at most this many examples, from the start."""
    columns: dict[str, str | list[str]] | None = None


class Data(Config):
    """What to learn from, and what to select on. The test part is no key here: it is for ``predict``."""

    train: Source
    validation: Source | None = None
    explanations_per_example: Positive | None = None
    """Learn from at most this many of an example's explanations; all of them by default."""
    shuffle_labels: bool = False
    """Train on permuted labels: a control run that must end near chance."""


class HubStudent(Config):
    """Any Hugging Face encoder-decoder checkpoint, by hub id or path."""

    kind: Literal["hub"] = "hub"
    checkpoint: str = "google/flan-t5-small"
    revision: str = "main"


class ScratchStudent(Config):
    """A T5 of given depth and width with random weights, and a tokenizer trained on the training split."""

    kind: Literal["scratch"]
    d_model: Positive = 128
    d_ff: Positive = 256
    d_kv: Positive = 32
    num_heads: Positive = 4
    num_layers: Positive = 2
    num_decoder_layers: Positive = 2
    dropout_rate: Rate = 0.0
    vocab_size: Positive = 2000
    """An upper bound; a small training split fills less."""


class Denoising(Config):
    """A first phase that teaches new decoder parts to write: sentences of the training split, masked, are restored."""

    max_steps: Positive = 400
    per_device_train_batch_size: Positive = 64
    learning_rate: Annotated[float, Field(gt=0)] = 6e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 40
    mask_rate: Rate = 0.15
    freeze_encoder: bool = True


class WarmStartStudent(Config):
    """A BART-shaped encoder-decoder out of a BERT-like encoder: its layers are carried over to both sides."""

    kind: Literal["warm_start"]
    encoder: str = "offline:minilm"
    """A hub id, a path, or ``offline:minilm`` for the one that the extra ``offline`` brings."""
    num_decoder_layers: Positive = 3
    cross_attention: Literal["self_attention", "new"] = "self_attention"
    vocabulary: Literal["task", "full"] = "task"
    """``task`` keeps the word pieces that the training split uses."""
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.1
    denoising: Denoising | None = None


Student = Annotated[HubStudent | ScratchStudent | WarmStartStudent, Field(discriminator="kind")]


class Schedule(Config):
    """A weight that goes linearly from ``start`` to ``end`` over the first ``over`` (a share) of all steps."""

    start: Weight
    end: Weight
    over: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0

    def at(self, progress: float) -> float:
        """The weight at ``progress``, the share of training that is done, in [0, 1]."""
        return self.start + (self.end - self.start) * min(progress / self.over, 1.0)


class Loss(Config):
    """The weights of ``alpha * L_label + beta * L_explanation``: numbers, or schedules."""

    alpha: Weight | Schedule = 0.5
    beta: Weight | Schedule = 0.5

    def weights(self, progress: float) -> tuple[float, float]:
        """``(alpha, beta)`` when the share ``progress`` of training is done."""
        alpha, beta = (w.at(progress) if isinstance(w, Schedule) else w for w in (self.alpha, self.beta))
        return alpha, beta


class Generation(Config):
    """How explanations are written; keys as in `transformers.GenerationConfig`."""

    num_beams: Positive = 4
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.2
    length_penalty: float = 0.8
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    max_new_tokens: Positive = 128


class TrainConfig(Config):
    """Everything that a training run depends on."""

    name: Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
    """Also the name of the run's folder below ``runs_dir``."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    runs_dir: str = "experiments/runs"
    task: str = "nli"
    order: OutputOrder = "label_first"
    data: Data
    student: Student
    max_source_length: Annotated[int, Field(ge=8)] = 256
    max_target_length: Annotated[int, Field(ge=4)] = 128
    loss: Loss = Loss()
    training: dict[str, Any] = Field(default_factory=dict)
    early_stopping_patience: Positive | None = None
    """Stop when ``training.metric_for_best_model`` has not risen for so many evaluations."""
    encoder_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Where the encoder, embeddings included, should learn at another rate than ``training.learning_rate``."""
    generation: Generation = Generation()

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str) -> str:
        if value not in TASKS:
            raise ValueError(f"expected one of {sorted(TASKS)}, found {value!r}")
        return value

    @field_validator("training")
    @classmethod
    def _known_arguments(cls, value: dict[str, Any]) -> dict[str, Any]:
        reserved = {"output_dir", "seed", "data_seed", "remove_unused_columns", "predict_with_generate"} & set(value)
        if reserved:
            raise ValueError(f"{sorted(reserved)} are set by reasondistill (seed: at the top level)")
        if importlib.util.find_spec("transformers") is not None and value:
            from dataclasses import fields

            from transformers import Seq2SeqTrainingArguments

            known = {field.name for field in fields(Seq2SeqTrainingArguments)}
            if unknown := sorted(set(value) - known):
                raise ValueError(f"{unknown} are no keys of transformers.Seq2SeqTrainingArguments")
        # YAML reads a bare `no` as false; `eval_strategy: no` means the word.
        return {key: "no" if key.endswith("_strategy") and v is False else v for key, v in value.items()}

    @model_validator(mode="after")
    def _one_term_at_least(self) -> Self:
        alpha, beta = self.loss.weights(0.0)
        if alpha == beta == 0:
            raise ValueError("loss: alpha and beta are both 0: there is nothing to learn")
        return self


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, and reads 1e-4 as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        # A user's tag can send another node here (`!!map [1]`), which PyYAML refuses below.
        for key_node, _ in node.value if node.id == "mapping" else ():
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConfigError(_at(node, key_node), expected="keys that are words", found=repr(key))
            if key in seen:
                raise ConfigError(
                    _at(node, key_node), expected="each key once", found=f"the key {key!r} twice", fix="Keep one."
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1, which PyYAML follows, takes 1e-4 for a word because it has no dot.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def _at(node: yaml.Node, key_node: yaml.Node) -> str:
    return f"{node.start_mark.name}:{key_node.start_mark.line + 1}"


C = TypeVar("C", bound=Config)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        DataError: the file is absent, empty or not UTF-8.
        ConfigError: it is no YAML, no mapping, or holds a key twice; line and key are named.
    """
    return _parse_yaml("\n".join(line for _, line in read_lines(path)), str(path))


def _parse_yaml(text: str, name: str) -> dict[str, Any]:
    value = _load_yaml(text, name)
    if not isinstance(value, dict):
        raise ConfigError(name, expected="keys and values (name: …)", found=type(value).__name__)
    return value


def _load_yaml(text: str, name: str) -> Any:
    try:
        loader = _StrictLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{name}:{line}", expected="YAML", found=f"the character U+{ord(text[error.position]):04X}"
        ) from error
    loader.name = name  # what marks call the stream
    try:
        return loader.get_single_data()
    # PyYAML's constructors let odd scalars end in any of these: `!!int ""` is an IndexError.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        raise ConfigError(where, expected="YAML", found=str(getattr(error, "problem", None) or error)) from error
    finally:
        loader.dispose()


def load_config(kind: type[C], path: str | Path, overrides: Sequence[str] = ()) -> C:
    """Read a YAML file, lay ``key.path=value`` overrides over it and validate.

    Raises:
        ConfigError: every mistake is named, with its key, at once.
    """
    value = read_yaml(path)
    problems = [problem for text in overrides if (problem := _override(value, text))]
    if problems:
        raise ConfigError.gather("--set", problems)
    return validate_config(kind, value, where=path)


def validate_config(kind: type[C], value: dict[str, Any], *, where: object) -> C:
    """Build a configuration from plain values.

    Raises:
        ConfigError: every mistake is named, with its key, at once.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ConfigError.gather(where, [_problem(e) for e in error.errors()]) from error


def _override(value: dict[str, Any], text: str) -> str | None:
    key, equals, given = text.partition("=")
    if not equals or not all(key.split(".")):
        return f"{text!r}: expected key.path=value"
    *parents, last = key.split(".")
    place = value
    for parent in parents:
        inner = place.setdefault(parent, {})
        if not isinstance(inner, dict):
            return f"{text!r}: {parent} holds {inner!r}, which has no keys"
        place = inner
    try:
        place[last] = _load_yaml(given, key)
    except ConfigError as error:
        return f"{text!r}: {error}"
    return None


def _problem(error: Any) -> str:
    # A discriminated union puts the chosen kind into the path, and a union of a number and a model its name.
    noise = {"hub", "scratch", "warm_start", "Schedule", "float", "constrained-float", "str"}
    parts = [str(part) for i, part in enumerate(error["loc"]) if i == 0 or str(part) not in noise]
    key = ".".join(parts) or "configuration"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        found = error["input"].get("kind") if isinstance(error["input"], dict) else error["input"]
        return f"{key}.kind: expected one of hub, scratch, warm_start, found {found!r}"[:400]
    if error["type"] == "missing":
        return f"{key}: required, but not there"
    return f"{key}: {error['msg'].removeprefix('Value error, ')}, found {error['input']!r}"[:400]
