"""One pass over all examples into numpy columns and counters: nothing here grows with the texts' length.

Texts become 64-bit hashes; the built-in hash is salted anew in each process, so hashes are compared, never stored or
sorted by. Word sets, for likeness, become CRC-32 values, which are the same everywhere.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from reasondistill.contracts.records import Example
from reasondistill.data.audit.findings import NO_LABEL
from reasondistill.data.audit.texts import flaws, plain
from reasondistill.languages.word_splitting import length
from reasondistill.tasks.task import OutputOrder, Task

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

IDS: Final = 10
"""How many ids a finding names at most."""
SET_SIZE: Final = 64
"""A text's word set keeps this many words, those of the smallest CRC-32: the same choice in every text."""
COPY_WORDS: Final = 3
"""Shorter stretches that explanation and field share are no copy."""
SHORT_EXPLANATION: Final = 3
"""Explanations of fewer words are very short."""
_HIGHLIGHTED: Final = 5  # more highlighted words count as five
_EVERY: Final = 50_000

COPIES: Final = ("equal", "part_of_field", "holds_field")
"""How an explanation copies a field: it is the field; it is a stretch of it; it holds all of it."""


@dataclass
class WordSets:
    """The word set of each row's text, sorted, one after the other; row i's are ``words[starts[i]:starts[i + 1]]``."""

    words: Words
    starts: Ints


def _no_rows() -> Ints:
    return np.zeros(0, np.int64)


@dataclass
class Columns:
    """What one pass gathers. Arrays have one value for each row unless said otherwise.

    Attributes:
        labels: names by code; ``label`` holds codes, -1 for none. Where each row has its own choices there is one
            name, "answer". ``answer`` holds the label's hash, 0 for none.
        splits: names by code; ``split`` holds codes.
        group: hash of the group; 0 where a row has none.
        content: hash of all fields and choices as they are written.
        plain: field → hash of its text without case, punctuation and articles.
        plain_content: hash of all of those, and of the choices.
        sets: field → its word sets.
        words: field, ``explanation`` (one value for each reference), ``prompt`` (one for each prompt) and
            ``target`` (one for each target) → number of words; ``word_rows``: of prompts and targets, their rows.
        explanation: hash of each reference without case, punctuation and articles; ``explanation_row`` its row.
        explained: label → references; an explanation for another label than its row's counts as ``other_label``.
        copies: (label, field, how) → references; ``copied``: label → references that copy any field.
        own_word, other_word: label → references that hold its name, or another label's.
        highlights: (split, label, numbers of highlighted words by field) → annotations.
        flaws: (field or ``explanation``, flaw) → texts.
        rows: what → the first `IDS` rows that show it.
    """

    fields: tuple[str, ...]
    splits: list[str]
    labels: list[str] = field(default_factory=list)
    label: Ints = field(default_factory=_no_rows)
    answer: Ints = field(default_factory=_no_rows)
    split: Ints = field(default_factory=_no_rows)
    group: Ints = field(default_factory=_no_rows)
    content: Ints = field(default_factory=_no_rows)
    plain_content: Ints = field(default_factory=_no_rows)
    explanation: Ints = field(default_factory=_no_rows)
    explanation_row: Ints = field(default_factory=_no_rows)
    plain: dict[str, Ints] = field(default_factory=dict)
    sets: dict[str, WordSets] = field(default_factory=dict)
    words: dict[str, Ints] = field(default_factory=dict)
    word_rows: dict[str, Ints] = field(default_factory=dict)
    explained: Counter[str] = field(default_factory=Counter)
    copies: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    copied: Counter[str] = field(default_factory=Counter)
    own_word: Counter[str] = field(default_factory=Counter)
    other_word: Counter[str] = field(default_factory=Counter)
    position: Counter[int] = field(default_factory=Counter)
    choices: Counter[int] = field(default_factory=Counter)
    per_example: Counter[int] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    highlights: Counter[tuple[int, str, tuple[int, ...]]] = field(default_factory=Counter)
    flaws: Counter[tuple[str, str]] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    empty: int = 0
    short: int = 0
    named_splits: int = 0
    other_label: int = 0
    rows: dict[str, list[int]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.label)

    def show(self, what: str, row: int) -> None:
        """Remember that a row shows this."""
        shown = self.rows.setdefault(what, [])
        if len(shown) < IDS and (not shown or shown[-1] != row):
            shown.append(row)


