"""One client of a federation, for whoever else runs the rounds: the same local training, weights in and weights out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from reasondistill.config import FederateConfig, federation_config
from reasondistill.contracts.federation import ClientScores
from reasondistill.data import load_source
from reasondistill.errors import ConfigError, DataError
from reasondistill.quiet import quietly
from reasondistill.students.build import create_student
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.training.federated.clients import Client, clients_of
from reasondistill.training.federated.local_training import ClientWork, Stretch
from reasondistill.training.federated.updates import Weights, put_into, weights_of
from reasondistill.training.learned_data import Parts, load_parts

Arrays = Mapping[str, npt.NDArray[np.float32]]


class Trained(NamedTuple):
    """What a client gives back: weights by name, the rows that it learned from, and its mean loss in nats."""

    weights: dict[str, npt.NDArray[np.float32]]
    rows: int
    loss: float


class FederatedClient:
    """A client with its rows, its student and its own state; what it is given and gives back are arrays by name.

    Every client of a federation builds the same student: from a checkpoint, or with ``federation.public`` rows.

    Args:
        config: as of `federate`: a YAML file, or what it holds. ``rounds`` and ``local_steps`` say how the learning
            rate goes.
        number: which of the configuration's clients, from 0. A site with rows of its own names them as its data, with
            ``clients: 1``.
        folder: where the optimizer's state is kept between rounds, also for another object of the same client; without
            one each round's is fresh.

    Raises:
        UserError: data, configuration or checkpoint are not usable.
    """

    def __init__(
        self,
        config: FederateConfig | Mapping[str, object] | str | Path,
        number: int = 0,
        *,
        folder: str | Path | None = None,
    ) -> None:
        config = federation_config(config)
        if config.lora is not None:
            raise ConfigError(
                "lora",
                expected="none: the mean of adapters' factors is not that of their products",
                found="adapters, of whose weights another server would take the mean",
                fix="Leave it out, or use `federate`.",
            )
        self.config = config
        with quietly():
            student, parts = prepared(config)
            clients = clients_of(parts.train, config.federation, config.seed)
            self._work = ClientWork(config, student)
        if not 0 <= number < len(clients):
            raise ConfigError("number", expected=f"0 to {len(clients) - 1}", found=str(number))
        self.client: Client = clients[number]
        self._folder = None if folder is None else Path(folder)
        self._whole = weights_of(student.model)
        self._names = list(self._work.trained())

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights that everybody begins with, of those that are trained."""
        return {name: self._whole[name].numpy() for name in self._names}

    def train(self, weights: Arrays, number: int) -> Trained:
        """Train for the round ``number``, counted from 0, from these global weights.

        Raises:
            UserError: there is no such round, the weights are not those of this student, a loss is NaN, or memory is
                full.
        """
        steps, rounds = self.config.federation.local_steps, self.config.federation.rounds
        if not 0 <= number < rounds:
            raise ConfigError("number", expected=f"a round, 0 to {rounds - 1}", found=str(number))
        stretch = Stretch(number, number * steps, (number + 1) * steps)
        keep = last = None
        if self._folder is not None:
            keep = self._folder / f"round-{number:06d}"
            last = max((path for path in self._folder.glob("round-*") if path.name < keep.name), default=None)
        with quietly():
            update = self._work.train(self.client, self._with(weights), stretch, last=last, keep=keep)
        if last is not None:
            shutil.rmtree(last)
        return Trained({name: update.tensors[name].numpy() for name in self._names}, update.rows, update.loss)

    def evaluate(self, weights: Arrays) -> ClientScores:
        """How a student with these weights does on the client's held-out rows."""
        with quietly():
            return self._work.evaluate(self._with(weights), [self.client])[self.client.name]

    def save(self, weights: Arrays, folder: str | Path) -> None:
        """Write a student with these weights, which `Student.load` takes."""
        put_into(self._work.student.model, self._with(weights))
        self._work.student.save(folder)

    def _with(self, weights: Arrays) -> Weights:
        """All weights, with those that are given in the place of the client's own.

        Raises:
            DataError: names or shapes are not those of `weights`.
        """
        wrong = sorted({*self._names} ^ {*weights})
        shapes = {name: tuple(np.shape(weights[name])) for name in self._names if name in weights}
        wrong += [f"{name} of the shape {shape}" for name, shape in shapes.items() if shape != self._whole[name].shape]
        if wrong:
            raise DataError(
                "weights",
                expected=f"the {len(self._names)} arrays of weights(), by their names and shapes",
                found=f"others, or none: {', '.join(wrong[:3])}{f' ({len(wrong)} in all)' if len(wrong) > 3 else ''}",
            )
        return self._whole | {name: torch.tensor(np.asarray(values)) for name, values in weights.items()}


def prepared(config: FederateConfig, student: Checkpoint | None = None) -> tuple[Checkpoint, Parts]:
    """The student that everybody begins with, made without any client's text, and the rows that it can decide.

    Args:
        student: the one that is there already.
    """
    own = config.train_config()
    parts = load_parts(own)
    student = student or _created(config)
    return student, parts.decidable(own, student.codec)


def _created(config: FederateConfig) -> Checkpoint:
    from transformers import set_seed

    public = config.federation.public
    rows = load_source(public, config.task, config.seed) if public is not None else None
    set_seed(config.seed)
    return create_student(config, [] if rows is None else rows.examples)
