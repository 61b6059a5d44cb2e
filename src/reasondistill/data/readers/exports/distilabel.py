"""distilabel: instructions with generations, and the columns of its other tasks.

https://distilabel.argilla.io/latest/components-gallery/tasks/textgeneration/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from reasondistill.data.readers.exports.form import Export, without
from reasondistill.data.readers.flat_rows import Cells

_KEPT_BY_THE_TOOL = frozenset(
    {"distilabel_metadata", "model_name", "model_names", "generation_model", "generation_models", "generation",
     "generations", "ratings", "rationales"}
)  # fmt: skip


def _is_rows(row: Mapping[str, object]) -> bool:
    generates = "instruction" in row and ("generation" in row or isinstance(row.get("generations"), list))
    return generates or "distilabel_metadata" in row


def _of_row(row: Cells, counts: Counter[str]) -> list[dict[str, object]]:
    if "instruction" not in row or not ("generation" in row or "generations" in row):
        return [without(row, frozenset({"distilabel_metadata", "model_name"}))]
    columns = without(row, _KEPT_BY_THE_TOOL)
    if "generation" in row and row["generation"] is None:
        counts["generation that failed"] += 1
        return []
    if "generation" in row:
        return [{**columns, "output": row["generation"]}]
    outputs = [output for output in row["generations"] or [] if output is not None]
    if failed := len(row["generations"] or []) - len(outputs):
        counts["generation that failed"] += failed
    given = row.get("input") or ""
    return [{**columns, "instances": [{"input": given, "output": output} for output in outputs]}] if outputs else []


ROWS = Export("distilabel's rows", _is_rows, _of_row)
