"""One pass over all examples into numpy columns and counters: nothing here grows with the texts' length.

Texts become 64-bit hashes; the built-in hash is salted anew in each process, so hashes are compared, never stored or
sorted by. Word sets, for likeness, become CRC-32 values, which are the same everywhere.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from reasondistill.contracts.records import Example
from reasondistill.data.audit.texts import flaws, plain
from reasondistill.metrics.text import length
from reasondistill.tasks.task import OutputOrder, Task

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

NO_LABEL: Final = "(none)"
IDS: Final = 10
"""How many ids a finding names at most."""
SET_SIZE: Final = 64
"""A text's word set keeps this many words, those of the smallest CRC-32: the same choice in every text."""
COPY_WORDS: Final = 3
"""Shorter stretches that explanation and field share are no copy."""
SHORT_EXPLANATION: Final = 3
"""Explanations of fewer words are very short."""
_HIGHLIGHTED: Final = 5  # more highlighted words count as so many
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
    """What one pass found. Arrays have one value for each row unless said otherwise.

    Attributes:
        labels: names by code; ``label`` holds codes, -1 for none. Where each row has its own choices there is one
            name, "answer". ``answer`` holds the label's hash, 0 for none.
        parts: names by code; ``part`` holds codes.
        group: hash of the group; 0 where a row has none.
        content: hash of all fields and choices as they are written.
        plain: field → hash of its text without case, punctuation and articles.
        plain_content: hash of all of those, and of the choices.
        sets: field → its word sets.
        words: field, ``explanation`` (one value for each reference), ``prompt`` (one for each prompt) and
            ``target`` (one for each target) → number of words.
        said: hash of each reference without case, punctuation and articles; ``said_row`` its row.
        explained: label → references; an explanation for another label than its row's counts as ``other_label``.
        copies: (label, field, how) → references; ``copied``: label → references that copy any field.
        own_word, other_word: label → references that hold its name, or another label's.
        highlights: (part, label, numbers of highlighted words by field) → annotations.
        flaws: (field or ``explanation``, flaw) → texts.
        rows: what → the first `IDS` rows that show it.
    """

    fields: tuple[str, ...]
    parts: list[str]
    labels: list[str] = field(default_factory=list)
    label: Ints = field(default_factory=_no_rows)
    answer: Ints = field(default_factory=_no_rows)
    part: Ints = field(default_factory=_no_rows)
    group: Ints = field(default_factory=_no_rows)
    content: Ints = field(default_factory=_no_rows)
    plain_content: Ints = field(default_factory=_no_rows)
    said: Ints = field(default_factory=_no_rows)
    said_row: Ints = field(default_factory=_no_rows)
    plain: dict[str, Ints] = field(default_factory=dict)
    sets: dict[str, WordSets] = field(default_factory=dict)
    words: dict[str, Ints] = field(default_factory=dict)
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
    named_parts: int = 0
    other_label: int = 0
    rows: dict[str, list[int]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.label)

    def labels_of(self, rows: Ints | Sequence[int]) -> list[str]:
        """The labels of these rows."""
        return [self.labels[code] if code >= 0 else NO_LABEL for code in self.label[rows]]


