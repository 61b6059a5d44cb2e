"""Which encoder-decoders of transformers a student can be, and what works with each.

A family is one of transformers' model types. Everything in this table is held by ``tests/test_families.py``, with small
random weights: trained, saved, loaded, asked and, where the table says so, packed, made smaller, trimmed and exported.
A model type that is not here is refused before anything is trained: transformers has others that run, but differently,
or that end in the middle. Adding one is an entry here and a maker in ``tests/tiny.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from reasondistill.errors import CheckpointError


@dataclass(frozen=True)
class Family:
    """What is known of a model type."""

    members: str
    """What its checkpoints are called."""
    head: Literal["t5", "bart", "gemma"]
    """How logits come out of the decoder's states: see `forward.head`."""
    packs: bool = False
    """Whether several texts can stand in one row while it trains: `packing`."""
    shrinks: bool = False
    """Whether layers and feed-forward units can be left out: `shrinking`."""
    trims: bool = False
    """Whether its vocabulary can be trimmed to a task's: `vocabulary`."""
    exports: bool = False
    """Whether CTranslate2 runs it as PyTorch does: `export.converting`."""
    makes_positions: bool = False
    """Whether its position tables are computed, not learned: old checkpoints leave them out."""


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


def family_of(model: Any) -> Family:
    """The family of a student's model."""
    return FAMILIES[model.config.model_type]


def those_that(what: Literal["shrinks", "trims", "exports"]) -> str:
    """The names of the families with which something works, for a message."""
    return ", ".join(family.members for family in FAMILIES.values() if getattr(family, what))


def require_supported(name: str, config: Any) -> None:
    """Hold a checkpoint's configuration to the table.

    Raises:
        CheckpointError: it is of no supported family, or says that it is no encoder-decoder.
    """
    if config.model_type in FAMILIES and config.is_encoder_decoder:
        return
    one_sided = " that is no encoder-decoder" if not config.is_encoder_decoder else ""
    raise CheckpointError(
        name,
        expected=f"an encoder-decoder of a supported family: {', '.join(f.members for f in FAMILIES.values())}",
        found=f"a model of type {config.model_type!r}{one_sided}",
        fix="Take a checkpoint of one of these, or a warm start from a BERT-like encoder (student.kind: warm_start).",
    )
