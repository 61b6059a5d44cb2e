"""One answer as a page of its own, without a service."""

from __future__ import annotations

from pathlib import Path

from reasondistill.contracts.records import Example
from reasondistill.reporting.pages.answers import write_answer
from reasondistill.serving.hosting import Hosted, name_of
from reasondistill.serving.questions import attribute, explain
from reasondistill.students.student import Student


def write_answer_page(path: Path, student: Student, source: Path, example: Example, precision: float | None) -> None:
    """Write a page with a student's answer, and which words moved its label and its explanation.

    Args:
        source: where the student was loaded from; the page is titled after it.

    Raises:
        ConfigError: there is no abstain threshold for that precision.
        OutputError: the page cannot be written there.
    """
    hosted = Hosted(name_of(source, student), student, source)
    [answer] = explain(student, [example], precision)
    words = attribute(student, example).words
    write_answer(path, hosted.described(), dict(example.fields), answer, words)
