"""Which rows belong to which slice: simple properties of a row, each with the rule in words.

A slice that holds no row, or every row, compares nothing and is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reasondistill.evaluation.pairing import Row, fields_of
from reasondistill.languages.detection import UNKNOWN, language
from reasondistill.languages.english import NEGATIONS, NUMBER_WORDS, is_negation
from reasondistill.languages.word_splitting import length, tokens, words
from reasondistill.metrics.text import is_empty
from reasondistill.storage.lazy_sequences import Mapped
from reasondistill.tasks.task import Task

Members = npt.NDArray[np.bool_]

_LANGUAGE_SAMPLE = 200  # rows that a set's language is told from
_FEWEST_OF_A_LANGUAGE = 10  # rows
_MOST_VALUES = 12  # a column with more values is no category
_LONGEST_VALUE = 60  # characters
_DIGIT = re.compile(r"\d")
_CONFIDENCES = ((0.0, 0.5, "under 50%"), (0.5, 0.7, "50% to 70%"), (0.7, 0.9, "70% to 90%"), (0.9, 9.0, "90% or more"))
_OVERLAPS = (
    (0.0, 1 / 3, "under a third"),
    (1 / 3, 2 / 3, "a third to two thirds"),
    (2 / 3, 1.0, "two thirds or more"),
    (1.0, 9.0, "all words"),
)


class Slice(NamedTuple):
    """``members`` (n,) says which rows belong to it; ``family`` is the property that it is one value of."""

    name: str
    family: str
    rule: str
    members: Members


class Sliced(NamedTuple):
    """All slices of some rows; ``languages`` of the inputs and explanations as far as told, ``left_out`` and why."""

    slices: list[Slice]
    languages: dict[str, str]
    left_out: dict[str, str]


def find_slices(
    rows: Sequence[Row], task: Task, scores: Sequence[Mapping[str, object]], given_language: str | None = None
) -> Sliced:
    """The slices of paired rows that hold some of the rows and not all; names are unique.

    Args:
        scores: of each row, as in per_example.jsonl: ``copy`` and ``empty`` are read.
        given_language: of inputs and explanations; by default told from them.
    """
    inputs = Mapped(lambda row: " ".join(row.example.fields[name] for name in task.fields), rows)
    explanations = [row.prediction.explanation for row in rows]
    written = [text for text in explanations if not is_empty(text)]
    languages = {"input": given_language or language_of(inputs), "explanation": given_language or language_of(written)}
    left_out = {
        f"negation in the {where}": f"a list of English words finds it, and the {where}s' language is {language}"
        for where, language in languages.items()
        if language != "English"
    }
    candidates = [
        *_quartiles(
            "input", "words in all fields together, cut at the quartiles of these rows", "word",
            [length(text) for text in inputs],
        ),
        *_quartiles(
            "explanation", "words of explanations that are not empty, cut at their quartiles", "word",
            [None if is_empty(text) else length(text) for text in explanations],
        ),
        *_overlap(rows, task),
        *_negation(rows, task, explanations, languages),
        *_numbers(inputs, explanations, languages),
        *_labels(rows, task),
        *([] if given_language else _languages(inputs)),
        *_bands(
            "confidence", "the probability of the predicted label", _CONFIDENCES,
            [row.prediction.confidence for row in rows],
        ),
        *_sources(rows),
        *_group_sizes(rows),
        Slice("explanation copies a field", "copy", "see copy_rate", _members(bool(s["copy"]) for s in scores)),
        Slice("explanation empty", "empty", "nothing but white space", _members(bool(s["empty"]) for s in scores)),
        Slice(
            "explanation cut off", "truncated", "the system marked it as truncated at its longest length",
            _members(row.prediction.truncated for row in rows),
        ),
        *_categories(rows, task),
    ]  # fmt: skip
    kept: dict[str, Slice] = {}
    for candidate in candidates:
        if 0 < candidate.members.sum() < len(rows):
            kept.setdefault(candidate.name, candidate)
    return Sliced(list(kept.values()), languages, left_out)


def _members(belong: Iterable[bool]) -> Members:
    return np.fromiter(belong, dtype=np.bool_)


def language_of(texts: Sequence[str]) -> str:
    """The language of evenly spaced texts, read as one: a guess that a single short text would not bear."""
    step = max(1, len(texts) // _LANGUAGE_SAMPLE)
    return language("\n".join(texts[::step][:_LANGUAGE_SAMPLE]))


def _quartiles(what: str, rule: str, unit: str, values: Sequence[int | None]) -> Iterator[Slice]:
    """Up to four slices of whole numbers; equal values stay together, and values that are all equal make none."""
    column = np.array([np.nan if v is None else float(v) for v in values])
    known = column[~np.isnan(column)]
    if not len(known):
        return
    cuts = sorted({int(q) for q in np.quantile(known, [0.25, 0.5, 0.75], method="inverted_cdf")} - {int(known.max())})
    edges = [int(known.min()) - 1, *cuts, int(known.max())]
    if len(edges) < 3:
        return
    for low, high in pairwise(edges):
        first, last = low + 1, high
        if low == edges[0]:
            name = f"up to {_counted(last, unit)}"
        elif high == edges[-1]:
            name = f"{_counted(first, unit)} or more"
        else:
            name = _counted(first, unit) if first == last else f"{first} to {_counted(last, unit)}"
        yield Slice(f"{what}: {name}", f"{what}, number of {unit}s", rule, (column > low) & (column <= high))


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _bands(
    family: str, rule: str, bands: Sequence[tuple[float, float, str]], values: Sequence[float | None]
) -> Iterator[Slice]:
    """A slice for each band, its lower bound included."""
    for low, high, name in bands:
        inside = _members(value is not None and low <= value < high for value in values)
        yield Slice(f"{family}: {name}", family, rule, inside)


def _overlap(rows: Sequence[Row], task: Task) -> Iterator[Slice]:
    """Share of the second field's distinct words that the first has too, for tasks with two fields."""
    if len(task.fields) != 2:
        return
    first, second = task.fields
    shares: list[float | None] = []
    for row in rows:
        first_words, second_words = set(words(row.example.fields[first])), set(words(row.example.fields[second]))
        shares.append(len(second_words & first_words) / len(second_words) if first_words and second_words else None)
    rule = f"share of the {second}'s distinct words that stand in the {first} too"
    yield from _bands("overlap", rule, _OVERLAPS, shares)


