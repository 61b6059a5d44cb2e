"""The lines of per_example.jsonl: each row with its scores, made when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reasondistill.contracts.records import Prediction
from reasondistill.contracts.scored_rows import ScoredRow
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.score_table import ScoreTable
from reasondistill.metrics.text import ROUGE_NAMES
from reasondistill.storage.lazy_sequences import LazySequence, Mapped


class ScoredLines(LazySequence[ScoredRow]):
    """A line for each row: all at once would take more than the rows."""

    def __init__(self, rows: Sequence[Row], scores: ScoreTable, right: Sequence[bool | None]) -> None:
        self._rows, self._scores, self._right = rows, scores, right

    def __len__(self) -> int:
        return len(self._rows)

    def _item(self, place: int) -> ScoredRow:
        return _as_row(self._rows[place], self._scores[place], self._right[place])


def with_columns(
    lines: Sequence[ScoredRow], scores: Mapping[str, Sequence[bool | int | float | None]]
) -> Sequence[ScoredRow]:
    """Lines with further scores (n,) by name."""
    return Mapped(
        lambda place: lines[place].with_scores({name: values[place] for name, values in scores.items()}),
        range(len(lines)),
    )


def _as_row(row: Row, scores: Mapping[str, object], right: bool | None) -> ScoredRow:
    """A line of per_example.jsonl; scores that need references are None where there are none."""
    example, prediction = row.example, row.prediction
    return ScoredRow.model_validate(
        {
            "id": example.id,
            "group": example.group,
            "gold": example.label,
            "label": prediction.label,
            "correct": right,
            "probabilities": prediction.probabilities,
            **({} if prediction.probability is None else {"probability": prediction.probability}),
            **({} if example.accepted is None else {"accepted": list(example.accepted)}),
            "explanation": prediction.explanation,
            "references": row.references,
            "fields": example.fields,
            **(_stated(prediction) if prediction.states else {}),
            **dict.fromkeys(ROUGE_NAMES),
            **scores,
        }
    )


def _stated(prediction: Prediction) -> dict[str, object]:
    """What ``explanation`` was cut by, and what that states."""
    value = prediction.stated_confidence
    return {"confidence_phrase": prediction.confidence_phrase, "stated": value is not None, "stated_confidence": value}
