"""What explanations are made of besides the input: how they begin and end, and templates such as "just because … does
not mean …", found in the data.

No list of phrases is given. A word is *fixed* where explanations use it mostly without the input having it; *glue* if
it is common in both and no more so when the input has it (a, is, of); the rest is *content*, which fills a
template's slots. A template is a run of fixed words with slots for what stands between them.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from reasondistill.contracts.records import Example
from reasondistill.data.audit.profile import IDS, NO_LABEL
from reasondistill.metrics.baselines import to_template
from reasondistill.metrics.text import tokens
from reasondistill.tasks.task import Task

SLOT: Final = "…"
MOST_EXPLANATIONS: Final = 60_000
"""No more explanations are looked at; the result says how many."""
TEMPLATES: Final = 30
EDGES: Final = 5
EDGE_WORDS: Final = 3
RAREST: Final = 0.005
"""A template or beginning that fewer explanations have is not named."""
_LONGEST: Final = 6  # fixed words in a template
_COST: Final = 4.0  # bits that naming a template in an explanation costs
_BITS: Final = 5.0  # what it must say at least; one that says nothing of the label must say more, one that says
_UNTIED_BITS: Final = 8.0  # nearly all of it may be as common as it likes
_SURE: Final = 0.9
_TIED: Final = 0.25  # a template is tied to a label that much commoner among its explanations than among all
_PRUNE: Final = 400_000  # windows counted at one time; past that, those seen once are dropped
_LIFT: Final = 4.0

FIXED, GLUE, CONTENT = 0, 1, 2


class _Said(NamedTuple):
    row: int
    label: str
    words: list[str]
    text: str


class _Window(NamedTuple):
    """A run of fixed words in one explanation: where they stand, and what a template of them reads."""

    places: tuple[int, ...]
    key: tuple[str, ...]


def find_phrases(examples: Iterable[tuple[int, Example]], task: Task, ids: Any) -> dict[str, Any]:
    """``n``, ``begin``, ``end``, ``templates``, ``in_a_template`` and ``quoting``; see `building.audit`.

    Args:
        examples: with their row numbers.
        ids: row numbers → ids.
    """
    said: list[_Said] = []
    inputs: Counter[str] = Counter()
    uses: Counter[str] = Counter()
    both: Counter[str] = Counter()
    quoting: Counter[str] = Counter()
    spelling: dict[str, tuple[str, int]] = {}
    for row, example in examples:
        if len(said) >= MOST_EXPLANATIONS:
            break
        texts = [*(example.fields[name] for name in task.fields), *(example.choices or ())]
        around = {word for text in texts for word in tokens(text)}
        label = example.label
        label = NO_LABEL if label is None or task.labels == () else "answer" if task.labels is None else label
        for explanation in example.references:
            words = tokens(explanation.text)
            own = set(words)
            inputs.update(around)
            uses.update(own)
            both.update(own & around)
            said.append(_Said(row, label, words, explanation.text))
            fields = {name: example.fields[name] for name in task.fields}
            template = to_template(explanation.text, fields)
            if "{" in template and any(c.isalnum() for c in _without_slots(template, fields)):
                folded = template.casefold()
                quoting[folded] += 1
                spelling.setdefault(folded, (template, row))
    kinds = _kinds(inputs, uses, both, len(said))
    enough = max(10, math.ceil(RAREST * len(said)))
    templates, covered = _templates(said, kinds, uses, enough, ids)
    labels = sorted({one.label for one in said})
    return {
        "n": len(said),
        "begin": {label: _edges(said, kinds, label, first=True) for label in labels},
        "end": {label: _edges(said, kinds, label, first=False) for label in labels},
        "templates": templates,
        "in_a_template": {"all": float(covered.mean()) if len(covered) else 0.0}
        | {label: float(covered[[one.label == label for one in said]].mean()) for label in labels},
        "quoting": [
            {"template": spelling[folded][0], "n": n, "share": n / len(said), "ids": ids([spelling[folded][1]])}
            for folded, n in quoting.most_common(EDGES)
            if n >= 2
        ],
    }


def _without_slots(template: str, fields: dict[str, str]) -> str:
    for name in fields:
        template = template.replace(f"{{{name}}}", "")
    return template


def _kinds(inputs: Counter[str], uses: Counter[str], both: Counter[str], n: int) -> dict[str, int]:
    """What each word is; words that are too rare to tell are content."""
    found = {}
    enough = max(5, n // 2000)
    for word, count in uses.items():
        if count < enough:
            continue
        outside, given = count - both[word], inputs[word]
        if outside >= 0.5 * count and given < 0.15 * n:
            found[word] = FIXED
        elif (both[word] + 0.5) / (given + 1) < _LIFT * (outside + 0.5) / (n - given + 1):
            found[word] = GLUE
    return found


def _edges(said: Sequence[_Said], kinds: dict[str, int], label: str, *, first: bool) -> list[dict[str, Any]]:
    """The commonest first (or last) words, with slots for content."""
    counts: Counter[str] = Counter()
    n = 0
    for one in said:
        if one.label == label:
            n += 1
            shown: list[str] = []
            for word in one.words if first else reversed(one.words):
                piece = SLOT if kinds.get(word, CONTENT) == CONTENT else word
                if piece != SLOT or shown[-1:] != [SLOT]:
                    shown.append(piece)
                if len(shown) == EDGE_WORDS:
                    break
            if shown and shown != [SLOT]:
                counts[" ".join(shown if first else reversed(shown))] += 1
    return [
        {"phrase": phrase, "n": count, "share": count / n}
        for phrase, count in counts.most_common(EDGES)
        if count >= max(2, RAREST * n)
    ]


def _windows(words: Sequence[str], kinds: dict[str, int]) -> list[_Window]:
    """All runs of up to `_LONGEST` fixed words; between two that do not touch, glue as it is or a slot."""
    fixed = [place for place, word in enumerate(words) if kinds.get(word, CONTENT) == FIXED]
    between = []
    for a, b in pairwise(fixed):
        gap = words[a + 1 : b]
        literal = len(gap) <= 2 and all(kinds.get(word, CONTENT) == GLUE for word in gap)
        between.append(tuple(gap) if literal else (SLOT,))
    found = []
    for begin in range(len(fixed)):
        key: tuple[str, ...] = (words[fixed[begin]],)
        found.append(_Window((fixed[begin],), key))
        for stop in range(begin + 1, min(begin + _LONGEST, len(fixed))):
            key = (*key, *between[stop - 1], words[fixed[stop]])
            found.append(_Window(tuple(fixed[begin : stop + 1]), key))
    return found


def _templates(
    said: Sequence[_Said], kinds: dict[str, int], uses: Counter[str], enough: int, ids: Any
) -> tuple[list[dict[str, Any]], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Templates chosen one by one: each time the one that says most in explanations that have none yet.

    What a template says in an explanation is the sum over its fixed words of -log2 of their share of explanations,
    less what naming it would cost. A single word is a template only where it is tied to a label ("may", "implies").
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for one in said:
        counts.update({window.key for window in _windows(one.words, kinds)})
        if len(counts) > _PRUNE:
            counts = Counter({key: count for key, count in counts.items() if count > 1})
    by_label: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for one in said:
        by_label[()][one.label] += 1
        for key in {window.key for window in _windows(one.words, kinds)}:
            if counts[key] >= enough:
                by_label[key][one.label] += 1
    bits = {}
    for key, count in counts.items():
        if count >= enough:
            fixed = [word for word in key if kinds.get(word) == FIXED]
            told = sum(math.log2(len(said) / uses[word]) for word in fixed)
            needed = _needed(by_label[key], by_label[()])
            if told >= needed and (needed < _UNTIED_BITS or len(fixed) > 1):
                bits[key] = max(told - _COST, 0.5)
    where: dict[tuple[str, ...], array[int]] = defaultdict(lambda: array("q"))
    for index, one in enumerate(said):
        for key in {window.key for window in _windows(one.words, kinds)}:
            if key in bits:
                where[key].append(index)
    places = {key: np.asarray(found) for key, found in where.items()}
    covered = np.zeros(len(said), np.bool_)
    chosen: list[dict[str, Any]] = []
    while places and len(chosen) < TEMPLATES:
        gains = {key: int((~covered[found]).sum()) for key, found in places.items()}
        places = {key: found for key, found in places.items() if gains[key] >= enough}
        if not places:
            break
        best = max(places, key=lambda key: (gains[key] * bits[key], key))
        chosen.append(_described(best, places.pop(best), said, kinds, ids))
        covered[where[best]] = True
    return sorted(chosen, key=lambda one: -one["n"]), covered


def _needed(labels: Counter[str], all_labels: Counter[str]) -> float:
    """How many bits a template must say, whose explanations have these labels."""
    label, most = labels.most_common(1)[0]
    share, usual = most / labels.total(), all_labels[label] / all_labels.total()
    if share < usual + _TIED:
        return _UNTIED_BITS
    return 0.0 if share >= _SURE else _BITS


def _described(
    key: tuple[str, ...], found: Any, said: Sequence[_Said], kinds: dict[str, int], ids: Any
) -> dict[str, Any]:
    indices = [int(index) for index in found]
    by_label = Counter(said[index].label for index in indices)
    label, most = min(by_label.items(), key=lambda item: (-item[1], item[0]))
    rows = list(dict.fromkeys(said[index].row for index in indices))[:IDS]
    return {
        "template": _shown(key, [said[index] for index in indices[:300]], kinds),
        "n": len(indices),
        "share": len(indices) / len(said),
        "labels": dict(sorted(by_label.items())),
        "mostly": label,
        "mostly_share": most / len(indices),
        "example": said[indices[0]].text,
        "ids": ids(rows),
    }


def _shown(key: tuple[str, ...], instances: Sequence[_Said], kinds: dict[str, int]) -> str:
    """The template, with the glue that most of its instances have beside its fixed words, and slots at its ends."""
    windows = []
    for one in instances:
        window = next(w for w in _windows(one.words, kinds) if w.key == key)
        windows.append((one.words, window.places))
    n_fixed = len(windows[0][1])
    pieces: list[str] = []
    for k in range(n_fixed + 1):
        # What stands before fixed word k and after fixed word k - 1, in each instance.
        gaps = []
        for words, places in windows:
            begin = places[k - 1] + 1 if k else 0
            stop = places[k] if k < n_fixed else len(words)
            gaps.append(words[begin:stop])
        after, rest = _agreed(gaps, kinds, last=False) if k else ([], gaps)
        before, rest = _agreed(rest, kinds, last=True) if k < n_fixed else ([], rest)
        filled = sum(bool(gap) for gap in rest) >= 0.5 * len(rest)
        pieces += [*after, *([SLOT] if filled else []), *before]
        if k < n_fixed:
            words, places = windows[0]
            pieces.append(words[places[k]])
    return " ".join(pieces)


def _agreed(gaps: list[list[str]], kinds: dict[str, int], *, last: bool) -> tuple[list[str], list[list[str]]]:
    """Glue that most gaps end (or begin) with, and the gaps without it."""
    agreed: list[str] = []
    for _ in range(EDGE_WORDS):
        edge = Counter(gap[-1 if last else 0] for gap in gaps if gap)
        if not edge:
            break
        word, count = edge.most_common(1)[0]
        if count < 0.6 * len(gaps) or kinds.get(word, CONTENT) != GLUE:
            break
        gaps = [(gap[:-1] if last else gap[1:]) if gap and gap[-1 if last else 0] == word else gap for gap in gaps]
        agreed = [word, *agreed] if last else [*agreed, word]
    return agreed, gaps
