"""doccano: JSON Lines of its text classification projects, in which labels are a list.

https://doccano.github.io/doccano/tutorial/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from reasondistill.data.readers.exports.form import SEVERAL, Export, without
from reasondistill.data.readers.flat_rows import Cells


def _is_lines(row: Mapping[str, object]) -> bool:
    labels = row.get("label")
    texts = isinstance(row.get("text", row.get("data")), str)
    return "id" in row and texts and isinstance(labels, list) and all(isinstance(label, str) for label in labels)


def _of_line(row: Cells, counts: Counter[str]) -> list[dict[str, object]]:
    if len(row["label"]) > 1:
        counts[SEVERAL] += 1
        return []
    columns = without(row, frozenset({"Comments", "data"}))
    text = {"text": row["data"]} if "data" in row else {}
    return [{**text, **columns, "label": row["label"][0] if row["label"] else None}]


LINES = Export("doccano's JSON Lines", _is_lines, _of_line)
