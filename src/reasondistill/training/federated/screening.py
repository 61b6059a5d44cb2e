"""Which updates go into the mean: one with NaN, of other weights or shapes, or far too large is set aside and named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import torch

from reasondistill.training.federated.updates import Update, Weights, norm


def screen(
    updates: Sequence[Update], before: Weights, trained: Mapping[str, torch.Size], largest: float | None
) -> tuple[list[Update], dict[str, str]]:
    """Part the updates that can be averaged from those that cannot.

    Args:
        updates: of one round.
        before: the weights that all of them began with.
        trained: the shape of each weight that clients train.
        largest: how many times the median norm of the others an update may have; None where nobody compares norms: a
            server that sees a masked sum cannot, and with clipping and noise one client must not decide on another.

    Returns:
        The sound ones; and client → what is wrong with its update.
    """
    wrong = {update.client: problem for update in updates if (problem := _problem(update, before, trained))}
    sound = [update for update in updates if update.client not in wrong]
    if largest is None:
        return sound, wrong
    norms = {update.client: norm(update.change(before)) for update in sound}
    for client, length in norms.items():
        others = [value for name, value in norms.items() if name != client]
        usual = median(others) if others else 0.0
        if usual and length > largest * usual:
            wrong[client] = f"its norm, {length:.3g}, is {length / usual:.3g} times the median of the others'"
    return [update for update in sound if update.client not in wrong], wrong


def _problem(update: Update, before: Weights, trained: Mapping[str, torch.Size]) -> str | None:
    if update.rows < 1:
        return f"it says that it trained on {update.rows} rows"
    if broken := [name for name, tensor in update.tensors.items() if not bool(torch.isfinite(tensor).all())]:
        return f"NaN or infinity in {_named(broken)}"
    try:
        weights = update.weights(before)
    except (RuntimeError, KeyError) as error:  # factors of other shapes, or of no weight of ours
        return f"factors that do not fit: {str(error).splitlines()[0]}"
    if missing := sorted(set(trained) ^ set(weights)):
        return f"other weights than those that are trained: {_named(missing)}"
    if other := [name for name, tensor in weights.items() if tensor.shape != trained[name]]:
        shape = tuple(weights[other[0]].shape)
        return f"{other[0]} has the shape {shape} in place of {tuple(trained[other[0]])}"
    return None


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
