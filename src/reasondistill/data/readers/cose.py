"""CoS-E (Rajani et al. 2019): explanations of CommonsenseQA (Talmor et al. 2019), whose answers differ row by row.

Two files that are joined by id: CommonsenseQA's questions (``train_rand_split.jsonl``: ``answerKey``, ``id``,
``question`` with ``stem`` and ``choices``) and CoS-E's explanations (``cose_train_v1.0.jsonl``: ``id``,
``explanation`` with ``open-ended`` and the ``selected`` words of the question).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import Example, Id, parse_record
from reasondistill.data.loaded import INDISTINCT, Loaded, gather
from reasondistill.data.own_columns import own_columns, own_values
from reasondistill.data.readers.flat_rows import Cells
from reasondistill.errors import DataError
from reasondistill.storage.files import JsonObject, read_jsonl
from reasondistill.storage.packed import plain_stem
from reasondistill.tasks.task import Task, label_problem

EXPLANATIONS = "cose_*.jsonl"
_USED = ("answerKey", "id", "question")
_USED_BESIDE = ("id", "explanation")


class Choice(BaseModel):
    label: str
    text: str


class Stem(BaseModel):
    stem: str
    choices: Annotated[list[Choice], Field(min_length=2)]


class Question(BaseModel):
    id: Id
    question: Stem
    answer_key: Annotated[str | None, Field(alias="answerKey")] = None


class Words(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    open_ended: Annotated[str, Field(alias="open-ended")] = ""
    selected: str = ""


class Explained(BaseModel):
    id: Id
    explanation: Words


def is_questions(row: Cells) -> bool:
    """Whether a file's first row is one of CommonsenseQA's."""
    return isinstance(row.get("question"), dict) and "stem" in row["question"]


def gives(task: Task) -> bool:
    """Whether CoS-E has what a task asks for: a question, and choices of its own if it asks for labels."""
    return set(task.fields) <= {"question"} and not task.labels


def find_questions(folder: Path) -> Path:
    """The one file of questions in a folder.

    Raises:
        DataError: there is none, or there are several.
    """
    question_files = []
    for path in sorted(folder.glob("*.jsonl")):
        first = next(read_jsonl(path), None)
        if first is not None and is_questions(first[1]):
            question_files.append(path)
    if len(question_files) != 1:
        names = ", ".join(path.name for path in question_files)
        raise DataError(
            folder,
            expected="a file, or a folder with one file of CommonsenseQA's questions",
            found=f"a folder with several: {names}" if question_files else "a folder without one",
            fix="Name the file.",
        )
    return question_files[0]


def read_cose(
    path: str | Path,
    rows: Callable[[], Iterable[tuple[int, JsonObject]]],
    *,
    task: Task,
    notes: list[str] | None = None,
    key: str | None = None,
) -> Loaded:
    """Read a file of questions with the explanations that lie beside it (``cose_*.jsonl``).

    ``choices`` are the answers' texts and ``label`` is the right one's. The words that an annotator selected are kept
    as highlights where they stand in the question. Questions without an explanation are kept; a test file has no
    answers. Set aside and counted: questions with answers that cannot be told
    apart ("backyard", "back yard"), empty explanations, and
    explanations of questions that are not in the file.

    Raises:
        DataError: a row is not of this form, or the answer key names none of the choices.
    """
    path = Path(path)
    ignored: dict[str, None] = {}

    def read(set_aside: Counter[str]) -> Iterator[tuple[str, Example]]:
        explained: dict[str, list[Words]] = {}
        for file in sorted(path.parent.glob(EXPLANATIONS)):
            for line, row in read_jsonl(file, notes=notes):
                ignored.update(dict.fromkeys(f"{file.name}: {name}" for name in row if name not in _USED_BESIDE))
                explanation = parse_record(Explained, row, f"{file}:{line}")
                explained.setdefault(explanation.id, []).append(explanation.explanation)
        for line, row in rows():
            where = f"{path}:{line}"
            question = parse_record(Question, row, where)
            texts = [choice.text.strip() for choice in question.question.choices]
            words = explained.pop(question.id, [])
            if label_problem(texts):
                set_aside[INDISTINCT] += 1
                continue
            own = own_columns(row)
            ignored.update(dict.fromkeys(name for name in row if name not in _USED and name not in own.values()))
            kept = [w for w in words if w.open_ended.strip()]
            set_aside.update(["empty explanation"] * (len(words) - len(kept)))
            value = {
                "id": question.id,
                "fields": {"question": question.question.stem},
                "label": _answer(question, where),
                "choices": texts,
                "explanations": [{"text": w.open_ended.strip(), "source": "human"} for w in kept],
                "group": question.question.stem,
                "highlights": [_selected(question.question.stem, w.selected) for w in kept] or None,
                **own_values(row, own, where),
            }
            yield where, parse_record(Example, value, where)
        if explained:
            set_aside["explanation of a question that is not in the file"] += sum(map(len, explained.values()))

    return gather(plain_stem(path), path, read, task, ignored_columns=ignored, notes=notes, key=key)


def _answer(question: Question, where: str) -> str | None:
    if not question.answer_key:
        return None
    texts = {choice.label: choice.text.strip() for choice in question.question.choices}
    if question.answer_key not in texts:
        raise DataError(where, expected=f"an answerKey among {', '.join(texts)}", found=repr(question.answer_key))
    return texts[question.answer_key]


def _selected(stem: str, selected: str) -> dict[str, list[int]]:
    """The positions of the selected words among the question's, where they stand there together."""
    words, chosen = stem.split(), selected.split()
    plain = [word.strip(".,?!").casefold() for word in words]
    selected_words = [word.strip(".,?!").casefold() for word in chosen]
    for begin in range(len(words) - len(selected_words) + 1):
        if selected_words and plain[begin : begin + len(selected_words)] == selected_words:
            return {"question": list(range(begin, begin + len(selected_words)))}
    return {}
