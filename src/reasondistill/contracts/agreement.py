"""``agreement`` of ``results.json``: a system beside a teacher."""

from __future__ import annotations

from reasondistill.contracts.base import Block, Count, Interval, OrEmpty, Sparse


class Agreement(Block):
    """A figure over ``n`` rows; ``value`` is None where there are none."""

    value: float | None
    ci95: Interval | None
    n: Count


class Bins(Block):
    """A figure over all rows, and over those where the teacher's label is the gold one, and is another."""

    all: Agreement
    teacher_right: Agreement
    teacher_wrong: Agreement


class TeacherRows(Block):
    """How many rows the teacher ``answered``; ``not_scored`` are rows of its own that are not among these."""

    answered: Count
    lacking: Count
    without_label: Count
    without_explanation: Count
    not_scored: Count


class LabelAgreement(Block):
    """Equal labels, Cohen's kappa (None where choices differ from row to row), and the system's own accuracy."""

    agreement: Bins
    kappa: Agreement | None
    student_accuracy: Bins


class ControlAgreement(Block):
    """What a control that explains nothing has in common with the teacher; ``student``: the system on those rows."""

    value: float
    student: float
    n: Count


class Sides(Block):
    """A number for the system, and one for the teacher."""

    student: float
    teacher: float


class Histogram(Block):
    """Shares of explanations between ``edges``, of which there is one more."""

    edges: list[float]
    student: list[float]
    teacher: list[float]


class StyleFeature(Block):
    """Means of both, ``difference`` = ``student`` - ``teacher``; ``distance`` is 0 for the same distribution."""

    student: float
    teacher: float
    difference: float
    difference_ci95: Interval | None
    distance: float
    histogram: Histogram


class StyleDistance(Sparse):
    """A mean distance over the features; of ``halvings`` of the teacher's own texts, with the 95th percentile."""

    style_distance: float
    p95: float | None = None
    halvings: Count | None = None


class StyleAuc(Block):
    """How well a classifier tells the two apart on rows of folds that it has not learned from; 0.5: not at all."""

    value: float
    ci95: Interval | None
    n: Count
    folds: Count


class Telling(Block):
    """Words and word pairs by which that classifier knows the texts of each."""

    student: list[str]
    teacher: list[str]


class TextCounts(Block):
    """How many explanations there are of each."""

    student: Count
    teacher: Count


class Style(Block):
    """Two corpora of explanations of the same ``rows``; what the features mean: docs/metrics.md.

    ``left_out`` names features that only English has; ``beside`` has distances to read ``style_distance`` by.
    """

    rows: Count
    texts: TextCounts
    languages: dict[str, str]
    left_out: list[str]
    features: dict[str, StyleFeature]
    style_distance: float
    beside: dict[str, StyleDistance | None]
    connectives: dict[str, Sides]
    style_auc: StyleAuc | None
    telling: Telling


class TeacherAgreement(Sparse):
    """How far a system agrees with one teacher.

    ``headline``: its agreement is among the metrics. ``fooled``: score → the controls that reach the system's own.
    ``left_out``: score → why there is none.
    """

    headline: bool
    gold_labels: bool
    note: str | None = None
    rows: TeacherRows
    teacher_accuracy: Agreement
    label: OrEmpty[LabelAgreement] = None
    explanation: dict[str, Bins] = {}
    controls: dict[str, dict[str, ControlAgreement]] = {}
    fooled: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    style: OrEmpty[Style] = None
