"""Answers that are texts: spelt so that no separator is read in them, and found in what a student wrote.

An answer may hold the words that separate it from its explanation. In a target each ``explanation:`` or ``label:`` of
an answer gets a second colon, which is taken away again when it is read. A separator has one colon and a space after
it, so neither is ever read as the other.
"""

from __future__ import annotations

import re

from reasondistill.contracts.records import OutputOrder

_MARK = re.compile(r"(explanation|label)(\s*:)", re.IGNORECASE)
_ESCAPED = re.compile(r"(explanation|label)(\s*:)\s*:", re.IGNORECASE)
# As tokenizers may write a separator: any spaces around the colon, and no second colon after it.
_FIRST = re.compile(r"(?:^|\s+)explanation\s*:(?!\s*:)\s*")
_LAST = re.compile(r"(?:^|\s+)label\s*:(?!\s*:)\s*")


def escaped(answer: str) -> str:
    """The answer as a target holds it."""
    return _MARK.sub(r"\1\2:", answer)


def restored(answer: str) -> str:
    """The answer of a target's, whatever spaces a tokenizer put between the colons."""
    return _ESCAPED.sub(r"\1\2", answer)


def parse_written(order: OutputOrder, text: str) -> tuple[str | None, str]:
    """Answer and explanation of a text that a student generated.

    The answer is whatever stands in its place, with its own separators restored, or None if that is nothing.
    """
    if order in ("label_only", "separate"):
        answer, explanation = text, ""
    elif order == "explanation_only":
        answer, explanation = "", text
    elif order == "explanation_first":
        explanation, answer = _split_last(text)
    else:
        answer, explanation = _split_first(text)
    return restored(answer).strip() or None, explanation


def _split_first(text: str) -> tuple[str, str]:
    """``(answer, explanation)`` of ``answer explanation: …``; without a separator all of it is the answer."""
    answer, mark, explanation = text.partition(" explanation: ")
    if mark:
        return answer, explanation
    parts = _FIRST.split(text, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def _split_last(text: str) -> tuple[str, str]:
    """``(explanation, answer)`` of ``… label: answer``; without a separator all of it is the explanation."""
    explanation, mark, answer = text.rpartition(" label: ")
    if mark:
        return explanation, answer
    loose = list(_LAST.finditer(text))
    return (text[: loose[-1].start()], text[loose[-1].end() :]) if loose else (text, "")
