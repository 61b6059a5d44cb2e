"""How far a system agrees with named teachers, where they are right and where they are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reasondistill.config import EvaluationSettings
from reasondistill.contracts.agreement import (
    Agreement,
    Bins,
    ControlAgreement,
    LabelAgreement,
    TeacherAgreement,
    TeacherRows,
)
from reasondistill.contracts.results import MetricValue
from reasondistill.evaluation.controls import SHUFFLED, shuffled_within_label
from reasondistill.evaluation.explanations import load_bertscore
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.reference_teachers import MatchedTeacher, ReferenceAnswer, ReferenceTeacher
from reasondistill.evaluation.scored import Scored
from reasondistill.evaluation.teacher_style import compare_style
from reasondistill.languages.unknown_tokens import TOO_MANY
from reasondistill.metrics.explanations import Compared, ExplanationScorer
from reasondistill.metrics.label import NO_LABEL, cohen_kappa
from reasondistill.metrics.registry import metric_of
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, mean
from reasondistill.tasks.task import Task

LABEL_AGREEMENT, AGREEMENT = "student_teacher_label_agreement", "student_teacher_agreement"
_ALWAYS_RIGHT = "Its labels are the data's own: it is always right here, and label agreement is label accuracy."
_PER_EXAMPLE = {"bertscore_f1": metric_of(AGREEMENT).score, "rougeL": "teacher_rougeL"}
"""The scores against a teacher, and their names in per_example.jsonl."""


@dataclass
class Agreed:
    """What agreement adds to the results: metrics and per-example scores of the first teacher, details of all."""

    metrics: dict[str, MetricValue] = field(default_factory=dict)
    rows: list[dict[str, object]] = field(default_factory=list)
    details: dict[str, TeacherAgreement] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)


def score_agreement(
    rows: Sequence[Row],
    task: Task,
    teachers: Sequence[MatchedTeacher],
    settings: EvaluationSettings,
    bootstrap: GroupBootstrap,
    texts: Scored,
    progress: Callable[[str], None],
) -> Agreed:
    """Label, explanation and style agreement with each teacher; the first is the headline's.

    Args:
        teachers: as `teachers.match_teachers` gives them; there may be none.
        texts: how explanations were scored: with the same encoder they are compared with teachers.

    Raises:
        CheckpointError, ConfigError, MissingExtraError: the BERTScore encoder cannot be used as named.
    """
    agreed = Agreed(rows=[{} for _ in rows])
    if not teachers:
        return agreed
    if "bertscore" not in texts.settings:
        texts.bertscore, agreed.settings["bertscore"] = load_bertscore(settings, progress)
    for teacher, answers in teachers:
        progress(f"comparing with the teacher {teacher.name}")
        scored = _Compared(rows, answers, task, bootstrap)
        label = scored.label_agreement()
        explanation = scored.explanation_agreement(settings, texts, progress)
        known = {"note": _ALWAYS_RIGHT} if teacher.gold_labels else {}
        agreed.details[teacher.name] = TeacherAgreement.model_validate(
            {
                "headline": not agreed.details,
                "gold_labels": teacher.gold_labels,
                **known,
                "rows": _counts(rows, teacher, answers, task),
                "teacher_accuracy": scored.accuracy(),
                "label": label,
                **explanation,
                "style": compare_style(rows, answers, task, bootstrap, settings, progress),
            }
        )
        if len(agreed.details) == 1:
            agreed.metrics, agreed.rows = scored.headline()
            agreed.settings["teacher"] = {"name": teacher.name, "fingerprint": teacher.fingerprint}
    return agreed


def _counts(
    rows: Sequence[Row], teacher: ReferenceTeacher, answers: Sequence[ReferenceAnswer | None], task: Task
) -> TeacherRows:
    answered = [answer for answer in answers if answer is not None]
    return TeacherRows(
        answered=len(answered),
        lacking=len(answers) - len(answered),
        without_label=sum(answer.label is None for answer in answered) if task.labels != () else 0,
        without_explanation=sum(not answer.explanations for answer in answered),
        not_scored=len(teacher.taught.keys() - {row.example.id for row in rows}),
    )


class _Compared:
    """A system's rows beside one teacher's answers."""

    def __init__(
        self, rows: Sequence[Row], answers: Sequence[ReferenceAnswer | None], task: Task, bootstrap: GroupBootstrap
    ) -> None:
        self._rows, self._task, self._bootstrap = rows, task, bootstrap
        labelled = task.labels != ()
        self._labels = [answer.label if answer is not None and labelled else None for answer in answers]
        self._texts = [answer.explanations if answer is not None else () for answer in answers]
        self._right = [
            None if label is None or row.example.label is None else label == row.example.label
            for label, row in zip(self._labels, rows, strict=True)
        ]
        self._same_label: list[bool | None] = [None] * len(rows)
        if any(row.prediction.label is not None for row in rows):
            self._same_label = [
                None if label is None else row.prediction.label == label
                for label, row in zip(self._labels, rows, strict=True)
            ]
        self._scores: dict[str, list[float | None]] = {}

    def accuracy(self) -> Agreement:
        """The share of its labels that are the gold ones."""
        return self._figure(self._right)

    def label_agreement(self) -> LabelAgreement | None:
        """Share of equal labels and the system's accuracy, in each bin; Cohen's kappa; None without labels."""
        if all(value is None for value in self._same_label):
            return None
        student_right = [
            None if right is None else row.correct for right, row in zip(self._right, self._rows, strict=True)
        ]
        return LabelAgreement(
            agreement=self._bins(self._same_label), kappa=self._kappa(), student_accuracy=self._bins(student_right)
        )

    def explanation_agreement(
        self, settings: EvaluationSettings, texts: Scored, progress: Callable[[str], None]
    ) -> dict[str, object]:
        """BERTScore and ROUGE-L against the teacher's explanations in each bin, and of what explains nothing.

        A control or baseline fools a score if it gets at least as much as the system does on the same rows.
        """
        explanations = [row.prediction.explanation for row in self._rows]
        fields = [{name: row.example.fields[name] for name in self._task.fields} for row in self._rows]
        places = [k for k, texts in enumerate(self._texts) if texts]
        if not places:
            return {"explanation": {}, "controls": {}, "fooled": {}}
        student = {k: Compared(explanations[k], self._texts[k], fields[k]) for k in places}
        controls = self._controls(student)
        scorer = ExplanationScorer(
            [turn[k] for k in places for turn in (student, *controls.values()) if k in turn],
            how=settings.aggregate,
            stemmer=settings.stemmer,
            bertscore=texts.bertscore,
            progress=progress,
        )
        overlaps = {k: scorer.overlap(compared) for k, compared in student.items()}
        unread = scorer.unread(list(student.values()))
        names = [name for name in _PER_EXAMPLE if name in overlaps[places[0]] and name not in unread.left_out]
        for name in names:
            self._scores[name] = [overlaps[k][name] if k in overlaps else None for k in range(len(self._rows))]
        beside: dict[str, dict[str, ControlAgreement]] = {}
        fooled: dict[str, list[str]] = {}
        figures: dict[str, object] = {"explanation": {name: self._bins(self._scores[name]) for name in names}}
        figures |= {"controls": beside, "fooled": fooled}
        if left_out := {name: unread.left_out[name] for name in _PER_EXAMPLE if name in unread.left_out}:
            figures["left_out"] = left_out
        for control, turn in controls.items():
            for name in names:
                pairs = [(scorer.overlap(compared)[name], overlaps[k][name]) for k, compared in turn.items()]
                read = [(value, own) for value, own in pairs if value is not None and own is not None]
                if not read or len(pairs) - len(read) > TOO_MANY * len(pairs):
                    continue
                value, own = np.mean(read, axis=0).tolist()
                figure = ControlAgreement(value=value, student=own, n=len(read))
                beside.setdefault(control, {})[name] = figure
                if value >= own:
                    fooled.setdefault(name, []).append(control)
        return figures

    def _controls(self, student: Mapping[int, Compared]) -> dict[str, dict[int, Compared]]:
        """What explains nothing, by the places of the rows that have it."""
        places = list(student)
        others = shuffled_within_label(
            [self._labels[k] if self._task.labels is not None else None for k in places],
            [self._rows[k].example.id for k in places],
            [self._rows[k].example.cluster for k in places],
        )
        shuffled = {
            k: student[k]._replace(references=self._texts[places[other]])
            for k, other in zip(places, others, strict=True)
            if other is not None
        }
        copies = {
            f"copied_{name}": {
                k: compared._replace(explanation=compared.fields[name]) for k, compared in student.items()
            }
            for name in self._task.fields
        }
        return {SHUFFLED: shuffled, **copies}

    def headline(self) -> tuple[dict[str, MetricValue], list[dict[str, object]]]:
        """The metrics, once both agreements have been asked for, and each row's label and scores."""
        scores: dict[str, Sequence[object]] = {
            "teacher_label": self._labels,
            metric_of(LABEL_AGREEMENT).score: self._same_label,
            **{_PER_EXAMPLE[name]: values for name, values in self._scores.items()},
        }
        of: dict[str, Sequence[float | bool | None]] = {
            LABEL_AGREEMENT: self._same_label,
            AGREEMENT: self._scores.get("bertscore_f1", []),
        }
        metrics = {
            name: mean(_numbers(values), self._bootstrap)
            for name, values in of.items()
            if any(value is not None for value in values)
        }
        return metrics, [{name: values[k] for name, values in scores.items()} for k in range(len(self._rows))]

    def _bins(self, values: Sequence[float | bool | None]) -> Bins:
        """The mean over all rows, and over those where the teacher was right, and was wrong."""
        right, wrong = (
            self._figure([v if r is of else None for v, r in zip(values, self._right, strict=True)])
            for of in (True, False)
        )
        return Bins(all=self._figure(values), teacher_right=right, teacher_wrong=wrong)

    def _figure(self, values: Sequence[float | bool | None]) -> Agreement:
        if all(value is None for value in values):
            return Agreement(value=None, ci95=None, n=0)
        figure = mean(_numbers(values), self._bootstrap)
        return Agreement(value=figure.value, ci95=figure.ci95, n=figure.n)

    def _kappa(self) -> Agreement | None:
        """None in a task whose choices differ from row to row: there is no frequency of a label there."""
        if not self._task.labels:
            return None
        names = [*self._task.labels, NO_LABEL]
        counts = np.zeros((len(self._rows), len(names), len(names)))
        for k, (row, label) in enumerate(zip(self._rows, self._labels, strict=True)):
            if label is not None:
                counts[k, names.index(row.prediction.label or NO_LABEL), names.index(label)] = 1
        flat = counts.reshape(len(counts), -1)

        def of_flat(sums: FloatArray) -> FloatArray:
            return cohen_kappa(sums.reshape(*sums.shape[:-1], len(names), len(names)))

        value = float(of_flat(flat.sum(axis=0)))
        interval = self._bootstrap.interval(flat, of_flat)
        return Agreement(value=None if np.isnan(value) else value, ci95=interval, n=int(flat.sum()))


def _numbers(values: Sequence[float | bool | None]) -> list[float | None]:
    return [None if value is None else float(value) for value in values]
