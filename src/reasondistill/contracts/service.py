"""What the service and its clients exchange, apart from a task's own fields.

Replies may have keys that a client does not know: a newer service may add some.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import OutputOrder, Probability
from reasondistill.contracts.verification import Verdict


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Answer(_Reply):
    """A student's answer to one example.

    Attributes:
        label: None where the student decides on none.
        probabilities: of each label; calibrated where ``calibrated`` says so.
        confidence: the largest of them.
        truncated: the explanation met the student's length limit.
        input_truncated: the example was longer than the student reads, and lost its end.
        abstained: whether to do without this answer, for the precision that was asked for; None where none was.
        stated_confidence: the probability that the explanation's own words state, where the student writes such.
        structure: ``relation``, ``from`` and ``to``, where the student's explanations have a structure.
        student: fingerprint of the student.
        verdict: of a prover: ``verified``, the label is proved; ``conflict``, another one is, ``proved``; ``unknown``.
            None where none was asked.
        proof: of ``proved``, step by step, in words.
    """

    label: str | None
    probabilities: dict[str, Probability]
    confidence: Probability | None
    calibrated: bool
    explanation: str
    truncated: bool
    input_truncated: bool
    abstained: bool | None = None
    stated_confidence: Probability | None = None
    structure: dict[str, str] | None = None
    student: str
    verdict: Verdict | None = None
    proved: str | None = None
    proof: list[str] = []


class Answers(_Reply):
    """The answers to several examples, in their order."""

    answers: list[Answer]


class WordEffect(_Reply):
    """What leaving out one word does.

    Attributes:
        field: in which it stands.
        number: its place among the field's words, from 0.
        word: as it is written, with the punctuation that touches it.
        label: log-probability (nats) that the decided label loses without it; negative where it gains.
        explanation: the same of the explanation that was written.
    """

    field: str
    number: Annotated[int, Field(ge=0)]
    word: str
    label: float | None
    explanation: float | None


class Attributions(_Reply):
    """An answer, and what each word of the example did to its label and to its explanation."""

    answer: Answer
    words: list[WordEffect]


class Counterfactual(_Reply):
    """An answer beside that to an edited example, and an explanation for every label.

    Attributes:
        edited: None where no edit was given.
        probability_change: of each label, from ``original`` to ``edited``.
        arguments: label → what the student writes when it has to argue for it; None where that was not asked for.
        support: label → how well its argument argues for it, according to the service's judge; None without one.
    """

    original: Answer
    edited: Answer | None = None
    label_changed: bool | None = None
    explanation_changed: bool | None = None
    probability_change: dict[str, float] = {}
    arguments: dict[str, str] | None = None
    support: dict[str, Probability] | None = None


class NearExample(_Reply):
    """A row that the student learned from.

    Attributes:
        label: None where the row has none.
        explanation: the first one of the row; empty where it has none.
        similarity: cosine of the words' TF-IDF, from 0 to 1.
    """

    fields: dict[str, str]
    label: str | None
    explanation: str
    similarity: Probability


class NearExamples(_Reply):
    """The rows that a student learned from and that read most like an example, the nearest first."""

    examples: list[NearExample]


class FeedbackReceipt(_Reply):
    """What became of feedback: kept, or there already."""

    status: Literal["kept", "known"]
    key: str


class ServedStudent(_Reply):
    """A student as the service describes it.

    Attributes:
        kind: whether it needs PyTorch ("checkpoint") or not ("package").
        labels: None where each example brings its choices; empty where there are none.
        precisions: those at which it can abstain.
        max_source_tokens: longer examples lose their end.
        judge: name of the judge whose support stands beside arguments; None without one.
        near: whether it shows the rows that it learned from and that are near to an example.
    """

    name: str
    fingerprint: str
    kind: Literal["checkpoint", "package"]
    task: str
    fields: list[str]
    optional: list[str]
    labels: list[str] | None
    order: OutputOrder
    calibrated: bool
    temperature: float | None
    precisions: list[float]
    max_source_tokens: int | None
    judge: str | None = None
    near: bool = False


class ServedStudents(_Reply):
    """The students of a service; the first one answers where none is named."""

    students: list[ServedStudent]


class ServiceLimits(_Reply):
    """What a service takes; see `serving.service_settings.ServiceSettings`."""

    max_body_bytes: int
    max_field_characters: int
    max_inputs: int
    max_words: int
    timeout_seconds: float


class ServiceInfo(_Reply):
    """What a service is."""

    version: str
    students: list[ServedStudent]
    feedback: bool
    limits: ServiceLimits
    examples: list[dict[str, str]] = []


class FieldProblem(_Reply):
    """What is wrong with one value of a request."""

    where: str
    problem: str


class Problem(_Reply):
    """What went wrong, in the form of RFC 9457, problem details for HTTP APIs."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[FieldProblem] = []
