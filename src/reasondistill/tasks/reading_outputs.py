"""Reading what a student wrote: label and explanation of a text in one of the output orders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from reasondistill.contracts.records import OutputOrder

EXPLANATION_MARK: Final = "explanation:"
LABEL_MARK: Final = "label:"


class Parsed(NamedTuple):
    """A parsed output; ``label`` is None if the text has none of the labels."""

    label: str | None
    explanation: str


def explanation_stop(order: OutputOrder, text: str) -> str:
    """A generated explanation, without the label that follows it in ``explanation_first``."""
    return _split_last(text)[0] if order == "explanation_first" else text


def parse(order: OutputOrder, text: str, labels: Sequence[str]) -> Parsed:
    """Extract label and explanation from text that a student generated freely.

    ``parse(order, render_target(order, label, explanation), labels)`` returns both, whatever the explanation
    contains. Spacing around the separator and the label's case may differ, as tokenizers change them.
    """
    if order in ("label_only", "separate"):
        return Parsed(_match(text, labels), "")
    if order == "explanation_only":
        return Parsed(None, text)
    if order == "explanation_first":
        explanation, label = _split_last(text)
        return Parsed(_match(label, labels), explanation)
    separator = f" {EXPLANATION_MARK} "
    if text.startswith(separator.lstrip()):  # rendered without a label; no label contains the mark
        label, explanation = "", text.removeprefix(separator.lstrip())
    elif separator in text:
        label, explanation = text.split(separator, 1)
    else:
        parts = re.split(r"\s+explanation\s*:\s*", text, maxsplit=1)
        label, explanation = parts[0], parts[1] if len(parts) > 1 else ""
    return Parsed(_match(label, labels), explanation)


def _split_last(text: str) -> tuple[str, str]:
    explanation, mark, label = text.rpartition(f" {LABEL_MARK} ")
    if mark:
        return explanation, label
    loose = list(re.finditer(r"(^|\s+)label\s*:\s*", text))
    return (text[: loose[-1].start()], text[loose[-1].end() :]) if loose else (text, "")


def _match(text: str, labels: Sequence[str]) -> str | None:
    return next((label for label in labels if without_case(label) == without_case(text)), None)


def without_case(text: str) -> str:
    """What tells one label from another: its characters without spaces and capitals."""
    # Tokenizers put spaces around hyphens and other marks, and may lower the case.
    return re.sub(r"\s+", "", text).casefold()
