"""Bad explanations made from good ones, which a judge without votes learns to distinguish from people's.

Each way of spoiling removes something that a good explanation needs: it is about this input, it argues for this label,
its words are in the right order and mean the right things, it says more than the input. None can be recognised by its
length or by its number of new words.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reasondistill.judges.argued import Argued
from reasondistill.metrics.baselines import fill_template, quotes_every_field, to_template

_TOKEN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_COMMON, _SHARE = 200, 0.1
"""The most frequent words, at most this number and share of all, count as function words: neither swapped nor
replaced."""

_COMES_WITH = 4.0
"""A frequent word is not a function word if it occurs this many times as often in an explanation's own fields as in
another row's, and in the fields of at least one in this many explanations that contain it."""
_DRAWN = 8
"""How many other explanations are tried to find one about other fields."""
_INSTEAD = ("of the same group", "two words swapped", "copied")
"""The ways to try, in order, if the drawn one does not fit an explanation."""

# English only, as the next two: in other languages nothing matches.
_JOINING = {"and", "or", "nor"}

# Without a match, another way of spoiling is used.
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
    """Spoils explanations in many ways; the same seed gives the same results.

    Args:
        good: all good explanations; some are replaced with those of other examples.
        seed: of the random choices.
    """

    def __init__(self, good: Sequence[Good], seed: int) -> None:
        self._random = random.Random(seed)
        self._good = good
        self._of_group: dict[str, list[int]] = defaultdict(list)
        self._of_label: dict[str, list[int]] = defaultdict(list)
        for k, explanation in enumerate(good):
            self._of_group[explanation.group].append(k)
            self._of_label[explanation.argued.label].append(k)
        self._function_words = function_words([explanation.argued for explanation in good])
        self._templates = _templates(good)
        self._ways: list[tuple[str, float, Callable[[Good], Argued | None]]] = [
            ("of the same group", 0.20, self._of_same_group),
            ("for another label", 0.13, self._for_another_label),
            ("of another example of this label", 0.08, self._of_same_label),
            ("negated", 0.10, self._of_explanation(self._negated)),
            ("two words swapped", 0.10, self._of_explanation(self._swapped)),
            ("a word of the input put in", 0.10, self._with_word_of_input),
            ("a usual pattern filled anew", 0.10, self._pattern_filled_anew),
            ("a template of whole fields", 0.05, self._template_filled),
            ("copied", 0.05, self._copied),
            ("followed by another", 0.03, self._followed_by_another),
            ("cut off", 0.03, self._of_explanation(self._cut_off)),
            ("halves exchanged", 0.03, self._of_explanation(self._halves_exchanged)),
        ]

    def spoil(self, good: Good) -> tuple[str, Argued]:
        """A bad explanation for the same fields, and the way it was made."""
        drawn = self._random.choices(self._ways, weights=[weight for _, weight, _ in self._ways])[0]
        instead = [way for way in self._ways if way[0] in _INSTEAD]
        for name, _, way in (drawn, *instead):
            spoiled = way(good)
            if spoiled is not None and spoiled != good.argued:
                return name, spoiled
        return "empty", good.argued._replace(explanation="-")

    def _of_same_group(self, good: Good) -> Argued | None:
        return self._with_that_of(good, self._other(good, self._of_group[good.group]))

    def _of_same_label(self, good: Good) -> Argued | None:
        return self._with_that_of(good, self._other(good, self._of_label[good.argued.label]))

    def _other(self, good: Good, places: Sequence[int]) -> Argued | None:
        """A place with an explanation about other fields; None if a few draws give none."""
        for k in self._random.sample(places, min(_DRAWN, len(places))):
            if self._good[k].argued.fields != good.argued.fields:
                return self._good[k].argued
        return None

    @staticmethod
    def _with_that_of(good: Good, other: Argued | None) -> Argued | None:
        return None if other is None else good.argued._replace(explanation=other.explanation)

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

    def _pattern_filled_anew(self, good: Good) -> Argued | None:
        """Another explanation of this label, with words from its fields replaced by words from this input's."""
        other = self._other(good, self._of_label[good.argued.label])
        if other is None:
            return None
        theirs = self._of_fields(other.fields)
        ours: dict[frozenset[int], list[str]] = defaultdict(list)
        for word, places in self._of_fields(good.argued.fields).items():
            ours[places].append(word)
        instead: dict[str, str] = {}
        tokens = _TOKEN.findall(other.explanation)
        for k in self._content(tokens):
            word = tokens[k].lower()
            if word not in theirs:
                continue
            fitting = ours.get(theirs[word]) or [w for words in ours.values() for w in words]
            if not fitting:
                return None
            tokens[k] = instead.setdefault(word, self._random.choice(fitting))
        return good.argued._replace(explanation=_joined(tokens)) if instead else None

    def _of_fields(self, fields: Sequence[str]) -> dict[str, frozenset[int]]:
        """Each content word of the fields, with the fields that it occurs in."""
        places_of: dict[str, set[int]] = defaultdict(set)
        for k, text in enumerate(fields):
            words = _TOKEN.findall(text)
            for place in self._content(words):
                places_of[words[place].lower()].add(k)
        return {word: frozenset(places) for word, places in places_of.items()}

    def _template_filled(self, good: Good) -> Argued | None:
        templates = self._templates.get(good.argued.label)
        if not templates:
            return None
        fields = {str(k): text for k, text in enumerate(good.argued.fields)}
        return good.argued._replace(explanation=fill_template(self._random.choice(templates), fields))

    @staticmethod
    def _of_explanation(change: Callable[[str], str | None]) -> Callable[[Good], Argued | None]:
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
        # "A and B" means the same as "B and A".
        pairs = [
            (i, j)
            for i in places
            for j in places
            if i < j and tokens[i].lower() != tokens[j].lower() and _JOINING.isdisjoint(tokens[i:j])
        ]
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


def function_words(rows: Sequence[Argued]) -> set[str]:
    """The most frequent words of explanations, without those that depend on the fields, such as "dog" or "outside"."""
    counts: Counter[str] = Counter()
    own: Counter[str] = Counter()
    others: Counter[str] = Counter()
    about = [{word for text in row.fields for word in _TOKEN.findall(text.lower())} for row in rows]
    shift = len(rows) // 2
    for k, row in enumerate(rows):
        tokens = _TOKEN.findall(row.explanation.lower())
        counts.update(tokens)
        own.update(word for word in tokens if word in about[k])
        others.update(word for word in tokens if word in about[k - shift])
    common = sorted(counts, key=lambda word: (-counts[word], word))[: min(_COMMON, round(_SHARE * len(counts)))]
    return {w for w in common if own[w] < max(counts[w] / _COMES_WITH, _COMES_WITH * others[w])}


def _templates(good: Sequence[Good]) -> dict[str, list[str]]:
    """By label, the templates that quote every field whole; see `metrics.baselines.to_template`."""
    templates: dict[str, list[str]] = defaultdict(list)
    for example in good:
        fields = {str(k): text for k, text in enumerate(example.argued.fields)}
        if quotes_every_field(example.argued.explanation, fields):
            templates[example.argued.label].append(to_template(example.argued.explanation, fields))
    return templates


def _joined(tokens: Sequence[str]) -> str:
    return re.sub(r" ([.,!?;:)])", r"\1", " ".join(tokens))
