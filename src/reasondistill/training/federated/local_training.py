"""One client's part of a round: global weights in, an update out, over the trainer that every training has.

A client's round is a stretch of one long training, as a run's is that goes on from a checkpoint: optimizer, learning
rate, order of rows and random numbers continue where the client left them, and only the weights are the server's. A
single client therefore makes the very steps of a training in one place.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState

from reasondistill.config import FederateConfig, FedProx, TrainConfig
from reasondistill.contracts.federation import ClientScores
from reasondistill.storage.files import atomic_folder
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.training.adapters import AdaptedCheckpoint, adapt
from reasondistill.training.arguments import memory_advice, training_arguments
from reasondistill.training.checkpoints import room_for
from reasondistill.training.federated.clients import Client
from reasondistill.training.federated.updates import Update, Weights, factors_of, put_into, weights_of
from reasondistill.training.learned_data import Parts
from reasondistill.training.phases import features_of, validation_of
from reasondistill.training.trainer import DistillationTrainer

UPDATE_FILE = "update.safetensors"
_OPTIMIZER = ("optimizer.pt", "scheduler.pt")


@dataclass(frozen=True)
class Stretch:
    """The steps of one client in one round: from the whole training's step ``begin`` up to ``end``."""

    number: int
    begin: int
    end: int


class ClientWork:
    """What a client does with its rows, whoever averages: `train` and `evaluate`. Holds one student in memory.

    Args:
        config: of the federation.
        student: any of its kind; its weights are replaced by the global ones.
    """

    def __init__(self, config: FederateConfig, student: Checkpoint) -> None:
        self.config = config
        self.student = student
        self._own = config.train_config()
        self._features: dict[str, Any] = {}
        self._judges: dict[str, DistillationTrainer] = {}
        self._place = TemporaryDirectory()

    def trained(self) -> dict[str, torch.Size]:
        """The shape of each weight that clients train."""
        student = adapt(self.student, freeze=self.config.freeze, lora=self.config.lora, seed=self.config.seed)
        if isinstance(student, AdaptedCheckpoint):
            names = {name.rpartition(".")[0] for name in factors_of(student.model)}
            self._restore(student)
        else:
            names = {name for name, parameter in student.model.named_parameters() if parameter.requires_grad}
        return {name: p.shape for name, p in self.student.model.named_parameters() if name in names}

    def train(
        self, client: Client, weights: Weights, stretch: Stretch, *, last: Path | None = None, keep: Path | None = None
    ) -> Update:
        """Train a client for one round.

        Args:
            weights: the global ones.
            last: the folder that the client's last round was kept in; None for its first.
            keep: a new folder for the client's state and its update; it is there whole or not at all.

        Raises:
            TrainingError: a loss is NaN.
            UserError: memory or the disk is full.
        """
        put_into(self.student.model, weights)
        # The adapters of each round are new ones, as the product of the last is in the weights.
        seed = self.config.seed + stretch.number
        student = adapt(self.student, freeze=self.config.freeze, lora=self.config.lora, seed=seed)
        try:
            return self._train(client, student, weights, stretch, last, keep)
        finally:
            self._restore(student)

    def evaluate(self, weights: Weights, clients: Sequence[Client]) -> dict[str, ClientScores]:
        """How a student with these weights does on each client's held-out rows."""
        put_into(self.student.model, weights)
        return {client.name: self._scores(client) for client in clients}

    def _restore(self, student: Checkpoint) -> None:
        """Take the adapters out of the student again; their weights are in the update."""
        if isinstance(student, AdaptedCheckpoint):
            student.merged()

    def _train(
        self,
        client: Client,
        student: Checkpoint,
        weights: Weights,
        stretch: Stretch,
        last: Path | None,
        keep: Path | None,
    ) -> Update:
        # Each client draws other random numbers; the first those of a training in one place.
        config = self._own.model_copy(update={"seed": self.config.seed + client.number})
        trainer = self._trainer(config, client, student, weights, stretch)
        with TemporaryDirectory() as folder, memory_advice(config, trainer):
            begun = _begin(stretch, trainer.args, last, Path(folder), kept=self._keeps_optimizer)
            trainer.train(resume_from_checkpoint=begun)
        update = Update(client.name, client.rows, trainer.mean_loss, *_sent(student))
        if keep is not None:
            with room_for("a client's state", keep), atomic_folder(keep) as place:
                trainer.save_state_of_client(place)
                update.save(place / UPDATE_FILE)
        return update

    @property
    def _keeps_optimizer(self) -> bool:
        return self.config.lora is None and self.config.federation.optimizer_state == "kept"

    def _trainer(
        self,
        config: TrainConfig,
        client: Client,
        student: Checkpoint,
        weights: Weights,
        stretch: Stretch,
    ) -> ClientTrainer:
        strategy = self.config.federation.strategy
        return ClientTrainer(
            student,
            loss=config.loss,
            arguments=self._arguments(config),
            train_dataset=self._rows(client, student),
            encoder_learning_rate=config.encoder_learning_rate,
            phase="federated",
            stretch=stretch,
            anchor=weights if isinstance(strategy, FedProx) else None,
            mu=strategy.mu if isinstance(strategy, FedProx) else 0.0,
        )

    def _rows(self, client: Client, student: Checkpoint) -> Any:
        if client.name not in self._features:
            [self._features[client.name]] = features_of(self._own, student.codec, Parts([client.train]))
        return self._features[client.name]

    def _scores(self, client: Client) -> ClientScores:
        n = len(client.held_out)
        if n == 0:
            return ClientScores(n=0)
        figures = self._judge(client).evaluate()
        known = {name: figures.get(f"eval_{name}") for name in ("label_accuracy", "label_loss", "explanation_loss")}
        return ClientScores(n=n, **known)

    def _judge(self, client: Client) -> DistillationTrainer:
        """What evaluates on a client's held-out rows."""
        if client.name not in self._judges:
            rows, accuracy = validation_of(self._own, self.student, Parts([], client.held_out))
            self._judges[client.name] = DistillationTrainer(
                self.student,
                loss=self._own.loss,
                arguments=self._arguments(self._own),
                train_dataset=rows,
                eval_dataset=rows,
                label_accuracy=accuracy,
            )
        return self._judges[client.name]

    def _arguments(self, config: TrainConfig) -> Any:
        return training_arguments(config, Path(self._place.name))  # transformers makes the folder, and leaves it empty


