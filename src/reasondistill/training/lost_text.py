"""What of the texts a student does not get to read: what is cut off, and what its tokenizer loses."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reasondistill.config import TrainConfig
from reasondistill.contracts.records import Example
from reasondistill.languages.unknown_tokens import WORTH_SAYING, LossCount, advice, plain, sentences
from reasondistill.students.codec import Codec

_LOG = logging.getLogger(__name__)

_MEASURED = 10_000
"""Texts that were cut of which so many are measured, to say how long they get."""


def count_cuts(features: Any, examples: Sequence[Example], config: TrainConfig, codec: Codec) -> dict[str, int]:
    """How many prompts and targets were too long; where some were, it is said once, with what to raise."""
    import pyarrow.compute as pc

    table = features.data.table
    counts = {
        "sources": pc.sum(table["source_truncated"]).as_py() or 0,
        "of_sources": len(features),
        "targets": pc.sum(table["truncated"]).as_py() or 0,
        "of": pc.sum(pc.list_value_length(table["target_ids"])).as_py() or 0,
    }
    too_long = [
        (key, what, counts[name], counts[of], int(getattr(config, key)))
        for key, what, name, of in (
            ("max_source_length", "prompts", "sources", "of_sources"),
            ("max_target_length", "targets", "targets", "of"),
        )
        if counts[name]
    ]
    if too_long:
        cut = pc.or_(table["source_truncated"], pc.greater(table["truncated"], 0))
        ids = set(table["id"].filter(cut).slice(0, _MEASURED).to_pylist())
        longest = _longest((e for e in examples if e.id in ids), config, codec)
        all_measured = pc.sum(cut).as_py() <= _MEASURED
        _LOG.warning(
            "%s. Raise %s, or shorten the texts.",
            "; ".join(
                f"{n:,} of {of:,} {what} lost tokens to {key} = {limit}"
                f" ({'the longest has' if all_measured else 'some have'} {longest[what]:,})"
                for key, what, n, of, limit in too_long
            ),
            " and ".join(key for key, *_ in too_long),
        )
    return counts


def count_lost(features: Any, examples: Sequence[Example], config: TrainConfig, codec: Codec) -> dict[str, Any]:
    """What the student's tokenizer cannot read of prompts and targets; where that is worth it, it is said once.

    Only rows that may have lost something are read again: with an unknown token, with a prompt of the same tokens as
    another's, or with characters that a tokenizer may drop.
    """
    table = features.data.table
    rows = _lossy_rows(table, codec.tokenizer.unk_token_id)
    count = LossCount(codec.tokenizer, codec.max_source_length)
    for example in examples:
        for prompt, targets in _rendered(example, config):
            if example.id in rows or not all(map(plain, (prompt, *targets))):
                count.add(example.id, prompt, targets)
    lost = _of_all_rows(count.totals(), table)
    if lines := sentences(lost, from_share=WORTH_SAYING):
        _LOG.warning("%s %s", " ".join(lines), advice(lost))
    return lost


def _lossy_rows(table: Any, unknown: int | None) -> set[str]:
    """The ids of rows with an unknown token, or with the prompt of another row."""
    rows: set[str] = set()
    first: dict[bytes, str] = {}
    for batch in table.select(["id", "input_ids", "target_ids"]).to_batches():
        ids, prompts, targets = batch.columns
        flat, ends = prompts.flatten().to_numpy(), prompts.offsets.to_numpy() - prompts.offsets[0].as_py()
        hit = set() if unknown is None else {*_places_of(prompts, unknown), *_places_of(targets, unknown)}
        for place, identity in enumerate(ids.to_pylist()):
            key = hashlib.sha256(flat[ends[place] : ends[place + 1]].tobytes()).digest()[:16]
            before = first.setdefault(key, identity)
            if before != identity:
                rows |= {before, identity}
            if place in hit:
                rows.add(identity)
    return rows


def _places_of(lists: Any, token: int) -> set[int]:
    """The rows of lists, or of lists of lists, that hold a token."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parents = pc.list_parent_indices(lists)
    flat = lists.flatten()
    if pa.types.is_list(flat.type):
        inner = pc.list_parent_indices(flat)
        flat, parents = flat.flatten(), parents.take(inner)
    return set(parents.filter(pc.equal(flat, token)).to_pylist())


def _of_all_rows(lost: dict[str, Any], table: Any) -> dict[str, Any]:
    """The same with the numbers of all prompts, targets and their tokens, special ones among them."""
    import pyarrow.compute as pc

    targets = pc.list_flatten(table["target_ids"])
    sizes = {
        "prompts": (len(table), pc.sum(pc.list_value_length(table["input_ids"])).as_py()),
        "targets": (len(targets), pc.sum(pc.list_value_length(targets)).as_py()),
    }
    return lost | {name: lost[name] | {"n": n, "tokens": tokens or 0} for name, (n, tokens) in sizes.items()}


def _rendered(example: Example, config: TrainConfig) -> Iterator[tuple[str, list[str]]]:
    """The prompts of an example as texts, each with its targets."""
    texts: list[str | None] = [e.text for e in example.references if e.text.strip()]
    texts = texts[: config.data.explanations_per_example] or [None]
    for prompt, targets in config.task.render(config.order, example, texts):
        yield prompt, [target.text for target in targets]


def _longest(examples: Iterable[Example], config: TrainConfig, codec: Codec) -> dict[str, int]:
    """Tokens of the longest prompt and target, uncut."""
    rendered = [pair for example in examples for pair in _rendered(example, config)]
    prompts = [prompt for prompt, _ in rendered]
    targets = [target for _, its in rendered for target in its]

    def most(texts: list[str], *, framed: bool) -> int:
        encoded = codec.tokenizer(texts, add_special_tokens=framed, truncation=False)
        return max(map(len, encoded["input_ids"]), default=0)

    # An end token follows a target.
    return {"prompts": most(prompts, framed=True), "targets": most(targets, framed=False) + 1}
