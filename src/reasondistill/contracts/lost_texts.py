"""What a tokenizer loses of texts: in a run, of what its student learned from; in an audit, of a data set."""

from __future__ import annotations

from reasondistill.contracts.base import Block, Count


class LostText(Block):
    """Of ``n`` texts ``lossy`` lost something, ``with_unknown`` of them to one of the ``unknown`` tokens."""

    n: Count
    lossy: Count
    with_unknown: Count
    tokens: Count
    unknown: Count


class SamePrompts(Block):
    """``n`` different prompts with the tokens of another, ``cut`` of them as they lost their end; ``ids`` of a few."""

    n: Count
    cut: Count
    ids: list[list[str]]


class Lost(Block):
    """What a tokenizer cannot read; ``characters``: the commonest lost ones and how often."""

    prompts: LostText
    targets: LostText
    characters: list[tuple[str, Count]]
    same_prompts: SamePrompts
