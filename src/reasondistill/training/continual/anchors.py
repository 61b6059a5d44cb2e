"""What holds a student to its parent while it learns: the parent's probabilities, or the weights that it needs."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from transformers import TrainerCallback

from reasondistill.config import TrainConfig, Update
from reasondistill.contracts.records import Example
from reasondistill.run_data import RunData
from reasondistill.runs import Run
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.students.model_protocol import EncoderDecoder
from reasondistill.training.features import Collator, build_features
from reasondistill.training.joint_model import Distillation, JointModel
from reasondistill.training.losses import joint_loss

if TYPE_CHECKING:
    from reasondistill.training.learned_data import Parts


class Anchors(NamedTuple):
    """What is added to a training; nothing, where it is no update."""

    distillation: Distillation | None = None
    callbacks: Sequence[TrainerCallback] = ()


def anchored(config: TrainConfig, student: Checkpoint, parts: Parts, device: torch.device) -> Anchors:
    """The anchors that an update asks for.

    Args:
        student: the parent's, before it learns or gets adapters; it is copied where its answers are needed.
        parts: what is learned; what is learned again comes after the new sources.
        device: that the student learns on.
    """
    update = config.update
    if update is None:
        return Anchors()
    distillation = Distillation(copy.deepcopy(student.model), update.distillation) if update.distillation else None
    if not update.ewc:
        return Anchors(distillation)
    importance = weight_importance(config, student, _old_rows(config, update, parts), device)
    return Anchors(distillation, [Consolidation(student.model, importance, update.ewc)])


def _old_rows(config: TrainConfig, update: Update, parts: Parts) -> list[Example]:
    """The first ``ewc_rows`` of what is learned again, else of what the parent learned from."""
    again = [example for part in parts.train[len(config.data.train_sources) :] for example in part.examples]
    rows: Iterable[Example] = again or RunData(Run.open(update.parent)).training()
    return [example for example, _ in zip(rows, range(update.ewc_rows), strict=False)]


def weight_importance(
    config: TrainConfig, student: Checkpoint, rows: Sequence[Example], device: torch.device
) -> dict[str, Tensor]:
    """The diagonal of the empirical Fisher information of a student's joint loss, by parameter.

    The mean over ``rows`` of the squared gradient of each row's loss (Kirkpatrick et al. 2017, with the rows' own
    targets in place of samples of the student's), divided by its mean over all weights: weights of this size are 1, so
    that one value of ``ewc`` is as strong for a small student as for a large one.
    """
    features = build_features(
        rows, task=config.task, order=config.order, codec=student.codec, explanations_per_example=1
    )
    model, collate = JointModel(student.model).to(device).eval(), Collator(student.codec)
    alpha, beta = config.loss.weights(0.0)
    sums = {name: torch.zeros_like(p) for name, p in student.model.named_parameters()}
    for row in features:
        model.zero_grad()
        batch = {name: tensor.to(device) for name, tensor in collate([row]).items()}
        joint_loss(model(**batch), alpha=alpha, beta=beta).backward()
        for name, parameter in student.model.named_parameters():
            if parameter.grad is not None:
                sums[name] += parameter.grad**2
    model.zero_grad()
    total = sum(float(value.sum()) for value in sums.values()) / sum(value.numel() for value in sums.values())
    return {name: value / total if total > 0 else value for name, value in sums.items()}


class Consolidation(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Elastic weight consolidation: adds to each step's gradient that of ``weight`` / 2 * sum of F (w - w0)^2.

    It is added once a step, after clipping, so that it does not depend on batches, accumulation or processes. Weights
    that do not learn are left alone; adapters stand beside the weights that it knows, so it leaves them alone, too.

    Args:
        model: with the weights w0 that it is held to.
        importance: F, by parameter.
    """

    def __init__(self, model: EncoderDecoder, importance: Mapping[str, Tensor], weight: float) -> None:
        self._held = [
            (parameter, parameter.detach().clone(), weight * importance[name])
            for name, parameter in model.named_parameters()
        ]

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        for parameter, start, strength in self._held:
            if parameter.grad is not None:
                apart = parameter.detach() - start.to(parameter.device)
                parameter.grad.add_(strength.to(parameter.device) * apart)
