"""A student with its losses as one module; the figures made of them, and loading weights into a student."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from reasondistill.students.forward import encode, fuse_activations, logits_at
from reasondistill.students.packing import can_pack, packed_logits
from reasondistill.training.losses import TokenLosses, token_losses


class JointModel(nn.Module):
    """A student whose forward pass gives loss sums: each prompt is encoded once, logits exist only where supervised.

    Where it is known how, texts are packed (`students.packing`), so that hardly any padding is computed.

    It is a module of its own so that distributed wrappers, which hook into ``forward``, see the whole computation.
    """

    def __init__(self, student: Any, label_smoothing_factor: float = 0.0) -> None:
        super().__init__()
        self.student = student
        self.label_smoothing_factor = label_smoothing_factor
        self.packs = can_pack(student)
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
        if self.packs and bool(supervised.any()):
            logits, places = packed_logits(
                self.student, input_ids, attention_mask, encoder_rows, decoder_input_ids, supervised
            )
        else:
            states = encode(self.student, input_ids, attention_mask)
            logits = logits_at(
                self.student, states[encoder_rows], attention_mask[encoder_rows], decoder_input_ids, supervised
            )
            places = supervised.flatten().nonzero()[:, 0]
        return token_losses(
            logits,
            target_ids.flatten()[places],
            label_mask.flatten()[places],
            label_smoothing_factor=self.label_smoothing_factor if self.training else 0.0,
        )

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


def load_weights(model: Any, folder: Path) -> None:
    """Load a saved student's weights into a model of the same shape, in place.

    Raises:
        RuntimeError: the weights do not fit the model.
    """
    result = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    own = {name for name, _ in model.named_parameters()}  # tied parameters once, under their first name
    missing = own & set(result.missing_keys)
    if missing or result.unexpected_keys:
        raise RuntimeError(f"{folder}: missing {sorted(missing)}, unexpected {result.unexpected_keys}")
