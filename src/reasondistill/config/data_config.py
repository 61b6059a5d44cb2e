"""Where the data of a training or a judge come from, and what is done to them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from reasondistill.config.base_config import Config, Positive
from reasondistill.config.language_names import Language
from reasondistill.tasks.verbalized_confidence import phrases_problem

Edit = Literal["case", "punctuation", "article", "typo"]


def _texts_of_values(value: object) -> object:
    """A mapping's keys as text: YAML makes numbers and truth values of ``0`` and ``true``."""
    if not isinstance(value, dict):
        return value
    return {str(key).lower() if isinstance(key, bool) else str(key): label for key, label in value.items()}


LabelValues = Annotated[dict[str, str], BeforeValidator(_texts_of_values)]


class Augment(Config):
    """Copies of each row with one small edit in each field; `data.transforms.augmentation` has the edits."""

    copies: Positive = 1
    edits: list[Edit] = Field(["case", "punctuation", "article", "typo"], min_length=1)


class Confidence(Config):
    """Verbalized confidence: a phrase at the end of each explanation; see `data.transforms.confidence`."""

    predictions: str
    """A file of that student's predictions of these rows, with probabilities."""
    phrases: list[str] = Field(["I am not sure.", "I am fairly sure.", "I am sure."], min_length=2)
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
    columns: dict[str, str | list[str] | LabelValues] | None = None
    """What → its column, "" where there is none; and ``label_values`` → what the label's values mean, as
    ``{0: entailment, 1: neutral}``."""
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

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        return {"source": value} if isinstance(value, str) else value


class Mixing(Config):
    """How several sources share an epoch, which has as many rows as all of them together.

    A source with n rows gets a share proportional to its weight times n (``proportional``), 1 (``balanced``) or
    n^(1/temperature) (``temperature``, as in Arivazhagan et al. 2019; 1 is proportional, more is flatter).
    """

    strategy: Literal["proportional", "balanced", "temperature"] = "proportional"
    temperature: Annotated[float, Field(ge=1.0)] = 2.0


def one_or_several(value: object) -> str:
    """Which member of a union of a model and a list of models a value is."""
    return "several" if isinstance(value, list | tuple) else "one"


Sources = Annotated[
    Annotated[Source, Tag("one")] | Annotated[list[Source], Field(min_length=1), Tag("several")],
    Discriminator(one_or_several),
]
"""One source, or a list of them that are joined."""


def sources_of(value: Source | list[Source] | None) -> list[Source]:
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
    language: Language | None = None
    """Of its texts, by English name or code; what is measured on them goes by it. By default told from them."""

    @model_serializer(mode="wrap")
    def _language_where_it_is_given(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        values: dict[str, object] = serialise(self)
        return {key: value for key, value in values.items() if key != "language" or value is not None}

    @property
    def train_sources(self) -> list[Source]:
        return sources_of(self.train)

    @model_validator(mode="after")
    def _phrases_in_a_single_source(self) -> Self:
        if sum(source.confidence is not None for source in self.train_sources) > 1:
            raise ValueError("train: confidence is for one source at most: phrases state the mean of its bins")
        if self.validation is not None and self.validation.confidence is not None:
            raise ValueError("validation: confidence is for training sources: phrases are fitted on what is learned")
        return self
