"""A sentence's words, and the form that is drawn up while they are read."""

from __future__ import annotations

import re
from typing import Final

from reasondistill.contracts.proofs import Condition, Form, Kind, Quantifier
from reasondistill.verification.reading.closed_classes import MERGED

FRAGMENT: Final = "captions-1"

_WORD = re.compile(r"[a-z0-9]+(?:[-'’][a-z0-9]+)*|[,;:]")
_LONGEST_MERGED: Final = max(map(len, MERGED))
_CONTRACTED: Final = {"it's", "he's", "she's", "there's", "that's", "who's", "what's", "here's"}


class OutsideError(Exception):
    """A sentence is outside the fragment; the message says by what."""


class LookalikeError(OutsideError):
    """A noun phrase names what need not be there."""


_IN_THE_PICTURE = re.compile(r"(?<=\w) in (the|this) (picture|photo|photograph|image|scene)$")
"""What a caption says of all that it shows."""


def words_of(text: str) -> list[str]:
    """The lower-cased words and commas of a caption; phrases that act as one word are joined by hyphens.

    Raises:
        OutsideError: it has more than one sentence, or no word.
    """
    text = text.strip().lower().replace("’", "'")
    body = _IN_THE_PICTURE.sub("", text.rstrip(".!? \"'"))
    if re.search(r"[.!?;:]\s", body) or "?" in text:
        raise OutsideError("several sentences, or a question")
    raw: list[str] = []
    for word in _WORD.findall(body):
        if word in _CONTRACTED:
            raw += [word[:-2], "is"]
        elif word.endswith("'s"):
            raw += [word[:-2], "'s"]
        else:
            raw.append(word)
    if not raw:
        raise OutsideError("no words")
    return _merged(raw)


def _merged(raw: list[str]) -> list[str]:
    words: list[str] = []
    place = 0
    while place < len(raw):
        for length in range(_LONGEST_MERGED, 1, -1):
            joined = MERGED.get(tuple(raw[place : place + length]))
            if joined is not None:
                words.append(joined)
                place += length
                break
        else:
            words.append(raw[place])
            place += 1
    return words


class Draft:
    """A form while its sentence is read."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.conditions: dict[tuple[Kind, str, tuple[int, ...]], None] = {}
        self.groups: list[tuple[int, tuple[int, ...]]] = []
        self.skipped: list[str] = []
        self.quantifier: Quantifier = "some"
        self.restrictor = 0

    def participant(self, name: str) -> int:
        """A new one."""
        self.names.append(name)
        return len(self.names) - 1

    def claim(self, kind: Kind, word: str, *of: int) -> None:
        """A condition, once."""
        self.conditions.setdefault((kind, word.replace("_", " "), of))

    def nouns(self, participant: int) -> list[str]:
        """The nouns of one participant."""
        return [word for kind, word, of in self.conditions if kind == "noun" and of == (participant,)]

    def count(self, participant: int) -> int:
        """The least number of a participant."""
        numbers = (word for kind, word, of in self.conditions if kind == "number" and of == (participant,))
        return max((int(word) for word in numbers if word.isdigit()), default=1)

    def is_counted(self, participant: int) -> bool:
        """Whether it is one, or a number says how many it is."""
        numbers = [word for kind, word, of in self.conditions if kind == "number" and of == (participant,)]
        return not numbers or any(word.startswith("exactly") for word in numbers)

    def form(self) -> Form:
        """What was drawn up."""
        return Form(
            quantifier=self.quantifier,
            participants=tuple(self.names),
            conditions=tuple(Condition(kind=kind, word=word, of=of) for kind, word, of in self.conditions),
            restrictor=self.restrictor,
            groups=tuple(self.groups),
            skipped=tuple(self.skipped),
        )
