"""Everything that a federated training depends on: a training's configuration, and how clients and server go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from reasondistill.config.base_config import Config, LearningRate, Positive, Rate
from reasondistill.config.config_files import changed, load_config
from reasondistill.config.data_config import Source
from reasondistill.config.student_config import ScratchStudent, WarmStartStudent
from reasondistill.config.train_config import TrainConfig
from reasondistill.errors import ConfigError
from reasondistill.storage.layered_yaml import validate_config

SplitBy = Literal["iid", "group", "label", "source", "teacher"]
Reference = Literal["pooled", "local"]
_ByCount = ("iid", "group", "label")


class FedAvg(Config):
    """The mean of the clients' weights, each by its rows (McMahan et al. 2017)."""

    kind: Literal["fedavg"] = "fedavg"


class FedProx(Config):
    """FedAvg, with ``mu / 2 * ||w - w_global||^2`` in each client's loss (Li et al. 2020)."""

    kind: Literal["fedprox"]
    mu: Annotated[float, Field(gt=0)] = 0.01


class FedAdam(Config):
    """Adam on the server, whose gradient is the mean change of the clients' weights (Reddi et al. 2021)."""

    kind: Literal["fedadam"]
    learning_rate: LearningRate = 1e-3
    beta_1: Rate = 0.9
    beta_2: Rate = 0.99
    tau: Annotated[float, Field(gt=0)] = 1e-3
    """Added to the root of the second moment: the degree of adaptivity."""


Strategy = Annotated[FedAvg | FedProx | FedAdam, Field(discriminator="kind")]


class Privacy(Config):
    """Differential privacy for clients: each update is clipped, and the sum gets Gaussian noise (DP-FedAvg).

    A simulation: the noise follows from the configuration's seed.
    """

    clip: Annotated[float, Field(gt=0)]
    """Largest L2 norm of a client's update; a longer one is scaled down to it."""
    noise_multiplier: Annotated[float, Field(gt=0)]
    """Standard deviation of the noise in the sum, in units of ``clip``."""
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5


class Federation(Config):
    """Who the clients are, and what clients and server do in each round."""

    split_by: SplitBy = "iid"
    """``source``: each training source is a client. ``teacher``: each explanation source (an annotator, a teacher).
    ``iid``: rows at random. ``group``: whole groups at random. ``label``: label proportions from a Dirichlet
    distribution."""
    clients: Positive | None = None
    """Number of clients; with ``source`` and ``teacher`` it follows from the data."""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Of the Dirichlet distribution: 0.1 gives most clients one or two labels, 100 nearly the same shares."""
    least_rows: Positive = 1
    """With ``label``: shares are drawn again until each client has this many training rows."""
    held_out: Rate = 0.2
    """Share of the groups that no client trains on; each client tests the global student on its own rows of these."""
    rounds: Positive = 10
    local_steps: Positive = 10
    """Optimizer steps of a client in a round."""
    participation: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the clients that are asked in a round."""
    dropouts: Rate = 0.0
    """Probability that a client that was asked never answers."""
    stragglers: Rate = 0.0
    """Probability that a client makes only ``straggler_work`` of its steps."""
    straggler_work: Annotated[float, Field(gt=0, le=1)] = 0.5
    optimizer_state: Literal["kept", "fresh"] = "kept"
    """Whether a client's optimizer goes on in its next round; with LoRA it is always fresh, as the adapters are."""
    strategy: Strategy = FedAvg()
    largest_norm: Annotated[float, Field(gt=1)] = 100.0
    """An update is set aside whose norm is more than this many times the median of the others'."""
    secure_aggregation: bool = False
    """Sum masked, quantised updates (a simulation in this process)."""
    privacy: Privacy | None = None
    public: Source | None = None
    """Rows that everybody may see, for the vocabulary of a student whose tokenizer is made from texts."""
    references: list[Reference] = Field(default_factory=list)
    """Also train with all rows in one place (``pooled``) and each client by itself (``local``), for as many steps."""
    processes: Positive = 1
    """Clients that train at the same time, each in a process of its own."""

    @model_validator(mode="after")
    def _clients_of_the_split(self) -> Self:
        if self.split_by in _ByCount and self.clients is None:
            raise ValueError(f"clients: how many? split_by {self.split_by} deals the rows out to them")
        if self.split_by not in _ByCount and self.clients is not None:
            raise ValueError(f"clients: split_by {self.split_by} takes as many as the data have: leave it out")
        return self


