"""The form of ``filtering.json`` and of its rows: what filters kept of teachers' answers, and what that costs."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from reasondistill.contracts.base import Block, Count, MetricValue, Versioned
from reasondistill.contracts.records import Text
from reasondistill.contracts.teaching import TeacherAnswer

FILTERING_FILE = "filtering.json"


class RejectedAnswer(Block):
    """An answer that a filter rejected: the first that did, why, and its score, where it gives one."""

    answer: TeacherAnswer
    filter: str
    reason: Text
    score: float | None = None


class ShownReject(Block):
    """A rejected answer to be read; long texts are cut."""

    id: str
    teacher: str
    fields: dict[str, str]
    label: str | None = None
    explanation: str
    reason: str
    score: float | None = None


class Coverage(Block):
    """What came to a filter and what it left: answers, and examples that have at least one of them."""

    answers: Count
    kept: Count
    examples: Count
    examples_kept: Count


class FilterOutcome(Block):
    """One filter.

    Attributes:
        settings: what it was run with.
        left_out: why it had nothing to say; empty where it had.
        coverage: of the answers that the filters before it kept.
        by_label: the same for each label of the examples; ``"(none)"`` for rows without one.
        reasons: why → how many answers.
        shown: the first rejected answers, at most one of an example.
    """

    title: str
    settings: dict[str, JsonValue] = {}
    left_out: str = ""
    coverage: Coverage
    by_label: dict[str, Coverage] = {}
    reasons: dict[str, Count] = {}
    shown: list[ShownReject] = []


class TaughtLabels(Block):
    """Labels of the rows that had none, by the votes of teachers and samples.

    Attributes:
        rows: without a label of their own.
        labelled: of these, how many got one.
        votes: answers that voted.
        confidence: mean probability of the labels that were given.
        labels: label → rows.
    """

    rows: Count
    labelled: Count
    votes: Count
    confidence: MetricValue | None = None
    labels: dict[str, Count] = {}


class Filtering(Versioned):
    """What filters kept of teachers' answers.

    Attributes:
        answers: that there were.
        coverage: of all filters together.
        by_label: the same for each label.
        teachers: teacher → what came of its answers.
        filters: in the order in which they were run; each saw what those before it kept.
        taught_labels: of the rows without a label; None where every row has one.
        accepted: examples in ``accepted.jsonl``.
        label_only: of these, how many have a label and no explanation.
    """

    what = "the outcome of filters"
    again = "reasondistill teach filter"

    schema_version: int = 1
    kind: Literal["filtering"] = "filtering"
    task: str
    answers: Count
    coverage: Coverage
    by_label: dict[str, Coverage]
    teachers: dict[str, Coverage]
    filters: dict[str, FilterOutcome]
    taught_labels: TaughtLabels | None = None
    accepted: Count
    label_only: Count = 0
