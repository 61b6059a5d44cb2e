"""What is a kind of what, and what excludes what: WordNet's table, the captions' own relations, and a user's."""

from __future__ import annotations

import gzip
import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Final, NamedTuple

from reasondistill.contracts.lexical_relations import Relations
from reasondistill.contracts.proofs import Rule
from reasondistill.storage.layered_yaml import read_yaml, validate_config

SHIPPED: Final = Path(__file__).parents[1] / "builtin" / "lexicon"
TABLE_FILE, RELATIONS_FILE = "wordnet.tsv.gz", "captions.yaml"

LETTERS: Final = {"noun": "n", "verb": "v", "adjective": "a"}
SENSES: Final = {"noun": 1, "verb": 1, "adjective": 1}
"""How many of a word's senses, the commonest first, a proof may use; they belong to the fragment."""

WORDNET_EDGE, OWN_EDGE = "first_senses", "relations"
AT, NEAR = "preposition at", "preposition near"
"""Who is at a place is what the place makes them; who is near an open one, too, if nothing speaks against it."""
EXACT_NUMBERS: Final = "exact numbers"
"""The exclusive set of "exactly n" for all n."""


class Clash(NamedTuple):
    """Why two predicates exclude each other: the rule, the set's name, and the path of each to its member."""

    rule: Rule
    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]


class Lexicon:
    """Words, senses and relations.

    Args:
        relations: laid over the table's.
        table: the lines of the pruned WordNet, sorted.
        content: the table's bytes, for the hash.
    """

    def __init__(self, relations: Relations, table: Sequence[str] = (), content: bytes = b"") -> None:
        self.relations = relations
        self._table = table
        self._rows: dict[str, list[list[str]]] = {}
        self._closures: dict[str, dict[str, str | None]] = {}
        self._paths: dict[tuple[str, str], tuple[str, ...] | None] = {}
        self._senses: dict[str, tuple[str, ...]] = {}
        self._placed: dict[tuple[str, str, str, bool], tuple[tuple[str, ...], tuple[str, ...]] | None] = {}
        self._member_of: dict[str, dict[str, dict[int, tuple[str, ...]]]] = {}
        self._clashes: dict[tuple[str, str], Clash | None] = {}
        self.sha256 = hashlib.sha256(content + relations.model_dump_json().encode()).hexdigest()

    def rows(self, word: str) -> list[list[str]]:
        """The table's rows of a word or a sense, without their first column."""
        known = self._rows.get(word)
        if known is None:
            known, start = [], word + "\t"
            for place in range(bisect_left(self._table, start), len(self._table)):
                if not self._table[place].startswith(start):
                    break
                known.append(self._table[place].split("\t")[1:])
            self._rows[word] = known
        return known

    def count(self, word: str, letter: str) -> int | None:
        """How often a word was tagged as a part of speech; None where it is not known as one."""
        return next((int(row[1]) for row in self.rows(word.replace(" ", "_")) if row[0] == letter), None)

    def lemma(self, form: str, letter: str) -> str | None:
        """The lemma of an irregular form."""
        return next((row[2] for row in self.rows(form) if row[0] == "=" and row[1] == letter), None)

    def senses(self, predicate: str) -> tuple[str, ...]:
        """The senses of a predicate that a proof may use."""
        if predicate not in self._senses:
            self._senses[predicate] = self._look_up(predicate)
        return self._senses[predicate]

    def _look_up(self, predicate: str) -> tuple[str, ...]:
        kind, _, word = predicate.partition(" ")
        letter = LETTERS.get(kind)
        for row in self.rows(word.replace(" ", "_")):
            if row[0] == letter:
                return tuple(row[2].split()[: SENSES[kind]])
        return ()

    def path(self, narrow: str, wide: str) -> tuple[str, ...] | None:
        """The way from a predicate to one that it implies; itself alone for the same one, None where there is none."""
        if narrow == wide:
            return (narrow,)
        if wide.startswith("number ") or narrow.startswith("number "):
            return (narrow, wide) if _at_least(narrow, wide) else None
        key = narrow, wide
        if key not in self._paths:
            self._paths[key] = self._search(narrow, wide)
        return self._paths[key]

    def clash(self, first: str, second: str) -> Clash | None:
        """Why two predicates cannot hold of one participant; None where they can."""
        key = first, second
        if key not in self._clashes:
            self._clashes[key] = self._set_clash(first, second) or self._antonyms(first, second)
        return self._clashes[key]

    def at_place(
        self, noun: str, preposition: str, wide: str, *, near: bool
    ) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Why somebody ``preposition`` a ``noun`` is ``wide``: the noun's path and the preposition's; else None.

        ``near``: to be near it is enough.
        """
        key = noun, preposition, wide, near
        if key not in self._placed:
            self._placed[key] = self._place(*key)
        return self._placed[key]

    def _place(
        self, noun: str, preposition: str, wide: str, near: bool
    ) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        via = self.path(preposition, AT) or (self.path(preposition, NEAR) if near else None)
        for place in self.relations.places.get(wide, ()) if via else ():
            if path := self.path(noun, place):
                return (*path, wide), via or ()
        return None

    def _search(self, narrow: str, wide: str) -> tuple[str, ...] | None:
        if wide in self.relations.never.get(narrow, ()):
            return None
        closure = self._closure(narrow)
        ends = [wide] if wide in closure else [sense for sense in self.senses(wide) if sense in closure]
        if not ends or (narrow.split(" ")[0] != wide.split(" ")[0] and wide not in closure):
            return None
        way = [] if ends[0] == wide else [wide]
        station: str | None = ends[0]
        while station is not None:
            way.append(station)
            station = closure[station]
        return tuple(reversed(way))

    def _closure(self, predicate: str) -> dict[str, str | None]:
        """All that a predicate implies, each with the station before it."""
        closure = self._closures.get(predicate)
        if closure is None:
            closure = {predicate: None}
            waiting = [predicate]
            for station in waiting:  # grows
                for wider in self._wider(station):
                    if wider not in closure and wider not in self.relations.never.get(predicate, ()):
                        closure[wider] = station
                        waiting.append(wider)
            self._closures[predicate] = closure
        return closure

    def _wider(self, station: str) -> Iterator[str]:
        if " " in station:
            yield from self.relations.isa.get(station, ())
            yield from self.senses(station)
        else:
            yield from (above for row in self.rows(station) if row[0] == ">" for above in row[1].split())
            yield from self._named_by_sense.get(station, ())

    @cached_property
    def _named_by_sense(self) -> dict[str, list[str]]:
        """For a sense, the predicates with it that relations speak of."""
        named = [*self.relations.isa, *(noun for nouns in self.relations.places.values() for noun in nouns)]
        named += [p for members in self.relations.exclusive.values() for member in members for p in member]
        by_sense: dict[str, list[str]] = {}
        for predicate in dict.fromkeys(named):
            for sense in self.senses(predicate):
                by_sense.setdefault(sense, []).append(predicate)
        return by_sense

    def _set_clash(self, first: str, second: str) -> Clash | None:
        if first.startswith("number exactly ") and second.startswith("number exactly ") and first != second:
            return Clash("exclusive", EXACT_NUMBERS, (first,), (second,))
        mine, theirs = self._memberships(first), self._memberships(second)
        for name in mine:
            if name not in theirs:
                continue
            if len(mine[name]) == len(theirs[name]) == 1 and mine[name].keys() != theirs[name].keys():
                return Clash("exclusive", name, *mine[name].values(), *theirs[name].values())
        return None

    def _memberships(self, predicate: str) -> dict[str, dict[int, tuple[str, ...]]]:
        """The exclusive sets that a predicate is in: by name, the members that it implies and the path to each."""
        known = self._member_of.get(predicate)
        if known is None:
            known = {}
            for station in self._closure(predicate):
                for name, number in self._sets.get(station, ()):
                    if number not in known.setdefault(name, {}) and (path := self.path(predicate, station)):
                        known[name][number] = path
            self._member_of[predicate] = known = {name: of for name, of in known.items() if of}
        return known

    @cached_property
    def _sets(self) -> dict[str, list[tuple[str, int]]]:
        """For each predicate that is named in exclusive sets, their names and its member's number."""
        sets: dict[str, list[tuple[str, int]]] = {}
        for name, members in self.relations.exclusive.items():
            for number, member in enumerate(members):
                for predicate in member:
                    sets.setdefault(predicate, []).append((name, number))
        return sets

    def _antonyms(self, first: str, second: str) -> Clash | None:
        kind, _, word = first.partition(" ")
        other_kind, _, other = second.partition(" ")
        if kind == other_kind and kind in LETTERS:
            for row in self.rows(word.replace(" ", "_")):
                if row[0] == "!" and row[1] == LETTERS[kind] and other.replace(" ", "_") in row[2].split():
                    return Clash("antonyms", "", (first,), (second,))
        return None


