"""The requirements of faithfulness tests, each checked in one place and reported in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reasondistill.evaluation.faithfulness.definition import Need, Sample
from reasondistill.evaluation.faithfulness.judge_reading import why_no_reading
from reasondistill.evaluation.faithfulness.model_under_test import Subject
from reasondistill.languages.detection import UNKNOWN, language
from reasondistill.metrics.text import is_empty

if TYPE_CHECKING:
    from reasondistill.judges import Judge

PAIR: Final = ("premise", "hypothesis")
"""The fields of tasks whose explanations the templates can read."""

_LANGUAGE_SAMPLE: Final = 200


def _why_no_labels(subject: Subject, judge: Judge | None) -> str | None:
    if subject.task.writes_answers:
        return "the student writes its answers: there are no labels"
    return None


def _why_not_both(subject: Subject, judge: Judge | None) -> str | None:
    if subject.order in ("label_only", "explanation_only") or subject.task.labels == ():
        return "the student does not give both a label and an explanation"
    return None


def _why_not_forced(subject: Subject, judge: Judge | None) -> str | None:
    if subject.order != "label_first":
        return f"a student of the order {subject.order} has no label before its explanation to be forced"
    return None


def _why_no_pair(subject: Subject, judge: Judge | None) -> str | None:
    fields = tuple(subject.task.fields)
    if fields != PAIR:
        return f"the templates are of inference from a premise; the task has the fields {', '.join(fields)}"
    return None


def _why_not_english(texts: list[str], use: str) -> str | None:
    name = language("\n".join(texts))
    return None if name in ("English", UNKNOWN) else f"{use} language is {name}"


def _inputs_not_english(sample: Sample) -> str | None:
    texts = [text for e in sample.examples[:_LANGUAGE_SAMPLE] for text in map(e.fields.get, sample.subject.task.fields)]
    return _why_not_english([text or "" for text in texts], "the words to insert are English, and the inputs'")


def _explanations_not_english(sample: Sample) -> str | None:
    return _why_not_english(sample.explanations[:_LANGUAGE_SAMPLE], "the templates are English, and the explanations'")


LABELS: Final = Need(
    what="labels",
    of_student=_why_no_labels,
    of_row=lambda answer: answer.label is not None,
    lacking="the student gives no label",
)
PROBABILITIES: Final = Need(
    what="labels with probabilities",
    of_row=lambda answer: answer.label is not None and bool(answer.probabilities),
    lacking="the student gives no label with a probability that its explanations could be held beside",
)
EXPLANATIONS: Final = Need(
    what="explanations",
    of_row=lambda answer: not is_empty(answer.explanation),
    lacking="the student explains no example",
)
BOTH: Final = Need(what="a label and an explanation of every example", of_student=_why_not_both)
LABEL_FIRST: Final = Need(what="explanations after labels (`label_first`)", of_student=_why_not_forced)
JUDGE: Final = Need(
    what="a judge (`--judge`), and labels of the task's own",
    of_student=lambda subject, judge: why_no_reading(judge, subject.task),
)
PREMISES: Final = Need(what="inference from a premise", of_student=_why_no_pair)
ENGLISH_INPUTS: Final = Need(what="English inputs", of_sample=_inputs_not_english)
ENGLISH_EXPLANATIONS: Final = Need(what="English explanations", of_sample=_explanations_not_english)