_OF_COORDINATOR: Final = ("num_train_epochs", "eval_steps", "eval_on_start", "save_steps", "metric_for_best_model")
_OF_NOBODY: Final = {
    "eval_strategy": "no",
    "save_strategy": "no",
    "load_best_model_at_end": False,
    "logging_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
}
_DECIDED: Final = ("max_steps", "early_stopping_patience", *_OF_COORDINATOR, *_OF_NOBODY)
"""What follows from the federation."""


class FederateConfig(TrainConfig):
    """A training's configuration with a block ``federation``.

    Steps, evaluation and saving in ``training`` follow from the federation, so that a training's own configuration can
    be included.
    """

    federation: Federation

    def train_config(self) -> TrainConfig:
        """What a client trains with: all steps of the federation, and nothing that a coordinator does."""
        values = {name: getattr(self, name) for name in TrainConfig.model_fields}
        federation = self.federation
        training = {key: value for key, value in self.training.items() if key not in _OF_COORDINATOR}
        training |= {"max_steps": federation.rounds * federation.local_steps, **_OF_NOBODY}
        return TrainConfig.model_validate(values | {"training": training, "early_stopping_patience": None})

    @model_validator(mode="after")
    def _sources_are_whole(self) -> Self:
        sources = self.data.train_sources
        if any(source.weight != 1 for source in sources) or self.data.mixing.strategy != "proportional":
            raise ValueError("data: weights and mixing are of sources in one place: a client has rows of its own")
        if self.federation.split_by == "source" and len(sources) < 2:
            raise ValueError("federation.split_by: source needs several sources in data.train, one for each client")
        return self

    @model_validator(mode="after")
    def _vocabulary_without_clients_texts(self) -> Self:
        student = self.student
        if isinstance(student, WarmStartStudent) and student.denoising is not None:
            raise ValueError("student.denoising: it reads all explanations in one place: train that student before")
        reads_texts = isinstance(student, ScratchStudent) or student.vocabulary == "task"
        if reads_texts and self.federation.public is None:
            raise ValueError(
                "federation.public: this student's vocabulary is made from texts, and no client's text may leave it: "
                "name rows that everybody may see"
            )
        return self

    @model_validator(mode="after")
    def _adapters_that_are_products(self) -> Self:
        lora = self.lora
        if lora is None:
            return self
        plain = lora.init_lora_weights in (True, "gaussian", "orthogonal")
        if lora.use_dora or lora.bias != "none" or lora.modules_to_save or not plain:
            raise ValueError(
                "lora: clients send two factors of each weight's change: use_dora, bias, modules_to_save and an "
                "initialisation that changes the weights (olora, pissa) do not go with that"
            )
        return self


def federation_config(
    config: FederateConfig | Mapping[str, object] | str | PathLike[str], changes: Sequence[str] = ()
) -> FederateConfig:
    """A federation's configuration with ``key.path=value`` over it.

    Args:
        config: a YAML file, what it holds, or the configuration itself.

    Raises:
        DataError: the file is absent, empty or not UTF-8.
        ConfigError: every mistake is named, at once. One is a value for what follows from the federation: in a file,
            which may be a training's too, it is passed over.
    """
    keys = [change.partition("=")[0].strip() for change in changes]
    if decided := [key for key in keys if key.removeprefix("training.") in _DECIDED]:
        raise ConfigError(
            "--set",
            expected="keys that a federation leaves open",
            found=", ".join(decided),
            fix="Set federation.rounds and federation.local_steps: steps, evaluation and saving follow from them.",
        )
    if isinstance(config, Mapping):
        config = validate_config(FederateConfig, config, where="the federation")
    if isinstance(config, FederateConfig):
        return changed(config, changes) if changes else config
    return load_config(FederateConfig, Path(config), changes)
