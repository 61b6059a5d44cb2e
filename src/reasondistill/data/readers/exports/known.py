"""The exports that are recognised, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping

from reasondistill.data.readers.exports import (
    argilla,
    conversations,
    distilabel,
    doccano,
    label_studio,
    multiple_choice,
    prodigy,
)
from reasondistill.data.readers.exports.form import Export

EXPORTS: tuple[Export, ...] = (
    label_studio.TASKS,
    label_studio.ROWS,
    argilla.RECORDS,
    argilla.COLUMNS,
    prodigy.TASKS,
    distilabel.ROWS,
    conversations.SHAREGPT,
    conversations.MESSAGES,
    doccano.LINES,
    multiple_choice.QUESTIONS,
)


def export_of(first: Mapping[str, object]) -> Export | None:
    """The export whose form a source's first row has."""
    return next((export for export in EXPORTS if export.recognises(first)), None)
