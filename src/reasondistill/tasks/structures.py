"""Structured explanations: ``relation | from | to ; text``, with spans that are copied from an example's fields.

A task's `Structure` lists the relations, each with a template. A student writes ``relation | from | to`` and its
explanation is what the template makes of that, so structure and text say the same by construction. In data the text
after the semicolon may be a person's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reasondistill.tasks.reading_outputs import without_case

_PARTS: Final = re.compile(r"\s*\|\s*")
_WORD: Final = re.compile(r"\w+(?:[-'’]\w+)*")
_SLOT: Final = re.compile(r"\{(from|to)\}")
_SEPARATORS: Final = ("|", ";")
_NAME: Final = re.compile(r"[^\W\d_]+(?: [^\W\d_]+)*")


class Claim(NamedTuple):
    """A relation between a span of one field and a span of another, each spelt as its field spells it."""

    relation: str
    from_span: str
    to_span: str

    @property
    def line(self) -> str:
        """``relation | from | to``: what a student writes."""
        return " | ".join(self)

    @property
    def row(self) -> dict[str, str]:
        """As files and answers hold it: ``relation``, ``from``, ``to``."""
        return {"relation": self.relation, "from": self.from_span, "to": self.to_span}


class Relation(BaseModel):
    """What may be claimed: the template of its text, and the label that it argues for, if it is for one only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    label: str | None = None

    @model_validator(mode="after")
    def _both_spans(self) -> Self:
        if sorted(_SLOT.findall(self.text)) != ["from", "to"]:
            raise ValueError(f"the text {self.text!r} needs {{from}} and {{to}}, each once")
        return self


class Structure(BaseModel):
    """The structure of a task's explanations.

    Attributes:
        from_field: the field that the first span is copied from.
        to_field: that of the second span.
        relations: name → its template; names are words.
        longest_span: words of a span at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_field: str
    to_field: str
    relations: dict[str, Relation] = Field(min_length=1)
    longest_span: Annotated[int, Field(ge=1, le=64)] = 12

    @property
    def form(self) -> str:
        """How it is written, for messages."""
        return "relation | from | to ; text"

    @model_validator(mode="after")
    def _names(self) -> Self:
        if wrong := [name for name in self.relations if not _NAME.fullmatch(name)]:
            raise ValueError(f"a relation's name is a word or several, of letters: {wrong[0]!r} is not")
        if len({without_case(name) for name in self.relations}) < len(self.relations):
            raise ValueError("relations whose names differ in case and spaces only cannot be told apart")
        return self

    def problem(self, fields: tuple[str, ...], labels: tuple[str, ...] | None) -> str | None:
        """Why a task with these fields and labels cannot have this structure, or None if it can."""
        if unknown := {self.from_field, self.to_field} - set(fields):
            return f"structure: {sorted(unknown)} are not among the fields {list(fields)}"
        named = {relation.label for relation in self.relations.values()} - {None}
        if other := named - set(labels or ()):
            return f"structure: {sorted(map(str, other))} are not among the labels {list(labels or ())}"
        free = any(relation.label is None for relation in self.relations.values())
        if missing := [label for label in labels or () if label not in named and not free]:
            return f"structure: no relation argues for the label {missing[0]!r}"
        return None

    def relations_for(self, label: str | None) -> list[str]:
        """The relations that may argue for a label; all of them where none is decided."""
        return [name for name, relation in self.relations.items() if label is None or relation.label in (None, label)]

    def render(self, claim: Claim) -> str:
        """The claim as a sentence, by its relation's template."""
        # One pass: a span may hold braces itself.
        text = _SLOT.sub(lambda slot: claim.row[slot[1]], self.relations[claim.relation].text)
        return text[:1].upper() + text[1:]

    def explanation(self, claim: Claim, text: str | None = None) -> str:
        """``relation | from | to ; text``: the form in data. By default the text is the template's."""
        return f"{claim.line} ; {self.render(claim) if text is None else text}"

    def parse(self, text: str, fields: Mapping[str, str]) -> Claim | None:
        """The claim that ``text`` begins with, with or without a text after it; None if any of it does not fit.

        Nothing is repaired: the relation is one of the task's, each span is a contiguous one of its field. Only case
        and spaces may differ, as tokenizers change them.
        """
        parts = _PARTS.split(text.partition(";")[0].strip())
        return self.claim(*parts, fields=fields) if len(parts) == 3 else None

    def claim(self, relation: str, from_span: str, to_span: str, *, fields: Mapping[str, str]) -> Claim | None:
        """A claim of these fields; None if any part does not fit."""
        name = next((name for name in self.relations if without_case(name) == without_case(relation)), None)
        start, end = self.located(from_span, fields[self.from_field]), self.located(to_span, fields[self.to_field])
        return None if name is None or start is None or end is None else Claim(name, start, end)

    def located(self, span: str, field: str) -> str | None:
        """A span as a field spells it; None where it is none of the field's. Of two that differ in case, its own."""
        wanted = without_case(span)
        alike = [own for own in self.spans(field) if without_case(own) == wanted]
        return span if span in alike else next(iter(alike), None)

    def spans(self, field: str) -> Iterator[str]:
        """All spans of a field: from the start of a word to the end of one, without what separates a line's parts."""
        words = list(_WORD.finditer(field))
        for first, word in enumerate(words):
            for last in words[first : first + self.longest_span]:
                span = " ".join(field[word.start() : last.end()].split())
                if any(mark in span for mark in _SEPARATORS):
                    break
                yield span

    def read_out(self, text: str, fields: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
        """What the template makes of a line, and its row; None for what is none."""
        claim = self.parse(text, fields)
        return None if claim is None else (self.render(claim), claim.row)

    def own_words(self, explanation: str, fields: Mapping[str, str]) -> str:
        """The text of an explanation in the form ``relation | from | to ; text``; any other one as it is."""
        return own_words(explanation)

    def read_text(self, text: str, fields: Mapping[str, str]) -> Claim | None:
        """The claim whose text by its template ``text`` is; None if it is none's."""
        for name, relation in self.relations.items():
            for first, second in _splits(relation.text, text.strip()):
                spans = (first, second) if relation.text.index("{from}") < relation.text.index("{to}") else (
                    second, first)  # fmt: skip
                claim = self.claim(name, *spans, fields=fields)
                if claim is not None and self.render(claim) == text.strip():
                    return claim
        return None


def _splits(template: str, text: str) -> Iterator[tuple[str, str]]:
    """What the two slots of a template may hold in a text, in their order in the template."""
    before, between, after = _SLOT.split(template)[::2]
    if not text.casefold().startswith(before.casefold()) or not text.endswith(after):
        return
    inner = text[len(before) : len(text) - len(after)]
    for place in re.finditer(f"(?={re.escape(between)})", inner):
        yield inner[: place.start()], inner[place.start() + len(between) :]


def own_words(explanation: str) -> str:
    """The text of an explanation in the form ``relation | from | to ; text``; any other one as it is."""
    line, mark, text = explanation.partition(";")
    return text.strip() if mark and line.count("|") == 2 else explanation