def _negation(
    rows: Sequence[Row], task: Task, explanations: Sequence[str], languages: Mapping[str, str]
) -> Iterator[Slice]:
    fields = task.fields if languages["input"] == "English" else ()
    texts = {name: fields_of(rows, name) for name in fields}
    if languages["explanation"] == "English":
        texts.setdefault("explanation", explanations)
    for name, column in texts.items():
        rule = f"English: one of {', '.join(sorted(NEGATIONS))}, or a word in n't, in the {name}"
        yield Slice(f"negation in the {name}", "negation", rule, _having(column, _negates))


def _numbers(inputs: Sequence[str], explanations: Sequence[str], languages: Mapping[str, str]) -> Iterator[Slice]:
    for where, column in (("input", inputs), ("explanation", explanations)):
        english = languages[where] == "English"
        rule = f"a digit{' or an English number word from two on' if english else ''} in the {where}"
        yield Slice(f"numbers in the {where}", "numbers", rule, _having(column, _counts if english else _has_digit))


def _having(column: Iterable[str], test: Callable[[str], bool]) -> Members:
    return _members(test(text) for text in column)


def _negates(text: str) -> bool:
    return any(map(is_negation, tokens(text)))


def _has_digit(text: str) -> bool:
    return _DIGIT.search(text) is not None


def _counts(text: str) -> bool:
    return _has_digit(text) or not NUMBER_WORDS.isdisjoint(tokens(text))


def _labels(rows: Sequence[Row], task: Task) -> Iterator[Slice]:
    """Not for choices, which differ from row to row."""
    if not task.labels:
        return
    for whose, rule, labels in (
        ("gold", "the data's label", [row.example.label for row in rows]),
        ("predicted", "the system's label", [row.prediction.label for row in rows]),
    ):
        for name in task.labels:
            yield Slice(f"{whose} label: {name}", f"{whose} label", rule, _members(one == name for one in labels))


def _languages(inputs: Sequence[str]) -> Iterator[Slice]:
    """Where a set holds rows of several languages. A few rows of another one are likelier to be wrong guesses."""
    of_row = [language(text) for text in inputs]
    counts = Counter(name for name in of_row if name != UNKNOWN)
    common = sorted(name for name, n in counts.items() if n >= max(_FEWEST_OF_A_LANGUAGE, len(of_row) / 20))
    for name in common if len(common) > 1 else ():
        rule = "told from stop words and script of all fields together"
        yield Slice(f"language: {name}", "language", rule, _members(other == name for other in of_row))


def _sources(rows: Sequence[Row]) -> Iterator[Slice]:
    """Rows with a reference explanation of each source: a teacher, an annotator."""
    of_row = [{e.source for e in row.example.references if not is_empty(e.text)} for row in rows]
    counts = Counter(source for sources in of_row for source in sources)
    for source, _ in sorted(counts.most_common(_MOST_VALUES)):
        rule = "at least one reference explanation of the row is from this source"
        yield Slice(f"references from {source}", "source", rule, _members(source in sources for sources in of_row))


def _group_sizes(rows: Sequence[Row]) -> Iterator[Slice]:
    groups = [row.example.group for row in rows]
    sizes = Counter(groups)
    of_row = [None if group is None else sizes[group] for group in groups]
    yield from _quartiles("group", "scored rows of the row's group, cut at the quartiles over rows", "row", of_row)


def _categories(rows: Sequence[Row], task: Task) -> Iterator[Slice]:
    """Extra fields of the data and extra keys of the predictions, where they hold a few values each."""
    extra = sorted({name for row in rows for name in row.example.fields} - set(task.fields))
    for name in extra:
        yield from _values(f"field {name}", [row.example.fields.get(name) for row in rows])
    keys = sorted({key for row in rows for key in row.prediction.model_extra or {}})
    for key in keys:
        yield from _values(f"prediction's {key}", [(row.prediction.model_extra or {}).get(key) for row in rows])


def _values(family: str, values: Sequence[object]) -> Iterator[Slice]:
    present = [value for value in values if value is not None]
    if not all(isinstance(value, str | bool | int) and len(str(value)) <= _LONGEST_VALUE for value in present):
        return
    spelled = [None if value is None else str(value).strip() for value in values]
    distinct = sorted({value for value in spelled if value})
    # A value for nearly every row is no category, however few rows there are.
    if len(distinct) > min(_MOST_VALUES, len(present) // 2):
        return
    for value in distinct:
        yield Slice(f"{family}: {value}", family, f"{family} is {value!r}", _members(s == value for s in spelled))
