"""Metrics of explanations of several steps: whether they are a tree, and how it compares with the gold one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from reasondistill.contracts.records import Prediction
from reasondistill.evaluation.pairing import Row
from reasondistill.evaluation.scored import Scored
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.metrics.step_trees import SAME_TEXT, TREE_SCORES, tree_scores
from reasondistill.tasks.step_structures import StepStructure, Tree


def score_trees(rows: Sequence[Row], structure: StepStructure, scored: Scored, bootstrap: GroupBootstrap) -> None:
    """Add the figures of trees, each row's scores, and those of two baselines that read nothing.

    A prediction's tree is its own structure, or its explanation. Rows whose references are no trees are not compared.
    ``one_step`` concludes the goal from all sentences at once, ``chain`` takes them in turn, with what came before.
    """
    trees = [tree_of(structure, row.prediction, row.example.fields) for row in rows]
    gold = [_gold(structure, row) for row in rows]
    baselines = {name: [make(structure, row.example.fields) for row in rows] for name, make in _BASELINES.items()}
    for scores, tree, right in zip(scored.rows, trees, gold, strict=True):
        scores["structure_validity"] = tree is not None
        scores.update({} if right is None else tree_scores(tree, right))
    scored.metrics["structure_validity"] = mean([float(tree is not None) for tree in trees], bootstrap)
    if not any(gold):
        return
    scored.settings["trees"] = {"alignment": "Jaccard of leaves", "text": f"rougeL_intl >= {SAME_TEXT}"}
    for name in TREE_SCORES:
        scored.metrics[name] = mean([scores.get(name) for scores in scored.rows], bootstrap)
    for baseline, made in baselines.items():
        compared = [tree_scores(tree, right) for tree, right in zip(made, gold, strict=True) if right is not None]
        figures = {name: sum(scores[name] for scores in compared) / len(compared) for name in TREE_SCORES}
        scored.baselines.setdefault(baseline, {}).update(figures)


def tree_of(structure: StepStructure, prediction: Prediction, fields: Mapping[str, str]) -> Tree | None:
    """A prediction's tree if it is one of the example's."""
    given = prediction.structure
    return structure.parse(prediction.explanation if given is None else given.get("steps", ""), fields)


def _gold(structure: StepStructure, row: Row) -> Tree | None:
    trees = (structure.parse(reference.text, row.example.fields) for reference in row.example.references)
    return next((tree for tree in trees if tree is not None), None)


def one_step(structure: StepStructure, fields: Mapping[str, str]) -> Tree | None:
    """The goal from all sentences at once."""
    return structure.parse(f"{' & '.join(structure.sentences(fields))} -> {structure.goal_field}", fields)


def chain(structure: StepStructure, fields: Mapping[str, str]) -> Tree | None:
    """Two sentences, then what they make with the next one, up to the goal; a conclusion's text is its premises'."""
    sentences = structure.sentences(fields)
    first, *rest = sentences
    texts = list(accumulate(sentences.values(), lambda before, text: f"{before} and {text}".replace(";", ",")))[1:]
    steps, before = [], first
    for number, (name, text) in enumerate(zip(rest, texts, strict=True), start=1):
        last = number == len(rest)
        steps.append(f"{before} & {name} -> {structure.goal_field if last else f'int{number}: {text}'}")
        before = f"int{number}"
    return structure.parse(" ; ".join(steps), fields) if steps else one_step(structure, fields)


_BASELINES = {"one_step": one_step, "chain": chain}
