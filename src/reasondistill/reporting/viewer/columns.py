"""Rows as columns of compact JSON that can stand inside a page: what the page's script reads."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.metrics.registry import known_metrics, metric_names
from reasondistill.reporting.document import Explorer

Column = dict[str, object]
"""``key`` (its name in per_example.jsonl; a field's is ``fields.<name>``), ``title``, ``kind``, ``shown`` (whether a
reader sees it before choosing columns), ``values`` (one per row, None where a row has none), and by kind:

- ``text``, ``texts``: a text or a list of them; a text that occurs more than once in the page is its place in ``texts``
- ``category``, ``tags``: a place, or a list of places, in ``options``
- ``verdict``, ``flag``: 1 or 0
- ``score``, ``count``: a number, ``count`` where every one is whole
- ``probabilities``: numbers, for the labels that ``sets`` lists at the place ``set``
"""

_DECIMALS: Final = 5
_SHOWN_SCORES: Final = ("rougeL", "bertscore_f1", "support", "length")
_NO_METRIC: Final = {"teacher_rougeL": "Teacher, ROUGE-L"}
"""Scores that no metric is the mean of."""
_LAST: Final = ("length", "copy", "empty")
"""Scores that every row has, after those that tell more."""
# What ends a script element, what HTML or UTF-8 cannot hold, and what ends a line in old JavaScript.
_UNSAFE: Final = re.compile("[<>&\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def page_data(explorers: Sequence[Explorer]) -> str:
    """All tables of rows as one JSON text for a ``<script type="application/json">`` element.

    It holds no ``<``, ``>`` or ``&``, no U+2028 or U+2029 and no control character: each stands as a JSON escape, so
    that the reader gets the data's own characters and no text can end the element.
    """
    texts = _Texts(explorers)
    tables = [
        {"anchor": explorer.anchor, "title": explorer.title, "columns": list(columns(explorer.rows, texts))}
        for explorer in explorers
    ]
    return page_json({"texts": texts.shared, "tables": tables})


def page_json(value: object) -> str:
    """JSON that can stand inside a page, with every character that it may not hold as a JSON escape."""
    packed = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", packed)


def columns(rows: Sequence[ScoredRow], pack: Callable[[str | None], str | int | None]) -> Iterator[Column]:
    """The columns of one table, in the order in which a reader sees them."""

    def text(key: str, title: str, of: Callable[[ScoredRow], str | None], shown: bool = True) -> Column:
        return _column(key, title, "text", [pack(of(row)) for row in rows], shown)

    labels = list(dict.fromkeys(label for row in rows for label in row.probabilities or ()))
    yield text("id", "Id", lambda row: row.id)
    yield _column("correct", "Correct", "verdict", [_flag(row.correct) for row in rows])
    yield _category("gold", "Gold", [row.gold for row in rows], labels)
    yield _category("label", "Label", [row.label for row in rows], labels)
    if labels:
        yield _number("confidence", "Confidence", [row.confidence for row in rows])
        yield _probabilities(rows)
    if any(row.error is not None for row in rows):
        yield _category("error", "Error", [row.error for row in rows], ["none", "label", "explanation", "both"])
    for name in dict.fromkeys(name for row in rows for name in row.fields):
        yield text(f"fields.{name}", name, lambda row, name=name: row.fields.get(name))  # type: ignore[misc]
    yield text("explanation", "Explanation", lambda row: row.explanation)
    if any(row.references for row in rows):
        packed = [None if row.references is None else [pack(reference) for reference in row.references] for row in rows]
        yield _column("references", "References", "texts", packed, shown=False)
    yield from _scores(rows)
    if any(row.slices for row in rows):
        yield _tags("slices", "Slices", [row.slices for row in rows])


class _Texts:
    """Texts that several cells hold, each kept once: the fields of systems that were scored on the same rows."""

    def __init__(self, explorers: Sequence[Explorer]) -> None:
        times = Counter(text for explorer in explorers for row in explorer.rows for text in _texts(row))
        self.shared = [text for text, count in times.items() if count > 1]
        self._place = {text: place for place, text in enumerate(self.shared)}

    def __call__(self, text: str | None) -> str | int | None:
        return None if text is None else self._place.get(text, text)


def _texts(row: ScoredRow) -> Iterator[str]:
    yield row.id
    yield from row.fields.values()
    if row.explanation is not None:
        yield row.explanation
    yield from row.references or ()


def _scores(rows: Sequence[ScoredRow]) -> Iterator[Column]:
    per_row = [row.scores for row in rows]
    names = dict.fromkeys(name for scores in per_row for name in scores)
    titles = _NO_METRIC | {metric.score: metric.score_title for metric in known_metrics()}
    order = {name: place for place, name in enumerate((*metric_names(), *_LAST))}
    for name in sorted(names, key=lambda name: order.get(name, len(order))):
        if name != "confidence":
            values = [scores.get(name) for scores in per_row]
            yield _number(name, titles.get(name, name), values, shown=name in _SHOWN_SCORES)


def _column(key: str, title: str, kind: str, values: Sequence[object], shown: bool = True, **more: object) -> Column:
    return {"key": key, "title": title, "kind": kind, "shown": shown, **more, "values": values}


def _number(key: str, title: str, values: list[float | None], shown: bool = True) -> Column:
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, bool) for value in there):
        return _column(key, title, "flag", [_flag(value) for value in values], shown)
    if there and all(isinstance(value, int) for value in there):
        return _column(key, title, "count", [None if value is None else int(value) for value in values], shown)
    return _column(key, title, "score", [_rounded(value) for value in values], shown)


def _rounded(value: float | None) -> float | int | None:
    if value is None:
        return None
    rounded = round(float(value), _DECIMALS)
    return int(rounded) if rounded in (0.0, 1.0) else rounded


def _flag(value: object) -> int | None:
    return None if value is None else int(bool(value))


def _category(key: str, title: str, values: list[str | None], first: Sequence[str]) -> Column:
    there = {value for value in values if value is not None}
    options = [*(value for value in first if value in there), *sorted(there - set(first))]
    place = {option: i for i, option in enumerate(options)}
    return _column(key, title, "category", [None if v is None else place[v] for v in values], options=options)


def _tags(key: str, title: str, values: list[list[str] | None]) -> Column:
    options = sorted({tag for tags in values for tag in tags or ()})
    place = {option: i for i, option in enumerate(options)}
    packed = [None if tags is None else [place[tag] for tag in tags] for tags in values]
    return _column(key, title, "tags", packed, shown=False, options=options)


def _probabilities(rows: Sequence[ScoredRow]) -> Column:
    # Labels are the same in every row, or, where each row brings its choices, nearly never.
    sets: dict[tuple[str, ...], int] = {}
    which, values = [], []
    for row in rows:
        which.append(sets.setdefault(tuple(row.probabilities or ()), len(sets)))
        values.append(None if row.probabilities is None else [_rounded(p) for p in row.probabilities.values()])
    more = {"sets": [list(members) for members in sets], "set": which}
    return _column("probabilities", "Probabilities", "probabilities", values, shown=False, **more)
