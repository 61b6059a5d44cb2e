"""Bad explanations made out of good ones: what a judge without votes learns to tell from what people wrote.

Each way of spoiling takes something from an explanation that a good one needs: that it is about this input, that it
argues for this label, that its words stand in the right order and mean the right things, that it says more than the
input does. None of them is recognisable by its length or by how many new words it brings.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reasondistill.judge.argued import Argued

_TOKEN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_COMMON, _SHARE = 200, 0.1
"""The commonest words, so many and at most this share of all, are taken for function words: neither swapped nor
replaced."""

# English only: in other languages nothing matches, and another way of spoiling is taken.
_NEGATIONS = (
    (r"\bcannot\b", "can"),
    (r"\bcan(?:'|’)t\b", "can"),
    (r"\b(is|are|was|were|does|do|can|may|has|have|need) not\b", r"\1"),
    (r"\b(is|are|was|were|does|do|has|have)n(?:'|’)t\b", r"\1"),
    (r"\bnot (all|every|everyone|everything)\b", r"\1"),
    (r"\b(no|not)\b", ""),
)
_ASSERTIONS = (
    (r"\b(is|are|was|were|can|may|has|have)\b", r"\1 not"),
    (r"\bmeans\b", "does not mean"),
    (r"\bimplies\b", "does not imply"),
    (r"\ball\b", "not all"),
)


@dataclass(frozen=True)
class Good:
    """An explanation to spoil, with the labels that its example could have had, and what ties it to other examples."""

    argued: Argued
    choices: Sequence[str]
    group: str


class Corruptor:
    """Spoils explanations in many ways, the same ones for the same seed.

    Args:
        good: all good explanations; those of other examples are what some are replaced with.
        seed: of the choices.
    """

    def __init__(self, good: Sequence[Good], seed: int) -> None:
        self._random = random.Random(seed)
        self._good = good
        self._of_group: dict[str, list[int]] = defaultdict(list)
        self._of_label: dict[str, list[int]] = defaultdict(list)
        counts: dict[str, int] = defaultdict(int)
        for k, one in enumerate(good):
            self._of_group[one.group].append(k)
            self._of_label[one.argued.label].append(k)
            for word in _TOKEN.findall(one.argued.explanation.lower()):
                counts[word] += 1
        common = sorted(counts, key=lambda word: (-counts[word], word))
        self._function_words = set(common[: min(_COMMON, round(_SHARE * len(common)))])
        self._ways: list[tuple[str, float, Callable[[Good], Argued | None]]] = [
            ("of the same group", 0.25, self._of_same_group),
            ("for another label", 0.15, self._for_another_label),
            ("of another example of this label", 0.10, self._of_same_label),
            ("negated", 0.10, self._said(self._negated)),
            ("two words swapped", 0.10, self._said(self._swapped)),
            ("a word of the input put in", 0.10, self._with_word_of_input),
            ("copied", 0.07, self._copied),
            ("followed by another", 0.05, self._followed_by_another),
            ("cut off", 0.04, self._said(self._cut_off)),
            ("halves exchanged", 0.04, self._said(self._halves_exchanged)),
        ]

    def spoil(self, good: Good) -> tuple[str, Argued]:
        """A bad explanation for the same fields, and how it was made."""
        names = [name for name, _, _ in self._ways]
        drawn = self._random.choices(self._ways, weights=[weight for _, weight, _ in self._ways])[0]
        for name, _, way in (drawn, self._ways[0], self._ways[names.index("two words swapped")], self._ways[6]):
            spoiled = way(good)
            if spoiled is not None and spoiled != good.argued:
                return name, spoiled
        return "empty", good.argued._replace(explanation="-")

    def _of_same_group(self, good: Good) -> Argued | None:
        return self._other(
            good, [k for k in self._of_group[good.group] if self._good[k].argued.fields != good.argued.fields]
        )

    def _of_same_label(self, good: Good) -> Argued | None:
        return self._other(good, self._of_label[good.argued.label])

    def _other(self, good: Good, places: Sequence[int]) -> Argued | None:
        if not places:
            return None
        other = self._good[self._random.choice(places)].argued
        if other.fields == good.argued.fields:
            return None
        return good.argued._replace(explanation=other.explanation)

    def _for_another_label(self, good: Good) -> Argued | None:
        others = [label for label in good.choices if label != good.argued.label]
        return good.argued._replace(label=self._random.choice(others)) if others else None

    def _copied(self, good: Good) -> Argued | None:
        fields = [text for text in good.argued.fields if text.strip()]
        if not fields:
            return None
        copied = self._random.choice([*fields, fields[-1], " ".join(fields), " ".join(reversed(fields))])
        return good.argued._replace(explanation=copied)

    def _followed_by_another(self, good: Good) -> Argued | None:
        other = self._of_same_label(good)
        if other is None:
            return None
        both = [good.argued.explanation, other.explanation]
        self._random.shuffle(both)
        return good.argued._replace(explanation=" ".join(both))

    def _with_word_of_input(self, good: Good) -> Argued | None:
        tokens = _TOKEN.findall(good.argued.explanation)
        places = self._content(tokens)
        words = [w for text in good.argued.fields for w in _TOKEN.findall(text)]
        words = [words[k] for k in self._content(words)]
        if not places or not words:
            return None
        for place in self._random.sample(places, min(len(places), self._random.choice([1, 1, 2]))):
            tokens[place] = self._random.choice(words)
        return good.argued._replace(explanation=_joined(tokens))

    @staticmethod
    def _said(change: Callable[[str], str | None]) -> Callable[[Good], Argued | None]:
        def way(good: Good) -> Argued | None:
            changed = change(good.argued.explanation)
            return None if changed is None else good.argued._replace(explanation=changed)

        return way

    def _negated(self, text: str) -> str | None:
        for pattern, instead in _NEGATIONS:
            if re.search(pattern, text, re.IGNORECASE):
                return " ".join(re.sub(pattern, instead, text, count=1, flags=re.IGNORECASE).split())
        fitting = [pair for pair in _ASSERTIONS if re.search(pair[0], text, re.IGNORECASE)]
        if not fitting:
            return None
        pattern, instead = self._random.choice(fitting)
        return re.sub(pattern, instead, text, count=1, flags=re.IGNORECASE)

    def _swapped(self, text: str) -> str | None:
        tokens = _TOKEN.findall(text)
        places = self._content(tokens)
        pairs = [(i, j) for i in places for j in places if i < j and tokens[i].lower() != tokens[j].lower()]
        if not pairs:
            return None
        i, j = self._random.choice(pairs)
        tokens[i], tokens[j] = tokens[j], tokens[i]
        return _joined(tokens)

    def _cut_off(self, text: str) -> str | None:
        words = text.split()
        return " ".join(words[: self._random.randrange(2, max(3, len(words) * 2 // 3))]) if len(words) > 5 else None

    def _halves_exchanged(self, text: str) -> str | None:
        words = text.split()
        if len(words) < 6:
            return None
        place = self._random.randrange(2, len(words) - 2)
        return " ".join([*words[place:], *words[:place]])

    def _content(self, tokens: Sequence[str]) -> list[int]:
        return [k for k, t in enumerate(tokens) if t[0].isalnum() and t.lower() not in self._function_words]


def _joined(tokens: Sequence[str]) -> str:
    return re.sub(r" ([.,!?;:)])", r"\1", " ".join(tokens))
