"""Which columns hold what, told by their names and values: each function finds the columns of one role."""

from __future__ import annotations

from collections.abc import Mapping

from reasondistill.data.answer_columns import holds_texts, is_called_answer
from reasondistill.data.column_facts import LONG_LABEL, MOST_LABELS, SENTENCE, Column
from reasondistill.data.column_names import ends_like_label, is_called
from reasondistill.data.readers.flat_rows import listed
from reasondistill.data.splits import usual_split
from reasondistill.errors import DataError

_REPEATED = 3  # times, on average, that values of a label column without a label's name must occur
_MOST_GRADES = 11  # different numbers that are labels without a label's name: 0 to 10


def identity_column(columns: Mapping[str, Column]) -> str | None:
    """The first column that is called an id and never repeats."""
    return next(
        (
            name
            for name, column in columns.items()
            if is_called("id", name) and column.unique and column.rows > 1 and column.words < SENTENCE
        ),
        None,
    )


def split_column(columns: Mapping[str, Column]) -> str | None:
    """A column of any name that holds nothing but names of splits, test rows among them: ``fold``, ``partition``."""
    for name, column in columns.items():
        values = {usual_split(value) for value, _ in column.commonest}
        if column.distinct == len(column.commonest) and {"train", "test"} <= values <= {"train", "validation", "test"}:
            return name
    return None


def explains(column: Column) -> bool:
    # "exp" is an explanation in MedMCQA, and in other tables somebody's experience, in a word or two.
    if not is_called("explanation", column.name) and not (column.name == "exp" and column.words > LONG_LABEL):
        return False
    # A reason out of a list is a label.
    coded = column.words < 2 and column.distinct >= 2 and column.filled >= _REPEATED * column.distinct
    return column.kind in ("list", "empty") or (column.kind == "text" and not coded)


def can_be_label(column: Column) -> bool:
    """Whether values are few and short; those of one item, as ``["billing"]``, count too."""
    if column.kind not in ("text", "number", "truth value", "list") or not column.distinct:
        return False
    if column.distinct <= MOST_LABELS and column.words <= LONG_LABEL:
        return True
    # Of a column that is called a label more are believed, and longer ones, where each occurs again and again.
    often = column.filled >= _REPEATED * column.distinct
    return often and column.distinct <= 10 * MOST_LABELS and is_called("label", column.name)


def label_column(source: object, columns: Mapping[str, Column], *, alone: bool) -> str | None:
    """The label's column; None where there is none.

    Raises:
        DataError: several could be it.
    """
    able = {name: column for name, column in columns.items() if can_be_label(column)}
    if named := [name for name in able if is_called("label", name)]:
        # Beside a label of numbers their names may stand: label, label_text.
        in_words = (n for n in named if n.startswith(named[0]) and able[n].kind == "text")
        return next(in_words, named[0]) if able[named[0]].kind == "number" else named[0]
    repeated = {
        name: column
        for name, column in able.items()
        if column.distinct >= 2
        and column.words < SENTENCE
        and column.filled >= _REPEATED * column.distinct
        and not is_called("text", name)
    }
    likely = [name for name, column in repeated.items() if column.kind in ("text", "truth value") and column.plain]
    # Numbers that repeat are labels where nothing else is: a flag of 0 and 1, a score of 1 to 5.
    grades = [name for name, c in repeated.items() if c.kind == "number" and c.distinct <= _MOST_GRADES]
    likely = [name for name in (*likely, *grades) if ends_like_label(name)] or likely or grades
    if alone and likely and len(likely) == len(columns):
        likely = likely[1:]  # something has to be the input
    if len(likely) > 1:
        raise DataError(
            source,
            expected="one column that can be the label",
            found=f"several: {listed(likely)}",
            fix=f"Say which: --label {likely[0]!r} (from Python: label=…).",
        )
    return likely[0] if likely else None


def answer_column(columns: Mapping[str, Column], *, named: bool) -> str | None:
    """The first column that is called an answer and holds texts, where something else is left to be the input."""
    answers = [name for name, c in columns.items() if is_called_answer(name) and c.kind in ("text", "list", "number")]
    others = [name for name, column in columns.items() if column.kind == "text" and name not in answers[:1]]
    return answers[0] if answers and (named or others) and holds_texts(columns[answers[0]]) else None


def text_columns(columns: Mapping[str, Column]) -> tuple[str, ...]:
    """The inputs: columns that are called texts, else those that hold sentences, else the text that differs most."""
    texts = {
        name: column for name, column in columns.items() if column.kind == "text" and column.plain and column.filled
    }
    if named := tuple(name for name in texts if is_called("text", name)):
        return named
    if sentences := tuple(name for name, c in texts.items() if c.words >= SENTENCE and (c.distinct > 1 or c.rows == 1)):
        return sentences
    best = max(texts.values(), key=lambda column: column.distinct, default=None)
    return () if best is None else (best.name,)
