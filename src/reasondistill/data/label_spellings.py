"""The labels that a column holds, whatever their spelling."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from reasondistill.data.readers.flat_rows import Row, listed
from reasondistill.data.readers.own_tables import NO_LABEL, LabelValues, label_text, value_text
from reasondistill.errors import DataError
from reasondistill.tasks.reading_outputs import without_case


def label_spellings(column: str, rows: Iterable[Row], values: LabelValues) -> dict[str, str]:
    """A label column's values → the labels that they mean, as readers take them.

    Values that differ in case and white space only are one label, in its commonest spelling; ``1.0`` is ``1``.
    """
    counts: Counter[str] = Counter()
    for _, row in rows:
        value = label_text(row.get(column), values)
        value = str(value).lower() if isinstance(value, bool) else value
        if isinstance(value, str) and value.strip() and value not in NO_LABEL:
            counts[value] += 1
    commonest: dict[str, str] = {}
    for value, _ in counts.most_common():
        commonest.setdefault(without_case(value_text(value)), " ".join(value_text(value).split()))
    return {value: commonest[without_case(value_text(value))] for value in counts}


def require_meant(source: object, column: str, rows: Iterable[Row], values: LabelValues) -> tuple[str, ...]:
    """Hold what a user says that a label column's values mean against those that occur.

    Returns:
        The values that do not occur.

    Raises:
        DataError: numbers get names, but not all of them.
    """
    cells = (label_text(row.get(column)) for _, row in rows)
    found = {value_text(cell) for cell in cells if cell is not None and cell == cell and str(cell).strip()}
    codes = all(map(_CODE.fullmatch, values))
    unnamed = sorted(code for code in found - {*values, *NO_LABEL} if codes and _CODE.fullmatch(code))
    if unnamed:
        raise DataError(
            source,
            expected=f"a name for each number in {column!r}",
            found=f"none for {listed(unnamed, most=8)}",
            fix=f"Add to what was named: --label-values {unnamed[0]}=LABEL,… (from Python: label_values=…).",
        )
    return tuple(value for value in values if value not in found)


_CODE = re.compile(r"-?[0-9]{1,15}")
