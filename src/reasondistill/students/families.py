"""The encoder-decoders of transformers that a student can be, and what works with each.

A family is one of transformers' model types. ``tests/test_families.py`` checks everything in this table with small
random weights: training, saving, loading, predicting and, where the table says so, packing, shrinking, trimming and
exporting. Other model types are refused before training: some of transformers' run, but differently, or fail midway.
Adding one takes an entry here and a maker in ``tests/tiny.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reasondistill.errors import CheckpointError
from reasondistill.students.model_protocol import EncoderDecoder

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@dataclass(frozen=True)
class Family:
    """What works with a model type."""

    members: str
    """Names of its checkpoints."""
    head: Literal["t5", "bart", "gemma"]
    """How logits are computed from the decoder's states: see `forward.head`."""
    packs: bool = False
    """Whether several texts can share a row in training: `packing`."""
    shrinks: bool = False
    """Whether layers and feed-forward units can be pruned: `shrinking`."""
    trims: bool = False
    """Whether its vocabulary can be trimmed to a task's: `vocabulary`."""
    exports: bool = False
    """Whether CTranslate2 gives the same results as PyTorch: `exporting.converting`."""
    makes_positions: bool = False
    """Whether its position tables are computed, not learned: old checkpoints lack them."""


FAMILIES = {
    "t5": Family("T5, FLAN-T5, T5 v1.1, ByT5", "t5", packs=True, shrinks=True, trims=True, exports=True),
    "mt5": Family("mT5", "t5", packs=True, shrinks=True, trims=True, exports=True),
    "umt5": Family("UMT5", "t5", packs=True, shrinks=True, trims=True, exports=True),
    "longt5": Family("LongT5", "t5", shrinks=True, trims=True),
    "bart": Family("BART", "bart", packs=True, shrinks=True, trims=True, exports=True),
    "mbart": Family("mBART", "bart", shrinks=True, trims=True, exports=True),
    "pegasus": Family("Pegasus", "bart", shrinks=True, trims=True, exports=True, makes_positions=True),
    "blenderbot": Family("Blenderbot", "bart", shrinks=True, trims=True, exports=True),
    "marian": Family("Marian (OPUS-MT)", "bart", shrinks=True, makes_positions=True),
    "t5gemma": Family("T5Gemma", "gemma"),
    "t5gemma2": Family("T5Gemma 2", "gemma"),
}
"""By model type, as ``config.json`` names it."""


def family_of(model: EncoderDecoder) -> Family:
    """The family of a student's model."""
    return FAMILIES[model.config.model_type]


def those_that(what: Literal["shrinks", "trims", "exports"]) -> str:
    """The names of the families that support something, for a message."""
    return ", ".join(family.members for family in FAMILIES.values() if getattr(family, what))


def require_supported(name: str, config: PretrainedConfig) -> None:
    """Check that a checkpoint's family is supported.

    Raises:
        CheckpointError: it is not, or the model is not an encoder-decoder.
    """
    if config.model_type in FAMILIES and config.is_encoder_decoder:
        return
    one_sided = " that is not an encoder-decoder" if not config.is_encoder_decoder else ""
    raise CheckpointError(
        name,
        expected=f"an encoder-decoder of a supported family: {', '.join(f.members for f in FAMILIES.values())}",
        found=f"a model of type {config.model_type!r}{one_sided}",
        fix="Use a checkpoint of one of these, or a warm start from a BERT-like encoder (student.kind: warm_start).",
    )
