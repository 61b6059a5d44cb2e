"""How one tree of steps compares with another, by the definitions of Dalvi et al. 2021 (section 5 and their scorer).

Each predicted conclusion is aligned with the gold one whose sentences at the bottom, its leaves, it shares most (by
Jaccard; `_aligned`); with none where it shares none. What is concluded last counts as a conclusion like the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from reasondistill.metrics.any_script import rougeL_any
from reasondistill.tasks.step_structures import Tree

SAME_TEXT: Final = 0.8
"""ROUGE-L, in any script, from which a conclusion's text counts as the gold one's. The authors ask BLEURT for 0.28."""

TREE_SCORES: Final = (
    "tree_leaves_f1", "tree_leaves_all_correct", "tree_steps_f1", "tree_steps_all_correct",
    "tree_intermediates_f1_rougeL", "tree_intermediates_all_correct_rougeL", "tree_all_correct_rougeL",
)  # fmt: skip


def tree_scores(tree: Tree | None, gold: Tree) -> dict[str, float]:
    """The scores of a tree beside the gold one, each in [0, 1]; all 0 where there is no tree.

    - leaves: F1 of the sentences that steps start from;
    - steps: F1 of the steps, each its premises and its conclusion, with conclusions named as those they align with;
      two that align alike count against precision;
    - intermediates: F1 of precision (conclusions whose text is that of the one they align with, of all) and recall
      (gold conclusions that such a one aligns with, of all); all are correct where precision is 1;
    - ``all_correct``: 1 where an F1 is 1, and for the whole where the three are.
    """
    if tree is None:
        return dict.fromkeys(TREE_SCORES, 0.0)
    aligned = _aligned(tree.leaves, gold.leaves)
    leaves = _f1(len(tree.sentences.keys() & gold.sentences.keys()), len(tree.sentences), len(gold.sentences))
    own_steps = [_named(step.premises, step.conclusion, aligned) for step in tree.steps]
    gold_steps = {_named(step.premises, step.conclusion, {}) for step in gold.steps}
    steps = _f1(len({*own_steps} & gold_steps), len(own_steps), len(gold_steps))
    texts = {step.conclusion: step.text for step in gold.steps}
    right = [
        name
        for step in tree.steps
        if (name := aligned[step.conclusion]) is not None and rougeL_any(step.text, [texts[name]]) >= SAME_TEXT
    ]
    precision, recall = len(right) / len(tree.steps), len({*right}) / len(gold.steps)
    intermediates = 2 * precision * recall / (precision + recall) if right else 0.0
    whole = [float(leaves == 1), float(steps == 1), float(precision == 1)]
    values = (leaves, whole[0], steps, whole[1], intermediates, whole[2], min(whole))
    return dict(zip(TREE_SCORES, values, strict=True))


def _aligned(own: Mapping[str, frozenset[str]], gold: Mapping[str, frozenset[str]]) -> dict[str, str | None]:
    """Each conclusion's gold one: that with most leaves in common by Jaccard; None where none has any in common.

    Of several, what is concluded last goes with what is concluded last, and others with one that no other went with,
    the first of those. The authors' scorer takes the first, and so gives a gold tree less than 1 beside itself where
    two of its conclusions have the same leaves.
    """
    aligned: dict[str, str | None] = {}
    last = [*own][-1], [*gold][-1]
    for name, leaves in own.items():
        shares = {other: len(leaves & theirs) / len(leaves | theirs) for other, theirs in gold.items()}
        taken = {*aligned.values()}
        best = max(
            shares, key=lambda other: (shares[other], (name == last[0]) == (other == last[1]), other not in taken)
        )
        aligned[name] = best if shares[best] else None
    return aligned


def _named(premises: Collection[str], conclusion: str, names: Mapping[str, str | None]) -> tuple[tuple[str, ...], str]:
    named = sorted(str(names.get(premise, premise)) for premise in premises)
    return tuple(named), str(names.get(conclusion, conclusion))


def _f1(shared: int, own: int, gold: int) -> float:
    return 2 * shared / (own + gold)
