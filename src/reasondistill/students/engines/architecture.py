"""The sizes of an encoder-decoder's parts, and the floating-point operations that follow from them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Size = Annotated[int, Field(ge=1)]


class Architecture(BaseModel):
    """What decides how many operations an answer takes, and the parameters by kind.

    An attention's width is its number of heads times the width of a head. ``ff_matrices`` is 2, or 3 where the
    feed-forward part is gated. The counts of parameters are those of the student, shared ones once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder_layers: Size
    decoder_layers: Size
    d_model: Size
    encoder_attention: Size
    decoder_attention: Size
    encoder_ff: Size
    decoder_ff: Size
    ff_matrices: Annotated[int, Field(ge=2, le=3)]
    vocabulary: Size
    embedding_parameters: Annotated[int, Field(ge=0)]
    other_parameters: Annotated[int, Field(ge=0)]
    trainable_parameters: Annotated[int, Field(ge=0)]

    def encoder_flops(self, source: int) -> int:
        """Operations of reading ``source`` tokens: matrix products and attention, a multiply-add is two."""
        token = 8 * self.d_model * self.encoder_attention + 2 * self.ff_matrices * self.d_model * self.encoder_ff
        return self.encoder_layers * source * (token + 4 * source * self.encoder_attention)

    def decoder_flops(self, source: int, steps: int, beams: int) -> int:
        """Operations of ``steps`` steps of ``beams`` texts each, after ``source`` tokens that were read.

        Keys and values of the source are made once, those of earlier steps are kept, and each step of each text
        computes the scores of the whole vocabulary.
        """
        width = self.decoder_attention
        memory = 4 * self.d_model * width * source
        layer = 12 * self.d_model * width + 2 * self.ff_matrices * self.d_model * self.decoder_ff + 4 * source * width
        seen = 4 * width * (steps * (steps + 1) // 2)
        head = 2 * self.d_model * self.vocabulary
        return self.decoder_layers * (memory + beams * (steps * layer + seen)) + beams * steps * head
