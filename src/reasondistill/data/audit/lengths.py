"""How long prompts and targets are, and what the limits of a student would cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from reasondistill.contracts.audit import Audit, Finding, Limits
from reasondistill.contracts.audit_numbers import Histogram, Ids, LengthLimit, Lengths, TextLengths
from reasondistill.contracts.lost_texts import Lost
from reasondistill.contracts.records import Example
from reasondistill.data.audit.duplicates import GetIds
from reasondistill.data.audit.findings import Evidence, LengthBars, NumberTable, Section, finding, number_of, percent
from reasondistill.data.audit.profile import IDS, Columns, Ints
from reasondistill.languages.tokenizer_protocol import Tokenizer
from reasondistill.languages.unknown_tokens import LossCount
from reasondistill.tasks.task import OutputOrder, Task

PERCENTILES: Final = (1, 5, 25, 50, 75, 95, 99, 100)
LIMITS: Final = {"prompt": "max_source_length", "target": "max_target_length"}
"""Kind of text → the setting that limits it."""
_BATCH: Final = 1000
_BINS: Final = 40


def word_lengths(columns: Columns, limits: Limits | None, get_ids: GetIds) -> dict[str, TextLengths]:
    """Lengths in words by kind of text, and how many are over the limit whatever the tokenizer.

    A word is a token or more, so a text of more words than the limit has tokens is cut for certain.
    """

    def described(kind: str, words: Ints) -> TextLengths:
        return _lengths(kind, words, limits, lambda places: get_ids(columns.word_rows[kind][places].tolist()))

    return {kind: described(kind, words) for kind, words in columns.words.items() if len(words)}


def token_lengths(
    examples: Sequence[Example], task: Task, order: OutputOrder, tokenizer: Tokenizer, limits: Limits | None
) -> tuple[dict[str, TextLengths], Lost]:
    """The lengths of these examples in tokens, and what the tokenizer cannot read of them.

    Prompts count with special tokens, targets with their end.
    """
    lost = LossCount(tokenizer, None if limits is None else limits.max_source_length)
    counts: dict[str, list[int]] = {kind: [] for kind in LIMITS}
    ids: dict[str, list[str]] = {kind: [] for kind in LIMITS}
    prompts: list[str] = []
    targets: list[tuple[str, bool]] = []

    def count() -> None:
        if prompts:
            counts["prompt"] += map(len, tokenizer(prompts)["input_ids"])
        if targets:
            tokens = tokenizer([text for text, _ in targets], add_special_tokens=False)["input_ids"]
            counts["target"] += [len(own) + ends for own, (_, ends) in zip(tokens, targets, strict=True)]
        prompts.clear()
        targets.clear()

    for example in examples:
        for prompt, rendered in task.render(order, example, [e.text for e in example.references] or [None]):
            prompts.append(prompt)
            lost.add(example.id, prompt, [target.text for target in rendered])
            targets.extend((target.text, target.ends) for target in rendered)
            ids["prompt"].append(example.id)
            ids["target"] += [example.id] * len(rendered)
        if len(prompts) >= _BATCH:
            count()
    count()

    def described(kind: str) -> TextLengths:
        return _lengths(kind, np.array(counts[kind]), limits, lambda places: [ids[kind][k] for k in places.tolist()])

    return {kind: described(kind) for kind in LIMITS if counts[kind]}, Lost.model_validate(lost.totals())


def _lengths(kind: str, lengths: Ints, limits: Limits | None, ids_at: Callable[[Ints], Ids]) -> TextLengths:
    # Observed lengths, not ones between two.
    percentiles = np.percentile(lengths, PERCENTILES, method="lower").tolist()
    longest = int(percentiles[-2])  # the 99th percentile: what is longer joins the last bar
    width = max(1, -(-longest // _BINS))
    edges = np.arange(0, longest + width + 1, width)
    counts, _ = np.histogram(np.minimum(lengths, longest), edges)
    return TextLengths(
        n=len(lengths),
        mean=float(lengths.mean()),
        percentiles={f"p{p}": int(value) for p, value in zip(PERCENTILES, percentiles, strict=True)},
        histogram=Histogram(starts=edges[:-1].tolist(), width=width, counts=counts.tolist()),
        cut=_cut(lengths, getattr(limits, LIMITS[kind]), ids_at) if limits is not None and kind in LIMITS else None,
    )


def _cut(lengths: Ints, limit: int, ids_at: Callable[[Ints], Ids]) -> LengthLimit:
    over = np.flatnonzero(lengths > limit)
    longest = over[np.argsort(-lengths[over], kind="stable")][:IDS]
    ids = list(dict.fromkeys(ids_at(longest)))
    return LengthLimit(limit=limit, over=len(over), share=len(over) / len(lengths), ids=ids)


def lengths_section(audit: Audit) -> Section:
    """Lengths against the limits."""
    return Section("Lengths", "lengths", [*_findings(audit.lengths)], [*_figures(audit), _table(audit)])


def _findings(lengths: Lengths) -> Iterator[Finding]:
    unit, texts = ("words", lengths.words) if lengths.tokens is None else ("tokens", lengths.tokens)
    for kind, described in texts.items():
        if (cut := described.cut) is None or not cut.over:
            continue
        certain, least = (", whatever the tokenizer", "at least ") if unit == "words" else ("", "")
        yield finding(
            "problem" if cut.share >= 0.1 else "warning" if cut.share >= 0.01 else "note",
            f"{least}{number_of(cut.over, kind)} ({percent(cut.share)}) cut at {cut.limit} tokens{certain} (the "
            f"longest has {described.percentiles['p100']:,} {unit})",
            f"Raise {LIMITS[kind]}, or leave these rows out.",
            ids=cut.ids,
            over=cut.over,
            of=described.n,
            share=cut.share,
        )


def _units(lengths: Lengths) -> dict[str, dict[str, TextLengths]]:
    return {"words": lengths.words, **({"tokens": lengths.tokens} if lengths.tokens else {})}


def _figures(audit: Audit) -> Iterator[Evidence]:
    for unit, texts in _units(audit.lengths).items():
        for kind in LIMITS:
            if described := texts.get(kind):
                limit = described.cut.limit if described.cut and unit == "tokens" else None
                yield LengthBars(
                    f"{kind}-{unit}",
                    f"{kind.capitalize()}s in {unit}",
                    "The last bar holds all above the 99th percentile" + ("; dashed: the limit." if limit else "."),
                    described.histogram.starts,
                    described.histogram.width,
                    [count / described.n for count in described.histogram.counts],
                    unit,
                    limit,
                )


def _table(audit: Audit) -> Evidence | None:
    rows = [
        (
            f"{kind}, {unit}",
            *(f"{length:,}" for length in described.percentiles.values()),
            "–" if (cut := described.cut) is None else (f"{cut.over:,}", percent(cut.share) if cut.over else ""),
        )
        for unit, texts in _units(audit.lengths).items()
        for kind, described in texts.items()
    ]
    names = [f"{p}%" if p < 100 else "longest" for p in PERCENTILES]
    note = "Percentiles. Over the limit in words: cut for certain, as a word is a token or more."
    if audit.lengths.tokens and audit.settings.sample < audit.n:
        note += f" Tokens are those of {audit.settings.sample:,} sampled rows."
    ruled = frozenset({len(audit.lengths.words)} if audit.lengths.tokens else ())
    return NumberTable("Lengths", ("", *names, "over the limit"), rows, note, ruled) if rows else None
