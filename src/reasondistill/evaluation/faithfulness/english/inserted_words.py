"""Words put into English texts: an adjective behind a determiner, an adverb behind a form of "be".

There is no tagger here, so the rule is about words: behind "a", "the", "two" or "his" a noun phrase goes on, and an
adjective fits; behind "is" or "are" a predicate follows, and an adverb fits. It misses places, and it is seldom wrong
where it finds one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from reasondistill.contracts.records import Example
from reasondistill.languages.word_splitting import words

_ADJECTIVES = (
    "angry bald big black blind blonde blue brave broken brown busy calm careful cheap clever cold colorful dark dirty "
    "dry empty expensive famous fast fat friendly full gentle giant golden gray green happy heavy huge injured large "
    "lazy little lonely long loud lucky modern muddy new nice noisy odd old orange pink plain plastic poor pretty "
    "proud purple quiet red rich rude rusty sad scary serious shiny short shy silent silver skinny slow small smart "
    "soft strange striped strong sunny tall thin tiny tired warm wet white wild wooden yellow young"
)
_ADVERBS = (
    "again alone already always angrily barely briefly calmly carefully constantly curiously eagerly easily finally "
    "gently gladly gracefully happily hardly hastily lazily loudly merely nearly nervously never obviously officially "
    "often once only openly patiently perfectly probably proudly publicly quickly quietly rarely reluctantly sadly "
    "secretly seldom seriously silently slowly softly sometimes steadily still suddenly supposedly usually violently"
)
ADJECTIVES: Final = tuple(_ADJECTIVES.split())
ADVERBS: Final = tuple(_ADVERBS.split())

# Not "her" and "this", which often stand alone ("beside her while", "this is").
_DETERMINER = re.compile(
    r"\b(?:an?|the|his|its|their|my|our|your|two|three|four|five|six|seven|eight|nine|ten|several|many)\s+"
    # "a lot of men" and "the two men": the noun does not follow yet
    r"(?!(?:lot|lots|few|bit|couple|little|two|three|four|five|other|same)\b)(?=\w)",
    re.IGNORECASE,
)
_BE = re.compile(r"\b(?:is|are|was|were|am)\s+(?!(?:an?|the|his|its|their|not|no)\b)(?=\w)", re.IGNORECASE)
_ARTICLE = re.compile(r"\b([Aa])(n?)(\s+)$")


class Place(NamedTuple):
    """Where a word can be put: before the character ``at`` of a field."""

    field: str
    at: int
    fitting: Sequence[str]


class Insertion(NamedTuple):
    """An example with a word put into one of its fields."""

    example: Example
    field: str
    word: str


def places(example: Example, fields: Sequence[str]) -> list[Place]:
    """All places for a word in some fields of an example."""
    return [
        Place(field, match.end(), fitting)
        for field in fields
        for pattern, fitting in ((_DETERMINER, ADJECTIVES), (_BE, ADVERBS))
        for match in pattern.finditer(example.fields[field])
    ]


def put(text: str, at: int, word: str) -> str:
    """``text`` with ``word`` before the character ``at``; an "a" or "an" before it is made to fit."""
    before = _ARTICLE.sub(rf"\g<1>{'n' if word[0] in 'aeiou' else ''}\g<3>", text[:at])
    return f"{before}{word} {text[at:]}"


def draw(example: Example, fields: Sequence[str], n: int, avoid: str = "") -> list[Insertion]:
    """At most ``n`` different insertions, in random order: the same ones for the same example, wherever it stands.

    Args:
        example: where words are put in; its id is the seed.
        fields: those that words can be put into.
        n: how many are wanted.
        avoid: a text whose words, like the example's own, are not inserted: mentioning them would say nothing.
    """
    return list(_draw(example, fields, n, avoid))


def _draw(example: Example, fields: Sequence[str], n: int, avoid: str) -> Iterator[Insertion]:
    rng = random.Random(f"insertion {example.id}")
    open_places = places(example, fields)
    known = {word for text in (*example.fields.values(), avoid) for word in words(text)}
    while open_places and n:
        place = rng.choice(open_places)
        fresh = [word for word in place.fitting if word not in known]
        if not fresh:
            open_places.remove(place)
            continue
        word = rng.choice(fresh)
        known.add(word)
        n -= 1
        text = put(example.fields[place.field], place.at, word)
        yield Insertion(example.model_copy(update={"fields": {**example.fields, place.field: text}}), place.field, word)