def _at_least(narrow: str, wide: str) -> bool:
    """Whether a number follows from another: exactly 3, and at least 3, are at least 2."""
    given, wanted = narrow.split()[-1], wide.split()[-1]
    kinds = narrow.startswith("number ") and wide.startswith("number ") and "exactly" not in wide
    return kinds and given.isdigit() and wanted.isdigit() and int(given) >= int(wanted)


@cache
def _shipped_table() -> tuple[tuple[str, ...], bytes]:
    content = gzip.decompress((SHIPPED / TABLE_FILE).read_bytes())
    return tuple(content.decode().splitlines()), content


@cache
def shipped_relations() -> Relations:
    """The relations of captions that come with the package."""
    return read_relations(SHIPPED / RELATIONS_FILE)


def read_relations(path: str | Path) -> Relations:
    """Read a YAML file of relations.

    Raises:
        DataError: the file is absent, empty or not UTF-8.
        ConfigError: every mistake in it is named.
    """
    return validate_config(Relations, read_yaml(path), where=path)


def lexicon_parts(own: str | Path | None = None) -> tuple[Relations, tuple[str, ...], bytes]:
    """What `Lexicon` and the checker are made of: the relations, a user's laid over the shipped ones, and the table.

    Raises:
        DataError: that file is absent, empty or not UTF-8.
        ConfigError: every mistake in it is named.
    """
    relations = shipped_relations()
    return (relations if own is None else relations.overlaid(read_relations(own)), *_shipped_table())
