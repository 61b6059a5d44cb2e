"""A teaching run: ``teaching.json``, and what teachers answered, before any filter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reasondistill.contracts.base import Block, Count, Versioned
from reasondistill.contracts.records import Id, Name, Probability, Text
from reasondistill.contracts.run import DataPart
from reasondistill.contracts.teacher_replies import Amount, TokenUsage

TEACHING_FILE = "teaching.json"
ANSWERS_FILE = "answers.jsonl"
ACCEPTED_FILE = "accepted.jsonl"
REJECTED_FILE = "rejected.jsonl"

AskingMode = Literal[
    "label_then_explanation", "explanation_then_label", "given_label", "every_label", "hint_after_error", "label_only"
]
"""How a teacher is asked; `given_label` and `hint_after_error` show it the label (Zelikman et al. 2022, STaR),
`every_label` asks for an explanation of each label (Kumar & Talukdar 2020, NILE)."""


class TeacherAnswer(Block):
    """One answer of one teacher to one example.

    Attributes:
        id: of the example.
        teacher: its name in the configuration, which becomes the explanation's ``source``.
        sample: number among several answers to the same question, from 0.
        argued_label: the label that the teacher was told to argue for; None where it chose.
        hinted: whether it was shown the right label.
        label: that it gave; None where the answer could not be read.
        confidence: the probability that it gives its label, where it has one.
        finish_reason: as the server says: "stop"; "length" where the answer was cut.
        problem: why the answer cannot be used; empty where it can.
        request: the key of the stored request that it was read from.
    """

    id: Id
    teacher: Text
    mode: AskingMode
    sample: Count = 0
    argued_label: Name | None = None
    hinted: bool = False
    label: Name | None = None
    explanation: Text = ""
    probabilities: dict[Text, Probability] = Field(default_factory=dict)
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    finish_reason: Text | None = None
    problem: Text = ""
    request: Text = ""


class TeacherAccount(Block):
    """What one teacher was asked in a run, and what came of it.

    Attributes:
        model: what replies depend on, as the store names it.
        requests: different ones; rows with the same words share one.
        answered: requests with an answer.
        reused: of these, how many another run had asked for.
        attempts: of this run, over all its sessions.
        outcomes: ``answered``, or what went wrong → attempts of this run.
        unanswered: what went wrong last → requests.
        cost: of this run's attempts whose usage is known.
        cost_at_most: what its other attempts can have cost: broken connections, replies without usage.
        latency: seconds of this run's answers: the median and the 95th percentile.
        doubled_ids: answers with the response id of an earlier one: the server repeated itself.
    """

    name: Text
    kind: str
    model: Text
    mode: AskingMode
    license: Text = ""
    requests: Count = 0
    answered: Count = 0
    reused: Count = 0
    attempts: Count = 0
    outcomes: dict[str, Count] = {}
    unanswered: dict[str, Count] = {}
    usage: TokenUsage = TokenUsage(input=0, output=0)
    cost: Amount = 0.0
    cost_at_most: Amount = 0.0
    latency: tuple[float, float] | None = None
    system_fingerprints: list[Text] = []
    served_models: list[Text] = []
    doubled_ids: Count = 0


class Teaching(Versioned):
    """A teaching run.

    Attributes:
        run: its id, which each attempt in the store carries.
        status: ``waiting``: for batches that a server works on; ``budget``: the next request could have passed it.
        asked_as: a fingerprint of everything that decides what is asked; a run with another one does not go on here.
        config: the whole configuration, defaults included. It names the variables of keys, and holds no key.
        shots: ids of the few-shot examples.
        without_label: rows that were not asked about, as their label is to be explained and they have none.
        answers: rows of ``answers.jsonl``.
        usable: of these, how many can be used, before filters.
        problems: why the others cannot → rows.
        accepted: examples in ``accepted.jsonl``.
        in_flight_at_most: what the requests that may be on their way at once can cost; 0 when none is.
        lost_at_most: what requests can have cost that were on their way when the process was killed.
    """

    what = "a teaching run"
    again = "reasondistill teach"

    name: str
    run: str
    status: Literal["running", "stopped", "budget", "waiting", "finished"]
    asked_as: str
    created: str
    finished: str | None = None
    config: dict[str, object]
    prompts_hash: str
    versions: dict[str, str]
    data: DataPart
    shots: list[str] = []
    without_label: Count = 0
    teachers: list[TeacherAccount] = []
    answers: Count = 0
    usable: Count = 0
    problems: dict[str, Count] = {}
    accepted: Count = 0
    in_flight_at_most: Amount = 0.0
    lost_at_most: Amount = 0.0

    @property
    def cost(self) -> float:
        """What is known to have been spent."""
        return sum(teacher.cost for teacher in self.teachers)

    @property
    def cost_at_most(self) -> float:
        """What can have been spent, with attempts of which nobody knows."""
        return self.cost + self.lost_at_most + sum(teacher.cost_at_most for teacher in self.teachers)
