"""Sets of inference pairs that are no captions' own: one word changed, and people's revisions in whole groups.

    E=../shared/data/e-snli/esnli_dev.csv
    python benchmarks/shifted_sets.py lexical $E --split train --out lexical_train.jsonl
    python benchmarks/shifted_sets.py lexical $E --split test --words new --out lexical_test.jsonl
    python benchmarks/shifted_sets.py revisions ../shared/data/cad-snli/train.csv --out cad_train.jsonl cad_test.jsonl

*lexical* takes captions as premises, and as their hypotheses the same captions with one word changed: into a wider kind
(entailment), a narrower one (neutral), a kind or an opposite or a number that excludes it (contradiction). Families of
words that ``--words new`` takes never occur with ``--words known``. *revisions* joins rows that share a text, however
many, into one group, and splits the groups by a hash: a row and its revision are never in both files.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import reasondistill as rd

KINDS: Final = {
    "animal": "dog cat horse cow goat bird elephant monkey pig rabbit tiger",
    "vehicle": "car bus truck train bicycle motorcycle boat van tractor",
    "garment": "shirt jacket hat dress coat scarf sweater skirt vest",
    "sport": "soccer basketball tennis baseball hockey golf volleyball rugby",
    "instrument": "guitar piano violin drum trumpet flute saxophone",
    "fruit": "apple banana strawberry watermelon grape",
    "building": "church house hospital school barn castle",
    "body of water": "lake river ocean pool pond",
    "piece of furniture": "chair table couch bed desk bench",
    "color": "red blue green yellow black white orange purple pink brown",
}
"""A wider word → kinds of it that exclude each other. Sports have no plural; colours go by no wider word."""
OPPOSITES: Final = (
    "man woman", "boy girl", "young old", "tall short", "big small", "hot cold", "wet dry", "open closed",
    "inside outside", "indoors outdoors", "sitting standing", "smiling frowning", "happy sad", "clean dirty",
    "empty full", "walking sleeping", "day night", "sunny rainy", "men women", "boys girls",
)  # fmt: skip
NUMBERS: Final = "two three four five six seven eight nine ten".split()
NEW_FAMILIES: Final = frozenset({"instrument", "vehicle", "fruit", "building"})
NEW_OPPOSITES: Final = frozenset({"tall short", "happy sad", "open closed", "boy girl", "boys girls", "inside outside"})
NEW_NUMBERS: Final = frozenset({"four", "five", "seven", "nine"})
_SPOILS: Final = re.compile(r"\b(no|not|n't|never|without|every|each|all|any|only|than|nobody|none)\b", re.IGNORECASE)
_PLURALS: Final = {"bus": "buses", "dress": "dresses", "church": "churches", "couch": "couches",
                   "bench": "benches", "strawberry": "strawberries", "body of water": "bodies of water",
                   "piece of furniture": "pieces of furniture"}  # fmt: skip
_UNCOUNTED: Final = frozenset({"sport", "color"})


class Change(NamedTuple):
    """One word for another, what the pair's label becomes, and why."""

    kind: str
    old: str
    new: str
    label: str
    why: str


def plural(word: str) -> str:
    return _PLURALS.get(word, f"{word}s")