class ClientTrainer(DistillationTrainer):
    """The trainer over one stretch of a training, with FedProx's term where there is one.

    Args:
        stretch: the steps to make; the arguments' ``max_steps`` are those of all rounds.
        anchor: the global weights that ``mu`` draws the client's to.
    """

    def __init__(
        self, student: Checkpoint, *, stretch: Stretch, anchor: Weights | None, mu: float, **options: Any
    ) -> None:
        super().__init__(student, **options)
        self.stretch = stretch
        self.mu = mu
        self.anchor = {}
        if anchor is not None:
            device = self.args.device
            self.anchor = {name: anchor[name].to(device) for name, _ in self._learning() if name in anchor}
        self._losses: list[Tensor] = []
        self.add_callback(_EndsAt(stretch.end))

    @property
    def mean_loss(self) -> float:
        """Of this stretch's steps, in nats, without FedProx's term."""
        return float(torch.stack(self._losses).sum() / max(self.state.global_step - self.stretch.begin, 1))

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        loss = super().compute_loss(model, inputs, *arguments, **options)
        if not model.training:
            return loss
        self._losses.append(loss.detach())
        if not self.anchor:
            return loss
        squares = [(parameter - self.anchor[name]).square().sum() for name, parameter in self._learning()]
        # Each of a step's batches adds its loss to the gradient; the term belongs to the step.
        return loss + self.mu / 2 * torch.stack(squares).sum() / self.current_gradient_accumulation_steps

    def _learning(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.saved.model.named_parameters() if p.requires_grad]

    def save_state_of_client(self, folder: Path) -> None:
        """What its next stretch goes on from: optimizer, learning rate, random numbers and how far it is."""
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))

    # --- going on: all but the weights, which are the server's ---

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        pass

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and self.lr_scheduler.last_epoch != self.stretch.begin:
            # The client was not asked in the rounds before, or begins with a fresh optimizer.
            begin = {"last_epoch": self.stretch.begin - 1, "_step_count": self.stretch.begin + 1}
            self.lr_scheduler.load_state_dict(self.lr_scheduler.state_dict() | begin)
            self.lr_scheduler.step()


class _EndsAt(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if state.global_step >= self.step:
            control.should_training_stop = True
        return control


def _begin(stretch: Stretch, arguments: Any, last: Path | None, folder: Path, *, kept: bool) -> str | None:
    """Make a checkpoint without weights at the stretch's first step; None where the training begins there."""
    if stretch.begin == 0:
        return None
    for file in [] if last is None else last.iterdir():
        if file.name != UPDATE_FILE and (kept or file.name not in _OPTIMIZER):
            shutil.copyfile(file, folder / file.name)
    # transformers compares what it goes on from with its arguments.
    same = {name: getattr(arguments, name) for name in ("max_steps", "logging_steps", "eval_steps", "save_steps")}
    state = TrainerState(global_step=stretch.begin, train_batch_size=arguments.train_batch_size, **same)
    state.save_to_json(str(folder / TRAINER_STATE_NAME))
    return str(folder)


def _sent(student: Checkpoint) -> tuple[dict[str, Tensor], bool]:
    """An update's tensors, and whether they are factors."""
    if isinstance(student, AdaptedCheckpoint):
        return factors_of(student.model), True
    trained = {name for name, parameter in student.model.named_parameters() if parameter.requires_grad}
    return {name: tensor for name, tensor in weights_of(student.model).items() if name in trained}, False
