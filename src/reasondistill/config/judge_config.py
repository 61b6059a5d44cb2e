"""Everything that a judge depends on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reasondistill.config.base_config import Config, LearningRate, Positive, Rate
from reasondistill.config.data_config import Source, Sources, sources_of
from reasondistill.config.task_by_name import ConfiguredTask
from reasondistill.tasks.task import get_task


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
        return sources_of(self.explained)

    @property
    def votes_sources(self) -> list[Source]:
        return sources_of(self.votes)


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
