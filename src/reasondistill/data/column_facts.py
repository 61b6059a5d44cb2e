"""What each column of a table looks like: texts, numbers, how long, how often values repeat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from reasondistill.contracts.records import number_as_text
from reasondistill.languages.word_splitting import ONE_UNSPACED, length

Kind = Literal["text", "number", "truth value", "list", "object", "empty"]

MOST_LABELS: Final = 50
"""A column of more different values holds no labels."""

LONG_LABEL: Final = 6  # words, on average: more are a sentence
SENTENCE: Final = 3  # words, on average, from which a column holds texts
_SHOWN = 30  # characters of a value
_DECIMAL_COMMA = re.compile(r"\s*-?[0-9]+,[0-9]+\s*")
_NO_TEXT = re.compile(r"\s*(https?://\S+|[\w.+-]+@[\w-]+\.[\w.]+|\d{4}-\d{2}-\d{2}([T ][\d:.+Z-]+)?|[\d\W]+)\s*")


@dataclass(frozen=True)
class Column:
    """What one column holds, over the rows looked at.

    Attributes:
        filled: rows with a value.
        words: per filled row, on average; 0 for what is no text.
        commonest: the most frequent values, with how often each occurs; none where values hardly repeat.
        distinct: different values.
    """

    name: str
    kind: Kind
    rows: int
    filled: int
    words: float
    distinct: int
    commonest: tuple[tuple[str, int], ...] = ()
    plain: bool = True
    """Not mostly addresses, dates and numbers."""

    @property
    def unique(self) -> bool:
        return self.filled == self.rows == self.distinct

    def __str__(self) -> str:
        """As a person would say it: ``text, 12 words on average, 3 empty``."""
        words: list[str] = [self.kind]
        if self.kind == "text" and self.words >= SENTENCE:
            words.append(f"{self.words:.0f} words on average")
        if self.commonest and self.words < LONG_LABEL:
            shown = ", ".join(f"{value[:_SHOWN]} ({n:,})" for value, n in self.commonest[:4])
            more = f" and {self.distinct - 4:,} more" if self.distinct > 4 else ""
            words.append(f"{self.distinct:,} different: {shown}{more}")
        elif self.unique and self.rows > 1:
            words.append("all different")
        elif self.filled:
            words.append(f"{self.distinct:,} different")
        if self.filled < self.rows:
            words.append(f"{self.rows - self.filled:,} empty")
        return ", ".join(words)


def describe(rows: Iterable[Mapping[str, object]]) -> dict[str, Column]:
    """Each column of some rows, by name, in the order in which they first occur."""
    values: dict[str, list[object]] = {}
    number = 0
    for row in rows:
        number += 1
        for name, value in row.items():
            if value is not None and value != "" and value == value:
                values.setdefault(name, []).append(value)
            else:
                values.setdefault(name, [])
    return {name: _described(name, column, number) for name, column in values.items()}


def _described(name: str, values: Sequence[object], rows: int) -> Column:
    kind = _kind(values)
    texts = [str(number_as_text(value)) for value in values]
    counts = Counter(texts)
    repeated = len(counts) <= MOST_LABELS and len(counts) < len(texts)
    of_texts = kind == "text" and bool(texts)
    return Column(
        name=name,
        kind=kind,
        rows=rows,
        filled=len(values),
        words=sum(map(_words, texts)) / len(texts) if of_texts else 0.0,
        distinct=len(counts),
        commonest=tuple(counts.most_common(5)) if repeated and kind not in ("list", "object") else (),
        plain=not of_texts or 2 * sum(_NO_TEXT.fullmatch(text) is not None for text in texts) <= len(texts),
    )


def _words(text: str) -> float:
    """Words between spaces; where a script has none, two characters are about a word."""
    unspaced = len(ONE_UNSPACED.findall(text)) if not text.isascii() else 0
    return length(text) - unspaced / 2


def _kind(values: Sequence[object]) -> Kind:
    """The commonest kind; a text in a CSV file that is a number counts as one."""
    if not values:
        return "empty"
    kinds = Counter(_kind_of(value) for value in values)
    return kinds.most_common(1)[0][0]


def _kind_of(value: object) -> Kind:
    if isinstance(value, bool):
        return "truth value"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list | tuple):
        return "list"
    if isinstance(value, Mapping):
        return "object"
    text = str(value)
    try:
        float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        return "text"
    return "number"
