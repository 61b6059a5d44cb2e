"""What is right of explanations of several steps. Functions: `metrics.step_trees`."""

from __future__ import annotations

from functools import partial

from reasondistill.metrics.metric import Metric

_trees = partial(Metric, family="structures", needs=("references",), depends_on=("trees",))

TREE_METRICS = (
    _trees("tree_leaves_f1", "Tree leaves F1", "F1 of the sentences that the gold steps start from"),
    _trees("tree_leaves_all_correct", "Tree leaves, all correct", "share of trees that start from the gold sentences"),
    _trees(
        "tree_steps_f1", "Tree steps F1", "F1 of the gold steps, conclusions aligned by the sentences below them",
        headline=True,
    ),
    _trees("tree_steps_all_correct", "Tree steps, all correct", "share of trees with the gold steps and no others"),
    _trees(
        "tree_intermediates_f1_rougeL", "Tree conclusions F1 (ROUGE-L)",
        "F1 of conclusions whose text has a ROUGE-L of 0.8 with the gold one; the authors' figure takes BLEURT",
    ),
    _trees(
        "tree_intermediates_all_correct_rougeL", "Tree conclusions, all correct (ROUGE-L)",
        "share of trees all of whose conclusions are correct by ROUGE-L",
    ),
    _trees(
        "tree_all_correct_rougeL", "Trees all correct (ROUGE-L)",
        "share of trees whose leaves, steps and conclusions are all correct", headline=True,
    ),
)  # fmt: skip
