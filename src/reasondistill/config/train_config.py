"""Everything that a training run depends on.

Arguments of transformers are passed through under their own names, never renamed: ``training`` holds keys of
`transformers.Seq2SeqTrainingArguments`, and this module checks them where transformers is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from reasondistill.config.base_config import LONGEST, Config, LearningRate, Positive, Rate, Weight
from reasondistill.config.data_config import Data
from reasondistill.config.eval_config import EvaluateOptions, Generation
from reasondistill.config.student_config import Student
from reasondistill.config.task_by_name import ConfiguredTask
from reasondistill.config.update_config import Update
from reasondistill.tasks.task import OutputOrder, get_task


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
    update: Update | None = None
    """Of a run that goes on from a finished one, whose student is then this run's: see `update` (docs/continual.md)."""
    generation: Generation = Generation()
    evaluation: EvaluateOptions = EvaluateOptions()
    """Has no effect on training; it is here so that one file can serve ``train`` and ``evaluate``."""

    @model_validator(mode="before")
    @classmethod
    def _language_of_the_data(cls, value: object) -> object:
        """What is measured goes by the data's language, where ``evaluation`` names no other."""
        if not isinstance(value, Mapping):
            return value
        data, evaluation = value.get("data"), value.get("evaluation", {})
        language = data.get("language") if isinstance(data, Mapping) else getattr(data, "language", None)
        if language is None:
            return value
        if isinstance(evaluation, EvaluateOptions):
            evaluation = evaluation.model_dump(exclude_unset=True)
        return {
            **value,
            "evaluation": {"language": language, **evaluation} if isinstance(evaluation, Mapping) else evaluation,
        }

    @model_serializer(mode="wrap")
    def _update_where_it_is_one(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        values: dict[str, object] = serialise(self)
        return {key: value for key, value in values.items() if key != "update" or value is not None}

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
    def _something_to_learn(self) -> Self:
        alpha, beta = self.loss.weights(0.0)
        if alpha == beta == 0:
            raise ValueError("loss: alpha and beta are both 0: there is nothing to learn")
        return self

    @model_validator(mode="after")
    def _answers_to_sample(self) -> Self:
        if self.generation.samples and not self.task.writes_answers:
            raise ValueError("generation.samples: for tasks whose answers are texts; others have probabilities")
        return self

    @model_validator(mode="after")
    def _phrases_have_a_place(self) -> Self:
        if self.order == "label_only" and any(source.confidence for source in self.data.train_sources):
            raise ValueError("data.train.confidence: label_only writes no explanation that a phrase could end")
        return self

    @model_validator(mode="after")
    def _weights_to_hold(self) -> Self:
        if self.update is not None and self.update.ewc and self.lora is not None:
            raise ValueError(
                "update.ewc: it holds weights, which adapters (lora) leave as they are: take one of the two"
            )
        return self

    @model_validator(mode="after")
    def _something_trainable(self) -> Self:
        if set(self.freeze) == {"encoder", "decoder", "embeddings"}:
            raise ValueError("freeze: encoder, decoder and embeddings are all frozen: there is nothing left to learn")
        if self.encoder_learning_rate is not None and {"encoder", "embeddings"} <= set(self.freeze):
            raise ValueError("encoder_learning_rate: the encoder and the embeddings are frozen: they have no rate")
        return self