def gather_columns(
    examples: Iterable[Example],
    parts: npt.NDArray[np.str_],
    *,
    task: Task,
    order: OutputOrder,
    progress: Callable[[str], None],
) -> Columns:
    """Go through all examples once.

    Args:
        parts: the part of each example.
        order: what prompts and targets are made for.
    """
    names, part_codes = np.unique(parts, return_inverse=True)
    fields, per_row_choices = task.fields, task.labels is None
    codes: dict[str, int] = {label: code for code, label in enumerate(task.labels or ())}
    label_names = {label: f" {plain(label)} " for label in codes}
    label, answer, group, content, plain_content, said, said_row = (array("q") for _ in range(7))
    plains = {name: array("q") for name in fields}
    sets = {name: array("I") for name in fields}
    starts = {name: array("q", [0]) for name in fields}
    words = {name: array("i") for name in (*fields, "explanation", "prompt", "target")}
    found = Columns(fields, [str(name) for name in names])

    def show(what: str, row: int) -> None:
        shown = found.rows.setdefault(what, [])
        if len(shown) < IDS and (not shown or shown[-1] != row):
            shown.append(row)

    def note_flaws(where: str, text: str, row: int) -> None:
        for flaw in flaws(text):
            found.flaws[where, flaw] += 1
            show(flaw, row)

    for row, example in enumerate(examples):
        own = None if task.labels == () else example.label
        answer.append(0 if own is None else hash(own) or 1)
        label.append(-1 if own is None else 0 if per_row_choices else codes.setdefault(own, len(codes)))
        group.append(0 if example.group is None else hash(example.group) or 1)
        found.named_parts += example.split is not None
        choices = tuple(sorted(example.choices)) if example.choices else ()
        if per_row_choices:
            found.choices[len(choices)] += 1
            if own is not None and example.choices and own in example.choices:
                found.position[example.choices.index(own)] += 1
            label_names = {choice: f" {plain(choice)} " for choice in choices}

        padded = []
        texts = [example.fields[name] for name in fields]
        for name, text in zip(fields, texts, strict=True):
            bare = plain(text)
            padded.append(f" {bare} ")
            plains[name].append(hash(bare))
            kept = {crc32(word) for word in bare.encode("utf-8", "surrogatepass").split()}
            sets[name].extend(sorted(kept)[:SET_SIZE] or (0,))
            starts[name].append(len(sets[name]))
            words[name].append(len(text.split()))
            note_flaws(name, text, row)
        content.append(hash((*texts, choices)))
        plain_content.append(hash((*padded, *map(plain, choices))))

        found.per_example[len(example.references)] += 1
        shown_label = NO_LABEL if own is None else "answer" if per_row_choices else own
        for explanation in example.explanations:
            found.sources[explanation.source] += 1
            text = explanation.text
            note_flaws("explanation", text, row)
            found.texts["explanation"] += 1
            if explanation.label is not None and explanation.label != example.label:
                found.other_label += 1  # wrong on purpose, or for another label: not what a student learns
                continue
            found.explained[shown_label] += 1
            bare = plain(text)
            words["explanation"].append(len(text.split()))
            if length(text) < SHORT_EXPLANATION:
                found.short += 1
                show("short", row)
                if not bare:
                    found.empty += 1
                    show("empty", row)
            said.append(hash(bare))
            said_row.append(row)
            inside = f" {bare} "
            _note_copies(found, show, inside, padded, shown_label, row)
            if own is not None:
                other = False
                for name, wanted in label_names.items():
                    if len(wanted) > 2 and wanted in inside:
                        if name == own:
                            found.own_word[shown_label] += 1
                            show("own_word", row)
                        else:
                            other = True
                found.other_word[shown_label] += other
                if other:
                    show("other_word", row)
        _note_highlights(found, example, fields, int(part_codes[row]), per_row_choices)
        for prompt, targets in task.render(order, example, [e.text for e in example.references] or [None]):
            words["prompt"].append(len(prompt.split()))
            words["target"].extend(len(target.text.split()) for target in targets)
        if (row + 1) % _EVERY == 0:
            progress(f"reading: {row + 1:,} of {len(parts):,} examples")

    found.labels = ["answer"] if per_row_choices else list(codes)
    found.texts.update({name: len(label) for name in fields})
    found.label, found.answer, found.part = np.asarray(label), np.asarray(answer), part_codes.astype(np.int64)
    found.group, found.content, found.plain_content = map(np.asarray, (group, content, plain_content))
    found.plain = {name: np.asarray(values) for name, values in plains.items()}
    found.sets = {name: WordSets(np.asarray(sets[name]), np.asarray(starts[name])) for name in fields}
    found.words = {name: np.asarray(values) for name, values in words.items()}
    found.said, found.said_row = np.asarray(said), np.asarray(said_row)
    return found


def _note_copies(
    found: Columns, show: Callable[[str, int], None], inside: str, padded: Sequence[str], label: str, row: int
) -> None:
    n_words = inside.count(" ") - 1
    any_copy = False
    for name, field_text in zip(found.fields, padded, strict=True):
        if inside == field_text and n_words:
            how = "equal"
        elif n_words >= COPY_WORDS and inside in field_text:
            how = "part_of_field"
        elif field_text.count(" ") > COPY_WORDS and field_text in inside:
            how = "holds_field"
        else:
            continue
        any_copy = True
        found.copies[label, name, how] += 1
        show(how, row)
    found.copied[label] += any_copy


def _note_highlights(found: Columns, example: Example, fields: Sequence[str], part: int, per_row_choices: bool) -> None:
    for marked in example.highlights or ():
        if marked and example.label is not None:  # {} stands for highlights that did not fit their sentence
            numbers = tuple(min(len(marked.get(name, ())), _HIGHLIGHTED) for name in fields)
            found.highlights[part, "answer" if per_row_choices else example.label, numbers] += 1


def distinct(values: Ints) -> Ints:
    """Sorted, each once. numpy's own `unique` (2.3 and later) hashes integers and takes minutes for even steps."""
    ordered = np.sort(values)
    return ordered[np.r_[True, ordered[1:] != ordered[:-1]]] if len(ordered) else ordered


def as_plain(value: Any) -> Any:
    """numpy's numbers, anywhere in a value, as Python's own, which JSON can hold."""
    if isinstance(value, dict):
        return {str(key): as_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value