def gather_columns(
    examples: Iterable[Example],
    splits: npt.NDArray[np.str_],
    *,
    task: Task,
    order: OutputOrder,
    progress: Callable[[str], None],
) -> Columns:
    """Go through all examples once.

    Args:
        splits: the split of each example.
        order: what prompts and targets are made for.
    """
    names, codes = np.unique(splits, return_inverse=True)
    gatherer = _Gatherer(task, order, [str(name) for name in names])
    for row, example in enumerate(examples):
        gatherer.add(row, example, int(codes[row]))
        if (row + 1) % _EVERY == 0:
            progress(f"reading: {row + 1:,} of {len(splits):,} examples")
    return gatherer.finish(codes.astype(np.int64))


class _Gatherer:
    """Grows `Columns` example by example."""

    def __init__(self, task: Task, order: OutputOrder, splits: list[str]) -> None:
        self.task, self.order, self.fields = task, order, task.fields
        self.columns = Columns(task.fields, splits)
        self.codes = {label: code for code, label in enumerate(task.labels or ())}
        self.label_names = {label: f" {plain(label)} " for label in self.codes}
        one_a_row = ("label", "answer", "group", "content", "plain_content")
        self.arrays = {name: array("q") for name in (*one_a_row, "explanation", "explanation_row")}
        self.plain = {name: array("q") for name in self.fields}
        self.sets = {name: array("I") for name in self.fields}
        self.starts = {name: array("q", [0]) for name in self.fields}
        self.words = {name: array("i") for name in (*self.fields, "explanation", "prompt", "target")}
        self.word_rows = {name: array("q") for name in ("prompt", "target")}

    def add(self, row: int, example: Example, split: int) -> None:
        """Count an example."""
        columns, arrays, per_row_choices = self.columns, self.arrays, self.task.labels is None
        own = None if self.task.labels == () else example.label
        arrays["answer"].append(0 if own is None else hash(own) or 1)
        code = -1 if own is None else 0 if per_row_choices else self.codes.setdefault(own, len(self.codes))
        arrays["label"].append(code)
        arrays["group"].append(0 if example.group is None else hash(example.group) or 1)
        columns.named_splits += example.split is not None
        choices = tuple(sorted(example.choices)) if example.choices else ()
        if per_row_choices:
            self._count_choices(example, own)
        texts = [example.fields[name] for name in self.fields]
        padded = [self._add_field(name, text, row) for name, text in zip(self.fields, texts, strict=True)]
        arrays["content"].append(hash((*texts, choices)))
        arrays["plain_content"].append(hash((*padded, *map(plain, choices))))

        columns.per_example[len(example.references)] += 1
        shown_label = NO_LABEL if own is None else "answer" if per_row_choices else own
        for explanation in example.explanations:
            columns.sources[explanation.source] += 1
            columns.texts["explanation"] += 1
            self._count_flaws("explanation", explanation.text, row)
            if explanation.label is not None and explanation.label != example.label:
                columns.other_label += 1  # wrong on purpose, or for another label: not what a student learns
            else:
                self._add_explanation(explanation.text, row, padded, own, shown_label)
        self._count_highlights(example, split)
        for prompt, targets in self.task.render(self.order, example, [e.text for e in example.references] or [None]):
            self._add_words("prompt", prompt, row)
            for target in targets:
                self._add_words("target", target.text, row)

    def _add_words(self, kind: str, text: str, row: int) -> None:
        self.words[kind].append(length(text))
        self.word_rows[kind].append(row)

    def _count_flaws(self, kind: str, text: str, row: int) -> None:
        for flaw in flaws(text):
            self.columns.flaws[kind, flaw] += 1
            self.columns.show(flaw, row)

    def _count_choices(self, example: Example, own: str | None) -> None:
        choices = example.choices or ()
        self.columns.choices[len(choices)] += 1
        if own in choices:
            self.columns.position[choices.index(own)] += 1
        self.label_names = {choice: f" {plain(choice)} " for choice in choices}

    def _add_field(self, name: str, text: str, row: int) -> str:
        """Count a field's text; its plain form between two spaces."""
        bare = plain(text)
        self.plain[name].append(hash(bare))
        word_set = {crc32(word) for word in bare.encode("utf-8", "surrogatepass").split()}
        self.sets[name].extend(sorted(word_set)[:SET_SIZE] or (0,))
        self.starts[name].append(len(self.sets[name]))
        self.words[name].append(length(text))
        self._count_flaws(name, text, row)
        return f" {bare} "

    def _add_explanation(self, text: str, row: int, padded: Sequence[str], own: str | None, label: str) -> None:
        columns, bare = self.columns, plain(text)
        columns.explained[label] += 1
        self.words["explanation"].append(words := length(text))
        if words < SHORT_EXPLANATION:
            columns.short += 1
            columns.show("short", row)
            if not bare:
                columns.empty += 1
                columns.show("empty", row)
        self.arrays["explanation"].append(hash(bare))
        self.arrays["explanation_row"].append(row)
        self._count_copies(f" {bare} ", padded, label, row)
        if own is not None:
            named = {name for name, word in self.label_names.items() if len(word) > 2 and word in f" {bare} "}
            for what, counts, hit in (
                ("own_word", columns.own_word, own in named),
                ("other_word", columns.other_word, bool(named - {own})),
            ):
                counts[label] += hit
                if hit:
                    columns.show(what, row)

    def _count_copies(self, inside: str, padded: Sequence[str], label: str, row: int) -> None:
        n_words, any_copy = inside.count(" ") - 1, False
        for name, field_text in zip(self.fields, padded, strict=True):
            if inside == field_text and n_words:
                how = "equal"
            elif n_words >= COPY_WORDS and inside in field_text:
                how = "part_of_field"
            elif field_text.count(" ") > COPY_WORDS and field_text in inside:
                how = "holds_field"
            else:
                continue
            any_copy = True
            self.columns.copies[label, name, how] += 1
            self.columns.show(how, row)
        self.columns.copied[label] += any_copy

    def _count_highlights(self, example: Example, split: int) -> None:
        label = "answer" if self.task.labels is None else example.label
        for marked in example.highlights or ():
            if marked and example.label is not None:  # {} stands for highlights that did not fit their sentence
                numbers = tuple(min(len(marked.get(name, ())), _HIGHLIGHTED) for name in self.fields)
                self.columns.highlights[split, str(label), numbers] += 1

    def finish(self, split: Ints) -> Columns:
        """The columns, with the split of each row."""
        columns = self.columns
        columns.labels = ["answer"] if self.task.labels is None else list(self.codes)
        columns.split = split
        for name, values in self.arrays.items():
            setattr(columns, name, np.asarray(values))
        columns.texts.update({name: len(split) for name in self.fields})
        columns.plain = {name: np.asarray(values) for name, values in self.plain.items()}
        columns.sets = {n: WordSets(np.asarray(self.sets[n]), np.asarray(self.starts[n])) for n in self.fields}
        columns.words = {name: np.asarray(values) for name, values in self.words.items()}
        columns.word_rows = {name: np.asarray(values) for name, values in self.word_rows.items()}
        return columns


def distinct(values: Ints) -> Ints:
    """Sorted, each once. numpy's own `unique` (2.3 and later) hashes integers and takes minutes for even steps."""
    ordered = np.sort(values)
    return ordered[np.r_[True, ordered[1:] != ordered[:-1]]] if len(ordered) else ordered
