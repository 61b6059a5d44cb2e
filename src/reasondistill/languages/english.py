"""English function words and phrases: negations, numbers, connectives, subordinators, words without content.

The lists are for English only. Callers detect the language of a data set first, and leave out in other languages what
the lists would measure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_NEGATIONS = "no not never none nobody nothing nowhere neither nor without cannot"
_NUMBER_WORDS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million "
    "millions billion billions dozen dozens"
)
_SUBORDINATORS = (
    "because since although though if unless until while whereas when whenever where wherever whether who whom whose "
    "which that why"
)
_OTHER_FUNCTION_WORDS = (
    "a an the this these those there here it its it's i me my you your he him his she her we us our they them their "
    "theirs himself herself itself themselves one ones someone somebody something anyone anybody anything everyone "
    "everybody everything each every either both all any some many much more most few less least several such other "
    "others another same own what how be am is are was were been being do does did doing done have has had having can "
    "could may might must shall should will would need and or but so then else than as of in on at by for from to with "
    "into onto over under above below between among through during before after about against around near out off up "
    "down across along therefore thus hence however just only also too very even still yet again that's there's he's "
    "she's isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't wouldn't hasn't haven't hadn't "
    "shouldn't mustn't"
)
_NEVER_LAST = "a an the and or nor but because since if than although unless whether my your"

NEGATIONS: Final = frozenset(_NEGATIONS.split())
"""Words that end in ``n't`` are negations too."""

NUMBER_WORDS: Final = frozenset(_NUMBER_WORDS.split())
""""one" is left out, as it is a pronoun more often."""

SUBORDINATORS: Final = frozenset(_SUBORDINATORS.split())
"""Words that open a subordinate clause. Some have other uses ("that dog"), which are counted along."""

CONNECTIVES: Final = (
    "just because", "does not mean", "because", "since", "so", "therefore", "thus", "hence", "then", "if", "unless",
    "but", "however", "although", "though", "while", "whereas",
)  # fmt: skip
"""Phrases that tie statements into an argument: cause, consequence, condition, contrast. "just because" is not counted
as "because" once more, and "does not mean" stands for all its forms (do, did, doesn't …)."""

FUNCTION_WORDS: Final = NEGATIONS | SUBORDINATORS | frozenset(_OTHER_FUNCTION_WORDS.split())
"""Words of the closed classes: articles, pronouns, auxiliaries, prepositions, conjunctions, some adverbs."""

_MEANS = ("do not mean", "did not mean", "doesn't mean", "don't mean", "didn't mean")
_CANONICAL: Final = dict.fromkeys(_MEANS, "does not mean")
_CONNECTIVE = re.compile(
    "(?<!\\S)(?:" + "|".join(sorted(map(re.escape, (*CONNECTIVES, *_MEANS)), key=lambda p: -len(p))) + ")(?!\\S)"
)

NEVER_LAST: Final = frozenset(_NEVER_LAST.split())
"""Words that end no sentence: where a text stops after one, it was cut."""


def is_negation(word: str) -> bool:
    """Whether a lower-cased word negates."""
    return word in NEGATIONS or word.endswith("n't")


def connectives(words: Sequence[str]) -> Iterator[str]:
    """Those of `CONNECTIVES` that lower-cased words hold, as often as they do; the longest one where two begin."""
    for match in _CONNECTIVE.finditer(" ".join(words)):
        yield _CANONICAL.get(match[0], match[0])


def content_words(words: Iterable[str]) -> list[str]:
    """The words that are none of `FUNCTION_WORDS`, in their order."""
    return [word for word in words if word not in FUNCTION_WORDS]