def an(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def changes(new_words: bool) -> Iterator[Change]:
    """All changes of the known words, or of those that are kept for testing."""
    for wide, words in KINDS.items():
        if (wide in NEW_FAMILIES) == new_words:
            yield from _of_family(wide, words.split())
    for pair in OPPOSITES:
        if (pair in NEW_OPPOSITES) == new_words:
            one, other = pair.split()
            for old, new in ((one, other), (other, one)):
                yield Change("opposite", old, new, "contradiction", f"{old} is the opposite of {new}.")
    numbers = [number for number in NUMBERS if (number in NEW_NUMBERS) == new_words]
    for old in numbers:
        for new in numbers:
            if new != old:
                yield Change("number", old, new, "contradiction", f"{old} are not {new}.")


def _of_family(wide: str, words: list[str]) -> Iterator[Change]:
    for old in words:
        for new in words:
            if new != old:
                why = f"{old} is not {new}." if wide in _UNCOUNTED else f"{an(old)} is not {an(new)}."
                yield Change("exclusive", old, new, "contradiction", why)
                if wide not in _UNCOUNTED:
                    why = f"{plural(old)} are not {plural(new)}."
                    yield Change("exclusive", plural(old), plural(new), "contradiction", why)
        if wide not in _UNCOUNTED:
            yield Change("wider", old, wide, "entailment", f"{an(old)} is {an(wide)}.")
            yield Change("wider", plural(old), plural(wide), "entailment", f"{plural(old)} are {plural(wide)}.")
            yield Change("narrower", wide, old, "neutral", f"not every {wide} is {an(old)}.")
            yield Change("narrower", plural(wide), plural(old), "neutral", f"not all {plural(wide)} are {plural(old)}.")


def changed(text: str, change: Change) -> str | None:
    """The text with the one word changed; None where it is not there once, or the other one is there too."""
    if _SPOILS.search(text) or re.search(rf"\b{re.escape(change.new)}\b", text, re.IGNORECASE):
        return None
    pattern = rf"\b(?:(an?) )?{re.escape(change.old)}\b"
    hits = list(re.finditer(pattern, text, re.IGNORECASE))
    if len(hits) != 1:
        return None
    article = hits[0][1]
    words = an(change.new) if article else change.new
    if (article or hits[0][0])[0].isupper():
        words = words[0].upper() + words[1:]
    return text[: hits[0].start()] + words + text[hits[0].end() :]


def lexical(data: str, split: str | None, new_words: bool, per_label: int, seed: int) -> list[dict[str, object]]:
    """Rows of one changed word, at most ``per_label`` of each label; kinds of change take turns."""
    rows: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
    captions: dict[str, dict[str, str | None]] = defaultdict(dict)  # a word → captions with it → their groups
    for example in rd.load_dataset(data, split=split):
        for word in re.findall(r"[a-z]+", example.fields["premise"].lower()):
            captions[word][example.fields["premise"]] = example.group
    known = list(changes(new_words))
    widened: dict[str, dict[str, str | None]] = defaultdict(dict)  # captions name kinds, not what is above them
    for change in known:
        if change.kind == "wider":
            for premise, group in captions[change.old].items():
                if wide := changed(premise, change):
                    widened[change.new][wide] = group
    for change in known:
        sources = widened[change.old] if change.kind == "narrower" else captions[change.old]
        for premise, group in sources.items():
            if hypothesis := changed(premise, change):
                rows[change.label, change.kind].append(_row(premise, hypothesis, change, group))
    draw = random.Random(seed)
    chosen: list[dict[str, object]] = []
    for label in ("entailment", "neutral", "contradiction"):
        piles = [rows[key] for key in sorted(rows) if key[0] == label]
        for pile in piles:
            draw.shuffle(pile)
        turns = [row for turn in range(per_label) for pile in piles for row in pile[turn : turn + 1]]
        chosen += turns[:per_label]
    draw.shuffle(chosen)
    return chosen


def _row(premise: str, hypothesis: str, change: Change, group: str | None) -> dict[str, object]:
    key = hashlib.sha256(f"{premise}\n{hypothesis}".encode()).hexdigest()[:12]
    return {
        "id": f"{change.kind}-{key}",
        "fields": {"premise": premise, "hypothesis": hypothesis},
        "label": change.label,
        "explanations": [{"text": change.why, "source": "lexical"}],
        "group": group,
    }


def revisions(path: Path) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Rows of a table of premise, hypothesis and label: seven tenths of the groups, and the others."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = text = parent[parent[text]]
        return text

    for row in rows:
        parent[root(f"p {row['sentence1']}")] = root(f"h {row['sentence2']}")
    parts: tuple[list[dict[str, object]], list[dict[str, object]]] = ([], [])
    for number, row in enumerate(rows, start=2):
        digest = hashlib.sha256(root(f"p {row['sentence1']}").encode()).hexdigest()
        fields = {"premise": row["sentence1"], "hypothesis": row["sentence2"]}
        example = {"id": f"cad:{number}", "fields": fields, "label": row["gold_label"], "group": f"cad-{digest[:12]}"}
        parts[int(digest, 16) % 10 > 6].append({**example, "explanations": []})
    return parts


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[
            f"{str(row['id']).partition('-')[0]} {row['label']}" if "-" in str(row["id"]) else str(row["label"])
        ] += 1
    print(f"{path}: {len(rows):,} rows ({', '.join(f'{name} {n:,}' for name, n in sorted(counts.items()))})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    words = commands.add_parser("lexical")
    words.add_argument("data")
    words.add_argument("--split")
    words.add_argument("--words", choices=["known", "new"], default="known")
    words.add_argument("--per-label", type=int, default=600)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--out", type=Path, required=True)
    revised = commands.add_parser("revisions")
    revised.add_argument("data", type=Path)
    revised.add_argument("--out", type=Path, nargs=2, required=True, metavar=("TRAIN", "TEST"))
    given = parser.parse_args()
    if given.command == "lexical":
        _write(given.out, lexical(given.data, given.split, given.words == "new", given.per_label, given.seed))
    else:
        for path, rows in zip(given.out, revisions(given.data), strict=True):
            _write(path, rows)


if __name__ == "__main__":
    main()
