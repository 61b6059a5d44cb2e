"""What an explanation metric gives to systems that explain nothing: templates filled with the input.

A copied field needs no code. A template is found in training explanations by putting ``{field}`` where they quote a
field whole, and counting what is left.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_FINAL = " \t\n\r.!?…。"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Explained(NamedTuple):
    """A training explanation, the label that it argues for, and the fields that it is about."""

    explanation: str
    label: str
    fields: Mapping[str, str]


def to_template(explanation: str, fields: Mapping[str, str]) -> str:
    """``explanation`` with ``{name}`` where it quotes a field whole, without final punctuation.

    Case and the field's final punctuation do not count; a field inside a longer word is no quotation.
    """
    template = explanation.strip()
    # The longest first, as one field may be part of another.
    for name, text in sorted(fields.items(), key=lambda item: -len(item[1])):
        quoted = text.strip().rstrip(_FINAL)
        if quoted and quoted.casefold() in template.casefold():  # a quick look before the slow pattern
            pattern = rf"(?<!\w){re.escape(quoted)}(?!\w)"
            template = re.sub(pattern, lambda _, name=name: f"{{{name}}}", template, flags=re.IGNORECASE)  # type: ignore[misc]
    return " ".join(template.split()).rstrip(_FINAL)


def quotes_every_field(explanation: str, fields: Mapping[str, str]) -> bool:
    """Whether an explanation quotes each of several fields whole ("just because {premise}, not {hypothesis}")."""
    template = to_template(explanation, fields)
    return len(fields) > 1 and all(f"{{{name}}}" in template for name in fields)


def commonest_templates(explained: Iterable[Explained]) -> dict[str, str]:
    """For each label, the template that most of its explanations fit.

    A template needs a placeholder, a word beside it (a bare copy is a baseline of its own) and two explanations that
    fit. A label without such a template gets its commonest explanation. Case does not count; of equally common ones
    the first met is taken.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    spelling: dict[str, str] = {}
    for explanation, label, fields in explained:
        template = to_template(explanation, fields)
        if template:
            spelling.setdefault(template.casefold(), template)
            counts[label][template.casefold()] += 1
    chosen = {}
    for label, counter in counts.items():
        usable = (t for t, n in counter.most_common() if n >= 2 and _is_filled_in(spelling[t]))
        chosen[label] = spelling[next(usable, counter.most_common(1)[0][0])]
    return chosen


def fill_template(template: str, fields: Mapping[str, str]) -> str:
    """``template`` with the fields' texts, less their final punctuation, for its placeholders."""
    return _PLACEHOLDER.sub(lambda match: fields.get(match[1], match[0]).strip().rstrip(_FINAL), template) + "."


def majority(labels: Sequence[str]) -> str:
    """The most frequent label; in a tie, the first."""
    return Counter(labels).most_common(1)[0][0]


def _is_filled_in(template: str) -> bool:
    bare = _PLACEHOLDER.sub("", template)
    return bare != template and any(character.isalnum() for character in bare)
