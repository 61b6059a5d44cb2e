"""Questions with options of their own, in published forms: the answer is a place, a letter or a text.

Places count from 0, or from 1 where that alone fits: some answer is as large as there are options, and none is 0.

https://huggingface.co/datasets/allenai/ai2_arc, tau/commonsense_qa, allenai/openbookqa (``choices`` with ``text`` and
``label``, ``answerKey``); cais/mmlu, Rowan/hellaswag, allenai/social_i_qa, ybisk/piqa, allenai/winogrande,
openlifescienceai/medmcqa, GBaker/MedQA-USMLE-4-options (lists, letters, or a column for each option).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

from reasondistill.data.column_names import is_called
from reasondistill.data.readers.exports.form import Export, Flatten
from reasondistill.data.readers.flat_rows import Row

_LISTS = ("choices", "options", "candidates", "endings")
_ANSWER = re.compile(
    r"answer_?key|answer_id?x|answer_index|(correct|right)(_?(answer|option|choice)(_id?x|_index)?)?|cop|gold(_label)?"
    r"|(.*_)?ans(wer)?|label",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"[0-9]{1,3}")
_ORDERS = ("ABCDEFGHIJ", "abcdefghij", "0123456789", "123456789")
_OPTION = re.compile(r"(?:(?:.*[_ ])?(?:option|choice|opt|op|sol|solution|ending|answer)[_ ]?)?([A-Ja-j]|[0-9])")


def _is_question(row: Mapping[str, object]) -> bool:
    options, answer = _options(row), _answer(row, _options(row))
    if not options or answer is None:
        return False
    (name, _), texts = answer, [*options.values()]
    if (columns := _columns_of_options(row)) and not _asks(row, {*columns, name}):
        return False
    # Rows with a list of choices and the text of one as the label need no other form.
    return not (isinstance(row.get("choices"), list) and name == "label" and row["label"] in texts)


def _asks(row: Mapping[str, object], known: set[str]) -> bool:
    """Whether a text stands beside options and answer: without one, columns called ``a`` and ``b`` are a pair."""
    return any(
        isinstance(value, str) and value.strip() and name not in known and not is_called("id", name)
        for name, value in row.items()
    )


def _counting(rows: Iterator[Row]) -> Flatten:
    """What reads the questions, counting places from where the answers of all of them do."""
    from_one = False
    for _, row in rows:
        options = _options(row)
        answer = _answer(row, options)
        place = None if answer is None else _place(_as_number(answer, options), options)
        if place == 0:
            return _of_question
        from_one = from_one or place == len(options)
    return partial(_of_question, first=1) if from_one else _of_question


def _of_question(row: Mapping[str, object], counts: Counter[str], first: int = 0) -> list[dict[str, object]]:
    options = _options(row)
    answer = _answer(row, options)
    if answer is None:  # none is given, as in a test file, or one that is none
        answer = next(((name, row[name]) for name in row if _ANSWER.fullmatch(name)), None)
    used = {*_LISTS, *_columns_of_options(row)} | ({answer[0]} if answer else set())
    columns = {name: value for name, value in row.items() if name not in used}
    label = None if answer is None else _text_of(_as_number(answer, options), options, first)
    return [{**columns, "choices": [*options.values()], "label": label}]


def _options(row: Mapping[str, object]) -> dict[str, str]:
    """Each option's text by its letter or number; none where the row has none."""
    for name in _LISTS:
        options = row.get(name)
        if isinstance(options, Mapping) and isinstance(texts := options.get("text"), list):
            return dict(zip(map(str, options.get("label", range(len(texts)))), texts, strict=True))
        if isinstance(options, Mapping) and len(options) > 1 and all(isinstance(t, str) for t in options.values()):
            return dict(options)
        if isinstance(options, list) and len(options) > 1:
            if all(isinstance(option, str) for option in options):
                return {str(place): text for place, text in enumerate(options)}
            if all(isinstance(option, Mapping) and {"label", "text"} <= option.keys() for option in options):
                return {str(option["label"]): option["text"] for option in options}
    return {_OPTION.fullmatch(name)[1]: str(row[name]) for name in _columns_of_options(row)}  # type: ignore[index]


def _columns_of_options(row: Mapping[str, object]) -> list[str]:
    """Columns that are called like options, from the first letter or number on without a gap: A, B, C; sol1, sol2."""
    by_begin: dict[str, list[tuple[str, str]]] = {}
    for name, value in row.items():
        if isinstance(value, str) and (match := _OPTION.fullmatch(name)) is not None:
            by_begin.setdefault(name[: match.start(1)], []).append((match[1], name))
    for letters in by_begin.values():
        marks = "".join(mark for mark, _ in letters)
        if len(marks) > 1 and any(order.startswith(marks) for order in _ORDERS):
            return [name for _, name in letters]
    return []


def _answer(row: Mapping[str, object], options: Mapping[str, str]) -> tuple[str, object] | None:
    """The column that names an option, and what it holds; None where there is none, in a test file for example."""
    if not options:
        return None
    options_of = {*_LISTS, *_columns_of_options(row)}
    return next(
        (
            (name, value)
            for name, value in row.items()
            if name not in options_of and _ANSWER.fullmatch(name) and _names_one(value, options)
        ),
        None,
    )


def _as_number(answer: tuple[str, object], options: Mapping[str, str]) -> object:
    """An answer of whole numbers to options that are numbered from 1 is their number; a label counts places from 0."""
    name, value = answer
    numbered = next(iter(options), None) == "1"
    return str(value) if numbered and name != "label" and isinstance(value, int) else value


def _place(value: object, options: Mapping[str, str]) -> int | None:
    """The place that a whole number is; None for anything else, for the text of an option, and for a mark from 1 on."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    is_place = isinstance(value, str) and _DIGITS.fullmatch(value) is not None and value not in options.values()
    return int(str(value)) if is_place and next(iter(options), None) != "1" else None


def _names_one(value: object, options: Mapping[str, str]) -> bool:
    if _place(value, options) == len(options):
        return True  # where places count from 1
    try:
        return _text_of(value, options) is not None
    except ValueError:
        return False


def _text_of(value: object, options: Mapping[str, str], first: int = 0) -> str | None:
    """The text of the option that an answer names by letter, by number, by its place, or by its text.

    Args:
        first: the number of the first place.

    Raises:
        ValueError: it names none.
    """
    if value is None or value in ("", "-1", -1):
        return None
    key = str(value).strip()
    place = _place(value, options)
    if place is not None and 0 <= place - first < len(options):
        return [*options.values()][place - first]
    by_letter = {mark.casefold(): text for mark, text in options.items()}
    if key.casefold() in by_letter:
        return by_letter[key.casefold()]
    if len(key) == 1 and key.upper() in "ABCDEFGHIJ"[: len(options)] and all(mark.isdigit() for mark in options):
        return [*options.values()]["ABCDEFGHIJ".index(key.upper())]
    if value in options.values():
        return str(value)
    counted = "" if place is None else f"; places count from {first}, as other answers show"
    raise ValueError(f"the answer {value!r} names none of the options {', '.join(options)}{counted}")


QUESTIONS = Export("questions with options", _is_question, _of_question, _counting)
