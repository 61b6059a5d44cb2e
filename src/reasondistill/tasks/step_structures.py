"""Explanations of several steps: ``sent1 & sent3 -> int1: text ; int1 & sent2 -> hypothesis``, as EntailmentBank's.

Each step concludes from numbered sentences of a field, and from earlier conclusions; the last one concludes another
field's text, and every other conclusion is used by a later step: the steps are a tree. References can only be to what
is there, the conclusions' texts are the student's own. What is read out is a template's text of each step, so that
steps and text say the same by construction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, model_validator

from reasondistill.tasks.structures import Structure

_NUMBERED: Final = re.compile(r"(?:^|(?<=\s))sent(\d+)\s?:(?=\s)")
_REFERENCE = r"(?:sent|int)\d+"
_STEP: Final = re.compile(
    rf"\s*(?P<premises>{_REFERENCE}(?:\s*&\s*{_REFERENCE})*)\s*-\s?>\s*"
    r"(?:(?P<name>int\d+)\s*:\s*(?P<text>\S.*?)|(?P<goal>\w+))\s*",
    re.IGNORECASE | re.DOTALL,
)
_SLOT: Final = re.compile(r"\{(premises|conclusion)\}")


class Step(NamedTuple):
    """What follows from what: ``premises`` are names of sentences and of earlier conclusions, each once."""

    premises: tuple[str, ...]
    conclusion: str
    text: str
    """Of the conclusion; of the last step's, the field's text that is concluded."""


class Tree(NamedTuple):
    """Steps of which the last one concludes the goal, and the sentences that they start from, by name."""

    steps: tuple[Step, ...]
    sentences: Mapping[str, str]

    @property
    def line(self) -> str:
        """``sent1 & sent3 -> int1: text ; int1 & sent2 -> hypothesis``: what a student writes."""
        *inner, last = self.steps
        parts = [f"{' & '.join(step.premises)} -> {step.conclusion}: {step.text}" for step in inner]
        return " ; ".join([*parts, f"{' & '.join(last.premises)} -> {last.conclusion}"])

    @property
    def row(self) -> dict[str, str]:
        """As files and answers hold it: ``steps``, the line."""
        return {"steps": self.line}

    @property
    def leaves(self) -> dict[str, frozenset[str]]:
        """The sentences that each conclusion rests on, itself or through others; in the order of the steps."""
        known = {name: frozenset([name]) for name in self.sentences}
        concluded = {}
        for step in self.steps:
            concluded[step.conclusion] = frozenset().union(*(known[name] for name in step.premises))
            known |= concluded
        return concluded


class StepStructure(BaseModel):
    """The structure of a task's explanations of several steps.

    Attributes:
        sentences_field: the field with the sentences that steps start from, numbered: ``sent1: … sent2: …``.
        goal_field: the field that the last step concludes; steps name it by this name.
        text: the template of a step, with ``{premises}`` and ``{conclusion}``.
        between: what stands between two premises.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sentences_field: str
    goal_field: str
    text: str = "{premises}; so {conclusion}."
    between: str = ", and "

    @model_validator(mode="after")
    def _both_slots(self) -> Self:
        if sorted(_SLOT.findall(self.text)) != ["conclusion", "premises"]:
            raise ValueError(f"the text {self.text!r} needs {{premises}} and {{conclusion}}, each once")
        if re.fullmatch(_REFERENCE, self.goal_field, re.IGNORECASE):
            raise ValueError(f"goal_field: steps could not tell {self.goal_field!r} from a sentence or a conclusion")
        return self

    @property
    def form(self) -> str:
        """How it is written, for messages."""
        return f"sent1 & sent2 -> int1: text ; int1 & sent3 -> {self.goal_field}"

    def problem(self, fields: tuple[str, ...], labels: tuple[str, ...] | None) -> str | None:
        """Why a task with these fields cannot have this structure, or None if it can. Its labels may be any."""
        unknown = {self.sentences_field, self.goal_field} - set(fields)
        return f"structure: {sorted(unknown)} are not among the fields {list(fields)}" if unknown else None

    def sentences(self, fields: Mapping[str, str]) -> dict[str, str]:
        """The numbered sentences of an example, ``sent1`` and so on; numbers that are out of turn are text."""
        field = fields[self.sentences_field]
        starts: list[re.Match[str]] = []
        for match in _NUMBERED.finditer(field):
            starts += [match] if int(match[1]) == len(starts) + 1 else []
        ends = [*(match.start() for match in starts), len(field)][1:]
        texts = [" ".join(field[match.end() : end].split()) for match, end in zip(starts, ends, strict=True)]
        return {f"sent{number}": text for number, text in enumerate(texts, start=1)}

    def parse(self, text: str, fields: Mapping[str, str]) -> Tree | None:
        """The tree that ``text`` is, or None if any of it does not fit.

        Nothing is repaired: premises are there and stand in a step once, conclusions are numbered in turn and all
        used, the last step and no other concludes the goal. Only case and spaces may differ.
        """
        sentences = self.sentences(fields)
        matches = [_STEP.fullmatch(part) for part in text.strip().removesuffix(";").split(";")]
        steps: list[Step] = []
        unused: set[str] = set()
        for place, match in enumerate(matches, start=1):
            if match is None:
                return None
            premises = tuple(name.strip().lower() for name in match["premises"].split("&"))
            known = sentences.keys() | {step.conclusion for step in steps}
            last = place == len(matches)
            name = (match["goal"] or match["name"]).lower()
            wanted = self.goal_field.lower() if last else f"int{place}"
            if len({*premises} & known) < len(premises) or name != wanted or (match["goal"] is None) == last:
                return None
            unused = unused - {*premises} | ({name} if not last else set())
            conclusion = fields[self.goal_field] if last else match["text"]
            steps.append(Step(premises, self.goal_field if last else name, " ".join(conclusion.split())))
        used = {name for step in steps for name in step.premises}
        return None if unused else Tree(tuple(steps), {name: s for name, s in sentences.items() if name in used})

    def render(self, tree: Tree) -> str:
        """The steps as sentences, by the template."""
        return " ".join(self._sentence(step, tree) for step in tree.steps)

    def _sentence(self, step: Step, tree: Tree) -> str:
        known = {**tree.sentences, **{other.conclusion: other.text for other in tree.steps}}
        values = {"premises": self.between.join(known[name] for name in step.premises), "conclusion": step.text}
        # One pass: a sentence may hold braces itself.
        text = _SLOT.sub(lambda slot: values[slot[1]], self.text)
        return text[:1].upper() + text[1:]

    def read_out(self, text: str, fields: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
        """What the template makes of a line, and its row; None for what is none."""
        tree = self.parse(text, fields)
        return None if tree is None else (self.render(tree), tree.row)

    def own_words(self, explanation: str, fields: Mapping[str, str]) -> str:
        """What a tree reads as; any other explanation as it is."""
        read = self.read_out(explanation, fields)
        return explanation if read is None else read[0]

    def read_text(self, text: str, fields: Mapping[str, str]) -> Tree | None:
        """None: a text does not tell its steps, as one sentence may stand in several."""


def _kind_of_structure(value: object) -> str:
    of_steps = isinstance(value, StepStructure) or (isinstance(value, Mapping) and "sentences_field" in value)
    return "structure of steps" if of_steps else "structure of relations"


AnyStructure = Annotated[
    Annotated[Structure, Tag("structure of relations")] | Annotated[StepStructure, Tag("structure of steps")],
    Discriminator(_kind_of_structure),
]
"""What explanations may be made of: a relation between two spans, or several steps."""


def lines_to_learn(
    structure: Structure | StepStructure, explanations: Sequence[str | None], fields: Mapping[str, str]
) -> Sequence[str | None]:
    """The lines to learn in place of explanations; those without a structure that fits teach nothing.

    None, which stands for a target without an explanation, where that is all of them.
    """
    parsed = [None if text is None else structure.parse(text, fields) for text in explanations]
    return [structured.line for structured in parsed if structured is not None] or [None]
