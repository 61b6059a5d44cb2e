"""The files of a teaching run: answers in the order of the data, accepted and rejected rows, a data card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from reasondistill.contracts.filtering import FILTERING_FILE, Filtering
from reasondistill.contracts.records import Example, write_records
from reasondistill.contracts.row_files import read_rows, write_rows
from reasondistill.contracts.teaching import (
    ACCEPTED_FILE,
    ANSWERS_FILE,
    REJECTED_FILE,
    TeacherAnswer,
    Teaching,
)
from reasondistill.storage.files import atomic_write, read_jsonl
from reasondistill.tasks.task import Task
from reasondistill.teachers.filters.applying import filter_answers
from reasondistill.teachers.filters.filters_config import FiltersConfig
from reasondistill.teachers.teaching_card import teaching_card

CARD_FILE = "card.md"
LABELS_FILE = "labels.jsonl"
"""The labels that teachers gave to rows without one, as predictions."""


def write_answers(folder: Path, examples: Sequence[Example], parts: Sequence[Path]) -> None:
    """Join the answers of several teachers.

    Args:
        parts: a file of answers for each teacher, in the order of the data; they are removed.
    """
    write_rows(folder / ANSWERS_FILE, _in_order(examples, parts))
    for part in parts:
        part.unlink(missing_ok=True)


def write_filtered(
    answers: Path,
    folder: Path,
    examples: Iterable[Example],
    task: Task,
    filters: FiltersConfig,
    say: Callable[[str], None] = lambda text: None,
) -> Filtering:
    """Filter a file of answers, and write into ``folder`` what can be learned from, what was rejected, and the counts.

    Raises:
        UserError: as `filter_answers`.
    """
    filtered = filter_answers(examples, _read(answers), task, filters, say)
    write_records(folder / ACCEPTED_FILE, filtered.accepted)
    write_rows(folder / REJECTED_FILE, filtered.rejected)
    if filtered.taught_labels:
        write_records(folder / LABELS_FILE, filtered.taught_labels)
    else:
        (folder / LABELS_FILE).unlink(missing_ok=True)
    filtered.filtering.save(folder / FILTERING_FILE)
    return filtered.filtering


def counts_of(filtering: Filtering) -> dict[str, object]:
    """What ``teaching.json`` says of them."""
    problems = filtering.filters["problems"].reasons
    return {
        "answers": filtering.answers,
        "usable": filtering.answers - sum(problems.values()),
        "problems": problems,
        "accepted": filtering.accepted,
    }


def write_card(folder: Path, teaching: Teaching, examples: Iterable[Example], filtering: Filtering) -> None:
    """The README of the accepted rows."""
    with atomic_write(folder / CARD_FILE) as stream:
        stream.write(teaching_card(teaching, coverage(examples, folder / ACCEPTED_FILE), filtering))


def coverage(examples: Iterable[Example], accepted: Path) -> Mapping[str, tuple[int, int]]:
    """Label → how many rows have it, and how many of them were accepted."""
    ids = {str(row["id"]) for _, row in read_jsonl(accepted)} if accepted.stat().st_size else set()
    rows: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for example in examples:
        label = example.label if example.label is not None else "(none)"
        rows[label] += 1
        kept[label] += example.id in ids
    return {label: (rows[label], kept[label]) for label in sorted(rows)}


def _in_order(examples: Iterable[Example], parts: Sequence[Path]) -> Iterator[TeacherAnswer]:
    """Answers of each example, teacher by teacher."""
    groups = [groupby(_read(part), key=lambda answer: answer.id) for part in parts]
    heads = [next(group, None) for group in groups]
    for example in examples:
        for number, head in enumerate(heads):
            if head is not None and head[0] == example.id:
                yield from head[1]
                heads[number] = next(groups[number], None)


def _read(part: Path) -> Iterator[TeacherAnswer]:
    return read_rows(TeacherAnswer, part) if part.stat().st_size else iter(())
