"""A student with its losses as one module; the figures made of them, and loading weights into a student."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from reasondistill.students.forward import encode, fuse_activations, logits_at
from reasondistill.students.model_protocol import EncoderDecoder
from reasondistill.students.packing import can_pack, packed_logits, plan_batch
from reasondistill.training.losses import TokenLosses, token_losses, with_distillation

Packing = Literal["if_it_pays", "always", "never"]


class Distillation:
    """A frozen student whose probabilities of each supervised token another one is drawn towards.

    It is no module, so that nothing trains it, saves it or wraps it.
    """

    def __init__(self, parent: EncoderDecoder, weight: float) -> None:
        self.weight = weight
        self._parent = parent.eval().requires_grad_(False)

    def parent_on(self, device: torch.device) -> Any:
        """The student, on this device from now on."""
        self._parent = self._parent.to(device)
        return self._parent


def supervised_logits(
    student: Any,
    input_ids: Tensor,
    attention_mask: Tensor,
    encoder_rows: Tensor,
    decoder_input_ids: Tensor,
    supervised: Tensor,
    *,
    packing: Packing,
) -> tuple[Tensor, Tensor]:
    """Logits (N, V) of the supervised tokens of a batch, and the places (N,) of these in the flattened targets.

    Args:
        supervised: (D, T) bool; the others as `features.Collator` makes them.
        packing: whether texts are packed, as `students.packing` can.
    """
    if packing != "never" and bool(supervised.any()):
        plan = plan_batch(attention_mask, encoder_rows, supervised)
        if packing == "always" or plan.pays(student, supervised.shape[1]):
            return packed_logits(student, plan, input_ids, decoder_input_ids, supervised)
    states = encode(student, input_ids, attention_mask)
    logits = logits_at(student, states[encoder_rows], attention_mask[encoder_rows], decoder_input_ids, supervised)
    return logits, supervised.flatten().nonzero()[:, 0]


class JointModel(nn.Module):
    """A student whose forward pass gives loss sums: each prompt is encoded once, logits exist only where supervised.

    Where it is known how and pays, texts are packed (`students.packing`), so that hardly any padding is computed.

    It is a module of its own so that distributed wrappers, which hook into ``forward``, see the whole computation.
    """

    def __init__(
        self, student: Any, label_smoothing_factor: float = 0.0, distillation: Distillation | None = None
    ) -> None:
        super().__init__()
        self.student = student
        self.label_smoothing_factor = label_smoothing_factor
        self.distillation = distillation
        self.packing: Packing = "if_it_pays" if can_pack(student) else "never"
        fuse_activations(student)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        encoder_rows: Tensor,
        decoder_input_ids: Tensor,
        target_ids: Tensor,
        label_mask: Tensor,
        explanation_mask: Tensor,
    ) -> TokenLosses:
        """Loss sums of a batch as `features.Collator` makes it; shapes there."""
        supervised = label_mask | explanation_mask
        texts = (input_ids, attention_mask, encoder_rows, decoder_input_ids, supervised)
        logits, places = supervised_logits(self.student, *texts, packing=self.packing)
        is_label = label_mask.flatten()[places]
        losses = token_losses(
            logits,
            target_ids.flatten()[places],
            is_label,
            label_smoothing_factor=self.label_smoothing_factor if self.training else 0.0,
        )
        if self.distillation is None or not self.training:
            return losses
        with torch.no_grad():
            of_parent, _ = supervised_logits(self.distillation.parent_on(logits.device), *texts, packing=self.packing)
        return with_distillation(losses, logits, of_parent, is_label, self.distillation.weight)

    # What the trainer calls on a model of transformers, passed on to the student.

    def activation_checkpointing_enable(self, **options: Any) -> None:
        self.student.activation_checkpointing_enable(**options)

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """What earlier releases of transformers 5 call it."""
        self.student.gradient_checkpointing_enable(**options)

    def get_input_embeddings(self) -> Any:
        """Where NEFTune adds its noise: the encoder's embeddings, which a module apart from the decoder's looks up."""
        return self.student.get_encoder().get_input_embeddings()


def loss_figures(sums: list[float]) -> dict[str, float]:
    """Means and accuracies out of the sums of `TokenLosses`; losses in nats a token; terms without tokens left out."""
    s = TokenLosses(*sums)  # type: ignore[arg-type]
    figures: dict[str, float] = {}
    for name, total, count, correct in (
        ("label", s.label_sum, s.label_count, s.label_correct),
        ("explanation", s.explanation_sum, s.explanation_count, s.explanation_correct),
    ):
        if count:
            figures[f"{name}_loss"] = float(total / count)
            figures[f"{name}_token_accuracy"] = float(correct / count)
    if "explanation_loss" in figures:
        figures["explanation_perplexity"] = math.exp(min(figures["explanation_loss"], 50.0))
    return figures


def load_weights(model: EncoderDecoder, folder: Path) -> None:
    """Load a saved student's weights into a model of the same shape, in place.

    Raises:
        RuntimeError: the weights do not fit the model.
    """
    result = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    own = {name for name, _ in model.named_parameters()}  # tied parameters once, under their first name
    if not own & set(result.missing_keys) and not result.unexpected_keys:
        return
    # Some families save under other names (T5Gemma 2), or not what they can compute (Marian's positions).
    kind: Any = type(model)
    saved, problems = kind.from_pretrained(
        folder, config=model.config, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    if lost := [name for names in problems.values() for name in names]:
        raise RuntimeError(f"{folder}: {', '.join(map(str, lost[:5]))} missing, unexpected or of another shape")
    model.load_state_dict(saved.state_dict())
