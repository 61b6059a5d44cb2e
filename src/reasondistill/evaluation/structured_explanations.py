"""Metrics of explanations that have a structure: whether it is valid, and what it agrees with."""

from __future__ import annotations

from collections.abc import Sequence

from reasondistill.contracts.records import Example, Prediction
from reasondistill.errors import DataError
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.scored import Scored
from reasondistill.evaluation.step_explanations import score_trees
from reasondistill.metrics.known.structure_metrics import STRUCTURE_METRICS
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.tasks.reading_outputs import without_case
from reasondistill.tasks.step_structures import StepStructure
from reasondistill.tasks.structures import Claim, Structure
from reasondistill.tasks.task import Task
from reasondistill.verification.pair_labels import PairLabels
from reasondistill.verification.pair_prover import PairProver
from reasondistill.verification.scenes_fragment import ScenesProver
from reasondistill.verification.silver_structures import StructureFinder, covers

_LOOKED_AT = 50
"""Rows that tell whether all are scenes."""


def score_structures(rows: Sequence[Row], task: Task, scored: Scored, bootstrap: GroupBootstrap) -> None:
    """Add the figures of structures, and each row's scores, where the task's explanations have a structure.

    A prediction's structure is its own, or the one that its explanation begins with.
    """
    structure = task.structure
    if isinstance(structure, StepStructure):
        score_trees(rows, structure, scored, bootstrap)
    if not isinstance(structure, Structure):
        return
    finder = _finder(structure, task, [row.example for row in rows])
    if finder is not None:
        scored.settings["structures"] = finder[1]
    claims = [claim_of(structure, row.prediction, row.example) for row in rows]
    for row, claim, scores in zip(rows, claims, scored.rows, strict=True):
        scores["structure_validity"] = claim is not None
        scores["structure_matches_gold"] = _matches(structure, claim, row.example)
        if claim is not None:
            scores["structure_agrees_with_text"] = _same(structure.render(claim), row.prediction.explanation)
            scores["structure_agrees_with_label"] = claim.relation in structure.relations_for(row.prediction.label)
            scores["structure_agrees_with_proof"] = None if finder is None else _proved(finder[0], claim, row)
    for metric in STRUCTURE_METRICS:
        values = [None if (score := row.get(metric.score)) is None else float(score) for row in scored.rows]
        if any(value is not None for value in values):
            scored.metrics[metric.name] = mean(values, bootstrap)


def claim_of(structure: Structure, prediction: Prediction, example: Example) -> Claim | None:
    """A prediction's structure if it is valid for the example."""
    given = prediction.structure
    if given is None:
        return structure.parse(prediction.explanation, example.fields)
    parts = [given.get(name, "") for name in ("relation", "from", "to")]
    return structure.claim(*parts, fields=example.fields) if len(given) == len(parts) else None


def _matches(structure: Structure, claim: Claim | None, example: Example) -> bool | None:
    gold = [structure.parse(e.text, example.fields) for e in example.references]
    lines = {without_case(other.line) for other in gold if other is not None}
    return None if not lines else claim is not None and without_case(claim.line) in lines


def _same(text: str, explanation: str) -> bool:
    return without_case(text) == without_case(explanation)


def _proved(finder: StructureFinder, claim: Claim, row: Row) -> bool | None:
    """Whether a claim holds a step of a proof of the predicted label; None without such a proof."""
    steps = finder.proved(row.example.model_copy(update={"label": row.prediction.label}))
    return any(covers(claim, step) for step in steps) if steps else None


def _finder(
    structure: Structure, task: Task, examples: Sequence[Example]
) -> tuple[StructureFinder, dict[str, str]] | None:
    """What proves pairs of these examples, and its settings; None where they are no pairs."""
    try:
        labels = PairLabels.of(task)
    except DataError:
        return None
    if (structure.from_field, structure.to_field) != (labels.premise, labels.hypothesis):
        return None
    scenes = ScenesProver()
    readable = all(labels.outcome(scenes, example).outside is None for example in examples[:_LOOKED_AT])
    prover = scenes if readable else PairProver()
    settings = {"fragment": prover.fragment, "lexicon_sha256": prover.lexicon.sha256}
    return StructureFinder(structure, labels, prover), settings
