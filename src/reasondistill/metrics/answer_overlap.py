"""Written answers beside accepted ones: exact match, token F1, numbers, ROUGE. Each takes the best of several answers.

Exact match and F1 are those of SQuAD's evaluation script (Rajpurkar et al. 2016): lower case, punctuation and the
articles a, an, the left out, words between white space.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from reasondistill.metrics.text import ROUGE_NAMES, Aggregate, Rouge, aggregate, is_empty, readable
from reasondistill.queries.parsing import same_tree
from reasondistill.tasks.task import Task

TOLERANCE = 0.001
"""How far a number may lie from an accepted one, as a share of it."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"[$€£¥]?\s*([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:e[+-]?\d{1,3})?)\s*(%?)", re.IGNORECASE)


def normalised(answer: str) -> str:
    """An answer as SQuAD's script compares it."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, accepted: Sequence[str]) -> bool:
    """Whether an answer equals an accepted one after `normalised`; as they stand, where nothing is left of both."""
    plain = normalised(answer)
    if plain:
        return any(plain == normalised(other) for other in accepted)
    return any(not normalised(other) and answer.split() == other.split() for other in accepted)


def is_accepted(task: Task, answer: str, accepted: Sequence[str]) -> bool:
    """Whether a written answer is right by its text: an exact match, of queries one of trees (`<` is no punctuation).

    Raises:
        MissingExtraError: the answers are queries, and sqlglot is not installed.
    """
    if task.answer == "query":
        return any(same_tree(answer, query) for query in accepted)
    return exact_match(answer, accepted)


def token_f1(answer: str, accepted: Sequence[str]) -> float:
    """F1 of the words shared with the accepted answer that gives the most, in [0, 1]."""
    return max((_f1(normalised(answer).split(), normalised(other).split()) for other in accepted), default=0.0)


def _f1(words: Sequence[str], others: Sequence[str]) -> float:
    if not words or not others:
        return float(list(words) == list(others))
    shared = (Counter(words) & Counter(others)).total()
    return 2 * shared / (len(words) + len(others))


def number_in(answer: str) -> float | None:
    """The number that an answer is, or None if it is anything else: ``1,234.5``, ``$12``, ``50%`` (0.5), ``1e3``."""
    match = _NUMBER.fullmatch(answer.strip().replace("\u2212", "-").rstrip("."))
    if match is None or not any(character.isdigit() for character in match[1]):
        return None
    value = float(match[1].replace(",", ""))
    return value / 100 if match[2] else value


def numeric_match(answer: str, accepted: Sequence[str], tolerance: float = TOLERANCE) -> bool | None:
    """Whether an answer is a number within ``tolerance`` of an accepted one; None if no accepted answer is a number."""
    numbers = [number for number in map(number_in, accepted) if number is not None]
    if not numbers:
        return None
    given = number_in(answer)
    return given is not None and any(abs(given - number) <= tolerance * abs(number) for number in numbers)


def answer_rouge(rouge: Rouge, answer: str, accepted: Sequence[str], how: Aggregate) -> dict[str, float | None]:
    """ROUGE of an answer against accepted ones, ``answer_rouge1`` and so on; None where ROUGE cannot read them."""
    references = readable(answer, accepted, rouge.reads)
    if not references:
        return {f"answer_{name}": None for name in ROUGE_NAMES}
    if is_empty(answer):
        return {f"answer_{name}": 0.0 for name in ROUGE_NAMES}
    scores = [rouge.score(answer, reference) for reference in references]
    return {f"answer_{name}": aggregate([score[name] for score in scores], how) for name in ROUGE_NAMES}


_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


def longest_sentence(text: str) -> str:
    """The sentence of a text with the most characters; the first of equally long ones."""
    return max((part.strip() for part in _SENTENCE_END.split(text)), key=len, default="")
