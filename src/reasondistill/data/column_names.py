"""What columns are usually called, in English by patterns and in other languages by lists of words."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Final, Literal

Role = Literal["text", "label", "explanation", "id"]

_ENGLISH: Final[dict[Role, str]] = {
    "label": r"(gold_?)?labels?|categor(y|ies)|class(es)?|topics?|intents?|sentiments?|targets?|gold|answers?|verdicts?"
    r"|ratings?|stars|polarity|emotions?|decisions?|outcomes?|tags?|label_name|label_text",
    "explanation": r"(.*[_ ])?(why|reasons?|reasoning|rationales?|justifications?|explanations?"
    r"|chain_of_thought|cot)([_ ]?[0-9]+)?",
    "text": r"texts?|sentence([_ ]?[0-9ab])?|premise|hypothesis|questions?|context|passages?|title|headline|subject"
    r"|body|message|review([_ ](text|body))?|content|document|article|inputs?|prompt|tweet|comment|caption"
    r"|statement|claim|evidence|text[_ ]?[0-9ab]|query|instruction|ticket|description|utterance|paragraph"
    r"|abstract",
    "id": r"(.*[_ .-])?(id|uid|uuid|guid|no|nr|number|key|index)|unnamed: 0|",
}


def is_called(role: Role, column: str) -> bool:
    """Whether a column's name, or the last part of a nested one's (``data.text``), is a usual one for a role.

    What is said of a text's form counts for nothing: ``body_html``, ``clean_text``, ``review_en``.
    """
    names = {column.strip(), column.rpartition(".")[2].strip()}
    if role == "text":
        names |= {_FORM.sub("", name) for name in names}
    return any(
        re.fullmatch(_ENGLISH[role], name, re.IGNORECASE) is not None
        or re.sub(r"(?<=\w)[_ ]?[0-9]+$", "", _folded(name)) in _other_languages()[role]
        for name in names
        if name or column == ""
    )


def ends_like_label(column: str) -> bool:
    """Whether a name's last word is one of a label's: ``ticket_category``, ``Label (final)``, ``triage_level``."""
    spaced = re.sub(r"\(.*?\)|(?<=[a-z])(?=[A-Z])|_", " ", column)
    words = re.findall(r"\w+", spaced)
    return bool(words) and (is_called("label", words[-1]) or _OFTEN_LABELS.fullmatch(words[-1]) is not None)


# Names of labels in some tables, and in others of what is beside the point.
_OFTEN_LABELS = re.compile(
    r"stance|severity|priority|urgency|grade|score|type|kind|diagnosis|level|toxicity|status|spam|rating|quality",
    re.IGNORECASE,
)
_FORM = re.compile(r"[_ -](html|raw|plain|clean(ed)?|en|english)$|^(raw|clean(ed)?|full|original)[_ -]", re.IGNORECASE)


@cache
def _other_languages() -> dict[Role, frozenset[str]]:
    import yaml

    by_language = yaml.safe_load((files("reasondistill.languages") / "column_names.yaml").read_text(encoding="utf-8"))
    lists: dict[Role, str] = {role: " ".join(roles[role] for roles in by_language.values()) for role in _ENGLISH}
    return {role: frozenset(_folded(words).split()) for role, words in lists.items()}


def _folded(name: str) -> str:
    """Small letters without accents: ``Begründung`` → ``begrundung``."""
    parts = unicodedata.normalize("NFKD", name.casefold().replace("ı", "i"))
    return unicodedata.normalize("NFC", "".join(letter for letter in parts if not unicodedata.combining(letter)))
