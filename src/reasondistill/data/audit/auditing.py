"""The audit of a data set: one pass, a sample for what needs the texts, and what is wrong in order of weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from reasondistill.contracts.records import Example
from reasondistill.data.audit.duplicates import find_duplicates
from reasondistill.data.audit.findings import find_all
from reasondistill.data.audit.leakage import find_leaks
from reasondistill.data.audit.lengths import Limits, token_lengths, word_lengths
from reasondistill.data.audit.phrases import find_phrases
from reasondistill.data.audit.profile import COPIES, IDS, NO_LABEL, Columns, Ints, as_plain, distinct, gather_columns
from reasondistill.data.audit.simple_models import highlight_baseline, run_baselines
from reasondistill.data.audit.texts import FLAWS, language
from reasondistill.data.loaded import Loaded
from reasondistill.errors import DataError
from reasondistill.tasks.task import OutputOrder, Task

AUDIT_SCHEMA: Final = 1
SAMPLE: Final = 50_000
"""Rows that phrases, language and token lengths are taken from, if there are more."""


def audit(
    loaded: Loaded,
    *,
    task: Task,
    tokenizer: Any = None,
    limits: Limits | None = None,
    order: OutputOrder | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> dict[str, Any]:
    """Look for what is wrong with a data set. Half a million rows take about a minute and some hundred megabytes.

    The same data, arguments and library versions give the same result.

    Args:
        task: what the rows are read as; the fields that it does not name are not looked at.
        tokenizer: of transformers, to count tokens with; without one, lengths are in words only.
        limits: of the student that is to be trained.
        order: what prompts and targets are made for; by default ``label_first``, without labels
            ``explanation_only``.
        seed: of samples and baselines.
        progress: called with a sentence as each stage begins.

    Returns:
        What JSON can hold. Shares and accuracies are in [0, 1]; ``ids`` are at most 10 a finding.

        - ``kind`` ("audit"), ``schema_version``, ``name``, ``fingerprint``, ``task``, ``fields``, ``n``,
          ``settings`` (order, seed, limits, sample: how many rows phrases, language and tokens were taken from).
        - ``findings``: a list of ``{"severity": "problem" | "warning" | "note", "what", "numbers", "ids",
          "advice"}``, worst first.
        - ``labels``: label → count, ``"(none)"`` for rows without; ``choices`` for tasks whose rows bring their own:
          ``number`` (how many → rows) and ``position`` (of the right one, from 0 → rows).
        - ``parts``: ``by`` ("the rows", "the hash rule", or "both"), ``counts``: part → label → count.
        - ``set_aside``: what reading the file kept out.
        - ``duplicates``: ``exact`` (the same fields and choices) and ``normalised`` (but for case, punctuation and
          articles): ``sets`` of equal rows, the ``rows`` in them, ``repeats`` (rows less one a set),
          ``same_label`` and ``conflicting_label`` (each ``sets``, ``rows``, ``ids`` by set). ``near`` (every field
          at least ``threshold`` alike, by Jaccard similarity of word sets, and not normalised duplicates): ``pairs``,
          ``rows``, ``same_label``, ``conflicting_label``, ``across_parts`` (each ``pairs``, ``ids``,
          ``similarity``); ``candidates`` and ``compared`` (pairs; if fewer were compared, counts are scaled up).
          Near ones are a lower bound: in a bucket of alike rows each is compared with its neighbours only.
        - ``leakage``: ``train_part``; ``groups`` (how many, ``in_several_parts``, the ``rows`` of those, ``ids``);
          ``between_parts``: part → field, or ``all fields`` → ``rows`` of it whose text is in the training part,
          ``of``, ``share``, ``ids`` (each with its twin); ``random_split``: field → ``shared`` (share of rows whose
          text another row has), ``leaked`` (expected share of test rows whose text is in training if 70% of the
          rows were drawn without regard to groups).
        - ``explanations``: ``n``, ``per_example`` (reference explanations → rows), ``sources``,
          ``for_another_label``, ``empty``, ``very_short``; ``repeated``: explanations whose text another row's has,
          too; ``label_words``: label → ``n``, ``own`` and ``other`` (explanations that hold its name, or another's);
          ``copies``: label → ``n``, ``any``, and field → ``equal``, ``part_of_field``, ``holds_field``.
        - ``phrases``: ``n`` looked at; ``begin`` and ``end``: label → the commonest phrases; ``templates``: each
          ``template`` ("…" is a slot), ``n``, ``share``, ``labels``, ``mostly`` (a label), ``mostly_share``,
          ``example``, ``ids``; ``in_a_template``: label, or ``all`` → share; ``quoting``: templates that quote
          fields whole.
        - ``highlights``: None, or ``n``, ``marked``: field → label → share of annotations with a word marked there;
          ``mean``: the same, mean number of words (more than five count as five); ``baseline``: how well the numbers
          of marked words guess the label.
        - ``lengths``: ``words`` and ``tokens`` (None without a tokenizer): text → ``n``, ``mean``, ``percentiles``,
          ``histogram``, and with limits for ``prompt`` and ``target`` ``limit``, ``over``, ``share_over``. In words,
          these are over the limit for certain.
        - ``lost``: None without a tokenizer, or what it cannot read of prompts and targets, as
          `unknown_tokens.LossCount.found` gives it.
        - ``baselines``: ``scores``: what it sees → ``accuracy``, ``ci95`` by group, ``n``; ``majority`` likewise;
          ``train``, ``scored``: how many rows ``of`` how many; or only ``left_out``.
        - ``language``: ``fields`` and ``explanations``: language → texts of the sample; ``flaws``: flaw → text →
          count; ``flaw_ids``.

    Raises:
        DataError: there are no examples.
    """
    if not len(loaded.examples):
        raise DataError(loaded.name, expected="at least one example", found="none", fix="Name another part or file.")
    order = order or ("explanation_only" if task.labels == () else "label_first")
    stored = loaded.stored

    def ids(rows: Sequence[int]) -> list[str]:
        return [str(value) for value in stored.take(stored.rows[np.asarray(rows, np.int64)]).column("id")]

    def take(rows: Ints) -> Sequence[Example]:
        return stored if len(rows) == len(stored) else stored.take(stored.rows[rows])

    progress(f"reading {len(stored):,} examples")
    columns = gather_columns(stored, stored.parts(), task=task, order=order, progress=progress)
    progress("looking for duplicates and leaks")
    leakage = find_leaks(columns, ids)
    duplicates = find_duplicates(columns, ids, seed=seed)
    sample = np.arange(columns.n)
    if columns.n > SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(columns.n, SAMPLE, replace=False))
    progress(f"looking for phrases in {len(sample):,} examples")
    phrases = find_phrases(zip(sample.tolist(), take(sample), strict=True), task, ids)
    tokens = lost = None
    if tokenizer is not None:
        progress(f"counting tokens of {len(sample):,} examples")
        tokens, lost = token_lengths(take(sample), task, order, tokenizer, limits)
    found: dict[str, Any] = {
        "kind": "audit",
        "schema_version": AUDIT_SCHEMA,
        "name": loaded.name,
        "fingerprint": loaded.fingerprint,
        "task": task.name,
        "fields": list(task.fields),
        "n": columns.n,
        "settings": {
            "order": order,
            "seed": seed,
            "limits": None if limits is None else limits._asdict(),
            "sample": len(sample),
        },
        "findings": [],
        "labels": _labels(columns.label, columns),
        "choices": _choices(columns),
        "parts": _parts(columns),
        "set_aside": dict(loaded.set_aside),
        "duplicates": duplicates,
        "leakage": leakage,
        "explanations": _explanations(columns, ids),
        "phrases": phrases,
        "highlights": _highlights(columns, leakage["train_part"]),
        "lengths": {"words": word_lengths(columns.words, limits), "tokens": tokens},
        "lost": lost,
        "baselines": run_baselines(columns, leakage["train_part"], take, task, seed=seed, progress=progress),
        "language": _language(columns, take(sample), task, ids),
    }
    found = as_plain(found)
    found["findings"] = find_all(found)
    return found


def _labels(codes: Ints, columns: Columns) -> dict[str, int]:
    counts = np.bincount(codes + 1, minlength=len(columns.labels) + 1).tolist()
    found = dict(zip(columns.labels, counts[1:], strict=True))
    return found | ({NO_LABEL: counts[0]} if counts[0] else {})


def _choices(columns: Columns) -> dict[str, Any] | None:
    if not columns.choices:
        return None
    return {"number": dict(sorted(columns.choices.items())), "position": dict(sorted(columns.position.items()))}


def _parts(columns: Columns) -> dict[str, Any]:
    by = "the hash rule" if not columns.named_parts else "the rows" if columns.named_parts == columns.n else "both"
    usual = ["train", "validation", "test"]
    codes = sorted(range(len(columns.parts)), key=lambda code: [*usual, name := columns.parts[code]].index(name))
    counts = {columns.parts[code]: _labels(columns.label[columns.part == code], columns) for code in codes}
    return {"by": by, "counts": counts}


def _explanations(columns: Columns, ids: Callable[[Sequence[int]], list[str]]) -> dict[str, Any]:
    by_label = {label: columns.explained[label] for label in sorted(columns.explained)}
    shown = {what: ids(columns.rows.get(what, [])) for what in ("short", "empty", "own_word", "other_word", *COPIES)}
    named = {label: n for label, n in by_label.items() if label != NO_LABEL}
    return {
        "n": len(columns.said),
        "per_example": dict(sorted(columns.per_example.items())),
        "sources": dict(sorted(columns.sources.items())),
        "for_another_label": columns.other_label,
        "empty": columns.empty,
        "very_short": columns.short,
        "repeated": _repeated(columns, ids),
        "label_words": {
            label: {"n": n, "own": columns.own_word[label], "other": columns.other_word[label]}
            for label, n in named.items()
        },
        "copies": {
            label: {"n": n, "any": columns.copied[label]}
            | {name: {how: columns.copies[label, name, how] for how in COPIES} for name in columns.fields}
            for label, n in by_label.items()
        },
        "ids": shown,
    }


def _repeated(columns: Columns, ids: Callable[[Sequence[int]], list[str]]) -> dict[str, Any]:
    """Explanations that stand word for word in several rows."""
    if not len(columns.said):
        return {"n": 0, "most": 0, "ids": []}
    _, code = np.unique(columns.said, return_inverse=True)
    pairs = distinct(code * columns.n + columns.said_row)  # the same words twice in one row are one
    code, rows = pairs // columns.n, pairs % columns.n
    counts = np.bincount(code)
    several = counts[code] > 1
    shown: list[int] = []
    if several.any():
        # Of equally common ones the one that comes first: hashes have no order that lasts.
        commonest = np.flatnonzero(counts[code] == counts.max())
        shown = rows[code == code[commonest[np.argmin(rows[commonest])]]][:IDS].tolist()
    return {"n": int(several.sum()), "most": int(counts.max()), "ids": ids(shown)}


def _highlights(columns: Columns, train_part: str) -> dict[str, Any] | None:
    if not columns.highlights:
        return None
    n: Counter[str] = Counter()
    marked: dict[str, Counter[str]] = {name: Counter() for name in columns.fields}
    words: dict[str, Counter[str]] = {name: Counter() for name in columns.fields}
    for (_, label, numbers), count in columns.highlights.items():
        n[label] += count
        for name, number in zip(columns.fields, numbers, strict=True):
            marked[name][label] += count * (number > 0)
            words[name][label] += count * number
    labels = sorted(n)

    def per_label(counts: Mapping[str, Counter[str]]) -> dict[str, dict[str, float]]:
        return {name: {label: counts[name][label] / n[label] for label in labels} for name in columns.fields}

    return {
        "n": n.total(),
        "annotations": {label: n[label] for label in labels},
        "marked": per_label(marked),
        "mean": per_label(words),
        "baseline": highlight_baseline(columns, train_part, columns.fields),
    }


def _language(
    columns: Columns, examples: Sequence[Example], task: Task, ids: Callable[[Sequence[int]], list[str]]
) -> dict[str, Any]:
    counts: dict[str, Counter[str]] = {"fields": Counter(), "explanations": Counter()}
    for where, text in _texts(examples, task):
        counts[where][language(text)] += 1
    return {
        **{where: dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))) for where, found in counts.items()},
        "texts": dict(columns.texts),
        "flaws": {
            flaw: {
                where: columns.flaws[where, flaw]
                for where in (*columns.fields, "explanation")
                if columns.flaws[where, flaw]
            }
            for flaw in FLAWS
        },
        "flaw_ids": {flaw: ids(columns.rows.get(flaw, [])) for flaw in FLAWS},
    }


def _texts(examples: Sequence[Example], task: Task) -> Iterator[tuple[str, str]]:
    for example in examples:
        # A row's fields together: a short one alone says little of its language.
        yield "fields", " ".join(example.fields[name] for name in task.fields)
        for explanation in example.explanations:
            yield "explanations", explanation.text
