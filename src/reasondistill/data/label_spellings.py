"""The labels that a column holds, whatever their spelling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from reasondistill.data.readers.flat_rows import Row
from reasondistill.data.readers.own_tables import NO_LABEL, LabelValues, label_text
from reasondistill.tasks.reading_outputs import without_case


def label_spellings(column: str, rows: Iterable[Row], values: LabelValues) -> dict[str, str]:
    """A label column's values → the labels that they mean, as readers take them.

    Values that differ in case and white space only are one label, in its commonest spelling.
    """
    counts: Counter[str] = Counter()
    for _, row in rows:
        value = label_text(row.get(column), values)
        value = str(value).lower() if isinstance(value, bool) else value
        if isinstance(value, str) and value.strip() and value not in NO_LABEL:
            counts[value] += 1
    commonest: dict[str, str] = {}
    for value, _ in counts.most_common():
        commonest.setdefault(without_case(value), " ".join(value.split()))
    return {value: commonest[without_case(value)] for value in counts}
