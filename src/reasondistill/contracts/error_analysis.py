"""``errors`` of ``results.json``: which rows are wrong in what, with examples."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from reasondistill.contracts.base import Block, Count, Interval, Sparse

ErrorKind = Literal["none", "label", "explanation", "both"]
Judged = Literal["label", "explanation"]


class Share(Block):
    """A number of rows and their share, None where there is nothing to be a share of."""

    n: Count
    share: float | None
    ci95: Interval | None = None


class Gap(Block):
    """A difference of two shares."""

    value: float
    ci95: Interval | None = None


class Association(Block):
    """The share of wrong explanations beside right labels, beside wrong ones, and the second less the first."""

    label_right: Share
    label_wrong: Share
    difference: Gap


class ErrorExample(Block):
    """A row in error; ``confidence`` is the probability of ``label``, ``score`` the rule's metric."""

    id: str
    fields: dict[str, str]
    gold: str | None
    label: str | None
    confidence: float | None
    explanation: str
    score: float | None
    references: list[str] = []

    @model_validator(mode="before")
    @classmethod
    def _first_reference_alone(cls, value: object) -> object:
        # Results of earlier versions have the first reference, or None.
        if not isinstance(value, dict) or "reference" not in value:
            return value
        rest = {name: of for name, of in value.items() if name != "reference"}
        return {"references": [text for text in [value["reference"]] if text], **rest}


class ConfusedLabels(Block):
    """Rows of the label ``gold`` that were given ``predicted``, None for no label; the worst of them."""

    gold: str
    predicted: str | None
    n: Count
    examples: list[ErrorExample]


class ErrorSummary(Sparse):
    """What is in error among the ``n`` rows that could be judged, in the parts that were ``judged``.

    ``rule`` says when an explanation counts as wrong: its ``metric`` is below ``threshold``, the median of
    ``control_n`` explanations of other rows. Where nothing was judged, nothing is said.
    """

    n: Count = 0
    judged: list[Judged] = []
    rule: str | None = None
    metric: str | None = None
    threshold: float | None = None
    control_n: Count | None = None
    counts: dict[ErrorKind, Share] = {}
    per_label: dict[str, dict[ErrorKind, Share]] = {}
    association: Association | None = None
    examples: dict[ErrorKind, list[ErrorExample]] = {}
    confusion: list[ConfusedLabels] = []
