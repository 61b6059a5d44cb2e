"""A student's number of positions, and which configured lengths exceed it."""

from __future__ import annotations

from typing import NamedTuple

from reasondistill.config import Generation


class Positions(NamedTuple):
    """The number of positions of the encoder and of the decoder; None: limited by memory only."""

    encoder: int | None = None
    decoder: int | None = None

    def problems(
        self,
        *,
        max_source_length: int = 0,
        max_target_length: int = 0,
        generation: Generation | None = None,
        prefix: int = 1,
    ) -> list[str]:
        """The lengths that exceed the positions, each with what fits.

        Args:
            prefix: tokens that the decoder reads before it writes, its start token among them.
        """
        written = 0 if generation is None else generation.max_new_tokens
        limits = [
            ("max_source_length", max_source_length, self.encoder),
            ("max_target_length", max_target_length, self.decoder),
            # The last written token is not read again.
            ("generation.max_new_tokens", written, None if self.decoder is None else self.decoder - prefix + 1),
        ]
        return [
            f"{name}: expected at most {fits:,}, as the student has no more positions, found {length:,}"
            for name, length, fits in limits
            if fits is not None and length > fits
        ]
