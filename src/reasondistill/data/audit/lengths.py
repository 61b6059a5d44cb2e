"""How long prompts and targets are, and what the limits of a student would cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from reasondistill.contracts.records import Example
from reasondistill.data.audit.profile import Ints
from reasondistill.languages.unknown_tokens import LossCount
from reasondistill.tasks.task import OutputOrder, Task

PERCENTILES: Final = (1, 5, 25, 50, 75, 95, 99, 100)
_BATCH: Final = 1000
_BINS: Final = 40


class Limits(NamedTuple):
    """The longest prompt and the longest target that a student reads and writes, in tokens."""

    max_source_length: int
    max_target_length: int


def word_lengths(words: Mapping[str, Ints], limits: Limits | None) -> dict[str, Any]:
    """Per kind of text: percentiles, mean, histogram, and how many are over the limit whatever the tokenizer.

    A word is a token or more, so a text of more words than the limit has tokens is cut for certain.
    """
    found = {}
    for name, values in words.items():
        if len(values):
            found[name] = _described(values)
            if limits is not None and name in ("prompt", "target"):
                found[name] |= _over(values, limits[name == "target"])
    return found


def token_lengths(
    examples: Sequence[Example], task: Task, order: OutputOrder, tokenizer: Any, limits: Limits | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same of these examples in tokens, prompts with special tokens, targets with their end; and what the
    tokenizer cannot read of them (`unknown_tokens.LossCount.found`).
    """
    lost = LossCount(tokenizer, None if limits is None else limits.max_source_length)
    counts: dict[str, list[int]] = {"prompt": [], "target": []}
    prompts: list[str] = []
    targets: list[tuple[str, bool]] = []

    def count() -> None:
        if prompts:
            counts["prompt"] += map(len, tokenizer(prompts)["input_ids"])
        if targets:
            ids = tokenizer([text for text, _ in targets], add_special_tokens=False)["input_ids"]
            counts["target"] += [len(one) + ends for one, (_, ends) in zip(ids, targets, strict=True)]
        prompts.clear()
        targets.clear()

    for example in examples:
        for prompt, rendered in task.render(order, example, [e.text for e in example.references] or [None]):
            prompts.append(prompt)
            lost.add(example.id, prompt, [target.text for target in rendered])
            targets.extend((target.text, target.ends) for target in rendered)
        if len(prompts) >= _BATCH:
            count()
    count()
    lengths = word_lengths({name: np.array(values, np.int64) for name, values in counts.items()}, limits)
    return lengths, lost.found()


def _described(values: Ints) -> dict[str, Any]:
    # Observed lengths, not ones between two.
    found = np.percentile(values, PERCENTILES, method="lower")
    longest = int(found[-2])  # the 99th percentile: what is longer joins the last bar
    width = max(1, -(-longest // _BINS))
    edges = np.arange(0, longest + width + 1, width)
    histogram, _ = np.histogram(np.minimum(values, longest), edges)
    return {
        "n": len(values),
        "mean": float(values.mean()),
        "percentiles": {f"p{p}": int(value) for p, value in zip(PERCENTILES, found, strict=True)},
        "histogram": {"from": edges[:-1].tolist(), "width": width, "counts": histogram.tolist()},
    }


def _over(values: Ints, limit: int) -> dict[str, Any]:
    over = int((values > limit).sum())
    return {"limit": limit, "over": over, "share_over": over / len(values)}
