"""How far structured explanations can be relied on. Functions: `tasks.structures`, `verification.silver_structures`."""

from __future__ import annotations

from functools import partial

from reasondistill.metrics.metric import Metric

_structures = partial(Metric, family="structures", depends_on=("structures",))

STRUCTURE_METRICS = (
    _structures(
        "structure_validity", "Valid structures",
        "share of explanations whose structure is one of the task's relations between spans of the fields",
        headline=True,
    ),
    _structures(
        "structure_agrees_with_text", "Structures that agree with their text",
        "of the valid structures, the share whose explanation is what the relation's template makes of them",
    ),
    _structures(
        "structure_agrees_with_label", "Structures that argue for the label",
        "of the valid structures, the share whose relation may argue for the predicted label",
    ),
    _structures(
        "structure_agrees_with_proof", "Structures that agree with a proof",
        "where the predicted label is proved, the share of valid structures that hold the words of a step of the proof",
        headline=True,
    ),
    _structures(
        "structure_matches_gold", "Structures that match gold ones",
        "where references have structures, the share of rows whose structure is one of them",
        needs=("references",), headline=True,
    ),
)  # fmt: skip
