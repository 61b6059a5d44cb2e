"""What people said of answers, as training rows: one for each example, in groups that must not be split apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from reasondistill.contracts.feedback import Feedback
from reasondistill.contracts.records import Example, Explanation, Votes
from reasondistill.errors import DataError
from reasondistill.storage.files import fingerprint, require_file
from reasondistill.storage.sqlite_store import Store, require_store

PEOPLE, STUDENT = "feedback", "student"
"""Sources of explanations: what people wrote, and what a student wrote and people found right."""


class FeedbackRows(NamedTuple):
    """Training rows, and how many examples were dropped, by reason."""

    examples: list[Example]
    dropped: Counter[str]


def read_feedback(path: str | Path) -> list[Feedback]:
    """What a service kept, in the order in which it came.

    Raises:
        DataError: there is no such file, or none of a service's.
    """
    path = require_store(require_file(path, what="a service's feedback"))
    rows = []
    for _, value in Store(path).items():
        try:
            rows.append(Feedback.model_validate_json(value))
        except ValidationError as error:
            raise DataError(
                path, expected="feedback as `reasondistill serve` keeps it", found="other values"
            ) from error
    if not rows:
        raise DataError(
            path,
            expected="feedback",
            found="none",
            fix="Have people give some: reasondistill serve STUDENT --feedback FILE.",
        )
    return rows


def rows_of(feedback: Iterable[Feedback]) -> FeedbackRows:
    """One training row for each example that was spoken of.

    The label is the one that most people take for right: the student's where they say so, or correct its explanation
    only; else their correction. Explanations are people's own for that label, and the student's where someone found it
    right, with the votes. Rows with the same texts, and those that name the same group, share one.
    """
    by_example: dict[str, list[Feedback]] = defaultdict(list)
    for each in feedback:
        by_example[fingerprint(each.task, each.fields, each.choices)].append(each)
    groups = _groups(by_example)
    examples, dropped = [], Counter[str]()
    for key, statements in by_example.items():
        labels = Counter(filter(None, map(_right_label, statements))).most_common(2)
        if len(labels) == 2 and labels[0][1] == labels[1][1]:
            dropped["people disagree"] += 1
            continue
        label = labels[0][0] if labels else None
        explanations = tuple(_explanations(statements, label))
        if label is None and not explanations:
            dropped["wrong, without a correction"] += 1
            continue
        first = statements[0]
        examples.append(
            Example(
                id=f"feedback:{key}",
                fields=first.fields,
                label=label,
                choices=None if first.choices is None else tuple(first.choices),
                explanations=explanations,
                group=groups[key],
            )
        )
    return FeedbackRows(examples, dropped)


def _right_label(each: Feedback) -> str | None:
    if each.corrected_label is not None:
        return each.corrected_label
    return each.label if each.verdict == "right" or each.corrected_explanation else None


def _explanations(statements: list[Feedback], label: str | None) -> Iterator[Explanation]:
    own = dict.fromkeys(
        each.corrected_explanation for each in statements if each.corrected_explanation and _right_label(each) == label
    )
    for text in own:
        yield Explanation(text=text, source=PEOPLE)
    shown = dict.fromkeys(each.explanation for each in statements if each.explanation and each.label == label)
    for text in shown:
        votes = [each.verdict == "right" for each in statements if each.explanation == text and each.label == label]
        if any(votes) and text not in own:
            yield Explanation(text=text, source=STUDENT, votes=Votes(acceptable=sum(votes), of=len(votes)))


def _groups(by_example: dict[str, list[Feedback]]) -> dict[str, str]:
    """Example → its group: examples that name a common group, at whatever remove, have the same."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while (above := parent.setdefault(node, node)) != node:
            node = above
        return node

    for key, statements in by_example.items():
        for each in statements:
            if each.group:
                parent[root(("group", each.group))] = root(("example", key))
    return {key: f"feedback:{root(('example', key))[1]}" for key in by_example}
