"""Predictions of any system out of any table: JSON Lines as they are, other files by the names of their columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reasondistill.contracts.records import Prediction, number_as_text, parse_record, read_predictions
from reasondistill.data.column_names import is_called
from reasondistill.data.readers.any_table import open_table
from reasondistill.data.readers.flat_rows import listed
from reasondistill.errors import DataError
from reasondistill.storage.packed import plain_suffix

_LABELS = ("label", "predicted_label", "prediction", "predicted")


def read_any_predictions(path: str | Path) -> Iterator[Prediction]:
    """The predictions in a file.

    JSON Lines hold them in the form of `Prediction`. Any other table needs a column ``id``, and one called ``label``,
    ``prediction`` or ``predicted_label``; one that is called as explanations are is the explanation. An empty label
    means that the system gave none.

    Raises:
        DataError: a row does not fit, an id occurs twice, or a column is missing.
    """
    if plain_suffix(path) in (".jsonl", ".ndjson", ""):
        yield from read_predictions(path)
        return
    table = open_table(path)
    label = next((name for name in _LABELS if name in table.header), None)
    explanation = next((name for name in table.header if is_called("explanation", name)), None)
    if "id" not in table.header or (label is None and explanation is None):
        raise DataError(
            path,
            expected="the columns id, label and explanation of predictions",
            found=listed(table.header) or "no columns",
            fix="Rename the columns; the ids are those of the data's rows.",
        )
    lines: dict[str, int] = {}
    for line, row in table.rows():
        values = {
            "id": row["id"],
            "label": row.get(label or "") or None,
            "explanation": row.get(explanation or "") or "",
        }
        where = f"{path}:{line}"
        prediction = parse_record(Prediction, {name: number_as_text(value) for name, value in values.items()}, where)
        if prediction.id in lines:
            raise DataError(
                where,
                expected="ids that occur once",
                found=f"the id {prediction.id!r}, which line {lines[prediction.id]} has too",
            )
        lines[prediction.id] = line
        yield prediction
