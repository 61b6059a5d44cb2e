"""What a server makes of the clients' updates: FedAvg's mean, with masks, noise or Adam where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reasondistill.config import FedAdam, Federation
from reasondistill.training.federated.privacy import clipped, noise
from reasondistill.training.federated.secure_sum import masked, quantised, summed
from reasondistill.training.federated.updates import Update, Weights

Flat = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Server:
    """The server's state between rounds: the global weights, and Adam's moments where the strategy has some."""

    weights: dict[str, Tensor]
    first_moment: dict[str, Tensor] = field(default_factory=dict)
    second_moment: dict[str, Tensor] = field(default_factory=dict)


def aggregate(
    server: Server,
    updates: Sequence[Update],
    federation: Federation,
    trained: Mapping[str, torch.Size],
    *,
    clients: int,
    shared: Sequence[int],
) -> Server:
    """The server after a round.

    Without masks and noise, the weighted mean of the clients' float32 weights is taken in float64 and rounded once:
    of one client it is that client's weights, bit for bit.

    Args:
        updates: sound ones; at least one, where there is no noise.
        trained: the shape of each weight that clients train.
        clients: of the whole federation.
        shared: numbers that noise and masks follow from: the seed and the round.

    Raises:
        OverflowError: with secure aggregation, an update is too large to be quantised.
    """
    if federation.secure_aggregation or federation.privacy is not None:
        total = _summed_changes(server.weights, updates, federation, trained, shared)
        # With noise, a weight by rows would raise the sensitivity, and the number of participants would tell of them.
        expected = federation.participation * clients
        divisor = expected if federation.privacy is not None else sum(update.rows for update in updates)
        target = _shaped(total / divisor, trained, server.weights)
    else:
        target = weighted_mean(server.weights, updates)
    if isinstance(federation.strategy, FedAdam):
        return _adam(server, target, federation.strategy)
    return Server(server.weights | {n: tensor.to(server.weights[n].dtype) for n, tensor in target.items()})


def weighted_mean(before: Weights, updates: Sequence[Update]) -> dict[str, Tensor]:
    """FedAvg: ``sum(n_i * w_i) / sum(n_i)`` in float64. Of LoRA's factors, the products are averaged."""
    total = sum(update.rows for update in updates)
    sums: dict[str, Tensor] = {}
    for update in updates:
        for name, tensor in update.weights(before).items():
            weighted = tensor * update.rows
            sums[name] = sums[name] + weighted if name in sums else weighted
    return {name: tensor / total for name, tensor in sums.items()}


def _summed_changes(
    before: Weights,
    updates: Sequence[Update],
    federation: Federation,
    trained: Mapping[str, torch.Size],
    shared: Sequence[int],
) -> Flat:
    """The sum of the clients' changes, in the order of the weights' names; the server sees nothing else of them."""
    privacy = federation.privacy
    terms: dict[str, Flat] = {}
    for update in updates:
        flat = _flat(update.change(before))
        terms[update.client] = clipped(flat, privacy.clip) if privacy is not None else flat * update.rows
    total = np.zeros(sum(shape.numel() for shape in trained.values()))
    if federation.secure_aggregation and terms:
        total = total + _masked_sum(terms, "/".join(map(str, shared)))
    else:
        for flat in terms.values():
            total = total + flat
    return total if privacy is None else total + noise(len(total), privacy, np.random.default_rng([*shared, 1]))


def _masked_sum(terms: dict[str, Flat], shared: str) -> Flat:
    names = sorted(terms)
    return summed({name: masked(quantised(terms[name], len(names)), name, names, shared) for name in names})


def _flat(change: Weights) -> Flat:
    return np.concatenate([change[name].double().numpy().ravel() for name in sorted(change)])


def _shaped(flat: Flat, shapes: Mapping[str, torch.Size], before: Weights) -> dict[str, Tensor]:
    target, begin = {}, 0
    for name in sorted(shapes):
        size = shapes[name].numel()
        change = torch.from_numpy(flat[begin : begin + size]).reshape(shapes[name])
        target[name] = before[name].double() + change
        begin += size
    return target


def _adam(server: Server, target: Weights, strategy: FedAdam) -> Server:
    """Algorithm 2 of Reddi et al. 2021, without bias correction, as there."""
    weights, first, second = dict(server.weights), {}, {}
    for name, mean in target.items():
        change = mean - server.weights[name].double()
        zero = torch.zeros_like(change)
        m = strategy.beta_1 * server.first_moment.get(name, zero) + (1 - strategy.beta_1) * change
        v = strategy.beta_2 * server.second_moment.get(name, zero) + (1 - strategy.beta_2) * change.square()
        step = strategy.learning_rate * m / (v.sqrt() + strategy.tau)
        weights[name] = (server.weights[name].double() + step).to(server.weights[name].dtype)
        first[name], second[name] = m, v
    return Server(weights, first, second)
