"""Confidence in words: phrases at the end of explanations, the probabilities that they state, and reading them back.

After Lin, Hilton & Evans 2022, Teaching Models to Express Their Uncertainty in Words. A phrase stands for a
bin of probabilities, and states their mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class Phrase(BaseModel):
    """A phrase for the end of an explanation, and the probability that it states."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    value: Annotated[float, Field(ge=0.0, le=1.0)]


class Spoken(NamedTuple):
    """An explanation without the phrase at its end, and that phrase, or None."""

    explanation: str
    phrase: Phrase | None


def phrases_problem(texts: Sequence[str]) -> str | None:
    """Why these phrases cannot be told apart at the end of a text, or None if they can."""
    plain = [_plain(text) for text in texts]
    if not all(plain):
        return "a phrase is empty"
    for a, phrase in enumerate(plain):
        for b, other in enumerate(plain):
            if a != b and phrase.endswith(other):
                return f"{texts[a]!r} ends with {texts[b]!r}: they could not be told apart"
    return None


def binned(probabilities: Sequence[float], texts: Sequence[str]) -> tuple[list[Phrase], list[int]] | None:
    """Give each probability one of the phrases, from the least sure to the surest.

    Bins are of about equal size, so that each phrase is learned equally often; equal probabilities share a bin.

    Args:
        probabilities: (n,).
        texts: of the phrases, (P,).

    Returns:
        The phrases, each with the mean of its bin, and the index of each probability's phrase (n,); None if the
        probabilities differ too little for that many bins.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if not len(values):
        return None
    edges = np.quantile(values, np.linspace(0, 1, len(texts) + 1)[1:-1])
    places = np.searchsorted(edges, values, side="right")
    if set(places.tolist()) != set(range(len(texts))):
        return None
    means = [float(values[places == k].mean()) for k in range(len(texts))]
    return [Phrase(text=t, value=m) for t, m in zip(texts, means, strict=True)], places.tolist()


def with_phrase(explanation: str, phrase: str) -> str:
    """The explanation with the phrase at its end."""
    return f"{explanation.rstrip()} {phrase}" if explanation.strip() else phrase


def spoken(explanation: str, phrases: Sequence[Phrase]) -> Spoken:
    """Remove the phrase at the end of a student's explanation.

    Case and spacing may differ, as tokenizers change them; words before the phrase stay as they are.
    """
    for phrase in phrases:
        if (match := _at_the_end(phrase.text).search(explanation)) is not None:
            return Spoken(explanation[: match.start()], phrase)
    return Spoken(explanation, None)


@cache
def _at_the_end(phrase: str) -> re.Pattern[str]:
    letters = r"\s*".join(map(re.escape, _plain(phrase)))
    return re.compile(rf"(?:^|\s+|(?<=\W)){letters}\s*$", re.IGNORECASE)


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()
