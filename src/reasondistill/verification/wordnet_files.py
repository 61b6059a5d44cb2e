"""WordNet's own files (Debian's package wordnet-base) -> the small table of words and senses that proofs rest on."""

from __future__ import annotations

import gzip
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reasondistill.errors import DataError
from reasondistill.storage.files import atomic_folder

PARTS: Final = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
"""The parts of speech by the endings of WordNet's files, and the letters that stand for them."""

_SENSES_KEPT = 3
_PLAIN = re.compile(r"[a-z]+(?:[-_][a-z]+)?")
"""Lemmas that are kept: lower case (no names), at most two words."""

_NOUNS_OF_TWO_WORDS: Final = frozenset({"04", "06", "13", "14", "15", "18"})
"""WordNet's files of acts, artefacts, food, groups, places, people: captions have no use for other compounds."""

_HYPERNYM, _ANTONYM = "@", "!"


@dataclass(frozen=True)
class _Synset:
    """A line of a data file: its words, and where its pointers go; ``antonyms`` pairs a word of each side."""

    file: str
    words: tuple[str, ...]
    hypernyms: tuple[str, ...]
    antonyms: tuple[tuple[int, str, int], ...]


@dataclass
class _Part:
    """One part of speech: synsets by offset, and the offsets of each lemma's senses, the commonest first."""

    synsets: dict[str, _Synset] = field(default_factory=dict)
    senses: dict[str, list[str]] = field(default_factory=dict)


TABLE, LICENCE = "wordnet.tsv.gz", "LICENSE-WordNet"


def build_table(wordnet: str | Path, out: str | Path) -> int:
    """Write a new folder with the table of WordNet's words and with its licence; returns the table's number of lines.

    A line is one of ``word TAB part TAB count TAB senses`` (the first three senses; the count is how often the word
    was tagged as that part in WordNet's own corpus), ``sense TAB > TAB hypernyms``, ``word TAB ! TAB part TAB
    antonyms`` and ``form TAB = TAB part TAB lemma`` (irregular forms). Lines are sorted, so that a reader need not
    look at all of them: it searches by halving.

    Raises:
        DataError: the folder lacks one of WordNet's files.
        OutputError: ``out`` is there already, or cannot be written.
    """
    folder = Path(wordnet)
    licence = _licence(folder)
    lines = sorted(_table_lines(folder))
    text = "\n".join(["# WordNet 3.0, pruned. Copyright 2006 by Princeton University. See LICENSE-WordNet.", *lines])
    with atomic_folder(out) as place:
        (place / TABLE).write_bytes(gzip.compress((text + "\n").encode(), 9, mtime=0))
        (place / LICENCE).write_text(licence, encoding="utf-8")
    return len(lines)


def _licence(folder: Path) -> str:
    """WordNet's licence, without what Debian's own file says of packaging; it stands at the head of WordNet's files."""
    head = (line for line in _text(folder / "data.noun").splitlines()[:40] if line[:2] == "  ")
    return "\n".join(line.split(" ", 3)[3].rstrip() for line in head) + "\n"


def _table_lines(folder: Path) -> Iterator[str]:
    counts = _tag_counts(folder)
    for ending, letter in PARTS.items():
        part = _read_part(folder, ending)
        names = _sense_names(part, letter)
        kept = {
            lemma: senses[:_SENSES_KEPT]
            for lemma, senses in sorted(part.senses.items())
            if _PLAIN.fullmatch(lemma)
            and (letter != "n" or "_" not in lemma or part.synsets[senses[0]].file in _NOUNS_OF_TWO_WORDS)
        }
        for lemma, senses in kept.items():
            yield f"{lemma}\t{letter}\t{counts[lemma, letter]}\t{' '.join(names[offset] for offset in senses)}"
        yield from _hypernym_lines(part, names, {offset for senses in kept.values() for offset in senses})
        yield from _antonym_lines(part, kept, letter)
        for form, lemma in _exceptions(folder, ending):
            yield f"{form}\t=\t{letter}\t{lemma}"


def _hypernym_lines(part: _Part, names: dict[str, str], wanted: set[str]) -> Iterator[str]:
    """The hypernyms of the senses that are kept, and of those above them."""
    waiting, seen = sorted(wanted), set(wanted)
    while waiting:
        offset = waiting.pop()
        above = part.synsets[offset].hypernyms
        if above:
            yield f"{names[offset]}\t>\t{' '.join(names[other] for other in above)}"
        for other in above:
            if other not in seen:
                seen.add(other)
                waiting.append(other)


def _antonym_lines(part: _Part, kept: dict[str, list[str]], letter: str) -> Iterator[str]:
    """Antonyms of words in one of their first senses."""
    opposites: dict[str, set[str]] = defaultdict(set)
    for lemma, senses in kept.items():
        for offset in senses:
            synset = part.synsets[offset]
            for place, other, other_place in synset.antonyms:
                if synset.words[place].lower() == lemma:
                    opposites[lemma].add(part.synsets[other].words[other_place].lower())
    for lemma in sorted(opposites):
        known = sorted(other for other in opposites[lemma] if other in kept)
        if known:
            yield f"{lemma}\t!\t{letter}\t{' '.join(known)}"


def _read_part(folder: Path, ending: str) -> _Part:
    part = _Part()
    for line in _lines(folder / f"data.{ending}"):
        fields = line.split(" ", 4)
        part.synsets[fields[0]] = _synset(line)
    for line in _lines(folder / f"index.{ending}"):
        fields = line.split()
        part.senses[fields[0]] = fields[-int(fields[2]) :]
    return part


def _synset(line: str) -> _Synset:
    fields = line.split(" | ", 1)[0].split()
    n = int(fields[3], 16)
    words = tuple(re.sub(r"\(\w+\)$", "", word) for word in fields[4 : 4 + 2 * n : 2])
    pointers = fields[5 + 2 * n : 5 + 2 * n + 4 * int(fields[4 + 2 * n])]
    quadruples = list(zip(*[iter(pointers)] * 4, strict=True))
    return _Synset(
        fields[1],
        words,
        tuple(offset for kind, offset, _, _ in quadruples if kind == _HYPERNYM),
        tuple(
            (int(ends[:2], 16) - 1, offset, int(ends[2:], 16) - 1)
            for kind, offset, _, ends in quadruples
            if kind == _ANTONYM
        ),
    )


def _sense_names(part: _Part, letter: str) -> dict[str, str]:
    """``dog.n.1`` for the first sense of the noun dog: the synset's first word, and its rank among that word's."""
    return {
        offset: f"{(word := synset.words[0].lower())}.{letter}.{part.senses[word].index(offset) + 1}"
        for offset, synset in part.synsets.items()
    }


def _tag_counts(folder: Path) -> Counter[tuple[str, str]]:
    letters = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
    counts: Counter[tuple[str, str]] = Counter()
    for line in _lines(folder / "cntlist.rev"):
        key, _, count = line.split()
        lemma, _, rest = key.partition("%")
        counts[lemma, letters[rest[0]]] += int(count)
    return counts


def _exceptions(folder: Path, ending: str) -> Iterator[tuple[str, str]]:
    for line in _lines(folder / f"{ending}.exc"):
        form, lemma, *_ = line.split()
        if _PLAIN.fullmatch(form) and _PLAIN.fullmatch(lemma):
            yield form, lemma


def _lines(path: Path) -> Iterator[str]:
    return (line for line in _text(path).splitlines() if line and not line.startswith("  "))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise DataError(
            path,
            expected="WordNet's own files",
            found="no such file",
            fix="Install Debian's package wordnet-base, and name its folder: /usr/share/wordnet.",
        ) from error
