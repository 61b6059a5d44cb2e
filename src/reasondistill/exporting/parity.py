"""Compare a package's answers with its student's on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reasondistill.config import Generation
from reasondistill.contracts.records import Example, Prediction
from reasondistill.metrics.text import Rouge, likeness
from reasondistill.students.package.manifest import Parity, ParityData, ParityLimits, Quantization
from reasondistill.students.student import Student

_EXACT = ParityLimits(
    label_agreement=1.0,
    probability_difference=1e-3,
    probability_difference_p95=1e-4,
    greedy_identity=0.99,
    explanation_rougeL=0.85,
)
_ROUNDED = ParityLimits(
    label_agreement=0.93,
    probability_difference=0.5,
    probability_difference_p95=0.1,
    greedy_identity=0.5,
    explanation_rougeL=0.75,
)


@dataclass(frozen=True)
class Sample:
    """Rows to compare on, and what they are."""

    examples: Sequence[Example]
    data: ParityData


def limits_for(quantization: Quantization) -> ParityLimits:
    """The default limits for a quantization."""
    return _EXACT if quantization == "float32" else _ROUNDED


def compare(student: Student, package: Student, sample: Sample, limits: ParityLimits) -> Parity:
    """Compare the answers of both to the sample's rows.

    Args:
        student: the original.
        package: the exported one, with the same task, settings and calibration.
        sample: at least one row.
        limits: recorded in the result; `Parity.beyond` lists those that are not met.
    """
    of_student, of_package = student.predict(sample.examples), package.predict(sample.examples)
    pairs = list(zip(of_student, of_package, strict=True))
    explains = student.order != "label_only"
    differences = _differences(pairs)
    rouge = Rouge()
    return Parity(
        n=len(pairs),
        data=sample.data,
        generation=student.generation,
        label_agreement=None
        if all(a.label is None for a, _ in pairs)
        else _share([a.label == b.label for a, b in pairs]),
        probability_difference=max(differences, default=None),
        probability_difference_p95=float(np.percentile(differences, 95)) if differences else None,
        explanation_identity=_share([a.explanation == b.explanation for a, b in pairs]) if explains else None,
        explanation_rougeL=_mean([likeness(rouge, a.explanation, b.explanation) for a, b in pairs])
        if explains
        else None,
        greedy_identity=_greedy_identity(student, package, sample, of_student) if explains else None,
        limits=limits,
    )


def _greedy_identity(student: Student, package: Student, sample: Sample, of_student: Sequence[Prediction]) -> float:
    """With one beam and the same label, only the weights can make a difference."""
    greedy = Generation(**student.generation.model_dump() | {"num_beams": 1})
    texts = []
    for model in (student, package):
        model = replace(model, generation=greedy)
        if student.order == "label_first":
            texts.append(model.explain_for(sample.examples, [p.label or "" for p in of_student]))
        else:
            texts.append([p.explanation for p in model.predict(sample.examples)])
    return _share([a == b for a, b in zip(*texts, strict=True)])


def _differences(pairs: Sequence[tuple[Prediction, Prediction]]) -> list[float]:
    """By row, the largest difference of a label's probability between the two answers."""
    return [
        max(abs(p - b.probabilities[label]) for label, p in a.probabilities.items())
        for a, b in pairs
        if a.probabilities
    ]


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
